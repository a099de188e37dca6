/* Sixteen numbers at a time, in the compilers' vector extensions: the same operations in
 * the same order on every processor, so the same bits. Included once for each level.
 */
#ifndef VECTORS_H
#define VECTORS_H

#include <stdint.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define LANES 16

typedef float f32x16 __attribute__((vector_size(64)));
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));

INLINE f32x16 load(const float *from) {
    f32x16 value;
    memcpy(&value, from, sizeof value);
    return value;
}

INLINE void store(float *to, f32x16 value) { memcpy(to, &value, sizeof value); }

INLINE f32x16 splat(float value) { return value - (f32x16){0}; }

INLINE i32x16 splat_integer(int32_t value) { return value - (i32x16){0}; }

typedef int8_t i8x16 __attribute__((vector_size(16)));

/* Store whole numbers from -128 to 127 as bytes. */
INLINE void store_bytes(int8_t *to, f32x16 value) {
    i8x16 bytes = __builtin_convertvector(__builtin_convertvector(value, i32x16), i8x16);
    memcpy(to, &bytes, sizeof bytes);
}

/* Sixteen bytes as fp32. */
INLINE f32x16 signed_bytes(const uint8_t *from) {
    i8x16 bytes;
    memcpy(&bytes, from, sizeof bytes);
    return __builtin_convertvector(__builtin_convertvector(bytes, i32x16), f32x16);
}

/* Return where_true in lanes whose mask is all ones, where_false in the others. */
INLINE f32x16 choose(i32x16 mask, f32x16 where_true, f32x16 where_false) {
    return (f32x16)((mask & (i32x16)where_true) | (~mask & (i32x16)where_false));
}

INLINE f32x16 larger(f32x16 a, f32x16 b) { return choose(a > b, a, b); }

INLINE f32x16 smaller(f32x16 a, f32x16 b) { return choose(a < b, a, b); }

/* Sum of the lanes, as a tree: halves onto each other until one is left. */
INLINE float sum_lanes(f32x16 value) {
    float lane[LANES];
    store(lane, value);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] += lane[i + width];
    return lane[0];
}

INLINE float largest_lane(f32x16 value) {
    float lane[LANES];
    store(lane, value);
    for (int width = LANES / 2; width > 0; width /= 2)
        for (int i = 0; i < width; i++)
            lane[i] = lane[i] > lane[i + width] ? lane[i] : lane[i + width];
    return lane[0];
}

/* Round to the nearest integer, ties to even; for magnitudes below 2^22. */
INLINE f32x16 nearest(f32x16 value) {
    const f32x16 magic = splat(12582912.0f); /* 1.5 * 2^23: no fraction bits are left */
    return (value + magic) - magic;
}

/* e^x, relative error below 2e-7. Range reduction by ln 2 in two parts; the polynomial is
 * Cephes' expf (Moshier, 1992). */
INLINE f32x16 exponential(f32x16 x) {
    x = smaller(larger(x, splat(-87.0f)), splat(88.0f));
    f32x16 power = nearest(x * splat(1.44269504f));
    f32x16 rest = x - power * splat(0.693359375f);
    rest = rest - power * splat(-2.12194440e-4f);
    f32x16 series = splat(1.9875691500e-4f);
    series = series * rest + splat(1.3981999507e-3f);
    series = series * rest + splat(8.3334519073e-3f);
    series = series * rest + splat(4.1665795894e-2f);
    series = series * rest + splat(1.6666665459e-1f);
    series = series * rest + splat(5.0000001201e-1f);
    series = series * rest * rest + rest + splat(1.0f);
    i32x16 bits = (__builtin_convertvector(power, i32x16) + 127) << 23;
    return series * (f32x16)bits;
}

/* Sixteen fp16 numbers, finite ones, as fp32. */
INLINE f32x16 halves(const uint16_t *from) {
#if defined(__AVX512F__)
    return (f32x16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#elif defined(__F16C__)
    f32x16 value;
    __m256 low = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
    __m256 high = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + 8)));
    memcpy(&value, &low, 32);
    memcpy((char *)&value + 32, &high, 32);
    return value;
#else
    u16x16 packed;
    memcpy(&packed, from, sizeof packed);
    u32x16 bits = __builtin_convertvector(packed, u32x16);
    u32x16 magnitude = (bits & 0x7fff) << 13, sign = (bits & 0x8000) << 16;
    f32x16 value = (f32x16)magnitude * splat(0x1p112f); /* exact, subnormals as well */
    return (f32x16)((u32x16)value | sign);
#endif
}

INLINE float half(uint16_t bits) {
    uint32_t magnitude = (uint32_t)(bits & 0x7fff) << 13, sign = (uint32_t)(bits & 0x8000) << 16;
    float value;
    memcpy(&value, &magnitude, 4);
    value *= 0x1p112f;
    memcpy(&magnitude, &value, 4);
    magnitude |= sign;
    memcpy(&value, &magnitude, 4);
    return value;
}

#endif
