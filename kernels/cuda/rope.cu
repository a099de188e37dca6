// Rotary position embedding of queries and keys, and the write into the key-value cache.
//
//   (x[2i], x[2i+1]) -> (x[2i] cos - x[2i+1] sin,  x[2i] sin + x[2i+1] cos),
//   angle = position * base^(-2i / head_dim)
//
// Shapes: qkv (tokens, (heads + 2 kv_heads) * head_dim), a row is queries | keys | values;
//   cosines, sines (context, head_dim / 2); places (tokens, 2), a row is slot | position;
//   keys, values (slots, kv_heads, context, head_dim).
// The queries are rotated where they lie; keys (rotated) and values go to the cache at the token's
// place. A slot is one text, so a launch takes in many tokens of one text or one token of many. A
// place outside the cache is passed over. The tables come from the host: sin and cos of large
// angles lose digits in float, and a table is the same on every device.
// Source: Su et al., "RoFormer", 2021; neighbouring pairs, as GGUF stores the Llama family.
//
// Versions, exact (common.cuh): one thread a pair, one launch for queries, keys and values
//   rope_cache    as above.
//   write_cache   the write alone, for models without rotation (Whisper).

#include "common.cuh"

struct Pair {
    int head, i;         // of the row, and the pair's first value in the head
    size_t source;       // index in qkv
    size_t target;       // index in keys or values; of no meaning for a query
    int position;        // -1: the place is not in the cache
};

__device__ __forceinline__ Pair find_pair(
        const int* places, int heads, int kv_heads, int head_dim, int context, int slots) {
    const int half = head_dim / 2, all = heads + 2 * kv_heads, token = blockIdx.y;
    const int index = blockIdx.x * blockDim.x + threadIdx.x;
    const int slot = places[2 * token], position = places[2 * token + 1];
    const bool fits = slot >= 0 && slot < slots && position >= 0 && position < context;
    Pair pair;
    pair.head = index / half;
    pair.i = 2 * (index % half);
    pair.source = ((size_t)token * all + pair.head) * head_dim + pair.i;
    pair.position = fits ? position : -1;
    const int kv_head = (pair.head - heads + kv_heads) % kv_heads;
    pair.target = (((size_t)slot * kv_heads + kv_head) * context + position) * head_dim + pair.i;
    return pair;
}

extern "C" __global__ void __launch_bounds__(128) rope_cache(
        float* __restrict__ qkv, const float* __restrict__ cosines,
        const float* __restrict__ sines, const int* __restrict__ places,
        float* __restrict__ keys, float* __restrict__ values, int tokens, int heads, int kv_heads,
        int head_dim, int context, int slots) {
    const Pair pair = find_pair(places, heads, kv_heads, head_dim, context, slots);
    if (pair.head >= heads + 2 * kv_heads || pair.position < 0) return;
    const float even = qkv[pair.source], odd = qkv[pair.source + 1];
    if (pair.head >= heads + kv_heads) {
        values[pair.target] = even;
        values[pair.target + 1] = odd;
        return;
    }
    const size_t angle = ((size_t)pair.position * head_dim + pair.i) / 2;
    const float cosine = cosines[angle], sine = sines[angle];
    float* target = pair.head < heads ? qkv + pair.source : keys + pair.target;
    target[0] = __fsub_rn(__fmul_rn(even, cosine), __fmul_rn(odd, sine));
    target[1] = __fadd_rn(__fmul_rn(even, sine), __fmul_rn(odd, cosine));
}

extern "C" __global__ void __launch_bounds__(128) write_cache(
        const float* __restrict__ qkv, const int* __restrict__ places, float* __restrict__ keys,
        float* __restrict__ values, int tokens, int heads, int kv_heads, int head_dim,
        int context, int slots) {
    const Pair pair = find_pair(places, heads, kv_heads, head_dim, context, slots);
    if (pair.head >= heads + 2 * kv_heads || pair.position < 0) return;
    if (pair.head < heads) return;
    float* target = (pair.head < heads + kv_heads ? keys : values) + pair.target;
    target[0] = qkv[pair.source];
    target[1] = qkv[pair.source + 1];
}
