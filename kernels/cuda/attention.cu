// Attention of new tokens over a key-value cache, with grouped queries (GQA).
//
//   outputs[t, h] = sum_p softmax_p(q[t, h] . keys[g, p] / sqrt(head_dim)) values[g, p],
//   p = 0 .. position of t,   g = h / (heads / kv_heads)
//
// Shapes: qkv (tokens, (heads + 2 kv_heads) * head_dim), queries first; keys, values
//   (slots, kv_heads, context, head_dim); places (tokens, 2), a row is slot | position; outputs
//   (tokens, heads * head_dim). A token whose place is outside the cache is passed over: so a launch
//   can serve one text of a batch.
//   All but naive: head_dim a multiple of 32, at most 256.
//   attention_split and _merge: partials (tokens, heads, chunks, head_dim + 2), an entry is the
//   weighted values | largest score | sum of weights; a position from 256 chunks on is passed over.
//   attention_full: no mask, for an encoder and for cross-attention. queries (tokens, stride), of
//   which the first heads * head_dim of a row are used; keys, values (heads, positions, head_dim).
// Sources: Vaswani et al., 2017; online softmax: Milakov and Gimelshein, 2018; GQA: Ainslie et
//   al., 2023; split: Dao et al., "Flash-Decoding", 2023.
//
// Versions
//   attention_naive  one thread a head and token, three passes over the positions.
//   attention        one block a head and token. Positions go by chunks of 256. In a chunk each of
//                    four warps takes every fourth position and keeps a running maximum, sum and
//                    weighted values, so that a position is read once and no scores are stored;
//                    the four are merged, and the chunk is folded into the ones before.
//   attention_group  one block for up to four queries that share a key-value head: a key and a
//                    value are read once for all of them. For prefill, and decode of GQA models.
//   attention_split  as group, one block a chunk, so that one long text fills a card; it leaves
//                    partial results, and attention_merge folds them in the same order.
//   attention_full   as attention, without the mask.
// Which warp and chunk get a position depends on the position alone, and the chunks are always
// folded in order: prefill, decode, every batch and all versions but naive give the same bits
// (exact, see common.cuh).
//
// Ideas for the next version: an f16 cache; tensor cores for prefill.

#include "common.cuh"

constexpr int ATTENTION_WARPS = 4;
constexpr int ATTENTION_THREADS = ATTENTION_WARPS * WARP;
constexpr int HEAD_DIM_MAX = 256;
constexpr int PER_LANE_MAX = HEAD_DIM_MAX / WARP;
constexpr int PER_THREAD_MAX = HEAD_DIM_MAX / ATTENTION_THREADS;
constexpr int CHUNK = 256;
constexpr int GROUP = 4;  // queries of a block

// Positions that token may look at: none if its place is not in the cache.
__device__ __forceinline__ int visible(const int* places, int token, int context, int slots) {
    const int slot = places[2 * token], position = places[2 * token + 1];
    const bool fits = slot >= 0 && slot < slots && position >= 0 && position < context;
    return fits ? position + 1 : 0;
}

extern "C" __global__ void attention_naive(
        const float* __restrict__ qkv, const float* __restrict__ keys,
        const float* __restrict__ values, const int* __restrict__ places,
        float* __restrict__ outputs, int tokens, int heads, int kv_heads, int head_dim,
        int context, int slots) {
    const int head = blockIdx.x * blockDim.x + threadIdx.x, token = blockIdx.y;
    const int count = visible(places, token, context, slots);
    if (head >= heads || count == 0) return;
    const float* query = qkv + ((size_t)token * (heads + 2 * kv_heads) + head) * head_dim;
    const int kv_head = places[2 * token] * kv_heads + head / (heads / kv_heads);
    const size_t group = (size_t)kv_head * context * head_dim;
    float* output = outputs + ((size_t)token * heads + head) * head_dim;
    const float scale = 1.0f / sqrtf((float)head_dim);
    float largest = FLOAT_LOWEST;
    for (int p = 0; p < count; ++p) {
        float score = 0.0f;
        for (int i = 0; i < head_dim; ++i) score += query[i] * keys[group + (size_t)p * head_dim + i];
        largest = fmaxf(largest, score * scale);
    }
    for (int i = 0; i < head_dim; ++i) output[i] = 0.0f;
    float total = 0.0f;
    for (int p = 0; p < count; ++p) {
        float score = 0.0f;
        for (int i = 0; i < head_dim; ++i) score += query[i] * keys[group + (size_t)p * head_dim + i];
        const float weight = expf(score * scale - largest);
        total += weight;
        for (int i = 0; i < head_dim; ++i) output[i] += weight * values[group + (size_t)p * head_dim + i];
    }
    for (int i = 0; i < head_dim; ++i) output[i] /= total;
}

// What a block shares: its queries, scaled, and what each warp found in the chunk.
template <int QUERIES>
struct Shared {
    float queries[QUERIES][HEAD_DIM_MAX];
    float largest[QUERIES][ATTENTION_WARPS];
    float total[QUERIES][ATTENTION_WARPS];
    float values[QUERIES][ATTENTION_WARPS][HEAD_DIM_MAX];
};

// Weighted values of some positions, as far as one thread keeps them (every 128th), the largest
// score, and the sum of the weights relative to it.
struct Mix {
    float largest = FLOAT_LOWEST, total = 0.0f;
    float values[PER_THREAD_MAX] = {};

    __device__ __forceinline__ void fold(const Mix& other) {
        const float above = fmaxf(largest, other.largest);
        const float fade = exact_exp(__fsub_rn(largest, above));
        const float gain = exact_exp(__fsub_rn(other.largest, above));
        largest = above;
        total = __fadd_rn(__fmul_rn(total, fade), __fmul_rn(other.total, gain));
#pragma unroll
        for (int i = 0; i < PER_THREAD_MAX; ++i)
            values[i] = __fadd_rn(__fmul_rn(values[i], fade), __fmul_rn(other.values[i], gain));
    }
};

template <int QUERIES>
__device__ __forceinline__ void load_queries(
        Shared<QUERIES>& shared, const float* queries, int used, int head_dim) {
    const float scale = __fdiv_rn(1.0f, __fsqrt_rn((float)head_dim));
    for (int i = threadIdx.x; i < used * head_dim; i += ATTENTION_THREADS)
        shared.queries[i / head_dim][i % head_dim] = __fmul_rn(queries[i], scale);
    __syncthreads();
}

// Each warp mixes its positions from first to last and leaves the result in shared memory.
template <int QUERIES>
__device__ __forceinline__ void mix_positions(
        Shared<QUERIES>& shared, const float* keys, const float* values, int used, int head_dim,
        int first, int last) {
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP, per_lane = head_dim / WARP;
    float largest[QUERIES], total[QUERIES], sums[QUERIES][PER_LANE_MAX];
#pragma unroll
    for (int q = 0; q < QUERIES; ++q) {
        largest[q] = FLOAT_LOWEST;
        total[q] = 0.0f;
#pragma unroll
        for (int i = 0; i < PER_LANE_MAX; ++i) sums[q][i] = 0.0f;
    }
    for (int p = first + warp; p < last; p += ATTENTION_WARPS) {
        const size_t row = (size_t)p * head_dim + lane;
        float key[PER_LANE_MAX], value[PER_LANE_MAX];
#pragma unroll
        for (int i = 0; i < PER_LANE_MAX; ++i) {
            key[i] = i < per_lane ? keys[row + i * WARP] : 0.0f;
            value[i] = i < per_lane ? values[row + i * WARP] : 0.0f;
        }
#pragma unroll
        for (int q = 0; q < QUERIES; ++q) {
            if (q >= used) break;
            float part = 0.0f;
#pragma unroll
            for (int i = 0; i < PER_LANE_MAX; ++i)
                if (i < per_lane)
                    part = multiply_add(shared.queries[q][i * WARP + lane], key[i], part);
            const float score = warp_sum(part);
            const float above = fmaxf(largest[q], score);
            const float fade = exact_exp(__fsub_rn(largest[q], above));
            const float weight = exact_exp(__fsub_rn(score, above));
            largest[q] = above;
            total[q] = multiply_add(total[q], fade, weight);
#pragma unroll
            for (int i = 0; i < PER_LANE_MAX; ++i)
                sums[q][i] = __fadd_rn(__fmul_rn(sums[q][i], fade), __fmul_rn(weight, value[i]));
        }
    }
#pragma unroll
    for (int q = 0; q < QUERIES; ++q) {
        if (q >= used) break;
        if (lane == 0) {
            shared.largest[q][warp] = largest[q];
            shared.total[q][warp] = total[q];
        }
#pragma unroll
        for (int i = 0; i < PER_LANE_MAX; ++i)
            if (i < per_lane) shared.values[q][warp][i * WARP + lane] = sums[q][i];
    }
}

// The four warps' results for one query, merged.
template <int QUERIES>
__device__ __forceinline__ Mix merge_warps(const Shared<QUERIES>& shared, int q, int head_dim) {
    Mix mix;
#pragma unroll
    for (int w = 0; w < ATTENTION_WARPS; ++w) mix.largest = fmaxf(mix.largest, shared.largest[q][w]);
#pragma unroll
    for (int w = 0; w < ATTENTION_WARPS; ++w) {
        const float fade = exact_exp(__fsub_rn(shared.largest[q][w], mix.largest));
        mix.total = multiply_add(shared.total[q][w], fade, mix.total);
#pragma unroll
        for (int i = 0; i < PER_THREAD_MAX; ++i) {
            const int at = i * ATTENTION_THREADS + threadIdx.x;
            if (at < head_dim)
                mix.values[i] = multiply_add(shared.values[q][w][at], fade, mix.values[i]);
        }
    }
    return mix;
}

__device__ __forceinline__ void store_mix(float* output, const Mix& mix, int head_dim) {
#pragma unroll
    for (int i = 0; i < PER_THREAD_MAX; ++i) {
        const int at = i * ATTENTION_THREADS + threadIdx.x;
        if (at < head_dim) output[at] = __fdiv_rn(mix.values[i], mix.total);
    }
}

// Up to QUERIES neighbouring heads of one token over all its positions.
template <int QUERIES>
__device__ __forceinline__ void attend(
        const float* queries, const float* keys, const float* values, float* outputs, int used,
        int head_dim, int count) {
    __shared__ Shared<QUERIES> shared;
    Mix mixes[QUERIES];
    if (count == 0) return;  // the whole block
    load_queries(shared, queries, used, head_dim);
    for (int first = 0; first < count; first += CHUNK) {
        mix_positions(shared, keys, values, used, head_dim, first, min(count, first + CHUNK));
        __syncthreads();
#pragma unroll
        for (int q = 0; q < QUERIES; ++q)
            if (q < used) mixes[q].fold(merge_warps(shared, q, head_dim));
        __syncthreads();
    }
#pragma unroll
    for (int q = 0; q < QUERIES; ++q)
        if (q < used) store_mix(outputs + q * head_dim, mixes[q], head_dim);
}

extern "C" __global__ void __launch_bounds__(128) attention(
        const float* __restrict__ qkv, const float* __restrict__ keys,
        const float* __restrict__ values, const int* __restrict__ places,
        float* __restrict__ outputs, int tokens, int heads, int kv_heads, int head_dim,
        int context, int slots) {
    const int head = blockIdx.x, token = blockIdx.y;
    const int kv_head = places[2 * token] * kv_heads + head / (heads / kv_heads);
    const size_t cache = (size_t)kv_head * context * head_dim;
    attend<1>(qkv + ((size_t)token * (heads + 2 * kv_heads) + head) * head_dim, keys + cache,
              values + cache, outputs + ((size_t)token * heads + head) * head_dim, 1, head_dim,
              visible(places, token, context, slots));
}

// The heads of block x: GROUP at a time of one key-value head.
struct Heads {
    int first, used, kv_head;

    __device__ __forceinline__ Heads(int heads, int kv_heads) {
        const int group = heads / kv_heads, tiles = (group + GROUP - 1) / GROUP;
        const int member = blockIdx.x % tiles * GROUP;
        kv_head = blockIdx.x / tiles;
        first = kv_head * group + member;
        used = min(GROUP, group - member);
    }
};

extern "C" __global__ void __launch_bounds__(128, 4) attention_group(
        const float* __restrict__ qkv, const float* __restrict__ keys,
        const float* __restrict__ values, const int* __restrict__ places,
        float* __restrict__ outputs, int tokens, int heads, int kv_heads, int head_dim,
        int context, int slots) {
    const int token = blockIdx.y;
    const Heads mine(heads, kv_heads);
    const int kv_head = places[2 * token] * kv_heads + mine.kv_head;
    const size_t cache = (size_t)kv_head * context * head_dim;
    attend<GROUP>(qkv + ((size_t)token * (heads + 2 * kv_heads) + mine.first) * head_dim,
                  keys + cache, values + cache,
                  outputs + ((size_t)token * heads + mine.first) * head_dim, mine.used, head_dim,
                  visible(places, token, context, slots));
}

extern "C" __global__ void __launch_bounds__(128) attention_split(
        const float* __restrict__ qkv, const float* __restrict__ keys,
        const float* __restrict__ values, const int* __restrict__ places,
        float* __restrict__ partials, int tokens, int heads, int kv_heads, int head_dim,
        int context, int slots, int chunks) {
    __shared__ Shared<GROUP> shared;
    const int token = blockIdx.y, chunk = blockIdx.z;
    const Heads mine(heads, kv_heads);
    const int kv_head = places[2 * token] * kv_heads + mine.kv_head;
    const size_t cache = (size_t)kv_head * context * head_dim;
    const int count = visible(places, token, context, slots);
    if (chunk * CHUNK >= count) return;  // the whole block
    load_queries(shared, qkv + ((size_t)token * (heads + 2 * kv_heads) + mine.first) * head_dim,
                 mine.used, head_dim);
    mix_positions(shared, keys + cache, values + cache, mine.used, head_dim, chunk * CHUNK,
                  min(count, (chunk + 1) * CHUNK));
    __syncthreads();
    for (int q = 0; q < mine.used; ++q) {
        const Mix mix = merge_warps(shared, q, head_dim);
        const size_t head = (size_t)token * heads + mine.first + q;
        float* partial = partials + (head * chunks + chunk) * (head_dim + 2);
#pragma unroll
        for (int i = 0; i < PER_THREAD_MAX; ++i) {
            const int at = i * ATTENTION_THREADS + threadIdx.x;
            if (at < head_dim) partial[at] = mix.values[i];
        }
        if (threadIdx.x == 0) {
            partial[head_dim] = mix.largest;
            partial[head_dim + 1] = mix.total;
        }
    }
}

extern "C" __global__ void __launch_bounds__(128) attention_merge(
        const float* __restrict__ partials, const int* __restrict__ places,
        float* __restrict__ outputs, int tokens, int heads, int head_dim, int context, int slots,
        int chunks) {
    const int token = blockIdx.y, count = visible(places, token, context, slots);
    const size_t head = (size_t)token * heads + blockIdx.x;
    if (count == 0 || count > chunks * CHUNK) return;  // the whole block
    Mix all;
    for (int chunk = 0; chunk * CHUNK < count; ++chunk) {
        const float* partial = partials + (head * chunks + chunk) * (head_dim + 2);
        Mix mix;
        mix.largest = partial[head_dim];
        mix.total = partial[head_dim + 1];
#pragma unroll
        for (int i = 0; i < PER_THREAD_MAX; ++i) {
            const int at = i * ATTENTION_THREADS + threadIdx.x;
            if (at < head_dim) mix.values[i] = partial[at];
        }
        all.fold(mix);
    }
    store_mix(outputs + head * head_dim, all, head_dim);
}

extern "C" __global__ void __launch_bounds__(128) attention_full(
        const float* __restrict__ queries, const float* __restrict__ keys,
        const float* __restrict__ values, float* __restrict__ outputs, int tokens, int heads,
        int head_dim, int positions, int stride) {
    const int head = blockIdx.x, token = blockIdx.y;
    const size_t cache = (size_t)head * positions * head_dim;
    attend<1>(queries + (size_t)token * stride + head * head_dim, keys + cache, values + cache,
              outputs + ((size_t)token * heads + head) * head_dim, 1, head_dim, positions);
}
