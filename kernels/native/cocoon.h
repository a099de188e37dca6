/* What the files of the native kernel share: shapes, layouts and the thread pool.
 *
 * One library holds the same code for several instruction sets ("levels"); the best
 * one that this processor has is chosen at run time. All levels compute the same bits:
 * integers are summed exactly, and every sum of floats has one fixed order, whatever
 * the batch, the number of threads or the level.
 */
#ifndef COCOON_H
#define COCOON_H

#include <stdint.h>
#include <stddef.h>

#define CO_ABI 2
#define CO_TILE_ROWS 16 /* rows of a matrix that one vector register computes together */
#define CO_BLOCK 32     /* columns that share a scale */
#define CO_SUPER 8      /* blocks of the K kinds that share a factor of their scales */
#define CO_THREADS_MAX 64

/* Results of calls; 0 and above are good. */
enum { CO_OK = 0, CO_BAD_ARGUMENT = -1, CO_NO_MEMORY = -2, CO_BAD_WEIGHTS = -3 };

/* How a matrix is stored; the numbers are GGUF's. */
enum {
    CO_Q4_0 = 2, CO_Q4_1 = 3, CO_Q5_0 = 6, CO_Q5_1 = 7, CO_Q8_0 = 8,
    CO_Q4_K = 12, CO_Q5_K = 13, CO_Q6_K = 14
};

static inline int co_has_nibbles(int kind) {
    return kind == CO_Q4_0 || kind == CO_Q4_1 || kind == CO_Q4_K;
}

/* What is stored of a quant is more by this than what the scale multiplies. */
static inline int co_offset(int kind) {
    return kind == CO_Q4_0 ? 8 : co_has_nibbles(kind) ? 0 : 128;
}

static inline int co_has_minimums(int kind) {
    return kind == CO_Q4_1 || kind == CO_Q5_1 || kind == CO_Q4_K || kind == CO_Q5_K;
}

static inline int co_is_super(int kind) { return kind >= CO_Q4_K; }

/* A matrix in tiles of 16 rows. Inside a tile, for each block of 32 columns: the quants,
 * 256 or 512 bytes, in which each group of 4 columns of the 16 rows makes 64 bytes (as nibbles,
 * two groups share them, low and high); scales and minimums lie apart.
 *
 * The K kinds have one factor of scales and one of minimums for eight blocks, and for each block
 * 32 bytes in `fine`: 16 scales and 16 minimums, or for Q6_K the scales of columns 0 to 15 of the
 * 16 rows and those of columns 16 to 31. */
typedef struct {
    int32_t kind, rows, columns;
    uint8_t *quants;
    uint16_t *scales, *minimums; /* fp16 */
    uint8_t *fine;               /* K kinds only */
} co_matrix;

/* Rows of numbers rounded to 15 bits, with a scale for each block of 32: a quant is
 * 128 * high + low. Two bytes cost a second pass of int8 products, which hides behind the
 * reading of the weights, and make the result as good as with fp32 numbers. */
typedef struct {
    int8_t *high, *low; /* (tokens, columns) */
    float *scales;     /* (tokens, blocks) */
    float *scaled_sums; /* (tokens, blocks): scale times the sum of the quants */
    int32_t *sums;      /* (tokens, blocks) */
    int32_t *half_sums; /* (tokens, blocks, 2), for Q6_K: of columns 0 to 15, and 16 to 31 */
} co_activations;

typedef struct {
    int32_t layers, width, hidden, heads, kv_heads, head_width, vocabulary;
    int32_t context_tokens, batch_tokens;
    int32_t rope_halves; /* 1: a pair that turns together is (i, i + W/2), not (2i, 2i + 1) */
    int32_t gelu_gate;   /* 1: the gate is GELU (tanh form), not SiLU */
    int32_t biased;      /* 1: queries, keys and values have biases */
    int32_t head_norms;  /* 1: each query and key head is normalised */
    float epsilon, embedding_scale;
} co_shape;

enum { CO_QUERY, CO_KEY, CO_VALUE, CO_ATTENTION_OUT, CO_GATE, CO_UP, CO_DOWN, CO_MATRICES };
enum {
    CO_ATTENTION_NORM, CO_FEED_FORWARD_NORM, CO_QUERY_BIAS, CO_KEY_BIAS, CO_VALUE_BIAS,
    CO_QUERY_NORM, CO_KEY_NORM, CO_VECTORS
};

typedef struct {
    co_matrix matrices[CO_MATRICES];
    float *vectors[CO_VECTORS];
} co_layer;

/* A matrix as the file has it: rows of GGUF's blocks. */
typedef struct {
    const uint8_t *raw;
    size_t raw_bytes;
    int32_t layer, slot, kind;
} co_given;

struct co_pool;
struct co_kernels;
struct co_chunk;

typedef struct {
    co_shape shape;
    co_layer *layers;
    co_matrix embedding, output; /* output.quants is embedding's where they are tied */
    float *output_norm;
    float *cosines, *sines; /* (context_tokens, head_width / 2) */
    float *states, *normed, *query, *key, *value, *mixed, *gate, *up, *sums, *scores;
    co_activations shared, own[CO_THREADS_MAX];
    struct co_pool *pool;
    const struct co_kernels *kernels;
    struct co_chunk *chunks; /* what the weights lie in */
} co_engine;

/* One text in progress. Keys lie in tiles of 16 positions: (layers, K, capacity/16, W, 16);
 * values as (layers, K, capacity, W). */
typedef struct {
    co_engine *engine;
    int32_t capacity, length;
    float *keys, *values;
} co_sequence;

/* One call: tokens of any sequences, those of the same one in order. */
typedef struct {
    co_engine *engine;
    int32_t tokens, wanted;
    const int32_t *ids;
    co_sequence *const *sequences;
    int32_t *positions;
    const int32_t *wanted_tokens; /* the tokens after which logits are wanted */
    float *logits;                /* (wanted, vocabulary rounded up to 16) */
} co_pass;

/* What a level offers. */
typedef struct co_kernels {
    const char *name;
    void (*forward)(void *pass, int thread, int threads);
} co_kernels;

extern const co_kernels co_generic;
#if defined(__x86_64__)
extern const co_kernels co_avx2, co_avxvnni, co_avx512;
#elif defined(__aarch64__)
extern const co_kernels co_dotprod;
#endif

/* Zeroed room for weights, on a cache line, freed with the engine. */
void *co_claim_weights(co_engine *engine, size_t count, size_t size);
/* Bytes of a matrix in the file; 0: a kind that is not known here, or an impossible width. */
size_t co_raw_bytes(int kind, int rows, int columns);
/* Repack so many bytes. Leaves what it claimed to the engine if they are no finite numbers. */
int co_fill_matrix(co_engine *engine, co_matrix *matrix, int kind, int rows, int columns,
                   const uint8_t *raw);

struct co_pool *co_pool_open(int threads);
void co_pool_close(struct co_pool *pool);
int co_pool_threads(const struct co_pool *pool);
/* Run work(argument, thread, threads) on all threads and return when all have ended. */
void co_pool_run(struct co_pool *pool, void (*work)(void *, int, int), void *argument);
/* The same for a call of a few milliseconds, on as many threads as have proved to be best. */
void co_pool_run_short(struct co_pool *pool, void (*work)(void *, int, int), void *argument);
/* Inside such work: wait until all threads are here. */
void co_pool_meet(struct co_pool *pool);

static inline int32_t co_round_up(int32_t count, int32_t to) { return (count + to - 1) / to * to; }

#endif
