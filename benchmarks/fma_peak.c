/* As many fused multiply-adds as a core can do: independent chains of vectors in registers. */

#include <stddef.h>

#define LANES 16
#define CHAINS 12

typedef float vector_t __attribute__((vector_size(4 * LANES)));

/* 2 * LANES * CHAINS floating-point operations a round; the sum keeps the compiler from leaving them out. */
float fma_rounds(size_t rounds, float factor, float offset) {
    const vector_t f = factor - (vector_t){0}, o = offset - (vector_t){0};
    /* All different, or the compiler would see that some chains are the same. */
    vector_t a = o, b = o * 2.0f, c = o * 3.0f, d = o * 4.0f, e = o * 5.0f, g = o * 6.0f;
    vector_t h = o * 7.0f, i = o * 8.0f, j = o * 9.0f, k = o * 10.0f, l = o * 11.0f, n = o * 12.0f;
    for (size_t r = 0; r < rounds; r++) {
        a = a * f + o;
        b = b * f + o;
        c = c * f + o;
        d = d * f + o;
        e = e * f + o;
        g = g * f + o;
        h = h * f + o;
        i = i * f + o;
        j = j * f + o;
        k = k * f + o;
        l = l * f + o;
        n = n * f + o;
    }
    const vector_t sum = a + b + c + d + e + g + h + i + j + k + l + n;
    float total = 0.0f;
    for (int lane = 0; lane < LANES; lane++) total += sum[lane];
    return total;
}
