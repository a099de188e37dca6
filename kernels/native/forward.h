/* One step of a Llama-family decoder over a batch of tokens. Included for each level.
 *
 * Sources: Llama (Touvron et al., 2023), grouped-query attention (Ainslie et al., 2023),
 * rotary positions (Su et al., 2021), RMSNorm (Zhang and Sennrich, 2019). All threads run
 * `forward`; each takes its share of every phase, and they meet between phases. A single
 * token is rounded by every thread for itself, which costs less than a meeting.
 */
#ifndef FORWARD_H
#define FORWARD_H

#include "matrix.h"

typedef struct {
    const co_pass *pass;
    co_engine *engine;
    const co_shape *shape;
    int tokens, thread, threads;
} worker;

typedef struct { int from, to; } range;

#define HIDDEN_SCORE -3.0e38f /* of positions that a token may not see */

INLINE range share(const worker *self, int count) {
    return (range){(int)((int64_t)count * self->thread / self->threads),
                   (int)((int64_t)count * (self->thread + 1) / self->threads)};
}

INLINE void meet(const worker *self) { co_pool_meet(self->engine->pool); }

/* out = x / sqrt(mean(x^2) + epsilon) * gain; `count` is a multiple of 16. */
static void rms_norm(const float *x, const float *gain, float *out, int count, float epsilon) {
    f32x16 squares = splat(0);
    for (int i = 0; i < count; i += LANES)
        squares += load(x + i) * load(x + i);
    float scale = 1.0f / __builtin_sqrtf(sum_lanes(squares) / (float)count + epsilon);
    for (int i = 0; i < count; i += LANES)
        store(out + i, load(x + i) * splat(scale) * load(gain + i));
}

/* Normalise (where there is a gain) and round the rows of `from`, and return the result. */
static const co_activations *prepare(const worker *self, const float *from, int columns,
                                     int stride, const float *gain, const int32_t *rows,
                                     int count) {
    co_engine *engine = self->engine;
    int alone = count == 1;
    const co_activations *to = alone ? &engine->own[self->thread] : &engine->shared;
    range mine = alone ? (range){0, 1} : share(self, count);
    float *normed = engine->normed + (size_t)self->thread * self->shape->width;
    for (int i = mine.from; i < mine.to; i++) {
        const float *row = from + (size_t)(rows == NULL ? i : rows[i]) * stride;
        if (gain != NULL) {
            rms_norm(row, gain, normed, columns, self->shape->epsilon);
            row = normed;
        }
        quantise(row, columns, to, i);
    }
    if (!alone)
        meet(self);
    return to;
}

INLINE int tiles_of(const co_matrix *matrix) {
    return (matrix->rows + CO_TILE_ROWS - 1) / CO_TILE_ROWS;
}

static void multiply(const worker *self, const co_matrix *matrix, const co_activations *x,
                     float *out) {
    range mine = share(self, tiles_of(matrix));
    int stride = co_round_up(matrix->rows, CO_TILE_ROWS);
    for (int tile = mine.from; tile < mine.to; tile++)
        product(matrix, tile, x, self->tokens, out, stride);
}

/* states += matrix x, each thread on its own rows. */
static void multiply_add(const worker *self, const co_matrix *matrix, const co_activations *x) {
    range mine = share(self, tiles_of(matrix));
    int stride = co_round_up(matrix->rows, CO_TILE_ROWS), width = self->shape->width;
    float *out = self->engine->sums;
    for (int tile = mine.from; tile < mine.to; tile++) {
        product(matrix, tile, x, self->tokens, out, stride);
        for (int t = 0; t < self->tokens; t++) {
            float *state = self->engine->states + (size_t)t * width + tile * LANES;
            store(state, load(state) + load(out + (size_t)t * stride + tile * LANES));
        }
    }
}

/* Turn the pairs of one head by the angles of a position. */
static void rotate(const co_engine *engine, float *head, int position) {
    int half_width = engine->shape.head_width / 2, halves_apart = engine->shape.rope_halves;
    const float *cosines = engine->cosines + (size_t)position * half_width;
    const float *sines = engine->sines + (size_t)position * half_width;
    for (int i = 0; i < half_width; i++) {
        float *a = head + (halves_apart ? i : 2 * i);
        float *b = halves_apart ? a + half_width : a + 1;
        float turned = *a * cosines[i] - *b * sines[i];
        *b = *a * sines[i] + *b * cosines[i];
        *a = turned;
    }
}

/* Add the bias, normalise and turn one head of a query or a key. */
static void finish_head(const worker *self, float *head, const float *bias, const float *gain,
                        int position) {
    int width = self->shape->head_width;
    if (bias != NULL)
        for (int i = 0; i < width; i++)
            head[i] += bias[i];
    if (gain != NULL)
        rms_norm(head, gain, head, width, self->shape->epsilon);
    rotate(self->engine, head, position);
}

INLINE size_t head_floats(const worker *self, const co_sequence *sequence) {
    return (size_t)sequence->capacity * self->shape->head_width;
}

/* Write the key and the value of one head of one token into its sequence. */
static void remember(const worker *self, const co_layer *layer, int index, int token, int head) {
    int width = self->shape->head_width, position = self->pass->positions[token];
    co_sequence *sequence = self->pass->sequences[token];
    size_t stride = (size_t)self->shape->kv_heads * width;
    float *key = self->engine->key + token * stride + head * width;
    const float *value = self->engine->value + token * stride + head * width;
    const float *bias = layer->vectors[CO_KEY_BIAS], *shift = layer->vectors[CO_VALUE_BIAS];
    finish_head(self, key, bias == NULL ? NULL : bias + head * width,
                layer->vectors[CO_KEY_NORM], position);
    size_t place = (size_t)(index * self->shape->kv_heads + head) * head_floats(self, sequence);
    float *keys = sequence->keys + place + (size_t)(position / LANES) * width * LANES;
    float *values = sequence->values + place + (size_t)position * width;
    for (int i = 0; i < width; i++) {
        keys[i * LANES + position % LANES] = key[i];
        values[i] = value[i] + (shift == NULL ? 0.0f : shift[head * width + i]);
    }
}

/* The query heads that share a key head are scored together, up to four at a time, so that
 * keys and values are read once for all. What one gets does not depend on its company. */
enum { BUNDLE_MAX = 4 };

/* scores[k][p] = q_k k_p for all positions up to `last`, 16 at a time; the largest of each. */
INLINE void score(const float *queries, const float *keys, int width, int last, float *scores,
                  size_t stride, float *largest, const int count) {
    const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    f32x16 top[BUNDLE_MAX];
    for (int k = 0; k < count; k++)
        top[k] = splat(HIDDEN_SCORE);
    for (int p = 0; p <= last; p += LANES) {
        const float *tile = keys + (size_t)p * width;
        i32x16 visible = lane + p <= splat_integer(last);
        f32x16 parts[BUNDLE_MAX][4];
        for (int k = 0; k < count; k++)
            for (int part = 0; part < 4; part++)
                parts[k][part] = splat(0);
        for (int i = 0; i < width; i += 4)
            for (int part = 0; part < 4; part++) {
                f32x16 column = load(tile + (i + part) * LANES);
                for (int k = 0; k < count; k++)
                    parts[k][part] += column * splat(queries[k * width + i + part]);
            }
        for (int k = 0; k < count; k++) {
            f32x16 sums = (parts[k][0] + parts[k][1]) + (parts[k][2] + parts[k][3]);
            sums = choose(visible, sums, splat(HIDDEN_SCORE));
            store(scores + k * stride + p, sums);
            top[k] = larger(top[k], sums);
        }
    }
    for (int k = 0; k < count; k++)
        largest[k] = largest_lane(top[k]);
}

/* Scores to weights, e^(score - largest), in place; returns their sum. */
static float weigh(float *scores, int last, float largest) {
    f32x16 total = splat(0);
    for (int p = 0; p <= last; p += LANES) {
        f32x16 given = load(scores + p);
        f32x16 weights = exponential(given - splat(largest));
        weights = choose(given > splat(HIDDEN_SCORE), weights, splat(0));
        store(scores + p, weights);
        total += weights;
    }
    return sum_lanes(total);
}

/* mixed[k] = scale_k * sum of weight_kp * v_p, for `columns` (a constant) of the head. */
INLINE void mix(const float *weights, size_t stride, const float *values, int width, int last,
                const float *scales, float *mixed, const int count, const int columns) {
    f32x16 total[BUNDLE_MAX][4];
    for (int k = 0; k < count; k++)
        for (int i = 0; i < columns / LANES; i++)
            total[k][i] = splat(0);
    for (int p = 0; p <= last; p++)
        for (int i = 0; i < columns / LANES; i++) {
            f32x16 value = load(values + (size_t)p * width + i * LANES);
            for (int k = 0; k < count; k++)
                total[k][i] += splat(weights[k * stride + p]) * value;
        }
    for (int k = 0; k < count; k++)
        for (int i = 0; i < columns / LANES; i++)
            store(mixed + k * width + i * LANES, total[k][i] * splat(scales[k]));
}

INLINE void mix_head(const float *weights, size_t stride, const float *values, int width, int last,
                     const float *scales, float *mixed, const int count) {
    int i = 0;
    for (; i + 64 <= width; i += 64)
        mix(weights, stride, values + i, width, last, scales, mixed + i, count, 64);
    for (; i < width; i += LANES)
        mix(weights, stride, values + i, width, last, scales, mixed + i, count, LANES);
}

INLINE void attend_bundle(const float *queries, const float *keys, const float *values, int width,
                          int last, float *scores, size_t stride, float *mixed, const int count) {
    float largest[BUNDLE_MAX], scales[BUNDLE_MAX];
    score(queries, keys, width, last, scores, stride, largest, count);
    for (int k = 0; k < count; k++)
        scales[k] = 1.0f / weigh(scores + k * stride, last, largest[k]);
    mix_head(scores, stride, values, width, last, scales, mixed, count);
}

/* Attention of `count` query heads of one token, all of the same key head. */
static void attend(const worker *self, const co_layer *layer, int index, int token, int head,
                   int count) {
    const co_shape *shape = self->shape;
    int width = shape->head_width, last = self->pass->positions[token];
    const co_sequence *sequence = self->pass->sequences[token];
    size_t row = (size_t)token * shape->heads * width + (size_t)head * width;
    size_t stride = co_round_up(shape->context_tokens, LANES);
    float *queries = self->engine->query + row, *mixed = self->engine->mixed + row;
    float *scores = self->engine->scores + (size_t)self->thread * BUNDLE_MAX * stride;
    const float *bias = layer->vectors[CO_QUERY_BIAS];
    float scale = 1.0f / __builtin_sqrtf((float)width);
    for (int k = 0; k < count; k++)
        finish_head(self, queries + k * width, bias == NULL ? NULL : bias + (head + k) * width,
                    layer->vectors[CO_QUERY_NORM], last);
    for (int i = 0; i < count * width; i += LANES)
        store(queries + i, load(queries + i) * splat(scale));
    int shared = head / (shape->heads / shape->kv_heads);
    size_t place = (size_t)(index * shape->kv_heads + shared) * head_floats(self, sequence);
    const float *keys = sequence->keys + place, *values = sequence->values + place;
    switch (count) {
    case 1:
        attend_bundle(queries, keys, values, width, last, scores, stride, mixed, 1);
        break;
    case 2:
        attend_bundle(queries, keys, values, width, last, scores, stride, mixed, 2);
        break;
    case 3:
        attend_bundle(queries, keys, values, width, last, scores, stride, mixed, 3);
        break;
    default:
        attend_bundle(queries, keys, values, width, last, scores, stride, mixed, 4);
    }
}

/* How many query heads to take together: few where several threads share little work. */
static int bundle_of(const worker *self) {
    int group = self->shape->heads / self->shape->kv_heads;
    if (self->threads > 1 && self->tokens * self->shape->kv_heads < 4 * self->threads)
        return 1;
    for (int count = BUNDLE_MAX; count > 1; count--)
        if (group % count == 0)
            return count;
    return 1;
}

static void attention(const worker *self, const co_layer *layer, int index) {
    range mine = share(self, self->tokens * self->shape->kv_heads);
    for (int i = mine.from; i < mine.to; i++)
        remember(self, layer, index, i / self->shape->kv_heads, i % self->shape->kv_heads);
    meet(self);
    int count = bundle_of(self), bundles = self->shape->heads / count;
    mine = share(self, self->tokens * bundles);
    for (int i = mine.from; i < mine.to; i++)
        attend(self, layer, index, i / bundles, i % bundles * count, count);
    meet(self);
}

/* gate = activation(gate) * up; SiLU, or GELU in its tanh form. */
INLINE f32x16 gated(f32x16 gate, f32x16 up, int gelu) {
    f32x16 inner = gate;
    if (gelu) /* 0.5 (1 + tanh y) = 1 / (1 + e^-2y), y = sqrt(2 / pi) (x + 0.044715 x^3) */
        inner = splat(1.5957691216f) * (gate + splat(0.044715f) * gate * gate * gate);
    return gate / (splat(1.0f) + exponential(-inner)) * up;
}

static void feed_forward(const worker *self, const co_layer *layer, const co_activations *x) {
    const co_matrix *gate = &layer->matrices[CO_GATE], *up = &layer->matrices[CO_UP];
    range mine = share(self, tiles_of(gate));
    int stride = co_round_up(gate->rows, CO_TILE_ROWS);
    for (int tile = mine.from; tile < mine.to; tile++) {
        product(gate, tile, x, self->tokens, self->engine->gate, stride);
        product(up, tile, x, self->tokens, self->engine->up, stride);
        for (int t = 0; t < self->tokens; t++) {
            float *place = self->engine->gate + (size_t)t * stride + tile * LANES;
            const float *other = self->engine->up + (size_t)t * stride + tile * LANES;
            store(place, gated(load(place), load(other), self->shape->gelu_gate));
        }
    }
    meet(self);
}

static void run_layer(const worker *self, int index) {
    co_engine *engine = self->engine;
    const co_layer *layer = &engine->layers[index];
    const co_shape *shape = self->shape;
    int width = shape->width, tokens = self->tokens, queries = shape->heads * shape->head_width;
    const co_activations *x = prepare(self, engine->states, width, width,
                                      layer->vectors[CO_ATTENTION_NORM], NULL, tokens);
    multiply(self, &layer->matrices[CO_QUERY], x, engine->query);
    multiply(self, &layer->matrices[CO_KEY], x, engine->key);
    multiply(self, &layer->matrices[CO_VALUE], x, engine->value);
    meet(self);
    attention(self, layer, index);
    x = prepare(self, engine->mixed, queries, queries, NULL, NULL, tokens);
    multiply_add(self, &layer->matrices[CO_ATTENTION_OUT], x);
    meet(self);
    x = prepare(self, engine->states, width, width, layer->vectors[CO_FEED_FORWARD_NORM], NULL,
                tokens);
    feed_forward(self, layer, x);
    x = prepare(self, engine->gate, shape->hidden, shape->hidden, NULL, NULL, tokens);
    multiply_add(self, &layer->matrices[CO_DOWN], x);
    meet(self);
}

static void embed(const worker *self) {
    range mine = share(self, self->tokens);
    int width = self->shape->width;
    for (int t = mine.from; t < mine.to; t++) {
        float *state = self->engine->states + (size_t)t * width;
        read_row(&self->engine->embedding, self->pass->ids[t], state);
        for (int i = 0; i < width; i += LANES)
            store(state + i, load(state + i) * splat(self->shape->embedding_scale));
    }
    meet(self);
}

static void forward(void *argument, int thread, int threads) {
    const co_pass *pass = argument;
    worker self = {pass, pass->engine, &pass->engine->shape, pass->tokens, thread, threads};
    embed(&self);
    for (int index = 0; index < self.shape->layers; index++)
        run_layer(&self, index);
    if (pass->wanted == 0)
        return;
    int width = self.shape->width;
    const co_activations *x = prepare(&self, self.engine->states, width, width,
                                      self.engine->output_norm, pass->wanted_tokens, pass->wanted);
    self.tokens = pass->wanted;
    multiply(&self, &self.engine->output, x, pass->logits);
}

#endif
