/* What the Whisper files of the native kernel share.
 *
 * Weights stay fp16, as in the file, and everything is computed in fp32: so the words are
 * those of an fp32 engine, at half its memory traffic. Fused multiply-adds are used where
 * the processor has them; for one instruction set the bits do not depend on the threads.
 */
#ifndef WHISPER_H
#define WHISPER_H

#include "cocoon.h"

#define CO_PANEL 32 /* rows of a matrix, or keys, that are computed together */

/* (rows/32, columns, 32), fp16. */
typedef struct {
    int32_t rows, columns;
    uint16_t *panels;
    float *bias; /* NULL: none */
} co_linear;

typedef struct {
    float *gain, *shift;
} co_norm;

typedef struct {
    co_norm norms[3];   /* self-attention, cross-attention (decoder only), feed-forward */
    co_linear linears[7]; /* query-key-value, out; query, key-value, out of cross; ffn in, out */
} co_block;

enum { CO_QKV, CO_OUT, CO_CROSS_QUERY, CO_CROSS_KV, CO_CROSS_OUT, CO_INNER, CO_OUTER, CO_LINEARS };

typedef struct {
    int32_t width, heads, encoder_layers, decoder_layers, bands, audio_positions, text_positions;
    int32_t vocabulary;
} co_whisper_shape;

typedef struct {
    co_whisper_shape shape;
    int32_t head_width, audio_panels, text_panels;
    co_linear conv1, conv2, embedding;
    float *audio_places, *text_places;
    co_norm encoder_norm, decoder_norm;
    co_block *encoder, *decoder;
    /* scratch of the encoder, (positions, ...) */
    float *mel, *first, *states, *projected, *keys, *mixed;
    float *own[CO_THREADS_MAX]; /* for each thread: see whisper_forward.h */
    /* scratch of the decoder, (tokens, ...) */
    float *text_states, *text_normed, *text_projected, *text_mixed, *text_inner;
    struct co_pool *pool;
    const struct co_whisper_kernels *kernels;
} co_whisper;

/* An encoded window: for each decoder layer, keys in panels (H, S/32, W, 32) and values (S, D). */
typedef struct {
    co_whisper *net;
    float *keys, *values;
} co_heard;

/* Tokens so far over one window, in the same layouts. */
typedef struct {
    co_whisper *net;
    const co_heard *heard;
    int32_t length;
    float *keys, *values;
} co_text;

typedef struct {
    co_whisper *net;
    const float *mel; /* (bands, 2 S) */
    co_heard *heard;
} co_encode_call;

typedef struct {
    co_whisper *net;
    co_text *text;
    int32_t tokens;
    const int32_t *ids;
    float *logits; /* (vocabulary rounded up to 32) */
} co_extend_call;

enum { CO_TOKENS_MAX = 8, CO_ROWS = 240, CO_SCORE_ROWS = 48 };

/* Floats that each thread has for itself: a panel as fp32, rows of the inner layer, scores. */
static inline size_t co_own_floats(const co_whisper_shape *s) {
    size_t inner = 4 * (size_t)s->width, panel = inner * CO_PANEL;
    size_t scores = CO_SCORE_ROWS * ((size_t)s->audio_positions + s->text_positions + 2 * CO_PANEL);
    return panel + CO_ROWS * inner + CO_ROWS * (size_t)s->width + scores;
}

typedef struct co_whisper_kernels {
    void (*encode)(void *call, int thread, int threads);
    void (*extend)(void *call, int thread, int threads);
} co_whisper_kernels;

extern const co_whisper_kernels co_whisper_generic;
#if defined(__x86_64__)
extern const co_whisper_kernels co_whisper_avx2, co_whisper_avx512;
#endif

#endif
