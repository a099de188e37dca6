/* Whisper's encoder and decoder in fp32. Included once for each instruction set.
 *
 * Source: Whisper (Radford et al., 2022). One small product (`tile`) does all the work:
 * up to GROUP rows times a panel of 32 columns, kept in registers while it runs along
 * the inner dimension. The encoder gives each thread its own rows; the decoder, which has
 * one token, gives each thread its own panels and heads.
 */
#ifndef WHISPER_FORWARD_H
#define WHISPER_FORWARD_H

#include "vectors.h"
#include "whisper.h"

#if defined(__AVX512F__)
enum { GROUP = 12 };
#else
enum { GROUP = 3 };
#endif

typedef enum { PLAIN, GELU, ADD } epilogue;

/* Exact GELU, x/2 (1 + erf(x / sqrt 2)); erf by Abramowitz and Stegun, 7.1.26. */
INLINE f32x16 gelu(f32x16 x) {
    f32x16 size = larger(x, -x) * splat(0.70710678f);
    f32x16 t = splat(1.0f) / (splat(1.0f) + splat(0.3275911f) * size);
    f32x16 series = splat(1.061405429f) * t - splat(1.453152027f);
    series = series * t + splat(1.421413741f);
    series = series * t - splat(0.284496736f);
    series = (series * t + splat(0.254829592f)) * t;
    f32x16 erf = splat(1.0f) - series * exponential(-size * size);
    return splat(0.5f) * x * (splat(1.0f) + choose(x < splat(0), -erf, erf));
}

INLINE void finish(float *out, f32x16 value, const epilogue end) {
    if (end == GELU)
        value = gelu(value);
    if (end == ADD)
        value += load(out);
    store(out, value);
}

/* out[row][0..31] = sum over k of x[row][k] * panel[k][0..31] + bias, for `count` rows. */
INLINE void tile_of(const float *x, size_t x_step, const float *panel, size_t panel_step, int inner,
                    const float *bias, float *out, size_t out_step, const epilogue end,
                    const int count) {
    f32x16 total[GROUP][2];
    for (int row = 0; row < count; row++) {
        total[row][0] = bias == NULL ? splat(0) : load(bias);
        total[row][1] = bias == NULL ? splat(0) : load(bias + LANES);
    }
    for (int k = 0; k < inner; k++) {
        f32x16 left = load(panel + k * panel_step), right = load(panel + k * panel_step + LANES);
        for (int row = 0; row < count; row++) {
            f32x16 input = splat(x[row * x_step + k]);
            total[row][0] += left * input;
            total[row][1] += right * input;
        }
    }
    for (int row = 0; row < count; row++) {
        finish(out + row * out_step, total[row][0], end);
        finish(out + row * out_step + LANES, total[row][1], end);
    }
}

INLINE void tile(const float *x, size_t x_step, const float *panel, size_t panel_step, int inner,
                 const float *bias, float *out, size_t out_step, const epilogue end, int rows) {
    int row = 0;
    for (; row + GROUP <= rows; row += GROUP)
        tile_of(x + row * x_step, x_step, panel, panel_step, inner, bias, out + row * out_step,
                out_step, end, GROUP);
    for (; row < rows; row++)
        tile_of(x + row * x_step, x_step, panel, panel_step, inner, bias, out + row * out_step,
                out_step, end, 1);
}

static void tiles_plain(const float *x, size_t x_step, const float *panel, size_t panel_step,
                        int inner, const float *bias, float *out, size_t out_step, int rows) {
    tile(x, x_step, panel, panel_step, inner, bias, out, out_step, PLAIN, rows);
}

static void tiles_gelu(const float *x, size_t x_step, const float *panel, size_t panel_step,
                       int inner, const float *bias, float *out, size_t out_step, int rows) {
    tile(x, x_step, panel, panel_step, inner, bias, out, out_step, GELU, rows);
}

static void tiles_add(const float *x, size_t x_step, const float *panel, size_t panel_step,
                      int inner, const float *bias, float *out, size_t out_step, int rows) {
    tile(x, x_step, panel, panel_step, inner, bias, out, out_step, ADD, rows);
}

/* Many rows: each panel is made fp32 once and then serves all of them. */
static void apply(const co_linear *linear, const float *x, size_t x_step, float *out,
                  size_t out_step, int rows, epilogue end, float *panel) {
    for (int at = 0; at < linear->rows; at += CO_PANEL) {
        const uint16_t *packed = linear->panels + (size_t)at * linear->columns;
        for (int i = 0; i < linear->columns * CO_PANEL; i += LANES)
            store(panel + i, halves(packed + i));
        const float *bias = linear->bias == NULL ? NULL : linear->bias + at;
        (end == GELU ? tiles_gelu : end == ADD ? tiles_add : tiles_plain)(
            x, x_step, panel, CO_PANEL, linear->columns, bias, out + at, out_step, rows);
    }
}

/* One token: read the fp16 weights once, each thread its own panels. */
static void apply_to_one(const co_linear *linear, const float *x, float *out, epilogue end,
                         int from, int to) {
    for (int at = from * CO_PANEL; at < to * CO_PANEL; at += CO_PANEL) {
        const uint16_t *packed = linear->panels + (size_t)at * linear->columns;
        const float *bias = linear->bias == NULL ? NULL : linear->bias + at;
        f32x16 total[4] = {splat(0), splat(0), splat(0), splat(0)};
        for (int k = 0; k < linear->columns; k += 2)
            for (int part = 0; part < 4; part++)
                total[part] +=
                    halves(packed + k * CO_PANEL + part * LANES) * splat(x[k + part / 2]);
        for (int half = 0; half < 2; half++) {
            f32x16 shift = bias == NULL ? splat(0) : load(bias + half * LANES);
            finish(out + at + half * LANES, total[half] + total[half + 2] + shift, end);
        }
    }
}

static void layer_norm(const co_norm *norm, const float *x, float *out, int width) {
    f32x16 sums = splat(0), squares = splat(0);
    for (int i = 0; i < width; i += LANES)
        sums += load(x + i);
    f32x16 mean = splat(sum_lanes(sums) / (float)width);
    for (int i = 0; i < width; i += LANES) {
        f32x16 centred = load(x + i) - mean;
        squares += centred * centred;
    }
    f32x16 scale = splat(1.0f / __builtin_sqrtf(sum_lanes(squares) / (float)width + 1e-5f));
    for (int i = 0; i < width; i += LANES)
        store(out + i, (load(x + i) - mean) * scale * load(norm->gain + i) + load(norm->shift + i));
}

/* Scores of one row to weights, in place; what lies behind `count` becomes 0. Returns 1 / sum. */
static float soften(float *scores, int count) {
    const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    f32x16 top = splat(-3.0e38f), total = splat(0);
    for (int p = 0; p < count; p += LANES) {
        f32x16 given = choose(lane + p < splat_integer(count), load(scores + p), splat(-3.0e38f));
        top = larger(top, given);
    }
    float largest = largest_lane(top);
    for (int p = 0; p < count; p += LANES) {
        f32x16 weights = exponential(load(scores + p) - splat(largest));
        weights = choose(lane + p < splat_integer(count), weights, splat(0));
        store(scores + p, weights);
        total += weights;
    }
    return 1.0f / sum_lanes(total);
}

/* Attention of `rows` queries of one head over `count` keys (W, 32 in panels) and values. */
static void attend_rows(const float *queries, size_t query_step, const float *keys,
                        const float *values, size_t value_step, int width, int count, float *scores,
                        size_t score_step, float *out, size_t out_step, int rows) {
    for (int p = 0; p < count; p += CO_PANEL)
        tiles_plain(queries, query_step, keys + (size_t)p * width, CO_PANEL, width, NULL,
                    scores + p, score_step, rows);
    float scales[CO_SCORE_ROWS];
    for (int row = 0; row < rows; row++)
        scales[row] = soften(scores + row * score_step, count);
    for (int column = 0; column < width; column += CO_PANEL)
        tiles_plain(scores, score_step, values + column, value_step, count, NULL, out + column,
                    out_step, rows);
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < width; i += LANES)
            store(out + row * out_step + i, load(out + row * out_step + i) * splat(scales[row]));
}

/* Write one row of keys, all heads, at a position of its panels. */
static void place_keys(const float *from, float *panels, int heads, int width, int count_panels,
                       int position) {
    for (int head = 0; head < heads; head++) {
        float *panel = panels + (size_t)head * count_panels * width * CO_PANEL +
                       (size_t)(position / CO_PANEL) * width * CO_PANEL + position % CO_PANEL;
        for (int i = 0; i < width; i++)
            panel[i * CO_PANEL] = from[head * width + i];
    }
}

typedef struct {
    co_whisper *net;
    const co_whisper_shape *shape;
    int width, head_width, from, to; /* rows of this thread */
    float *panel, *inner, *normed, *scores;
    size_t score_step;
} listener;

static void scale_queries(const listener *self, float *rows, size_t step, int count) {
    f32x16 scale = splat(1.0f / __builtin_sqrtf((float)self->head_width));
    for (int row = 0; row < count; row++)
        for (int i = 0; i < self->width; i += LANES)
            store(rows + row * step + i, load(rows + row * step + i) * scale);
}

/* Normalise and project this thread's rows; keys go to the panels that all threads read. */
static void project_rows(const listener *self, const co_block *block) {
    int width = self->width;
    for (int at = self->from; at < self->to; at += CO_ROWS) {
        int rows = self->to - at < CO_ROWS ? self->to - at : CO_ROWS;
        float *out = self->net->projected + (size_t)at * 3 * width;
        for (int row = 0; row < rows; row++)
            layer_norm(&block->norms[0], self->net->states + (size_t)(at + row) * width,
                       self->normed + (size_t)row * width, width);
        apply(&block->linears[CO_QKV], self->normed, width, out, 3 * width, rows, PLAIN,
              self->panel);
        scale_queries(self, out, 3 * width, rows);
        for (int row = 0; row < rows; row++)
            place_keys(out + (size_t)row * 3 * width + width, self->net->keys,
                       self->shape->heads, self->head_width, self->net->audio_panels, at + row);
    }
}

static void attend_and_feed(const listener *self, const co_block *block) {
    int width = self->width, positions = self->shape->audio_positions;
    co_whisper *net = self->net;
    for (int at = self->from; at < self->to; at += CO_ROWS) {
        int rows = self->to - at < CO_ROWS ? self->to - at : CO_ROWS;
        float *states = net->states + (size_t)at * width, *mixed = net->mixed + (size_t)at * width;
        const float *projected = net->projected;
        for (int head = 0; head < self->shape->heads; head++)
            for (int part = 0; part < rows; part += CO_SCORE_ROWS) {
                int count = rows - part < CO_SCORE_ROWS ? rows - part : CO_SCORE_ROWS;
                size_t column = (size_t)head * self->head_width;
                attend_rows(projected + (size_t)(at + part) * 3 * width + column, 3 * width,
                            net->keys + (size_t)head * net->audio_panels * CO_PANEL *
                                             self->head_width,
                            projected + 2 * width + column, 3 * width, self->head_width, positions,
                            self->scores, self->score_step, mixed + (size_t)part * width + column,
                            width, count);
            }
        apply(&block->linears[CO_OUT], mixed, width, states, width, rows, ADD, self->panel);
        for (int row = 0; row < rows; row++)
            layer_norm(&block->norms[2], states + (size_t)row * width,
                       self->normed + (size_t)row * width, width);
        apply(&block->linears[CO_INNER], self->normed, width, self->inner, 4 * width, rows, GELU,
              self->panel);
        apply(&block->linears[CO_OUTER], self->inner, 4 * width, states, width, rows, ADD,
              self->panel);
    }
}

/* Both convolutions: a row of the product is three neighbouring rows of the input. */
static void convolve(const listener *self, int thread, int threads) {
    co_whisper *net = self->net;
    int frames = 2 * self->shape->audio_positions, width = self->width;
    int from = (int)((int64_t)frames * thread / threads);
    int to = (int)((int64_t)frames * (thread + 1) / threads);
    int bands = self->shape->bands;
    apply(&net->conv1, net->mel + (size_t)from * bands, bands,
          net->first + (size_t)(from + 1) * width, width, to - from, GELU, self->panel);
    co_pool_meet(net->pool);
    apply(&net->conv2, net->first + (size_t)2 * self->from * width, 2 * width,
          net->states + (size_t)self->from * width, width, self->to - self->from, GELU,
          self->panel);
    for (size_t i = (size_t)self->from * width; i < (size_t)self->to * width; i += LANES)
        store(net->states + i, load(net->states + i) + load(net->audio_places + i));
}

/* Keys and values of the decoder's cross-attention, for this thread's rows. */
static void hear(const listener *self, co_heard *heard) {
    co_whisper *net = self->net;
    int width = self->width, positions = self->shape->audio_positions;
    for (int at = self->from; at < self->to; at += CO_ROWS) {
        int rows = self->to - at < CO_ROWS ? self->to - at : CO_ROWS;
        for (int row = 0; row < rows; row++)
            layer_norm(&net->encoder_norm, net->states + (size_t)(at + row) * width,
                       self->normed + (size_t)row * width, width);
        for (int layer = 0; layer < self->shape->decoder_layers; layer++) {
            apply(&net->decoder[layer].linears[CO_CROSS_KV], self->normed, width, self->inner,
                  2 * width, rows, PLAIN, self->panel);
            float *keys = heard->keys + (size_t)layer * net->audio_panels * CO_PANEL * width;
            float *values = heard->values + ((size_t)layer * positions + at) * width;
            for (int row = 0; row < rows; row++) {
                const float *pair = self->inner + (size_t)row * 2 * width;
                place_keys(pair, keys, self->shape->heads, self->head_width, net->audio_panels,
                           at + row);
                memcpy(values + (size_t)row * width, pair + width, width * sizeof(float));
            }
        }
    }
}

static listener listener_of(co_whisper *net, int thread, int threads) {
    const co_whisper_shape *shape = &net->shape;
    listener self = {.net = net, .shape = shape, .width = shape->width};
    self.head_width = net->head_width;
    self.from = (int)((int64_t)shape->audio_positions * thread / threads);
    self.to = (int)((int64_t)shape->audio_positions * (thread + 1) / threads);
    self.panel = net->own[thread];
    self.inner = self.panel + (size_t)4 * shape->width * CO_PANEL;
    self.normed = self.inner + (size_t)CO_ROWS * 4 * shape->width;
    self.scores = self.normed + (size_t)CO_ROWS * shape->width;
    self.score_step = (size_t)net->audio_panels * CO_PANEL;
    return self;
}

static void encode(void *argument, int thread, int threads) {
    const co_encode_call *call = argument;
    co_whisper *net = call->net;
    listener self = listener_of(net, thread, threads);
    int frames = 2 * self.shape->audio_positions, bands = self.shape->bands;
    for (int frame = thread; frame < frames; frame += threads) /* row 0 and the last stay zero */
        for (int band = 0; band < bands; band++)
            net->mel[(size_t)(frame + 1) * bands + band] = call->mel[(size_t)band * frames + frame];
    co_pool_meet(net->pool);
    convolve(&self, thread, threads);
    for (int layer = 0; layer < self.shape->encoder_layers; layer++) {
        project_rows(&self, &net->encoder[layer]);
        co_pool_meet(net->pool);
        attend_and_feed(&self, &net->encoder[layer]);
        co_pool_meet(net->pool);
    }
    hear(&self, call->heard);
}

/* --- the decoder --- */

typedef struct {
    listener base;
    const co_extend_call *call;
    int thread, threads;
} speaker;

/* Each thread its own panels, for each token in turn, then all meet. */
static void share_linear(const speaker *self, const co_linear *linear, const float *x, float *out,
                         int out_width, epilogue end) {
    int panels = (linear->rows + CO_PANEL - 1) / CO_PANEL;
    int from = panels * self->thread / self->threads;
    int to = panels * (self->thread + 1) / self->threads;
    for (int t = 0; t < self->call->tokens; t++)
        apply_to_one(linear, x + (size_t)t * linear->columns, out + (size_t)t * out_width, end,
                     from, to);
    co_pool_meet(self->base.net->pool);
}

static void share_norm(const speaker *self, const co_norm *norm) {
    co_whisper *net = self->base.net;
    for (int t = self->thread; t < self->call->tokens; t += self->threads)
        layer_norm(norm, net->text_states + (size_t)t * self->base.width,
                   net->text_normed + (size_t)t * self->base.width, self->base.width);
    co_pool_meet(net->pool);
}

/* Attention of all tokens, each thread its own heads. `step` is that of the queries. */
static void share_attention(const speaker *self, size_t step, const float *keys,
                            const float *values, int panels, int seen, int grows) {
    co_whisper *net = self->base.net;
    int heads = self->base.shape->heads, head_width = self->base.head_width;
    int width = self->base.width;
    for (int head = self->thread; head < heads; head += self->threads)
        for (int t = 0; t < self->call->tokens; t++)
            attend_rows(net->text_projected + (size_t)t * step + (size_t)head * head_width, step,
                        keys + (size_t)head * panels * CO_PANEL * head_width,
                        values + (size_t)head * head_width, width, head_width,
                        seen + (grows ? t : 0), self->base.scores, (size_t)panels * CO_PANEL,
                        net->text_mixed + (size_t)t * width + (size_t)head * head_width, width, 1);
    co_pool_meet(net->pool);
}

static void look_back(const speaker *self, const co_block *block, int layer) {
    co_whisper *net = self->base.net;
    co_text *text = self->call->text;
    int width = self->base.width, room = net->text_panels * CO_PANEL;
    float *keys = text->keys + (size_t)layer * room * width;
    float *values = text->values + (size_t)layer * room * width;
    share_norm(self, &block->norms[0]);
    share_linear(self, &block->linears[CO_QKV], net->text_normed, net->text_projected, 3 * width,
                 PLAIN);
    for (int t = self->thread; t < self->call->tokens; t += self->threads) {
        float *row = net->text_projected + (size_t)t * 3 * width;
        scale_queries(&self->base, row, 0, 1);
        place_keys(row + width, keys, self->base.shape->heads, self->base.head_width,
                   net->text_panels, text->length + t);
        memcpy(values + (size_t)(text->length + t) * width, row + 2 * width, width * sizeof(float));
    }
    co_pool_meet(net->pool);
    share_attention(self, 3 * width, keys, values, net->text_panels, text->length + 1, 1);
    share_linear(self, &block->linears[CO_OUT], net->text_mixed, net->text_states, width, ADD);
}

static void listen_to(const speaker *self, const co_block *block, int layer) {
    co_whisper *net = self->base.net;
    const co_heard *heard = self->call->text->heard;
    int width = self->base.width, positions = self->base.shape->audio_positions;
    share_norm(self, &block->norms[1]);
    share_linear(self, &block->linears[CO_CROSS_QUERY], net->text_normed, net->text_projected,
                 width, PLAIN);
    for (int t = self->thread; t < self->call->tokens; t += self->threads)
        scale_queries(&self->base, net->text_projected + (size_t)t * width, 0, 1);
    co_pool_meet(net->pool);
    share_attention(self, width, heard->keys + (size_t)layer * net->audio_panels * CO_PANEL * width,
                    heard->values + (size_t)layer * positions * width, net->audio_panels, positions,
                    0);
    share_linear(self, &block->linears[CO_CROSS_OUT], net->text_mixed, net->text_states, width,
                 ADD);
}

static void extend(void *argument, int thread, int threads) {
    const co_extend_call *call = argument;
    co_whisper *net = call->net;
    speaker self = {listener_of(net, thread, threads), call, thread, threads};
    int width = self.base.width, columns = net->embedding.columns;
    for (int t = thread; t < call->tokens; t += threads)
        for (int i = 0; i < width; i++) {
            size_t panel = (size_t)(call->ids[t] / CO_PANEL) * columns * CO_PANEL;
            net->text_states[(size_t)t * width + i] =
                half(net->embedding
                         .panels[panel + (size_t)i * CO_PANEL + call->ids[t] % CO_PANEL]) +
                net->text_places[(size_t)(call->text->length + t) * width + i];
        }
    co_pool_meet(net->pool);
    for (int layer = 0; layer < self.base.shape->decoder_layers; layer++) {
        const co_block *block = &net->decoder[layer];
        look_back(&self, block, layer);
        listen_to(&self, block, layer);
        share_norm(&self, &block->norms[2]);
        share_linear(&self, &block->linears[CO_INNER], net->text_normed, net->text_inner,
                     4 * width, GELU);
        share_linear(&self, &block->linears[CO_OUTER], net->text_inner, net->text_states, width,
                     ADD);
    }
    share_norm(&self, &net->decoder_norm);
    int panels = (net->embedding.rows + CO_PANEL - 1) / CO_PANEL;
    apply_to_one(&net->embedding, net->text_normed + (size_t)(call->tokens - 1) * width,
                 call->logits, PLAIN, panels * thread / threads, panels * (thread + 1) / threads);
}

#endif
