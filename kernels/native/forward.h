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
    size_t stride = co_round_up(self->shape->kv_heads * width, CO_TILE_ROWS);
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

/* scores[p] = q k_p for all positions up to `last`, 16 at a time; returns the largest. */
static float score(const float *query, const float *keys, int width, int last, float *scores) {
    f32x16 largest = splat(-3.0e38f);
    const i32x16 lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int p = 0; p <= last; p += LANES) {
        const float *tile = keys + (size_t)p * width;
        f32x16 parts[4] = {splat(0), splat(0), splat(0), splat(0)};
        for (int i = 0; i < width; i += 4)
            for (int k = 0; k < 4; k++)
                parts[k] += load(tile + (i + k) * LANES) * splat(query[i + k]);
        f32x16 sums = (parts[0] + parts[1]) + (parts[2] + parts[3]);
        sums = choose(lane + p <= splat_integer(last), sums, splat(-3.0e38f));
        store(scores + p, sums);
        largest = larger(largest, sums);
    }
    return largest_lane(largest);
}

/* mixed = sum of weight_p * v_p, for 16 columns of the head. */
INLINE void mix(const float *weights, const float *values, int width, int last, float scale,
                float *mixed) {
    for (int i = 0; i < width; i += LANES) {
        f32x16 even = splat(0), odd = splat(0);
        int p = 0;
        for (; p < last; p += 2) {
            even += splat(weights[p]) * load(values + (size_t)p * width + i);
            odd += splat(weights[p + 1]) * load(values + (size_t)(p + 1) * width + i);
        }
        if (p == last)
            even += splat(weights[p]) * load(values + (size_t)p * width + i);
        store(mixed + i, (even + odd) * splat(scale));
    }
}

/* Attention of one query head of one token over its sequence. */
static void attend(const worker *self, const co_layer *layer, int index, int token, int head) {
    const co_shape *shape = self->shape;
    int width = shape->head_width, last = self->pass->positions[token];
    const co_sequence *sequence = self->pass->sequences[token];
    size_t row = co_round_up(shape->heads * width, CO_TILE_ROWS);
    float *query = self->engine->query + token * row + head * width;
    float *scores = self->engine->scores +
                    (size_t)self->thread * co_round_up(shape->context_tokens, LANES);
    const float *bias = layer->vectors[CO_QUERY_BIAS];
    finish_head(self, query, bias == NULL ? NULL : bias + head * width,
                layer->vectors[CO_QUERY_NORM], last);
    float scale = 1.0f / __builtin_sqrtf((float)width);
    for (int i = 0; i < width; i += LANES)
        store(query + i, load(query + i) * splat(scale));
    int shared = head / (shape->heads / shape->kv_heads);
    size_t place = (size_t)(index * shape->kv_heads + shared) * head_floats(self, sequence);
    float largest = score(query, sequence->keys + place, width, last, scores);
    f32x16 total = splat(0);
    for (int p = 0; p <= last; p += LANES) {
        f32x16 weights = exponential(load(scores + p) - splat(largest));
        weights = choose(load(scores + p) > splat(-2.9e38f), weights, splat(0));
        store(scores + p, weights);
        total += weights;
    }
    mix(scores, sequence->values + place, width, last, 1.0f / sum_lanes(total),
        self->engine->mixed + token * row + head * width);
}

static void attention(const worker *self, const co_layer *layer, int index) {
    range mine = share(self, self->tokens * self->shape->kv_heads);
    for (int i = mine.from; i < mine.to; i++)
        remember(self, layer, index, i / self->shape->kv_heads, i % self->shape->kv_heads);
    meet(self);
    mine = share(self, self->tokens * self->shape->heads);
    for (int i = mine.from; i < mine.to; i++)
        attend(self, layer, index, i / self->shape->heads, i % self->shape->heads);
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
    x = prepare(self, engine->mixed, queries, co_round_up(queries, CO_TILE_ROWS), NULL, NULL,
                tokens);
    multiply_add(self, &layer->matrices[CO_ATTENTION_OUT], x);
    meet(self);
    x = prepare(self, engine->states, width, width, layer->vectors[CO_FEED_FORWARD_NORM], NULL,
                tokens);
    feed_forward(self, layer, x);
    x = prepare(self, engine->gate, shape->hidden, co_round_up(shape->hidden, CO_TILE_ROWS), NULL,
                NULL, tokens);
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
