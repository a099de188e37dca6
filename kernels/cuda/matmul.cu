// Matrix product with row-major weights, for decoding (one token) and prefill (many).
//
//   outputs[t, r] = sum_c weights[r, c] * inputs[t, c]     (+ outputs[t, r] if accumulate)
//
// Shapes: weights (rows, columns), inputs (tokens, columns), outputs (tokens, rows).
//   f32: columns a multiple of 4.   q8: columns a multiple of 32; scales (.., columns / 32).
// Source: GEMV of BLAS level 2; the int8 blocks follow GGML's Q8_0, rearranged (common.cuh).
//
// Versions
//   *_naive    one thread an output, one value at a time: obviously right.
//   *_t1       one warp a row: neighbouring lanes load neighbouring 16 bytes, so a warp reads
//              512 contiguous bytes at once; a butterfly adds the lanes. q8 uses dp4a: four
//              int8 products in one instruction.
//   *_t8       the same warp serves eight tokens, so that the weights are read once for eight:
//              decoding is bound by memory, and prefill would be too.
// The order of additions of an output is the same in t1 and t8, whatever the batch: prefill and
// decode give the same bits. Explicit roundings keep the compiler from fusing them differently.
// The q8 versions are exact (common.cuh); f32 is for checking, and fuses multiply and add.
//
// Ideas for the next version: two rows a warp when columns / 16 is not a multiple of 32; tensor
// cores for long prompts; the quantisation of the inputs fused into the load.

#include "common.cuh"

__device__ __forceinline__ void store(float* output, float value, int accumulate) {
    *output = accumulate ? __fadd_rn(*output, value) : value;
}

extern "C" __global__ void matmul_f32_naive(
        const float* __restrict__ weights, const float* __restrict__ inputs,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    const int token = blockIdx.y;
    if (row >= rows || token >= tokens) return;
    float sum = 0.0f;
    for (int column = 0; column < columns; ++column)
        sum += weights[(size_t)row * columns + column] * inputs[(size_t)token * columns + column];
    store(&outputs[(size_t)token * rows + row], sum, accumulate);
}

template <int TOKENS>
__device__ __forceinline__ void matmul_f32(
        const float4* __restrict__ weights, const float4* __restrict__ inputs,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    const int row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    const int first = blockIdx.y * TOKENS;
    if (row >= rows) return;  // a whole warp leaves, so the butterfly below stays whole
    const int quads = columns / 4;
    float sums[TOKENS] = {};
    for (int quad = lane; quad < quads; quad += WARP) {
        const float4 w = weights[(size_t)row * quads + quad];
#pragma unroll
        for (int t = 0; t < TOKENS; ++t) {
            if (first + t >= tokens) break;
            const float4 x = inputs[(size_t)(first + t) * quads + quad];
            sums[t] = __fmaf_rn(w.x, x.x, sums[t]);
            sums[t] = __fmaf_rn(w.y, x.y, sums[t]);
            sums[t] = __fmaf_rn(w.z, x.z, sums[t]);
            sums[t] = __fmaf_rn(w.w, x.w, sums[t]);
        }
    }
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
        const float sum = warp_sum(sums[t]);
        if (lane == 0 && first + t < tokens)
            store(&outputs[(size_t)(first + t) * rows + row], sum, accumulate);
    }
}

extern "C" __global__ void __launch_bounds__(128) matmul_f32_t1(
        const float4* __restrict__ weights, const float4* __restrict__ inputs,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    matmul_f32<1>(weights, inputs, outputs, tokens, rows, columns, accumulate);
}

extern "C" __global__ void __launch_bounds__(128) matmul_f32_t8(
        const float4* __restrict__ weights, const float4* __restrict__ inputs,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    matmul_f32<8>(weights, inputs, outputs, tokens, rows, columns, accumulate);
}

extern "C" __global__ void matmul_q8_naive(
        const signed char* __restrict__ weights, const float* __restrict__ weight_scales,
        const signed char* __restrict__ inputs, const float* __restrict__ input_scales,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x;
    const int token = blockIdx.y;
    if (row >= rows || token >= tokens) return;
    const size_t blocks = columns / Q8_BLOCK;
    float sum = 0.0f;
    for (int block = 0; block < blocks; ++block) {
        int products = 0;
        for (int i = 0; i < Q8_BLOCK; ++i)
            products += weights[(row * blocks + block) * Q8_BLOCK + i]
                      * inputs[(token * blocks + block) * Q8_BLOCK + i];
        sum += products * weight_scales[row * blocks + block] * input_scales[token * blocks + block];
    }
    store(&outputs[(size_t)token * rows + row], sum, accumulate);
}

__device__ __forceinline__ int dot16(const int4& a, const int4& b) {
    return __dp4a(a.x, b.x, __dp4a(a.y, b.y, __dp4a(a.z, b.z, __dp4a(a.w, b.w, 0))));
}

template <int TOKENS>
__device__ __forceinline__ void matmul_q8(
        const int4* __restrict__ weights, const float* __restrict__ weight_scales,
        const int4* __restrict__ inputs, const float* __restrict__ input_scales,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    const int row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP;
    const int first = blockIdx.y * TOKENS;
    if (row >= rows) return;
    const int halves = columns / 16, blocks = columns / Q8_BLOCK;
    float sums[TOKENS] = {};
    for (int half = lane; half < halves; half += WARP) {  // half a block: 16 quants, one load
        const int4 w = weights[(size_t)row * halves + half];
        const float w_scale = weight_scales[(size_t)row * blocks + half / 2];
#pragma unroll
        for (int t = 0; t < TOKENS; ++t) {
            if (first + t >= tokens) break;
            const int4 x = inputs[(size_t)(first + t) * halves + half];
            const float x_scale = input_scales[(size_t)(first + t) * blocks + half / 2];
            sums[t] = multiply_add((float)dot16(w, x), __fmul_rn(w_scale, x_scale), sums[t]);
        }
    }
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
        const float sum = warp_sum(sums[t]);
        if (lane == 0 && first + t < tokens)
            store(&outputs[(size_t)(first + t) * rows + row], sum, accumulate);
    }
}

extern "C" __global__ void __launch_bounds__(128) matmul_q8_t1(
        const int4* __restrict__ weights, const float* __restrict__ weight_scales,
        const int4* __restrict__ inputs, const float* __restrict__ input_scales,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    matmul_q8<1>(weights, weight_scales, inputs, input_scales, outputs, tokens, rows, columns,
                 accumulate);
}

extern "C" __global__ void __launch_bounds__(128, 4) matmul_q8_t8(
        const int4* __restrict__ weights, const float* __restrict__ weight_scales,
        const int4* __restrict__ inputs, const float* __restrict__ input_scales,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    matmul_q8<8>(weights, weight_scales, inputs, input_scales, outputs, tokens, rows, columns,
                 accumulate);
}
