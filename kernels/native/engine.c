/* The calls that Python makes: open an engine, give it weights, run it.
 *
 * The Python side checks every size before it calls. This side checks again, and answers
 * a wrong call with an error code: nothing here reads or writes outside what it allocated.
 */
#include "cocoon.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define EXPORT __attribute__((visibility("default")))

/* --- levels --- */

enum { GENERIC, AVX2, AVXVNNI, AVX512, DOTPROD, LEVELS };

static const co_kernels *kernels_of(int level) {
    switch (level) {
    case GENERIC:
        return &co_generic;
#if defined(__x86_64__)
    case AVX2:
        return &co_avx2;
    case AVXVNNI:
        return &co_avxvnni;
    case AVX512:
        return &co_avx512;
#elif defined(__aarch64__)
    case DOTPROD:
        return &co_dotprod;
#endif
    default:
        return NULL;
    }
}

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
static int has_dotprod(void) { return (getauxval(AT_HWCAP) >> 20) & 1; /* HWCAP_ASIMDDP */ }
#elif defined(__aarch64__)
static int has_dotprod(void) { return 1; /* all Apple silicon has it */ }
#endif

#if defined(__x86_64__)
#include <cpuid.h>
static int has_avxvnni(void) {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4) & 1;
}
#endif

static int supported(int level) {
    if (level == GENERIC)
        return 1;
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (level == AVX2)
        return avx2;
    if (level == AVXVNNI)
        return avx2 && has_avxvnni();
    if (level == AVX512)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    if (level == DOTPROD)
        return has_dotprod();
#endif
    return 0;
}

EXPORT int co_abi(void) { return CO_ABI; }

/* The name of a level that this processor can run, or NULL. */
EXPORT const char *co_level(int level) {
    return level >= 0 && level < LEVELS && supported(level) ? kernels_of(level)->name : NULL;
}

/* --- memory --- */

/* Zeroed, on a cache line, with room for a vector read at the end; NULL when there is none. */
static void *claim(size_t count, size_t size) {
    void *memory = NULL;
    if (count != 0 && size > (SIZE_MAX / 2) / count)
        return NULL;
    size_t bytes = (count * size + 127) / 64 * 64;
    if (posix_memalign(&memory, 64, bytes) != 0)
        return NULL;
    memset(memory, 0, bytes);
    return memory;
}

static int claim_activations(co_activations *x, int tokens, int columns) {
    size_t blocks = (size_t)tokens * (columns / CO_BLOCK);
    x->high = claim(blocks, CO_BLOCK);
    x->low = claim(blocks, CO_BLOCK);
    x->scales = claim(blocks, sizeof(float));
    x->scaled_sums = claim(blocks, sizeof(float));
    x->sums = claim(blocks, sizeof(int32_t));
    return x->high && x->low && x->scales && x->scaled_sums && x->sums;
}

static void free_activations(co_activations *x) {
    free(x->high);
    free(x->low);
    free(x->scales);
    free(x->scaled_sums);
    free(x->sums);
    free(x->half_sums);
}

/* Weights lie in a few large chunks of 2 MB pages where the system has them: one step reads
 * all of them once, and small pages cost a tenth of its time. */
struct co_chunk {
    struct co_chunk *next;
    uint8_t *memory;
    size_t used, size;
};

enum { HUGE_PAGE = 2 << 20, CHUNK_BYTES = 16 << 20 };

static struct co_chunk *new_chunk(size_t bytes) {
    struct co_chunk *chunk = calloc(1, sizeof *chunk);
    void *memory = NULL;
    size_t size = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
    if (chunk == NULL || posix_memalign(&memory, HUGE_PAGE, size) != 0) {
        free(chunk);
        return NULL;
    }
#if defined(MADV_HUGEPAGE)
    madvise(memory, size, MADV_HUGEPAGE); /* a wish: refused, it is only slower */
#endif
    chunk->memory = memory;
    chunk->size = size;
    return chunk;
}

/* Zeroed room for weights, on a cache line, freed with the engine. */
void *co_claim_weights(co_engine *engine, size_t count, size_t size) {
    if (count > (SIZE_MAX / 4) / size)
        return NULL;
    size_t bytes = (count * size + 63) / 64 * 64;
    struct co_chunk *chunk = engine->chunks;
    if (chunk == NULL || chunk->size - chunk->used < bytes) {
        chunk = new_chunk(bytes > CHUNK_BYTES / 2 ? bytes : CHUNK_BYTES);
        if (chunk == NULL)
            return NULL;
        chunk->next = engine->chunks;
        engine->chunks = chunk;
    }
    uint8_t *place = chunk->memory + chunk->used;
    chunk->used += bytes;
    memset(place, 0, bytes);
    return place;
}

static void free_chunks(struct co_chunk *chunk) {
    while (chunk != NULL) {
        struct co_chunk *next = chunk->next;
        free(chunk->memory);
        free(chunk);
        chunk = next;
    }
}

/* --- an engine --- */

static int within(int32_t value, int32_t least, int32_t most) {
    return value >= least && value <= most;
}

static int sane(const co_shape *shape) {
    return within(shape->layers, 1, 256) && within(shape->width, 32, 1 << 15) &&
           within(shape->hidden, 32, 1 << 17) && within(shape->heads, 1, 512) &&
           within(shape->kv_heads, 1, shape->heads) && within(shape->head_width, 16, 1024) &&
           within(shape->vocabulary, 1, 1000000) && within(shape->context_tokens, 1, 1 << 20) &&
           within(shape->batch_tokens, 1, 1024) && shape->width % 32 == 0 &&
           shape->hidden % 32 == 0 && shape->head_width % 16 == 0 &&
           shape->heads * shape->head_width % 32 == 0 && shape->heads % shape->kv_heads == 0;
}

static int largest_of(int a, int b, int c) { return (a > b ? a : b) > c ? (a > b ? a : b) : c; }

static int claim_scratch(co_engine *engine, int threads) {
    const co_shape *s = &engine->shape;
    int queries = s->heads * s->head_width, pairs = s->kv_heads * s->head_width;
    int columns = largest_of(s->width, s->hidden, queries);
    size_t batch = (size_t)s->batch_tokens, size = sizeof(float);
    engine->states = claim(batch * s->width, size);
    engine->sums = claim(batch * s->width, size);
    engine->normed = claim((size_t)threads * s->width, size);
    engine->query = claim(batch * queries, size);
    engine->mixed = claim(batch * queries, size);
    engine->key = claim(batch * pairs, size);
    engine->value = claim(batch * pairs, size);
    engine->gate = claim(batch * s->hidden, size);
    engine->up = claim(batch * s->hidden, size);
    size_t scores = 4 * (size_t)co_round_up(s->context_tokens, CO_TILE_ROWS);
    engine->scores = claim(threads * scores, size);
    for (int thread = 0; thread < threads; thread++)
        if (!claim_activations(&engine->own[thread], 1, columns))
            return 0;
    return engine->states && engine->sums && engine->normed && engine->query && engine->mixed &&
           engine->key && engine->value && engine->gate && engine->up && engine->scores &&
           claim_activations(&engine->shared, s->batch_tokens, columns);
}

EXPORT void co_close(co_engine *engine) {
    if (engine == NULL)
        return;
    co_pool_close(engine->pool);
    free(engine->layers);
    free_chunks(engine->chunks);
    for (int i = 0; i < CO_THREADS_MAX; i++)
        free_activations(&engine->own[i]);
    free_activations(&engine->shared);
    float *floats[] = {engine->cosines, engine->sines, engine->states, engine->normed,
                       engine->query,   engine->key,   engine->value,  engine->mixed,
                       engine->gate,    engine->up,    engine->sums,   engine->scores};
    for (size_t i = 0; i < sizeof floats / sizeof *floats; i++)
        free(floats[i]);
    free(engine);
}

/* Cosines and sines: (context_tokens, head_width / 2). NULL: a bad shape, or no memory. */
EXPORT co_engine *co_open(const co_shape *shape, int level, int threads, const float *cosines,
                          const float *sines) {
    if (!sane(shape) || co_level(level) == NULL || !within(threads, 1, CO_THREADS_MAX))
        return NULL;
    co_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return NULL;
    engine->shape = *shape;
    engine->kernels = kernels_of(level);
    engine->pool = co_pool_open(threads);
    engine->layers = calloc((size_t)shape->layers, sizeof *engine->layers);
    size_t angles = (size_t)shape->context_tokens * (shape->head_width / 2);
    engine->cosines = claim(angles, sizeof(float));
    engine->sines = claim(angles, sizeof(float));
    if (engine->pool == NULL || engine->layers == NULL || !engine->cosines || !engine->sines ||
        !claim_scratch(engine, threads)) {
        co_close(engine);
        return NULL;
    }
    memcpy(engine->cosines, cosines, angles * sizeof(float));
    memcpy(engine->sines, sines, angles * sizeof(float));
    return engine;
}

/* --- weights --- */

/* The rows and columns that the shape asks of a matrix; layer -1 has embedding and output. */
static int expected(const co_shape *s, int layer, int slot, int *rows, int *columns) {
    int queries = s->heads * s->head_width, pairs = s->kv_heads * s->head_width;
    const int inside[CO_MATRICES][2] = {{queries, s->width}, {pairs, s->width},
                                        {pairs, s->width},   {s->width, queries},
                                        {s->hidden, s->width}, {s->hidden, s->width},
                                        {s->width, s->hidden}};
    if (layer < -1 || layer >= s->layers || slot < 0 || slot >= (layer < 0 ? 2 : CO_MATRICES))
        return 0;
    *rows = layer < 0 ? s->vocabulary : inside[slot][0];
    *columns = layer < 0 ? s->width : inside[slot][1];
    return 1;
}

/* Repack one matrix from GGUF's blocks. Layer -1, slot 0: embedding, slot 1: output. */
EXPORT int co_set_matrix(co_engine *engine, int layer, int slot, int kind, const uint8_t *raw,
                         size_t raw_bytes) {
    int rows, columns;
    if (engine == NULL || raw == NULL || !expected(&engine->shape, layer, slot, &rows, &columns))
        return CO_BAD_ARGUMENT;
    size_t wanted = co_raw_bytes(kind, rows, columns);
    if (wanted == 0 || raw_bytes != wanted)
        return CO_BAD_ARGUMENT;
    co_matrix *outer[2] = {&engine->embedding, &engine->output};
    co_matrix *matrix = layer < 0 ? outer[slot] : &engine->layers[layer].matrices[slot];
    if (matrix->quants != NULL)
        return CO_BAD_ARGUMENT;
    return co_fill_matrix(engine, matrix, kind, rows, columns, raw);
}

/* Repack all of them in one call, which lets the caller's other threads work. Returns how many
 * were taken; `code` says what was wrong with the next. */
EXPORT int co_set_matrices(co_engine *engine, int count, const co_given *given, int *code) {
    int taken = 0;
    *code = CO_OK;
    for (; taken < count && *code == CO_OK; taken += *code == CO_OK) {
        const co_given *one = &given[taken];
        *code = co_set_matrix(engine, one->layer, one->slot, one->kind, one->raw, one->raw_bytes);
    }
    return taken;
}

static int expected_floats(const co_shape *s, int slot) {
    switch (slot) {
    case CO_ATTENTION_NORM:
    case CO_FEED_FORWARD_NORM:
        return s->width;
    case CO_QUERY_BIAS:
        return s->heads * s->head_width;
    case CO_KEY_BIAS:
    case CO_VALUE_BIAS:
        return s->kv_heads * s->head_width;
    default:
        return s->head_width;
    }
}

/* Copy one vector. Layer -1, slot 0: the norm of the output. */
EXPORT int co_set_vector(co_engine *engine, int layer, int slot, const float *from, int count) {
    if (engine == NULL || from == NULL || layer < -1 || layer >= engine->shape.layers)
        return CO_BAD_ARGUMENT;
    if (slot < 0 || slot >= (layer < 0 ? 1 : CO_VECTORS) ||
        count != (layer < 0 ? engine->shape.width : expected_floats(&engine->shape, slot)))
        return CO_BAD_ARGUMENT;
    float **place = layer < 0 ? &engine->output_norm : &engine->layers[layer].vectors[slot];
    if (*place != NULL)
        return CO_BAD_ARGUMENT;
    if ((*place = co_claim_weights(engine, (size_t)count, sizeof(float))) == NULL)
        return CO_NO_MEMORY;
    memcpy(*place, from, (size_t)count * sizeof(float));
    return CO_OK;
}

static int is_complete(const co_engine *engine) {
    const co_shape *s = &engine->shape;
    for (int i = 0; i < s->layers; i++) {
        const co_layer *layer = &engine->layers[i];
        for (int slot = 0; slot < CO_MATRICES; slot++)
            if (layer->matrices[slot].quants == NULL)
                return 0;
        for (int slot = 0; slot < CO_VECTORS; slot++) {
            int wanted = slot <= CO_FEED_FORWARD_NORM || (slot <= CO_VALUE_BIAS && s->biased) ||
                         (slot >= CO_QUERY_NORM && s->head_norms);
            if (wanted != (layer->vectors[slot] != NULL))
                return 0;
        }
    }
    return engine->embedding.quants != NULL && engine->output_norm != NULL;
}

/* Whether a matrix is in tiles with two scales a block. */
static int has_halves(const co_engine *engine) {
    int found = engine->embedding.kind == CO_Q6_K || engine->output.kind == CO_Q6_K;
    for (int i = 0; i < engine->shape.layers; i++)
        for (int slot = 0; slot < CO_MATRICES; slot++)
            found |= engine->layers[i].matrices[slot].kind == CO_Q6_K;
    return found;
}

static int claim_half_sums(co_engine *engine) {
    const co_shape *s = &engine->shape;
    size_t blocks = largest_of(s->width, s->hidden, s->heads * s->head_width) / CO_BLOCK;
    int threads = co_pool_threads(engine->pool), claimed = 1;
    for (int i = 0; i <= threads; i++) {
        co_activations *x = i < threads ? &engine->own[i] : &engine->shared;
        x->half_sums = claim((i < threads ? 1 : s->batch_tokens) * 2 * blocks, sizeof(int32_t));
        claimed &= x->half_sums != NULL;
    }
    return claimed;
}

/* Call when all weights are set, once; an output that was not set is the embedding. */
EXPORT int co_finish(co_engine *engine) {
    if (engine == NULL || !is_complete(engine) || engine->shared.half_sums != NULL)
        return CO_BAD_ARGUMENT;
    if (has_halves(engine) && !claim_half_sums(engine))
        return CO_NO_MEMORY;
    if (engine->output.quants == NULL)
        engine->output = engine->embedding;
    return CO_OK;
}

/* --- texts in progress --- */

EXPORT void co_sequence_close(co_sequence *sequence) {
    if (sequence == NULL)
        return;
    free(sequence->keys);
    free(sequence->values);
    free(sequence);
}

/* An empty text with room for `capacity` tokens; the pages are taken as they are used. */
EXPORT co_sequence *co_sequence_open(co_engine *engine, int capacity) {
    if (engine == NULL || !within(capacity, 1, engine->shape.context_tokens))
        return NULL;
    co_sequence *sequence = calloc(1, sizeof *sequence);
    if (sequence == NULL)
        return NULL;
    const co_shape *s = &engine->shape;
    *sequence = (co_sequence){.engine = engine, .capacity = co_round_up(capacity, CO_TILE_ROWS)};
    size_t floats = (size_t)s->layers * s->kv_heads * sequence->capacity * s->head_width;
    sequence->keys = calloc(floats, sizeof(float));
    sequence->values = calloc(floats, sizeof(float));
    if (sequence->keys == NULL || sequence->values == NULL) {
        co_sequence_close(sequence);
        return NULL;
    }
    return sequence;
}

/* Make `to`, which is empty, begin as the first `length` tokens of `from`. */
EXPORT int co_sequence_copy(co_sequence *to, const co_sequence *from, int length) {
    if (to == NULL || from == NULL || to->engine != from->engine || to->length != 0 ||
        !within(length, 0, from->length) || length > to->capacity)
        return CO_BAD_ARGUMENT;
    const co_shape *s = &to->engine->shape;
    size_t head = s->head_width, used = (size_t)co_round_up(length, CO_TILE_ROWS) * head;
    for (size_t i = 0; i < (size_t)s->layers * s->kv_heads; i++) {
        memcpy(to->keys + i * to->capacity * head, from->keys + i * from->capacity * head,
               used * sizeof(float));
        memcpy(to->values + i * to->capacity * head, from->values + i * from->capacity * head,
               used * sizeof(float));
    }
    to->length = length;
    return CO_OK;
}

EXPORT int co_sequence_length(const co_sequence *sequence) { return sequence->length; }

/* --- a step --- */

static int fits(const co_engine *engine, int tokens, const int32_t *ids,
                co_sequence *const *sequences, int32_t *positions) {
    for (int t = 0; t < tokens; t++) {
        co_sequence *sequence = sequences[t];
        if (sequence == NULL || sequence->engine != engine ||
            !within(ids[t], 0, engine->shape.vocabulary - 1))
            return 0;
        positions[t] = t > 0 && sequences[t - 1] == sequence ? positions[t - 1] + 1
                                                             : sequence->length;
        if (positions[t] >= sequence->capacity ||
            positions[t] >= engine->shape.context_tokens)
            return 0;
        int begins = t > 0 && sequences[t - 1] != sequence;
        for (int earlier = 0; begins && earlier < t; earlier++)
            if (sequences[earlier] == sequence)
                return 0; /* a sequence's tokens lie together */
    }
    return 1;
}

/* Take in `tokens` tokens; those of one sequence lie together. `logits` has room for
 * `wanted` rows of the vocabulary rounded up to 16: what follows the tokens `wanted_tokens`.
 * On an error nothing has changed. */
EXPORT int co_forward(co_engine *engine, int tokens, const int32_t *ids,
                      co_sequence *const *sequences, int wanted, const int32_t *wanted_tokens,
                      float *logits) {
    int32_t positions[1024];
    if (engine == NULL || engine->output.quants == NULL || ids == NULL || sequences == NULL ||
        !within(tokens, 1, engine->shape.batch_tokens) || !within(wanted, 0, tokens) ||
        (wanted > 0 && (wanted_tokens == NULL || logits == NULL)) ||
        !fits(engine, tokens, ids, sequences, positions))
        return CO_BAD_ARGUMENT;
    for (int i = 0; i < wanted; i++)
        if (!within(wanted_tokens[i], 0, tokens - 1))
            return CO_BAD_ARGUMENT;
    co_pass pass = {engine, tokens, wanted, ids, sequences, positions, wanted_tokens, logits};
    void (*forward)(void *, int, int) = engine->kernels->forward;
    (tokens == 1 ? co_pool_run_short : co_pool_run)(engine->pool, forward, &pass);
    for (int t = 0; t < tokens; t++)
        sequences[t]->length = positions[t] + 1;
    return CO_OK;
}
