/* The calls that Python makes for Whisper. As in engine.c, every size is checked here again,
 * and a wrong call gets an error code.
 */
#include "whisper.h"

#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

enum { ENCODER, DECODER, WHOLE };                      /* sides of a weight */
enum { CONV1, CONV2, EMBEDDING };                      /* linears of the whole */
enum { LEVEL_GENERIC, LEVEL_AVX2, LEVEL_AVXVNNI, LEVEL_AVX512 };

extern const char *co_level(int level);

static const co_whisper_kernels *kernels_of(int level) {
#if defined(__x86_64__)
    if (level == LEVEL_AVX512)
        return &co_whisper_avx512;
    if (level == LEVEL_AVX2 || level == LEVEL_AVXVNNI)
        return &co_whisper_avx2;
#endif
    (void)level;
    return &co_whisper_generic;
}

static void *claim(size_t count, size_t size) {
    void *memory = NULL;
    if (size != 0 && count > (SIZE_MAX / 4) / size)
        return NULL;
    size_t bytes = (count * size + 127) / 64 * 64;
    if (posix_memalign(&memory, 64, bytes) != 0)
        return NULL;
    memset(memory, 0, bytes);
    return memory;
}

static float *floats(size_t count) { return claim(count, sizeof(float)); }

static int within(int32_t value, int32_t least, int32_t most) {
    return value >= least && value <= most;
}

static int sane(const co_whisper_shape *s) {
    return within(s->width, 32, 8192) && within(s->heads, 1, 256) && s->width % s->heads == 0 &&
           s->width / s->heads % CO_PANEL == 0 && within(s->encoder_layers, 1, 64) &&
           within(s->decoder_layers, 1, 64) && within(s->bands, 2, 512) && s->bands % 2 == 0 &&
           3 * s->bands <= 4 * s->width &&
           within(s->audio_positions, 1, 1500) && within(s->text_positions, 1, 448) &&
           within(s->vocabulary, 1, 1000000);
}

static void free_linear(co_linear *linear) {
    free(linear->panels);
    free(linear->bias);
}

static void free_norm(co_norm *norm) {
    free(norm->gain);
    free(norm->shift);
}

static void free_blocks(co_block *blocks, int count) {
    for (int i = 0; blocks != NULL && i < count; i++) {
        for (int slot = 0; slot < 3; slot++)
            free_norm(&blocks[i].norms[slot]);
        for (int slot = 0; slot < CO_LINEARS; slot++)
            free_linear(&blocks[i].linears[slot]);
    }
    free(blocks);
}

EXPORT void co_whisper_close(co_whisper *net) {
    if (net == NULL)
        return;
    co_pool_close(net->pool);
    free_blocks(net->encoder, net->shape.encoder_layers);
    free_blocks(net->decoder, net->shape.decoder_layers);
    free_linear(&net->conv1);
    free_linear(&net->conv2);
    free_linear(&net->embedding);
    free_norm(&net->encoder_norm);
    free_norm(&net->decoder_norm);
    float *scratch[] = {net->audio_places,   net->text_places, net->mel,
                        net->first,          net->states,      net->projected,
                        net->keys,           net->mixed,       net->text_states,
                        net->text_normed,    net->text_projected, net->text_mixed,
                        net->text_inner};
    for (size_t i = 0; i < sizeof scratch / sizeof *scratch; i++)
        free(scratch[i]);
    for (int thread = 0; thread < CO_THREADS_MAX; thread++)
        free(net->own[thread]);
    free(net);
}

static int claim_scratch(co_whisper *net, int threads) {
    const co_whisper_shape *s = &net->shape;
    size_t width = (size_t)s->width, positions = (size_t)s->audio_positions;
    net->mel = floats((2 * positions + 2) * s->bands);
    net->first = floats((2 * positions + 2) * width);
    net->states = floats(positions * width);
    net->projected = floats(positions * 3 * width);
    net->keys = floats((size_t)net->audio_panels * CO_PANEL * width);
    net->mixed = floats(positions * width);
    net->text_states = floats(CO_TOKENS_MAX * width);
    net->text_normed = floats(CO_TOKENS_MAX * width);
    net->text_projected = floats(CO_TOKENS_MAX * 3 * width);
    net->text_mixed = floats(CO_TOKENS_MAX * width);
    net->text_inner = floats(CO_TOKENS_MAX * 4 * width);
    for (int thread = 0; thread < threads; thread++)
        if ((net->own[thread] = floats(co_own_floats(s))) == NULL)
            return 0;
    return net->mel && net->first && net->states && net->projected && net->keys &&
           net->mixed && net->text_states && net->text_normed && net->text_projected &&
           net->text_mixed && net->text_inner;
}

/* NULL: a shape that this cannot compute, or no memory. */
EXPORT co_whisper *co_whisper_open(const co_whisper_shape *shape, int level, int threads) {
    if (!sane(shape) || co_level(level) == NULL || !within(threads, 1, CO_THREADS_MAX))
        return NULL;
    co_whisper *net = calloc(1, sizeof *net);
    if (net == NULL)
        return NULL;
    net->shape = *shape;
    net->head_width = shape->width / shape->heads;
    net->audio_panels = (shape->audio_positions + CO_PANEL - 1) / CO_PANEL;
    net->text_panels = (shape->text_positions + CO_PANEL - 1) / CO_PANEL;
    net->kernels = kernels_of(level);
    net->encoder = calloc((size_t)shape->encoder_layers, sizeof *net->encoder);
    net->decoder = calloc((size_t)shape->decoder_layers, sizeof *net->decoder);
    net->pool = co_pool_open(threads);
    if (!net->encoder || !net->decoder || !net->pool || !claim_scratch(net, threads)) {
        co_whisper_close(net);
        return NULL;
    }
    return net;
}

/* --- weights --- */

static co_block *block_of(co_whisper *net, int side, int layer) {
    int count = side == ENCODER ? net->shape.encoder_layers : net->shape.decoder_layers;
    if ((side != ENCODER && side != DECODER) || layer < 0 || layer >= count)
        return NULL;
    return side == ENCODER ? &net->encoder[layer] : &net->decoder[layer];
}

/* The place and the shape of a linear map, or NULL. */
static co_linear *linear_of(co_whisper *net, int side, int layer, int slot, int *rows,
                            int *columns) {
    const co_whisper_shape *s = &net->shape;
    int width = s->width;
    if (side == WHOLE) {
        co_linear *whole[] = {&net->conv1, &net->conv2, &net->embedding};
        if (slot < CONV1 || slot > EMBEDDING)
            return NULL;
        *rows = slot == EMBEDDING ? s->vocabulary : width;
        *columns = slot == CONV1 ? 3 * s->bands : slot == CONV2 ? 3 * width : width;
        return whole[slot];
    }
    const int shapes[CO_LINEARS][2] = {{3 * width, width}, {width, width},     {width, width},
                                       {2 * width, width}, {width, width},     {4 * width, width},
                                       {width, 4 * width}};
    co_block *block = block_of(net, side, layer);
    int cross = slot >= CO_CROSS_QUERY && slot <= CO_CROSS_OUT;
    if (block == NULL || slot < 0 || slot >= CO_LINEARS || (cross && side == ENCODER))
        return NULL;
    *rows = shapes[slot][0];
    *columns = shapes[slot][1];
    return &block->linears[slot];
}

/* Copy rows of fp16 into panels; 0 when a number is not finite. A convolution's columns come
 * as (channel, tap) and are stored as (tap, channel). */
static int pack(co_linear *linear, const uint16_t *weight, int taps) {
    int columns = linear->columns, channels = columns / taps, finite = 1;
    for (int row = 0; row < linear->rows; row++) {
        uint16_t *panel = linear->panels + (size_t)(row / CO_PANEL) * columns * CO_PANEL;
        const uint16_t *from = weight + (size_t)row * columns;
        for (int k = 0; k < columns; k++) {
            uint16_t bits = from[k % channels * taps + k / channels];
            finite &= (bits & 0x7c00) != 0x7c00;
            panel[(size_t)k * CO_PANEL + row % CO_PANEL] = bits;
        }
    }
    return finite;
}

/* Weight: (rows, columns) of fp16. The bias has as many numbers as rows; NULL: none. */
EXPORT int co_whisper_set_linear(co_whisper *net, int side, int layer, int slot, int rows,
                              int columns,
                              const uint16_t *weight, const float *bias) {
    int wanted_rows, wanted_columns;
    if (net == NULL || weight == NULL)
        return CO_BAD_ARGUMENT;
    co_linear *linear = linear_of(net, side, layer, slot, &wanted_rows, &wanted_columns);
    if (linear == NULL || linear->panels != NULL || rows != wanted_rows ||
        columns != wanted_columns)
        return CO_BAD_ARGUMENT;
    size_t padded = (size_t)(rows + CO_PANEL - 1) / CO_PANEL * CO_PANEL;
    *linear = (co_linear){rows, columns, NULL, NULL};
    linear->panels = claim(padded * columns, sizeof(uint16_t));
    if (linear->panels == NULL || (bias != NULL && (linear->bias = floats(padded)) == NULL))
        return CO_NO_MEMORY;
    if (bias != NULL)
        memcpy(linear->bias, bias, (size_t)rows * sizeof(float));
    return pack(linear, weight, side == WHOLE && slot != EMBEDDING ? 3 : 1) ? CO_OK
                                                                             : CO_BAD_WEIGHTS;
}

/* Side WHOLE: layer 0 is the encoder's last norm, layer 1 the decoder's. */
EXPORT int co_whisper_set_norm(co_whisper *net, int side, int layer, int slot, int count,
                            const float *gain, const float *shift) {
    if (net == NULL || gain == NULL || shift == NULL || count != net->shape.width)
        return CO_BAD_ARGUMENT;
    co_norm *norm = NULL;
    co_block *block = block_of(net, side, layer);
    if (side == WHOLE && within(layer, 0, 1))
        norm = layer == 0 ? &net->encoder_norm : &net->decoder_norm;
    else if (block != NULL && within(slot, 0, 2) && (side == DECODER || slot != 1))
        norm = &block->norms[slot];
    if (norm == NULL || norm->gain != NULL)
        return CO_BAD_ARGUMENT;
    norm->gain = floats((size_t)count);
    norm->shift = floats((size_t)count);
    if (norm->gain == NULL || norm->shift == NULL)
        return CO_NO_MEMORY;
    memcpy(norm->gain, gain, (size_t)count * sizeof(float));
    memcpy(norm->shift, shift, (size_t)count * sizeof(float));
    return CO_OK;
}

/* The encodings of positions, (positions, width), of the audio or of the text. */
EXPORT int co_whisper_set_places(co_whisper *net, int side, int positions, const float *from) {
    if (net == NULL || from == NULL || (side != ENCODER && side != DECODER))
        return CO_BAD_ARGUMENT;
    int wanted = side == ENCODER ? net->shape.audio_positions : net->shape.text_positions;
    float **place = side == ENCODER ? &net->audio_places : &net->text_places;
    size_t count = (size_t)wanted * net->shape.width;
    if (positions != wanted || *place != NULL)
        return CO_BAD_ARGUMENT;
    if ((*place = floats(count)) == NULL)
        return CO_NO_MEMORY;
    memcpy(*place, from, count * sizeof(float));
    return CO_OK;
}

static int is_complete(const co_block *blocks, int count, int cross) {
    for (int i = 0; i < count; i++) {
        for (int slot = 0; slot < 3; slot++)
            if (blocks[i].norms[slot].gain == NULL && (slot != 1 || cross))
                return 0;
        for (int slot = 0; slot < CO_LINEARS; slot++)
            if (blocks[i].linears[slot].panels == NULL &&
                (cross || slot < CO_CROSS_QUERY || slot > CO_CROSS_OUT))
                return 0;
    }
    return 1;
}

/* Whether all weights are set. */
EXPORT int co_whisper_finish(const co_whisper *net) {
    if (net == NULL || !net->conv1.panels || !net->conv2.panels || !net->embedding.panels ||
        !net->encoder_norm.gain || !net->decoder_norm.gain || !net->audio_places ||
        !net->text_places || !is_complete(net->encoder, net->shape.encoder_layers, 0) ||
        !is_complete(net->decoder, net->shape.decoder_layers, 1))
        return CO_BAD_ARGUMENT;
    return CO_OK;
}

/* --- audio --- */

EXPORT void co_heard_close(co_heard *heard) {
    if (heard == NULL)
        return;
    free(heard->keys);
    free(heard->values);
    free(heard);
}

/* Encode a spectrogram of one window, (bands, frames). NULL: no memory, or a wrong shape. */
EXPORT co_heard *co_whisper_encode(co_whisper *net, const float *mel, int bands, int frames) {
    if (co_whisper_finish(net) != CO_OK || mel == NULL || bands != net->shape.bands ||
        frames != 2 * net->shape.audio_positions)
        return NULL;
    co_heard *heard = calloc(1, sizeof *heard);
    if (heard == NULL)
        return NULL;
    size_t layers = (size_t)net->shape.decoder_layers, width = (size_t)net->shape.width;
    heard->net = net;
    heard->keys = floats(layers * net->audio_panels * CO_PANEL * width);
    heard->values = floats(layers * net->shape.audio_positions * width);
    if (heard->keys == NULL || heard->values == NULL) {
        co_heard_close(heard);
        return NULL;
    }
    co_encode_call call = {net, mel, heard};
    co_pool_run(net->pool, net->kernels->encode, &call);
    return heard;
}

/* --- text --- */

EXPORT void co_text_close(co_text *text) {
    if (text == NULL)
        return;
    free(text->keys);
    free(text->values);
    free(text);
}

/* No tokens yet, over one window, which must outlive it. */
EXPORT co_text *co_text_open(const co_heard *heard) {
    co_text *text = heard == NULL ? NULL : calloc(1, sizeof *text);
    if (text == NULL)
        return NULL;
    co_whisper *net = heard->net;
    size_t room = (size_t)net->shape.decoder_layers * net->text_panels * CO_PANEL;
    *text = (co_text){net, heard, 0, floats(room * net->shape.width),
                      floats(room * net->shape.width)};
    if (text->keys == NULL || text->values == NULL) {
        co_text_close(text);
        return NULL;
    }
    return text;
}

/* Take in tokens; `logits`, room for the vocabulary rounded up to 32, is what follows. */
EXPORT int co_text_extend(co_text *text, int tokens, const int32_t *ids, float *logits) {
    if (text == NULL || ids == NULL || logits == NULL || !within(tokens, 1, CO_TOKENS_MAX) ||
        text->length + tokens > text->net->shape.text_positions)
        return CO_BAD_ARGUMENT;
    for (int t = 0; t < tokens; t++)
        if (!within(ids[t], 0, text->net->shape.vocabulary - 1))
            return CO_BAD_ARGUMENT;
    co_extend_call call = {text->net, text, tokens, ids, logits};
    co_pool_run_short(text->net->pool, text->net->kernels->extend, &call);
    text->length += tokens;
    return CO_OK;
}
