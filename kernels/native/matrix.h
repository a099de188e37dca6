/* Products of quantised matrices with rounded rows, tile by tile. Included for each level.
 *
 * y[row] = sum over blocks b of (sum of q * x, exact) * (scale[row, b] * scale_x[b])
 *          (+ minimum[row, b] * scaled_sum_x[b])
 * with blocks in order and no fused operations, so that every level, batch and number of
 * threads gives the same bits. Formats: ggml's Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and
 * Q6_K. A block of Q6_K has two scales, so it is added up in two halves.
 */
#ifndef MATRIX_H
#define MATRIX_H

#include "cocoon.h"
#include "vectors.h"

/* The quants of 16 rows and 32 columns, as eight groups of 4 columns. */
#if defined(__AVX512VNNI__)

typedef struct { __m512i groups[8]; } block;

INLINE block read_nibbles(const uint8_t *from) {
    const __m512i low = _mm512_set1_epi8(15);
    block read;
    for (int i = 0; i < 4; i++) {
        __m512i packed = _mm512_loadu_si512(from + 64 * i);
        read.groups[2 * i] = _mm512_and_si512(packed, low);
        read.groups[2 * i + 1] = _mm512_and_si512(_mm512_srli_epi16(packed, 4), low);
    }
    return read;
}

INLINE block read_bytes(const uint8_t *from) {
    block read;
    for (int i = 0; i < 8; i++)
        read.groups[i] = _mm512_loadu_si512(from + 64 * i);
    return read;
}

/* Return, for each row, the sum over the columns of groups `from` to `to` of
 * (quant - offset) * (128 high + low); `sum` is that of these inputs. */
INLINE i32x16 dot(const block *weights, const int8_t *high, const int8_t *low, int32_t sum,
                  int offset, int from, int to) {
    __m512i upper[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    __m512i lower[2] = {_mm512_set1_epi32(-offset * sum), _mm512_setzero_si512()};
    for (int i = from; i < to; i++) {
        int32_t four[2];
        memcpy(&four[0], high + 4 * i, 4);
        memcpy(&four[1], low + 4 * i, 4);
        upper[i % 2] =
            _mm512_dpbusd_epi32(upper[i % 2], weights->groups[i], _mm512_set1_epi32(four[0]));
        lower[i % 2] =
            _mm512_dpbusd_epi32(lower[i % 2], weights->groups[i], _mm512_set1_epi32(four[1]));
    }
    __m512i total = _mm512_slli_epi32(_mm512_add_epi32(upper[0], upper[1]), 7);
    return (i32x16)_mm512_add_epi32(total, _mm512_add_epi32(lower[0], lower[1]));
}

#elif defined(__AVX2__)

typedef struct { __m256i groups[8][2]; } block; /* rows 0..7, rows 8..15 */

INLINE block read_nibbles(const uint8_t *from) {
    const __m256i low = _mm256_set1_epi8(15);
    block read;
    for (int i = 0; i < 4; i++)
        for (int half = 0; half < 2; half++) {
            __m256i packed = _mm256_loadu_si256((const __m256i *)(from + 64 * i + 32 * half));
            read.groups[2 * i][half] = _mm256_and_si256(packed, low);
            read.groups[2 * i + 1][half] = _mm256_and_si256(_mm256_srli_epi16(packed, 4), low);
        }
    return read;
}

INLINE block read_bytes(const uint8_t *from) {
    block read;
    for (int i = 0; i < 8; i++)
        for (int half = 0; half < 2; half++)
            read.groups[i][half] =
                _mm256_loadu_si256((const __m256i *)(from + 64 * i + 32 * half));
    return read;
}

#if defined(__AVXVNNI__)

/* Eight rows, one plane of the inputs, without any offset. */
INLINE __m256i dot_half(const block *weights, int half, const int8_t *x, int offset, int from,
                        int to) {
    (void)offset;
    __m256i total = _mm256_setzero_si256();
    for (int i = from; i < to; i++) {
        int32_t four;
        memcpy(&four, x + 4 * i, 4);
        total = _mm256_dpbusd_avx_epi32(total, weights->groups[i][half], _mm256_set1_epi32(four));
    }
    return total;
}

enum { BYTES_ARE_SIGNED = 0 };

#else

/* Sums of pairs in 16 bits: 8 * 2 * 15 * 127 fits for nibbles; bytes, made signed, are
 * added up in 32 bits at once, for one pair may reach 2 * 128 * 127. */
INLINE __m256i dot_half(const block *weights, int half, const int8_t *x, int offset, int from,
                        int to) {
    const __m256i ones = _mm256_set1_epi16(1), middle = _mm256_set1_epi8(-128);
    __m256i total = _mm256_setzero_si256(), pairs = _mm256_setzero_si256();
    for (int i = from; i < to; i++) {
        int32_t four;
        memcpy(&four, x + 4 * i, 4);
        __m256i quants = weights->groups[i][half], inputs = _mm256_set1_epi32(four);
        if (offset == 128) {
            quants = _mm256_xor_si256(quants, middle);
            inputs = _mm256_sign_epi8(inputs, quants);
            pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(quants), inputs);
            total = _mm256_add_epi32(total, _mm256_madd_epi16(pairs, ones));
        } else {
            pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(quants, inputs));
        }
    }
    return offset == 128 ? total : _mm256_madd_epi16(pairs, ones);
}

enum { BYTES_ARE_SIGNED = 1 };

#endif

INLINE i32x16 dot(const block *weights, const int8_t *high, const int8_t *low, int32_t sum,
                  int offset, int from, int to) {
    int done = BYTES_ARE_SIGNED && offset == 128;
    __m256i shift = _mm256_set1_epi32(done ? 0 : -offset * sum), halves[2];
    for (int half = 0; half < 2; half++) {
        __m256i upper = _mm256_slli_epi32(dot_half(weights, half, high, offset, from, to), 7);
        __m256i lower =
            _mm256_add_epi32(dot_half(weights, half, low, offset, from, to), shift);
        halves[half] = _mm256_add_epi32(upper, lower);
    }
    i32x16 result;
    memcpy(&result, halves, sizeof result);
    return result;
}

#elif defined(__ARM_FEATURE_DOTPROD)

typedef struct { int8x16_t groups[8][4]; } block; /* four rows each */

INLINE block read_nibbles(const uint8_t *from) {
    block read;
    for (int i = 0; i < 4; i++)
        for (int part = 0; part < 4; part++) {
            uint8x16_t packed = vld1q_u8(from + 64 * i + 16 * part);
            read.groups[2 * i][part] = vreinterpretq_s8_u8(vandq_u8(packed, vdupq_n_u8(15)));
            read.groups[2 * i + 1][part] = vreinterpretq_s8_u8(vshrq_n_u8(packed, 4));
        }
    return read;
}

INLINE block read_bytes(const uint8_t *from) {
    block read;
    for (int i = 0; i < 8; i++)
        for (int part = 0; part < 4; part++)
            read.groups[i][part] = vreinterpretq_s8_u8(
                veorq_u8(vld1q_u8(from + 64 * i + 16 * part), vdupq_n_u8(128)));
    return read;
}

INLINE i32x16 dot(const block *weights, const int8_t *high, const int8_t *low, int32_t sum,
                  int offset, int from, int to) {
    i32x16 result;
    for (int part = 0; part < 4; part++) {
        int32x4_t upper = vdupq_n_s32(0);
        int32x4_t lower = vdupq_n_s32(offset == 128 ? 0 : -offset * sum);
        for (int i = from; i < to; i++) {
            int32_t four[2];
            memcpy(&four[0], high + 4 * i, 4);
            memcpy(&four[1], low + 4 * i, 4);
            upper = vdotq_s32(upper, weights->groups[i][part],
                              vreinterpretq_s8_s32(vdupq_n_s32(four[0])));
            lower = vdotq_s32(lower, weights->groups[i][part],
                              vreinterpretq_s8_s32(vdupq_n_s32(four[1])));
        }
        int32x4_t total = vaddq_s32(vshlq_n_s32(upper, 7), lower);
        memcpy((char *)&result + 16 * part, &total, 16);
    }
    return result;
}

#else /* plain C */

typedef struct { uint8_t groups[8][64]; } block;

INLINE block read_nibbles(const uint8_t *from) {
    block read;
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 64; k++) {
            read.groups[2 * i][k] = from[64 * i + k] & 15;
            read.groups[2 * i + 1][k] = from[64 * i + k] >> 4;
        }
    return read;
}

INLINE block read_bytes(const uint8_t *from) {
    block read;
    memcpy(read.groups, from, sizeof read.groups);
    return read;
}

INLINE i32x16 dot(const block *weights, const int8_t *high, const int8_t *low, int32_t sum,
                  int offset, int from, int to) {
    int16_t inputs[CO_BLOCK];
    int32_t totals[LANES];
    for (int c = 0; c < CO_BLOCK; c++)
        inputs[c] = (int16_t)(128 * high[c] + low[c]);
    for (int row = 0; row < LANES; row++)
        totals[row] = -offset * sum;
    for (int i = from; i < to; i++)
        for (int row = 0; row < LANES; row++)
            for (int c = 0; c < 4; c++)
                totals[row] += (int16_t)weights->groups[i][4 * row + c] * inputs[4 * i + c];
    i32x16 result;
    memcpy(&result, totals, sizeof result);
    return result;
}

#endif

/* What a block's sums of products are multiplied with, and what is added for each row. */
typedef struct {
    f32x16 scale, second, minimum; /* `second` is of columns 16 to 31, and for Q6_K only */
} factors;

INLINE factors factors_of(const co_matrix *matrix, size_t at, const int kind) {
    factors of;
    size_t from = (co_is_super(kind) ? at / CO_SUPER : at) * LANES;
    of.scale = halves(matrix->scales + from);
    of.second = of.scale;
    of.minimum = co_has_minimums(kind) ? halves(matrix->minimums + from) : splat(0);
    if (co_is_super(kind)) { /* exact: 11 bits times 8 */
        const uint8_t *fine = matrix->fine + at * 2 * LANES;
        f32x16 pair[2] = {signed_bytes(fine), signed_bytes(fine + LANES)};
        of.minimum = -(of.minimum * pair[1]);
        of.second = of.scale * pair[1];
        of.scale = of.scale * pair[0];
    }
    return of;
}

/* Add up one tile for `count` tokens from `first` on. With kind and count constant, the
 * compiler makes one loop for each; the block is unpacked once for all of them. */
INLINE void multiply_tile(const co_matrix *matrix, int tile, const co_activations *x, int first,
                          float *out, int stride, const int kind, const int count) {
    const int blocks = matrix->columns / CO_BLOCK, bytes = co_has_nibbles(kind) ? 256 : 512;
    const int offset = co_offset(kind);
    f32x16 total[8];
    for (int t = 0; t < count; t++)
        total[t] = splat(0);
    for (int b = 0; b < blocks; b++) {
        const size_t here = (size_t)tile * blocks + b;
        const uint8_t *quants = matrix->quants + here * bytes;
        block weights = co_has_nibbles(kind) ? read_nibbles(quants) : read_bytes(quants);
        factors of = factors_of(matrix, here, kind);
        for (int t = 0; t < count; t++) {
            size_t at = (size_t)(first + t) * blocks + b;
            const int8_t *high = x->high + at * CO_BLOCK, *low = x->low + at * CO_BLOCK;
            f32x16 scale = splat(x->scales[at]);
            if (kind == CO_Q6_K) {
                const int32_t *sums = x->half_sums + 2 * at;
                i32x16 left = dot(&weights, high, low, sums[0], offset, 0, 4);
                i32x16 right = dot(&weights, high, low, sums[1], offset, 4, 8);
                total[t] += __builtin_convertvector(left, f32x16) * (of.scale * scale);
                total[t] += __builtin_convertvector(right, f32x16) * (of.second * scale);
                continue;
            }
            i32x16 sums = dot(&weights, high, low, x->sums[at], offset, 0, 8);
            total[t] += __builtin_convertvector(sums, f32x16) * (of.scale * scale);
            if (co_has_minimums(kind))
                total[t] += of.minimum * splat(x->scaled_sums[at]);
        }
    }
    for (int t = 0; t < count; t++)
        store(out + (size_t)(first + t) * stride + tile * LANES, total[t]);
}

#define MULTIPLY_TILE_OF(kind)                                                                    \
    static void multiply_tile_##kind(const co_matrix *matrix, int tile, const co_activations *x,  \
                                     int tokens, float *out, int stride) {                        \
        int t = 0;                                                                                \
        for (; t + 8 <= tokens; t += 8)                                                           \
            multiply_tile(matrix, tile, x, t, out, stride, kind, 8);                              \
        for (; t + 4 <= tokens; t += 4)                                                           \
            multiply_tile(matrix, tile, x, t, out, stride, kind, 4);                              \
        if (t + 2 <= tokens) {                                                                    \
            multiply_tile(matrix, tile, x, t, out, stride, kind, 2);                              \
            t += 2;                                                                               \
        }                                                                                         \
        if (t < tokens)                                                                           \
            multiply_tile(matrix, tile, x, t, out, stride, kind, 1);                              \
    }

MULTIPLY_TILE_OF(CO_Q4_0)
MULTIPLY_TILE_OF(CO_Q4_1)
MULTIPLY_TILE_OF(CO_Q5_1)
MULTIPLY_TILE_OF(CO_Q8_0)
MULTIPLY_TILE_OF(CO_Q4_K)
MULTIPLY_TILE_OF(CO_Q5_K)
MULTIPLY_TILE_OF(CO_Q6_K)

/* out[token, row] for the rows of one tile; rows of out are `stride` floats apart. */
static void product(const co_matrix *matrix, int tile, const co_activations *x, int tokens,
                    float *out, int stride) {
    switch (matrix->kind) {
    case CO_Q4_0:
        return multiply_tile_CO_Q4_0(matrix, tile, x, tokens, out, stride);
    case CO_Q4_1:
        return multiply_tile_CO_Q4_1(matrix, tile, x, tokens, out, stride);
    case CO_Q5_1:
        return multiply_tile_CO_Q5_1(matrix, tile, x, tokens, out, stride);
    case CO_Q4_K:
        return multiply_tile_CO_Q4_K(matrix, tile, x, tokens, out, stride);
    case CO_Q5_K:
        return multiply_tile_CO_Q5_K(matrix, tile, x, tokens, out, stride);
    case CO_Q6_K:
        return multiply_tile_CO_Q6_K(matrix, tile, x, tokens, out, stride);
    default: /* Q5_0 lies here as Q8_0 does: signed bytes and a scale */
        return multiply_tile_CO_Q8_0(matrix, tile, x, tokens, out, stride);
    }
}

/* Round one row of numbers, block by block: quant = nearest(x * 16256 / largest). */
static void quantise(const float *from, int columns, const co_activations *to, int token) {
    const float most = 16256.0f; /* 128 * 127 */
    int blocks = columns / CO_BLOCK;
    for (int b = 0; b < blocks; b++) {
        f32x16 x[2] = {load(from + b * CO_BLOCK), load(from + b * CO_BLOCK + LANES)};
        f32x16 magnitudes = larger(larger(x[0], -x[0]), larger(x[1], -x[1]));
        float largest = largest_lane(magnitudes);
        float inverse = largest > 0 ? most / largest : 0.0f;
        size_t at = (size_t)token * blocks + b;
        f32x16 both[2];
        for (int part = 0; part < 2; part++) {
            f32x16 quants = nearest(x[part] * splat(inverse));
            f32x16 high = nearest(quants * splat(1.0f / 128)), low = quants - high * splat(128);
            store_bytes(to->high + at * CO_BLOCK + part * LANES, high);
            store_bytes(to->low + at * CO_BLOCK + part * LANES, low);
            both[part] = quants;
        }
        float sum = sum_lanes(both[0] + both[1]); /* of integers below 2^24: exact */
        if (to->half_sums != NULL) {
            int32_t first = (int32_t)sum_lanes(both[0]);
            to->half_sums[2 * at] = first;
            to->half_sums[2 * at + 1] = (int32_t)sum - first;
        }
        to->scales[at] = largest / most;
        to->sums[at] = (int32_t)sum;
        to->scaled_sums[at] = to->scales[at] * sum;
    }
}

/* One row of a matrix as floats: the embedding of a token. */
static void read_row(const co_matrix *matrix, int row, float *out) {
    const int blocks = matrix->columns / CO_BLOCK, tile = row / LANES, lane = row % LANES;
    const int wide = !co_has_nibbles(matrix->kind), bytes = wide ? 512 : 256;
    for (int b = 0; b < blocks; b++) {
        size_t at = (size_t)tile * blocks + b;
        factors of = factors_of(matrix, at, matrix->kind);
        const uint8_t *quants = matrix->quants + at * bytes;
        for (int c = 0; c < CO_BLOCK; c++) {
            int group = c / 4, byte = 4 * lane + c % 4;
            int quant = wide          ? quants[64 * group + byte]
                        : group & 1 ? quants[64 * (group / 2) + byte] >> 4
                                      : quants[64 * (group / 2) + byte] & 15;
            int second = c >= CO_BLOCK / 2 && matrix->kind == CO_Q6_K;
            float scale = second ? of.second[lane] : of.scale[lane];
            float minimum = co_has_minimums(matrix->kind) ? of.minimum[lane] : 0.0f;
            out[b * CO_BLOCK + c] = (float)(quant - co_offset(matrix->kind)) * scale + minimum;
        }
    }
}

#endif
