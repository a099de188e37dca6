// Rows of the embedding table.
//
//   outputs[t, c] = table[ids[t], c]     (q8: quant * scale)
//
// Shapes: table (vocabulary, columns), ids (tokens,), outputs (tokens, columns).
//   q8: scales (vocabulary, columns / 32). An id outside the vocabulary gives a row of zeros:
//   the host refuses such ids, and the kernel must not read past the table all the same.
// Source: any transformer; the table is shared with the output layer in SmolLM2.
//
// Version: one thread a value; a launch reads a few kilobytes, there is nothing to win.

#include "common.cuh"

extern "C" __global__ void __launch_bounds__(256) embed_f32(
        const float* __restrict__ table, const int* __restrict__ ids,
        float* __restrict__ outputs, int tokens, int vocabulary, int columns) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, token = blockIdx.y;
    if (c >= columns) return;
    const int id = ids[token];
    const bool known = id >= 0 && id < vocabulary;
    outputs[(size_t)token * columns + c] = known ? table[(size_t)id * columns + c] : 0.0f;
}

extern "C" __global__ void __launch_bounds__(256) embed_q8(
        const signed char* __restrict__ table, const float* __restrict__ scales,
        const int* __restrict__ ids, float* __restrict__ outputs, int tokens, int vocabulary,
        int columns) {
    const int c = blockIdx.x * blockDim.x + threadIdx.x, token = blockIdx.y;
    if (c >= columns) return;
    const int id = ids[token];
    const bool known = id >= 0 && id < vocabulary;
    const size_t at = known ? (size_t)id * columns + c : 0;
    outputs[(size_t)token * columns + c] = known ? __fmul_rn(table[at], scales[at / Q8_BLOCK]) : 0.0f;
}
