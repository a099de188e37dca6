// Bias and GELU of a Whisper feed-forward layer, alone and fused with quantisation.
//
//   gelu:      outputs[t, i] = g(inputs[t, i] + bias[i]),   g(x) = x / 2 * (1 + erf(x / sqrt(2)))
//   add_bias:  outputs[t, i] = outputs[t, i] + bias[i]
//
// Shapes: inputs, outputs (tokens, width); bias (width,). q8: width a multiple of 32.
// Source: Hendrycks and Gimpel, 2016, the form with erf and not the tanh approximation; erf to
// 1.5e-7 by Abramowitz and Stegun, 7.1.26, the same steps as kernels/models/whisper_network.py.
//
// Versions, exact (common.cuh): gelu and add_bias, one thread a value; gelu_q8, one warp a block.

#include "common.cuh"

__device__ __forceinline__ float gelu_of(float x) {
    const float magnitude = __fmul_rn(fabsf(x), 0.70710678f);
    const float t = __fdiv_rn(1.0f, __fadd_rn(1.0f, __fmul_rn(0.3275911f, magnitude)));
    float series = __fsub_rn(__fmul_rn(1.061405429f, t), 1.453152027f);
    series = multiply_add(series, t, 1.421413741f);
    series = multiply_add(series, t, -0.284496736f);
    series = multiply_add(series, t, 0.254829592f);
    const float fall = exact_exp(-__fmul_rn(magnitude, magnitude));
    const float erf = copysignf(__fsub_rn(1.0f, __fmul_rn(__fmul_rn(series, t), fall)), x);
    return __fmul_rn(__fmul_rn(0.5f, x), __fadd_rn(1.0f, erf));
}

extern "C" __global__ void __launch_bounds__(256) gelu(
        const float* __restrict__ inputs, const float* __restrict__ bias,
        float* __restrict__ outputs, int tokens, int width) {
    const size_t index = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (size_t)tokens * width) return;
    outputs[index] = gelu_of(__fadd_rn(inputs[index], bias[index % width]));
}

extern "C" __global__ void __launch_bounds__(128) gelu_q8(
        const float* __restrict__ inputs, const float* __restrict__ bias,
        signed char* __restrict__ quants, float* __restrict__ scales, int tokens, int width) {
    const size_t block = (size_t)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (block >= (size_t)tokens * width / Q8_BLOCK) return;  // a whole warp
    const size_t index = block * Q8_BLOCK + threadIdx.x % WARP;
    const float value = gelu_of(__fadd_rn(inputs[index], bias[index % width]));
    quantise_block(value, quants + block * Q8_BLOCK, scales + block);
}

extern "C" __global__ void __launch_bounds__(256) add_bias(
        float* __restrict__ outputs, const float* __restrict__ bias, int tokens, int width) {
    const size_t index = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index >= (size_t)tokens * width) return;
    outputs[index] = __fadd_rn(outputs[index], bias[index % width]);
}
