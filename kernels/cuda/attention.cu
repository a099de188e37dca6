// Causal attention of new tokens over the key-value cache, with grouped queries (GQA).
//
//   outputs[t, h] = sum_p softmax_p(q[t, h] . keys[g, p] / sqrt(head_dim)) values[g, p],
//   p = 0 .. first_position + t,   g = h / (heads / kv_heads)
//
// Shapes: qkv (tokens, (heads + 2 kv_heads) * head_dim), queries first; keys, values
//   (kv_heads, context, head_dim); outputs (tokens, heads * head_dim).
//   attention: head_dim a multiple of 32, at most 256.
// Sources: Vaswani et al., 2017; online softmax: Milakov and Gimelshein, 2018; GQA: Ainslie et
//   al., 2023.
//
// Versions
//   attention_naive  one thread a head and token, three passes over the positions.
//   attention        one block a head and token. Each of four warps takes every fourth position
//                    and keeps a running maximum, sum and weighted values, so that a position is
//                    read once and no scores are stored; the four are merged at the end. Which
//                    warp gets a position depends on the position alone: prefill and decode of
//                    the same token give the same bits.
//
// Ideas for the next version: one block a key-value head, so that the queries of a group share
// the loads; a split over positions with a second merge for contexts over about 1000; an f16
// cache.

#include "common.cuh"

constexpr int ATTENTION_WARPS = 4;
constexpr int HEAD_DIM_MAX = 256;
constexpr int PER_LANE_MAX = HEAD_DIM_MAX / WARP;

extern "C" __global__ void attention_naive(
        const float* __restrict__ qkv, const float* __restrict__ keys,
        const float* __restrict__ values, float* __restrict__ outputs, int tokens, int heads,
        int kv_heads, int head_dim, int context, int first_position) {
    const int head = blockIdx.x * blockDim.x + threadIdx.x, token = blockIdx.y;
    if (head >= heads) return;
    const float* query = qkv + ((size_t)token * (heads + 2 * kv_heads) + head) * head_dim;
    const size_t group = (size_t)(head / (heads / kv_heads)) * context * head_dim;
    float* output = outputs + ((size_t)token * heads + head) * head_dim;
    const float scale = 1.0f / sqrtf((float)head_dim);
    const int count = first_position + token + 1;
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

extern "C" __global__ void __launch_bounds__(128) attention(
        const float* __restrict__ qkv, const float* __restrict__ keys,
        const float* __restrict__ values, float* __restrict__ outputs, int tokens, int heads,
        int kv_heads, int head_dim, int context, int first_position) {
    __shared__ float warp_largest[ATTENTION_WARPS], warp_total[ATTENTION_WARPS];
    __shared__ float warp_values[ATTENTION_WARPS][HEAD_DIM_MAX];
    const int head = blockIdx.x, token = blockIdx.y;
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const int per_lane = head_dim / WARP, count = first_position + token + 1;
    const float* query = qkv + ((size_t)token * (heads + 2 * kv_heads) + head) * head_dim;
    const size_t group = (size_t)(head / (heads / kv_heads)) * context * head_dim;
    const float scale = 1.0f / sqrtf((float)head_dim);

    float q[PER_LANE_MAX], sums[PER_LANE_MAX];
#pragma unroll
    for (int i = 0; i < PER_LANE_MAX; ++i) {
        q[i] = i < per_lane ? query[i * WARP + lane] * scale : 0.0f;
        sums[i] = 0.0f;
    }
    float largest = FLOAT_LOWEST, total = 0.0f;
    for (int p = warp; p < count; p += ATTENTION_WARPS) {
        const size_t row = group + (size_t)p * head_dim + lane;
        float part = 0.0f;
#pragma unroll
        for (int i = 0; i < PER_LANE_MAX; ++i)
            if (i < per_lane) part = __fmaf_rn(q[i], keys[row + i * WARP], part);
        const float score = warp_sum(part);
        const float above = fmaxf(largest, score);
        const float fade = expf(largest - above), weight = expf(score - above);
        largest = above;
        total = __fmaf_rn(total, fade, weight);
#pragma unroll
        for (int i = 0; i < PER_LANE_MAX; ++i)
            if (i < per_lane) sums[i] = __fmaf_rn(weight, values[row + i * WARP], sums[i] * fade);
    }

    if (lane == 0) {
        warp_largest[warp] = largest;
        warp_total[warp] = total;
    }
#pragma unroll
    for (int i = 0; i < PER_LANE_MAX; ++i)
        if (i < per_lane) warp_values[warp][i * WARP + lane] = sums[i];
    __syncthreads();

    largest = FLOAT_LOWEST;  // position 0 belongs to warp 0, so at least one warp saw a score
    for (int w = 0; w < ATTENTION_WARPS; ++w) largest = fmaxf(largest, warp_largest[w]);
    for (int i = threadIdx.x; i < head_dim; i += blockDim.x) {
        float sum = 0.0f, weights = 0.0f;
        for (int w = 0; w < ATTENTION_WARPS; ++w) {
            const float fade = expf(warp_largest[w] - largest);
            weights = __fmaf_rn(warp_total[w], fade, weights);
            sum = __fmaf_rn(warp_values[w][i], fade, sum);
        }
        outputs[((size_t)token * heads + head) * head_dim + i] = sum / weights;
    }
}
