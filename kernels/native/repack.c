/* From GGUF's blocks to the tiles that the kernel reads (co_matrix). Nothing is rounded.
 *
 * Source: the layouts in ggml-common.h of the ggml repository; kernels/models/gguf_blocks.py
 * decodes the same in NumPy.
 */
#include "cocoon.h"

#include <string.h>

/* Bytes of GGUF's block of this kind, 32 or, for a K kind, 256 numbers; 0: not known here. */
static size_t bytes_per_block(int kind) {
    switch (kind) {
    case CO_Q4_0:
        return 18;
    case CO_Q4_1:
        return 20;
    case CO_Q5_0:
        return 22;
    case CO_Q5_1:
        return 24;
    case CO_Q8_0:
        return 34;
    case CO_Q4_K:
        return 144;
    case CO_Q5_K:
        return 176;
    case CO_Q6_K:
        return 210;
    default:
        return 0;
    }
}

size_t co_raw_bytes(int kind, int rows, int columns) {
    int items = co_is_super(kind) ? CO_SUPER * CO_BLOCK : CO_BLOCK;
    return columns % items ? 0 : (size_t)rows * (columns / items) * bytes_per_block(kind);
}

static int is_finite_half(uint16_t bits) { return (bits & 0x7c00) != 0x7c00; }

/* Read a block of 32 from its 16 bytes of nibbles, low ones first. */
static void read_low_high(const uint8_t *from, uint8_t *quants) {
    for (int i = 0; i < 16; i++) {
        quants[i] = from[i] & 15;
        quants[16 + i] = from[i] >> 4;
    }
}

/* Place 32 quants in the lane of one row: as nibbles, or as bytes of 128 more. */
static void place_quants(co_matrix *matrix, const uint8_t *quants, size_t at, int lane) {
    uint8_t *to = matrix->quants + at * (co_has_nibbles(matrix->kind) ? 256 : 512);
    for (int i = 0; i < 8; i++) {
        uint32_t four, before;
        memcpy(&four, quants + 4 * i, 4);
        if (!co_has_nibbles(matrix->kind)) {
            four ^= 0x80808080;
            memcpy(to + 64 * i + 4 * lane, &four, 4);
        } else if (i % 2) {
            memcpy(&before, quants + 4 * i - 4, 4);
            before |= four << 4;
            memcpy(to + 64 * (i / 2) + 4 * lane, &before, 4);
        }
    }
}

/* Place one of GGUF's blocks of 32 numbers. */
static int place_block(co_matrix *matrix, const uint8_t *from, size_t at, int lane) {
    uint16_t scale, minimum = 0;
    uint8_t quants[CO_BLOCK];
    const int kind = matrix->kind;
    memcpy(&scale, from, 2);
    from += 2;
    if (co_has_minimums(kind)) {
        memcpy(&minimum, from, 2);
        matrix->minimums[at * CO_TILE_ROWS + lane] = minimum;
        from += 2;
    }
    matrix->scales[at * CO_TILE_ROWS + lane] = scale;
    if (kind == CO_Q8_0)
        memcpy(quants, from, CO_BLOCK);
    else
        read_low_high(from + (kind == CO_Q5_0 || kind == CO_Q5_1 ? 4 : 0), quants);
    if (kind == CO_Q5_0 || kind == CO_Q5_1)
        for (int i = 0; i < CO_BLOCK; i++) {
            int fifth = from[i / 8] >> i % 8 & 1;
            quants[i] = (uint8_t)(quants[i] + 16 * fifth - (kind == CO_Q5_0 ? 16 : 0));
        }
    place_quants(matrix, quants, at, lane);
    return is_finite_half(scale) && is_finite_half(minimum);
}

/* Place one of GGUF's blocks of 256 numbers of Q4_K or Q5_K: two factors, scales and minimums of
 * 6 bits, fifth bits, nibbles; 32 bytes of those hold a group of 32 in the low halves, and the
 * next. */
static int place_groups(co_matrix *matrix, const uint8_t *from, size_t at, int lane) {
    uint16_t factors[2];
    const uint8_t *scales = from + 4, *fifth = from + 16;
    const uint8_t *nibbles = fifth + (matrix->kind == CO_Q5_K ? 32 : 0);
    memcpy(factors, from, 4);
    matrix->scales[at / CO_SUPER * CO_TILE_ROWS + lane] = factors[0];
    matrix->minimums[at / CO_SUPER * CO_TILE_ROWS + lane] = factors[1];
    for (int g = 0; g < CO_SUPER; g++) {
        uint8_t quants[CO_BLOCK], *fine = matrix->fine + (at + g) * 2 * CO_TILE_ROWS + lane;
        const uint8_t *low = scales + g % 4;
        fine[0] = g < 4 ? low[0] & 63 : (low[8] & 15) | (low[0] >> 6 << 4);
        fine[CO_TILE_ROWS] = g < 4 ? low[4] & 63 : low[8] >> 4 | (low[4] >> 6 << 4);
        for (int i = 0; i < CO_BLOCK; i++) {
            quants[i] = nibbles[g / 2 * CO_BLOCK + i] >> 4 * (g % 2) & 15;
            if (matrix->kind == CO_Q5_K)
                quants[i] |= (fifth[i] >> g & 1) << 4;
        }
        place_quants(matrix, quants, at + g, lane);
    }
    return is_finite_half(factors[0]) && is_finite_half(factors[1]);
}

/* The same for Q6_K: nibbles, upper pairs of bits, 16 scales, their factor. Each half of a block
 * has four groups of 32. */
static int place_pairs(co_matrix *matrix, const uint8_t *from, size_t at, int lane) {
    uint16_t factor;
    memcpy(&factor, from + 208, 2);
    matrix->scales[at / CO_SUPER * CO_TILE_ROWS + lane] = factor;
    for (int g = 0; g < CO_SUPER; g++) {
        const uint8_t *nibbles = from + g / 4 * 64 + g % 2 * 32;
        const uint8_t *upper = from + 128 + g / 4 * 32;
        uint8_t quants[CO_BLOCK], *fine = matrix->fine + (at + g) * 2 * CO_TILE_ROWS + lane;
        fine[0] = from[192 + 2 * g];
        fine[CO_TILE_ROWS] = from[192 + 2 * g + 1];
        for (int i = 0; i < CO_BLOCK; i++) {
            int low = nibbles[i] >> (g % 4 < 2 ? 0 : 4) & 15, high = upper[i] >> 2 * (g % 4) & 3;
            quants[i] = (uint8_t)((low | high << 4) - 32);
        }
        place_quants(matrix, quants, at + g, lane);
    }
    return is_finite_half(factor);
}

static int claim_matrix(co_engine *engine, co_matrix *matrix) {
    size_t tiles = co_round_up(matrix->rows, CO_TILE_ROWS) / CO_TILE_ROWS;
    size_t count = tiles * (matrix->columns / CO_BLOCK), bytes = CO_TILE_ROWS * sizeof(uint16_t);
    size_t scales = co_is_super(matrix->kind) ? count / CO_SUPER : count;
    matrix->quants = co_claim_weights(engine, count, co_has_nibbles(matrix->kind) ? 256 : 512);
    matrix->scales = co_claim_weights(engine, scales, bytes);
    if (co_has_minimums(matrix->kind))
        matrix->minimums = co_claim_weights(engine, scales, bytes);
    if (co_is_super(matrix->kind))
        matrix->fine = co_claim_weights(engine, count, 2 * CO_TILE_ROWS);
    return matrix->quants && matrix->scales &&
           (matrix->minimums || !co_has_minimums(matrix->kind)) &&
           (matrix->fine || !co_is_super(matrix->kind));
}

int co_fill_matrix(co_engine *engine, co_matrix *matrix, int kind, int rows, int columns,
                   const uint8_t *raw) {
    size_t blocks = (size_t)columns / CO_BLOCK, step = bytes_per_block(kind);
    size_t width = co_is_super(kind) ? CO_SUPER : 1;
    int (*place)(co_matrix *, const uint8_t *, size_t, int) =
        kind == CO_Q6_K ? place_pairs : co_is_super(kind) ? place_groups : place_block;
    *matrix = (co_matrix){.kind = kind, .rows = rows, .columns = columns};
    if (!claim_matrix(engine, matrix))
        return CO_NO_MEMORY;
    int finite = 1;
    for (int row = 0; row < rows; row++)
        for (size_t b = 0; b < blocks; b += width, raw += step)
            finite &= place(matrix, raw, row / CO_TILE_ROWS * blocks + b, row % CO_TILE_ROWS);
    return finite ? CO_OK : CO_BAD_WEIGHTS;
}
