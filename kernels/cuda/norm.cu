// RMS normalisation, alone and fused with the quantisation that a q8 product needs.
//
//   outputs[t, c] = inputs[t, c] * weight[c] / sqrt(mean_c(inputs[t, c]^2) + epsilon)
//
// Shapes: inputs, outputs (tokens, columns); weight (columns,). q8: columns a multiple of 32.
// Source: Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019.
//
// Versions
//   rms_norm_naive   one thread a token.
//   rms_norm         one block a token; warps, then the block, add the squares.
//   rms_norm_q8      the same, and each warp quantises blocks of 32 on the way out: the row is
//                    not written and read again in float, and one launch is saved.
//   quantise_q8      quantisation alone, for the attention's output.
// All but the naive one are exact (common.cuh).

#include "common.cuh"

extern "C" __global__ void rms_norm_naive(
        const float* __restrict__ inputs, const float* __restrict__ weight,
        float* __restrict__ outputs, int tokens, int columns, float epsilon) {
    const int token = blockIdx.x * blockDim.x + threadIdx.x;
    if (token >= tokens) return;
    const float* row = inputs + (size_t)token * columns;
    float squares = 0.0f;
    for (int c = 0; c < columns; ++c) squares += row[c] * row[c];
    const float factor = 1.0f / sqrtf(squares / columns + epsilon);
    for (int c = 0; c < columns; ++c)
        outputs[(size_t)token * columns + c] = row[c] * factor * weight[c];
}

// Every thread of the block gets the factor of the block's row.
__device__ __forceinline__ float norm_factor(const float* row, int columns, float epsilon) {
    __shared__ float partial[WARPS_MAX];
    float squares = 0.0f;
    for (int c = threadIdx.x; c < columns; c += blockDim.x)
        squares = multiply_add(row[c], row[c], squares);
    const float mean = __fdiv_rn(block_sum(squares, partial), (float)columns);
    return __fdiv_rn(1.0f, __fsqrt_rn(__fadd_rn(mean, epsilon)));
}

extern "C" __global__ void __launch_bounds__(256) rms_norm(
        const float* __restrict__ inputs, const float* __restrict__ weight,
        float* __restrict__ outputs, int tokens, int columns, float epsilon) {
    const float* row = inputs + (size_t)blockIdx.x * columns;
    const float factor = norm_factor(row, columns, epsilon);
    for (int c = threadIdx.x; c < columns; c += blockDim.x)
        outputs[(size_t)blockIdx.x * columns + c] = __fmul_rn(__fmul_rn(row[c], factor), weight[c]);
}

extern "C" __global__ void __launch_bounds__(256) rms_norm_q8(
        const float* __restrict__ inputs, const float* __restrict__ weight,
        signed char* __restrict__ quants, float* __restrict__ scales, int tokens, int columns,
        float epsilon) {
    const float* row = inputs + (size_t)blockIdx.x * columns;
    const float factor = norm_factor(row, columns, epsilon);
    const int blocks = columns / Q8_BLOCK;
    for (int block = threadIdx.x / WARP; block < blocks; block += blockDim.x / WARP) {
        const int c = block * Q8_BLOCK + threadIdx.x % WARP;
        const size_t target = (size_t)blockIdx.x * blocks + block;
        const float value = __fmul_rn(__fmul_rn(row[c], factor), weight[c]);
        quantise_block(value, quants + target * Q8_BLOCK, scales + target);
    }
}

extern "C" __global__ void __launch_bounds__(128) quantise_q8(
        const float* __restrict__ inputs, signed char* __restrict__ quants,
        float* __restrict__ scales, int blocks) {
    const int block = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (block >= blocks) return;
    const float value = inputs[(size_t)block * Q8_BLOCK + threadIdx.x % WARP];
    quantise_block(value, quants + (size_t)block * Q8_BLOCK, scales + block);
}
