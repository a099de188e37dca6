// Rotary position embedding of queries and keys, and the write into the key-value cache.
//
//   (x[2i], x[2i+1]) -> (x[2i] cos - x[2i+1] sin,  x[2i] sin + x[2i+1] cos),
//   angle = position * base^(-2i / head_dim)
//
// Shapes: qkv (tokens, (heads + 2 kv_heads) * head_dim), a row is queries | keys | values;
//   cosines, sines (context, head_dim / 2); keys, values (kv_heads, context, head_dim).
// The queries are rotated where they lie; keys (rotated) and values go to the cache at
// first_position + t. The tables come from the host: sin and cos of large angles lose digits in
// float, and a table is the same on every device.
// Source: Su et al., "RoFormer", 2021; neighbouring pairs, as GGUF stores the Llama family.
//
// Version: one thread a pair, one launch for queries, keys and values.

#include "common.cuh"

extern "C" __global__ void __launch_bounds__(128) rope_cache(
        float* __restrict__ qkv, const float* __restrict__ cosines,
        const float* __restrict__ sines, float* __restrict__ keys, float* __restrict__ values,
        int tokens, int heads, int kv_heads, int head_dim, int context, int first_position) {
    const int half = head_dim / 2;
    const int pair = blockIdx.x * blockDim.x + threadIdx.x;
    if (pair >= (heads + 2 * kv_heads) * half) return;
    const int token = blockIdx.y, position = first_position + token;
    const int head = pair / half, i = pair % half;
    float* source = qkv + ((size_t)token * (heads + 2 * kv_heads) + head) * head_dim + 2 * i;
    const float even = source[0], odd = source[1];
    if (head >= heads + kv_heads) {
        float* target = values
            + ((size_t)(head - heads - kv_heads) * context + position) * head_dim + 2 * i;
        target[0] = even;
        target[1] = odd;
        return;
    }
    const float cosine = cosines[(size_t)position * half + i];
    const float sine = sines[(size_t)position * half + i];
    float* target = head < heads
        ? source
        : keys + ((size_t)(head - heads) * context + position) * head_dim + 2 * i;
    target[0] = even * cosine - odd * sine;
    target[1] = even * sine + odd * cosine;
}
