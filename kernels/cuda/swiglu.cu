// The gated activation of a Llama feed-forward layer, alone and fused with quantisation.
//
//   outputs[t, i] = silu(gate_up[t, i]) * gate_up[t, width + i],   silu(x) = x / (1 + exp(-x))
//
// Shapes: gate_up (tokens, 2 * width), a row is gate | up; outputs (tokens, width).
//   q8: width a multiple of 32; quants (tokens, width), scales (tokens, width / 32).
// Source: Shazeer, "GLU Variants Improve Transformer", 2020.
//
// Versions, both exact (common.cuh)
//   swiglu      one thread a value.
//   swiglu_q8   one warp a block of 32 values, quantised for the product that follows.

#include "common.cuh"

__device__ __forceinline__ float gated(const float* gate_up, size_t index, int width) {
    const size_t token = index / width, i = index % width;
    const float gate = gate_up[token * 2 * width + i];
    const float fall = exact_exp(-fabsf(gate));  // silu(-x) = -x exp(-x) / (1 + exp(-x))
    const float above = gate < 0.0f ? __fmul_rn(gate, fall) : gate;
    const float silu = __fdiv_rn(above, __fadd_rn(1.0f, fall));
    return __fmul_rn(silu, gate_up[token * 2 * width + width + i]);
}

extern "C" __global__ void __launch_bounds__(256) swiglu(
        const float* __restrict__ gate_up, float* __restrict__ outputs, int tokens, int width) {
    const size_t index = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    if (index < (size_t)tokens * width) outputs[index] = gated(gate_up, index, width);
}

extern "C" __global__ void __launch_bounds__(128) swiglu_q8(
        const float* __restrict__ gate_up, signed char* __restrict__ quants,
        float* __restrict__ scales, int tokens, int width) {
    const size_t block = (size_t)blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    if (block >= (size_t)tokens * width / Q8_BLOCK) return;
    const float value = gated(gate_up, block * Q8_BLOCK + threadIdx.x % WARP, width);
    quantise_block(value, quants + block * Q8_BLOCK, scales + block);
}
