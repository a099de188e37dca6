// Layer normalisation, alone and fused with the quantisation that a q8 product needs.
//
//   outputs[t, c] = (inputs[t, c] - mean_c) / sqrt(variance_c + epsilon) * weight[c] + bias[c]
//
// Shapes: inputs, outputs (tokens, columns); weight, bias (columns,). q8: columns a multiple of 32.
// Source: Ba, Kiros, Hinton, "Layer Normalization", 2016; the biased variance, as in Whisper.
//
// Versions
//   layer_norm_naive  one thread a token.
//   layer_norm        one block a token; the variance is that of the differences from the mean,
//                     in a second pass, which loses no digits where the mean is large.
//   layer_norm_q8     the same, quantised on the way out.
// All but the naive one are exact (common.cuh).

#include "common.cuh"

extern "C" __global__ void layer_norm_naive(
        const float* __restrict__ inputs, const float* __restrict__ weight,
        const float* __restrict__ bias, float* __restrict__ outputs, int tokens, int columns,
        float epsilon) {
    const int token = blockIdx.x * blockDim.x + threadIdx.x;
    if (token >= tokens) return;
    const float* row = inputs + (size_t)token * columns;
    float mean = 0.0f, variance = 0.0f;
    for (int c = 0; c < columns; ++c) mean += row[c] / columns;
    for (int c = 0; c < columns; ++c) variance += (row[c] - mean) * (row[c] - mean) / columns;
    const float factor = 1.0f / sqrtf(variance + epsilon);
    for (int c = 0; c < columns; ++c)
        outputs[(size_t)token * columns + c] = (row[c] - mean) * factor * weight[c] + bias[c];
}

struct Moments {
    float mean, factor;
};

// Every thread of the block gets the moments of the block's row.
__device__ __forceinline__ Moments find_moments(const float* row, int columns, float epsilon) {
    __shared__ float partial_sums[WARPS_MAX], partial_squares[WARPS_MAX];
    float sum = 0.0f, squares = 0.0f;
    for (int c = threadIdx.x; c < columns; c += blockDim.x) sum = __fadd_rn(sum, row[c]);
    const float mean = __fdiv_rn(block_sum(sum, partial_sums), (float)columns);
    for (int c = threadIdx.x; c < columns; c += blockDim.x) {
        const float difference = __fsub_rn(row[c], mean);
        squares = multiply_add(difference, difference, squares);
    }
    const float variance = __fdiv_rn(block_sum(squares, partial_squares), (float)columns);
    return {mean, __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(variance, epsilon)))};
}

__device__ __forceinline__ float normalise(
        const Moments& moments, float value, float weight, float bias) {
    const float scaled = __fmul_rn(__fsub_rn(value, moments.mean), moments.factor);
    return multiply_add(scaled, weight, bias);
}

extern "C" __global__ void __launch_bounds__(256) layer_norm(
        const float* __restrict__ inputs, const float* __restrict__ weight,
        const float* __restrict__ bias, float* __restrict__ outputs, int tokens, int columns,
        float epsilon) {
    const float* row = inputs + (size_t)blockIdx.x * columns;
    const Moments moments = find_moments(row, columns, epsilon);
    for (int c = threadIdx.x; c < columns; c += blockDim.x)
        outputs[(size_t)blockIdx.x * columns + c] = normalise(moments, row[c], weight[c], bias[c]);
}

extern "C" __global__ void __launch_bounds__(256) layer_norm_q8(
        const float* __restrict__ inputs, const float* __restrict__ weight,
        const float* __restrict__ bias, signed char* __restrict__ quants,
        float* __restrict__ scales, int tokens, int columns, float epsilon) {
    const float* row = inputs + (size_t)blockIdx.x * columns;
    const Moments moments = find_moments(row, columns, epsilon);
    const int blocks = columns / Q8_BLOCK;
    for (int block = threadIdx.x / WARP; block < blocks; block += blockDim.x / WARP) {
        const int c = block * Q8_BLOCK + threadIdx.x % WARP;
        const size_t target = (size_t)blockIdx.x * blocks + block;
        quantise_block(normalise(moments, row[c], weight[c], bias[c]), quants + target * Q8_BLOCK,
                       scales + target);
    }
}
