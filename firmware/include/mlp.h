/* Inference of small dense networks: the kernels that exported policies call. C99, no heap, no libm.
 *
 * Weights are interleaved: for each group of four outputs, for each input, the four weights side by side. One
 * input is then loaded once for four multiply-adds, and the weights are read in the order in which they lie.
 * Outputs are padded to a multiple of four with zeros.
 *
 * Compile with -ffp-contract=fast: -std=c99 alone switches fused multiply-adds off, a fifth of the speed.
 */
#ifndef MLP_H
#define MLP_H

#include <stddef.h>
#include <stdint.h>

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "-ffast-math takes the checks for NaN away: compile without it"
#endif

/* Format of the exported headers; a header for another one does not compile. */
#define MLP_FORMAT 2

/* Weights lie where a load of many registers can begin. */
#ifdef __GNUC__
#define MLP_ALIGNED __attribute__((aligned(4)))
#else
#define MLP_ALIGNED
#endif

/* Where the outputs of the layers are kept: on the stack, or with -DMLP_BUFFER=static not, where stacks are
 * short and one task alone runs the policy. */
#ifndef MLP_BUFFER
#define MLP_BUFFER
#endif

/* tanh within 4e-7 everywhere, odd, never above 1 in magnitude; NaN stays NaN.
 *
 * x P(x^2) / Q(x^2), both of degree 4, a least-maximum fit over [0, 7.9] (5e-9 before rounding). Beyond, the
 * value at 7.9 is kept, which is 1 - 2.7e-7.
 */
static inline float mlp_tanh_of(float x)
{
    const float end = 7.9f;
    const float y = x > end ? end : (x < -end ? -end : x);
    const float z = y * y;
    const float p = 1.0f + z * (0.13444452f + z * (3.5716959e-3f + z * (2.1903415e-5f + z * 1.5259682e-8f)));
    const float q = 1.0f + z * (0.46777773f + z * (2.6164412e-2f + z * (3.4117431e-4f + z * 8.5305476e-7f)));
    return y * p / q;
}

static inline void mlp_tanh(float *x, int count)
{
    for (int i = 0; i < count; i++) {
        x[i] = mlp_tanh_of(x[i]);
    }
}

static inline void mlp_relu(float *x, int count)
{
    for (int i = 0; i < count; i++) {
        x[i] = x[i] < 0.0f ? 0.0f : x[i];
    }
}

/* y *= factor: the scales of int8 weights, or of an observation. */
static inline void mlp_scale(float *restrict y, const float *restrict factor, int count)
{
    for (int i = 0; i < count; i++) {
        y[i] *= factor[i];
    }
}

/* A half-precision number from its bits, finite ones. */
static inline float mlp_half(uint16_t bits)
{
#ifdef __ARM_FP16_FORMAT_IEEE
    /* One instruction of the Cortex-M4F; needs -mfp16-format=ieee. */
    union {
        uint16_t bits;
        __fp16 half;
    } value = {bits};
    return (float)value.half;
#else
    union {
        uint32_t bits;
        float value;
    } single = {(uint32_t)(bits & 0x7fffu) << 13};
    single.value *= 0x1p112f;
    single.bits |= (uint32_t)(bits & 0x8000u) << 16;
    return single.value;
#endif
}

#define MLP_AS_FLOAT(w) (w)
#define MLP_AS_HALF(w) mlp_half(w)
#define MLP_AS_INTEGER(w) ((float)(w))

#define MLP_FOUR(w, value, x)                                                                                \
    s0 += (x) * value((w)[0]);                                                                               \
    s1 += (x) * value((w)[1]);                                                                               \
    s2 += (x) * value((w)[2]);                                                                               \
    s3 += (x) * value((w)[3])

/* sums[0..3] += x W for four outputs and four times `turns` inputs: four a turn make the loop itself
 * cheap. */
#define MLP_DEFINE_TURNS(name, type, value)                                                                  \
    static inline void name(float sums[4], const type *w, const float *x, int turns)                         \
    {                                                                                                        \
        float s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];                                        \
        for (int turn = 0; turn < turns; turn++, x += 4, w += 16) {                                          \
            MLP_FOUR(w, value, x[0]);                                                                        \
            MLP_FOUR(w + 4, value, x[1]);                                                                    \
            MLP_FOUR(w + 8, value, x[2]);                                                                    \
            MLP_FOUR(w + 12, value, x[3]);                                                                   \
        }                                                                                                    \
        sums[0] = s0;                                                                                        \
        sums[1] = s1;                                                                                        \
        sums[2] = s2;                                                                                        \
        sums[3] = s3;                                                                                        \
    }

/* y = x W + b for `outputs` padded to a multiple of four. */
#define MLP_DEFINE_DENSE(name, type, value, turns)                                                           \
    static inline void name(const type *restrict w, const float *restrict b, const float *restrict x,        \
                            int inputs, float *restrict y, int outputs)                                      \
    {                                                                                                        \
        const int whole = inputs & ~3;                                                                       \
        for (int j = 0; j < outputs; j += 4, w += 4 * inputs) {                                              \
            float sums[4] = {b[j], b[j + 1], b[j + 2], b[j + 3]};                                            \
            if (whole > 0) {                                                                                 \
                turns(sums, w, x, whole >> 2);                                                               \
            }                                                                                                \
            float s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];                                    \
            for (int i = whole; i < inputs; i++) {                                                           \
                MLP_FOUR(w + 4 * i, value, x[i]);                                                            \
            }                                                                                                \
            y[j] = s0;                                                                                       \
            y[j + 1] = s1;                                                                                   \
            y[j + 2] = s2;                                                                                   \
            y[j + 3] = s3;                                                                                   \
        }                                                                                                    \
    }

/* -DMLP_PORTABLE takes the portable loops on a Cortex-M4 too. */
#if defined(__GNUC__) && defined(__ARM_ARCH_7EM__) && defined(__ARM_FP) && !defined(MLP_PORTABLE)
#include "mlp_cortex_m4.h"
#else
MLP_DEFINE_TURNS(mlp_turns_float32, float, MLP_AS_FLOAT)
MLP_DEFINE_TURNS(mlp_turns_fp16, uint16_t, MLP_AS_HALF)
#endif
MLP_DEFINE_TURNS(mlp_turns_int8, int8_t, MLP_AS_INTEGER)

MLP_DEFINE_DENSE(mlp_dense_float32, float, MLP_AS_FLOAT, mlp_turns_float32)
MLP_DEFINE_DENSE(mlp_dense_fp16, uint16_t, MLP_AS_HALF, mlp_turns_fp16)
MLP_DEFINE_DENSE(mlp_dense_int8, int8_t, MLP_AS_INTEGER, mlp_turns_int8)

/* CRC-32 (IEEE 802.3, reflected) of `size` bytes after those that gave `crc`; 0 begins. */
static inline uint32_t mlp_crc32(uint32_t crc, const void *data, size_t size)
{
    const unsigned char *byte = (const unsigned char *)data;
    crc = ~crc;
    for (size_t i = 0; i < size; i++) {
        crc ^= byte[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    return ~crc;
}

#endif
