// Matrix product with weights of 4 bits and inputs of 8, for decoding and prefill; and the
// embedding from such a table.
//
//   outputs[t, r] = sum_c weights[r, c] * inputs[t, c]     (+ outputs[t, r] if accumulate)
//   weights[r, c] = step[r, c / 32] * quant[r, c] + least[r, c / 32],   quant 0..15
//
// Shapes: weights (rows, columns / 2) bytes, of a block of 32 values byte i holds value i in its
//   low half and value i + 16 in its high half; weight_scales (rows, columns / 32), two halves
//   (IEEE binary16): step low, least high; inputs (tokens, columns), input_scales
//   (tokens, columns / 32) as q8 (common.cuh); outputs (tokens, rows). columns a multiple of 32.
// Source: GGML's Q4_1 (and Q4_0, whose least is -8 step), with the scales apart so that 16 bytes of
// quants are aligned; 5 bits a weight, as in the file.
//
// Versions
//   matmul_q4_naive  one thread an output, one value at a time, in float.
//   matmul_q4_t1     one warp a row, one block a lane: 32 weights in one load of 16 bytes, eight
//                    dp4a for the products and eight for the sum of the inputs, which `least`
//                    multiplies. Integers until a block is done.
//   matmul_q4_t8     the same warp serves eight tokens: the weights are read and unpacked once.
//   embed_q4         one thread a value.
// t1, t8 and embed_q4 are exact (common.cuh), in the same order whatever the batch.
//
// Ideas for the next version: sums of the inputs made once, by the quantisation; two rows a warp
// when a row has fewer than 32 blocks; tensor cores for long prompts.

#include "common.cuh"

// A binary16 number as float. It is exact, without the toolkit's header: the exponent is moved by
// a product with 2^112, which is right for subnormal numbers too. No infinities are expected.
__device__ __forceinline__ float half_value(unsigned bits) {
    const float magnitude = __fmul_rn(__uint_as_float((bits & 0x7fffu) << 13), 5.192296859e33f);
    return bits & 0x8000u ? -magnitude : magnitude;
}

__device__ __forceinline__ float step_of(int scale) { return half_value(scale & 0xffff); }
__device__ __forceinline__ float least_of(int scale) { return half_value((unsigned)scale >> 16); }

// Value c of a row of packed quants.
__device__ __forceinline__ int quant_of(const signed char* row, int c) {
    const int byte = row[c / Q8_BLOCK * 16 + c % 16];
    return byte >> (c % Q8_BLOCK < 16 ? 0 : 4) & 15;
}

extern "C" __global__ void matmul_q4_naive(
        const signed char* __restrict__ weights, const int* __restrict__ weight_scales,
        const signed char* __restrict__ inputs, const float* __restrict__ input_scales,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    const int row = blockIdx.x * blockDim.x + threadIdx.x, token = blockIdx.y;
    if (row >= rows) return;
    const int blocks = columns / Q8_BLOCK;
    float sum = 0.0f;
    for (int c = 0; c < columns; ++c) {
        const int scale = weight_scales[(size_t)row * blocks + c / Q8_BLOCK];
        const int quant = quant_of(weights + (size_t)row * columns / 2, c);
        const size_t at = (size_t)token * columns + c;
        sum += (step_of(scale) * quant + least_of(scale)) * inputs[at] * input_scales[at / Q8_BLOCK];
    }
    float* output = &outputs[(size_t)token * rows + row];
    *output = accumulate ? *output + sum : sum;
}

__device__ __forceinline__ int dot16(const int4& a, const int4& b, int sum) {
    return __dp4a(a.x, b.x, __dp4a(a.y, b.y, __dp4a(a.z, b.z, __dp4a(a.w, b.w, sum))));
}

template <int TOKENS>
__device__ __forceinline__ void matmul_q4(
        const int4* __restrict__ weights, const int* __restrict__ weight_scales,
        const int4* __restrict__ inputs, const float* __restrict__ input_scales,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    const int row = blockIdx.x * (blockDim.x / WARP) + threadIdx.x / WARP;
    const int lane = threadIdx.x % WARP, first = blockIdx.y * TOKENS;
    if (row >= rows) return;  // a whole warp
    const int blocks = columns / Q8_BLOCK;
    const int4 ones = make_int4(0x01010101, 0x01010101, 0x01010101, 0x01010101);
    float sums[TOKENS] = {};
    for (int block = lane; block < blocks; block += WARP) {
        const size_t at = (size_t)row * blocks + block;
        const int4 packed = weights[at];
        const int scale = weight_scales[at];
        const float step = step_of(scale), least = least_of(scale);
        const int mask = 0x0f0f0f0f;
        const int4 low = make_int4(packed.x & mask, packed.y & mask, packed.z & mask,
                                   packed.w & mask);
        const int4 high = make_int4(packed.x >> 4 & mask, packed.y >> 4 & mask,
                                    packed.z >> 4 & mask, packed.w >> 4 & mask);
#pragma unroll
        for (int t = 0; t < TOKENS; ++t) {
            if (first + t >= tokens) break;
            const size_t from = (size_t)(first + t) * blocks + block;
            const int4 x = inputs[2 * from], y = inputs[2 * from + 1];
            const float products = __fmul_rn(step, (float)dot16(low, x, dot16(high, y, 0)));
            const float shift = __fmul_rn(least, (float)dot16(ones, x, dot16(ones, y, 0)));
            sums[t] = multiply_add(input_scales[from], __fadd_rn(products, shift), sums[t]);
        }
    }
#pragma unroll
    for (int t = 0; t < TOKENS; ++t) {
        const float sum = warp_sum(sums[t]);
        float* output = &outputs[(size_t)(first + t) * rows + row];
        if (lane == 0 && first + t < tokens) *output = accumulate ? __fadd_rn(*output, sum) : sum;
    }
}

extern "C" __global__ void __launch_bounds__(128) matmul_q4_t1(
        const int4* __restrict__ weights, const int* __restrict__ weight_scales,
        const int4* __restrict__ inputs, const float* __restrict__ input_scales,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    matmul_q4<1>(weights, weight_scales, inputs, input_scales, outputs, tokens, rows, columns,
                 accumulate);
}

extern "C" __global__ void __launch_bounds__(128, 4) matmul_q4_t8(
        const int4* __restrict__ weights, const int* __restrict__ weight_scales,
        const int4* __restrict__ inputs, const float* __restrict__ input_scales,
        float* __restrict__ outputs, int tokens, int rows, int columns, int accumulate) {
    matmul_q4<8>(weights, weight_scales, inputs, input_scales, outputs, tokens, rows, columns,
                 accumulate);
}

extern "C" __global__ void __launch_bounds__(256) embed_q4(
        const signed char* __restrict__ table, const int* __restrict__ scales,
        const int* __restrict__ ids, float* __restrict__ outputs, int tokens, int vocabulary,
        int columns) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, token = blockIdx.y;
    if (c >= columns) return;
    const int id = ids[token];
    const bool known = id >= 0 && id < vocabulary;
    const size_t row = known ? id : 0;
    const int scale = scales[row * (columns / Q8_BLOCK) + c / Q8_BLOCK];
    const float quant = (float)quant_of(table + row * columns / 2, c);
    outputs[(size_t)token * columns + c]
        = known ? multiply_add(step_of(scale), quant, least_of(scale)) : 0.0f;
}
