/* Inner loops of mlp.h for a Cortex-M4 with its floating-point unit: four outputs, four inputs a turn.
 *
 * Weights lie in the order of use, so one vldmia fetches all 16 of a turn. A compiler never does that: it
 * loads each by itself, and half of its instructions are loads. Here 16 multiply-adds take 20 instructions
 * (fp16: 36). By the cycles of Arm's Technical Reference Manual (vfma 3, vldr 2, vldm of n registers 1 + n)
 * they take about 74 instead of 92.
 *
 * The sums are the same as those of the portable kernels, bit by bit: each output adds its products in the
 * same order, fused.
 */
#ifndef MLP_CORTEX_M4_H
#define MLP_CORTEX_M4_H

#include <stdint.h>

/* One input times four weights, added to the four sums. */
#define MLP_M4_FOUR(x, w0, w1, w2, w3)                                                                       \
    "vfma.f32 %[s0], " x ", " w0 "\n\t"                                                                      \
    "vfma.f32 %[s1], " x ", " w1 "\n\t"                                                                      \
    "vfma.f32 %[s2], " x ", " w2 "\n\t"                                                                      \
    "vfma.f32 %[s3], " x ", " w3 "\n\t"

/* Four half-precision weights from two words. */
#define MLP_M4_WIDEN(low, high)                                                                              \
    "vcvtb.f32.f16 s8, " low "\n\t"                                                                          \
    "vcvtt.f32.f16 s9, " low "\n\t"                                                                          \
    "vcvtb.f32.f16 s10, " high "\n\t"                                                                        \
    "vcvtt.f32.f16 s11, " high "\n\t"

/* sums[0..3] += x W for four times `turns` inputs, `turns` at least 1; the weights lie as mlp.h says. */
static inline void mlp_turns_float32(float sums[4], const float *w, const float *x, int turns)
{
    float s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    __asm__ volatile("1:\n\t"
                     "vldmia %[x]!, {s4-s7}\n\t"
                     "vldmia %[w]!, {s16-s31}\n\t"
                     "subs %[turns], #1\n\t"
                     MLP_M4_FOUR("s4", "s16", "s17", "s18", "s19")
                     MLP_M4_FOUR("s5", "s20", "s21", "s22", "s23")
                     MLP_M4_FOUR("s6", "s24", "s25", "s26", "s27")
                     MLP_M4_FOUR("s7", "s28", "s29", "s30", "s31")
                     "bne 1b"
                     : [s0] "+t"(s0), [s1] "+t"(s1), [s2] "+t"(s2), [s3] "+t"(s3), [x] "+r"(x),
                       [w] "+r"(w), [turns] "+r"(turns)
                     :
                     : "s4", "s5", "s6", "s7", "s16", "s17", "s18", "s19", "s20", "s21", "s22", "s23", "s24",
                       "s25", "s26", "s27", "s28", "s29", "s30", "s31", "cc", "memory");
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

/* The same for half-precision weights, which have to lie at a multiple of four bytes. */
static inline void mlp_turns_fp16(float sums[4], const uint16_t *w, const float *x, int turns)
{
    float s0 = sums[0], s1 = sums[1], s2 = sums[2], s3 = sums[3];
    __asm__ volatile("1:\n\t"
                     "vldmia %[x]!, {s4-s7}\n\t"
                     "vldmia %[w]!, {s16-s23}\n\t"
                     "subs %[turns], #1\n\t"
                     MLP_M4_WIDEN("s16", "s17") MLP_M4_FOUR("s4", "s8", "s9", "s10", "s11")
                     MLP_M4_WIDEN("s18", "s19") MLP_M4_FOUR("s5", "s8", "s9", "s10", "s11")
                     MLP_M4_WIDEN("s20", "s21") MLP_M4_FOUR("s6", "s8", "s9", "s10", "s11")
                     MLP_M4_WIDEN("s22", "s23") MLP_M4_FOUR("s7", "s8", "s9", "s10", "s11")
                     "bne 1b"
                     : [s0] "+t"(s0), [s1] "+t"(s1), [s2] "+t"(s2), [s3] "+t"(s3), [x] "+r"(x),
                       [w] "+r"(w), [turns] "+r"(turns)
                     :
                     : "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "s16", "s17", "s18", "s19", "s20",
                       "s21", "s22", "s23", "cc", "memory");
    sums[0] = s0;
    sums[1] = s1;
    sums[2] = s2;
    sums[3] = s3;
}

#endif
