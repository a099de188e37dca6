// What every family shares: warp and block reductions, and the q8 block.
//
// No header of the CUDA toolkit is included anywhere in this folder, so that NVRTC alone
// compiles it on a provider that has only the driver.
//
// q8 layout ("quants apart from scales"): a row of n values is n int8 quants, then, in another
// array, n/32 float scales; value = quant * scale. Blocks of 34 bytes as in GGUF's Q8_0 would
// forbid the 16-byte loads that the matrix kernels live on. Float scales cost 9 bits a weight
// instead of 8.5, and need no half-precision header.

//
// Exact arithmetic: what decides a token is computed by integer arithmetic and by float additions,
// multiplications, divisions and square roots that are named (`__fmul_rn`, ...), in an order that
// no batch size changes. IEEE 754 fixes each of their results, so every card gives the same bits,
// and so does kernels/exact.py, the same operations in NumPy. No fused multiply-add: any language
// can repeat the rest. No `expf` or `rsqrtf`: their last bits differ between devices.

#pragma once

constexpr int WARP = 32;
constexpr int Q8_BLOCK = 32;
constexpr int WARPS_MAX = 32;
constexpr unsigned FULL_WARP = 0xffffffffu;
constexpr float Q8_LEAST = 1e-30f;  // a smaller block is zeros: 1 / step would be infinite
constexpr float FLOAT_LOWEST = -3.402823466e+38f;
constexpr float EXP_LEAST = -87.0f;  // exp of less is taken as 0: it would leave the normal floats

// exp(x) for x <= 0, within 1 unit in the last place. Source: Cody and Waite, 1980: x = n ln 2 + r
// with ln 2 in two parts, and the polynomial of Cephes' expf for r.
__device__ __forceinline__ float exact_exp(float x) {
    const float n = rintf(__fmul_rn(x, 1.44269504f));
    const float r = __fsub_rn(__fsub_rn(x, __fmul_rn(n, 0.693359375f)),
                              __fmul_rn(n, -2.12194440e-4f));
    float series = 1.9875691500e-4f;
    series = __fadd_rn(__fmul_rn(series, r), 1.3981999507e-3f);
    series = __fadd_rn(__fmul_rn(series, r), 8.3334519073e-3f);
    series = __fadd_rn(__fmul_rn(series, r), 4.1665795894e-2f);
    series = __fadd_rn(__fmul_rn(series, r), 1.6666665459e-1f);
    series = __fadd_rn(__fmul_rn(series, r), 5.0000001201e-1f);
    series = __fadd_rn(__fadd_rn(__fmul_rn(series, __fmul_rn(r, r)), r), 1.0f);
    const float power = __int_as_float(((int)n + 127) << 23);
    return x < EXP_LEAST ? 0.0f : __fmul_rn(series, power);
}

// a * b + c, rounded twice.
__device__ __forceinline__ float multiply_add(float a, float b, float c) {
    return __fadd_rn(__fmul_rn(a, b), c);
}

// Butterfly sum: every lane ends with the same bits, in an order that no batch size changes.
__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        value = __fadd_rn(value, __shfl_xor_sync(FULL_WARP, value, distance));
    return value;
}

__device__ __forceinline__ float warp_max(float value) {
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        value = fmaxf(value, __shfl_xor_sync(FULL_WARP, value, distance));
    return value;
}

// Sum over the block; every call in a kernel needs its own `partial`, in shared memory. Every
// thread must call it; blockDim.x is a multiple of 32.
__device__ __forceinline__ float block_sum(float value, float (&partial)[WARPS_MAX]) {
    const int warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    const int warps = blockDim.x / WARP;
    value = warp_sum(value);
    if (lane == 0) partial[warp] = value;
    __syncthreads();
    return warp_sum(lane < warps ? partial[lane] : 0.0f);
}

// One warp quantises one block of 32 values, one a lane. Every lane of the warp must call it.
__device__ __forceinline__ void quantise_block(float value, signed char* quants, float* scale) {
    const float largest = warp_max(fabsf(value));
    const float step = largest >= Q8_LEAST ? __fdiv_rn(largest, 127.0f) : 0.0f;
    const float inverse = step > 0.0f ? __fdiv_rn(1.0f, step) : 0.0f;
    const float steps = fminf(fmaxf(rintf(__fmul_rn(value, inverse)), -127.0f), 127.0f);
    quants[threadIdx.x % WARP] = (signed char)(int)steps;
    if (threadIdx.x % WARP == 0) *scale = step;
}
