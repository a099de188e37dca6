// The most likely token, chosen on the device so that four bytes come back instead of a row.
//
//   best[t] = the smallest i with scores[t, i] = max_j scores[t, j]
//
// Shapes: scores (tokens, vocabulary), best (tokens,). A row without a number gives 0.
// Source: greedy decoding. Other ways of sampling read the row on the host (see models/llama).
//
// Versions
//   argmax_naive   one thread a row.
//   argmax         one block a row; a tree in shared memory, equal scores to the lower index.

#include "common.cuh"

constexpr int ARGMAX_THREADS = 256;

extern "C" __global__ void argmax_naive(
        const float* __restrict__ scores, int* __restrict__ best, int tokens, int vocabulary) {
    const int token = blockIdx.x * blockDim.x + threadIdx.x;
    if (token >= tokens) return;
    const float* row = scores + (size_t)token * vocabulary;
    float largest = FLOAT_LOWEST;
    int index = 0;
    for (int i = 0; i < vocabulary; ++i)
        if (row[i] > largest) {
            largest = row[i];
            index = i;
        }
    best[token] = index;
}

extern "C" __global__ void __launch_bounds__(ARGMAX_THREADS) argmax(
        const float* __restrict__ scores, int* __restrict__ best, int tokens, int vocabulary) {
    __shared__ float values[ARGMAX_THREADS];
    __shared__ int indices[ARGMAX_THREADS];
    const float* row = scores + (size_t)blockIdx.x * vocabulary;
    const int thread = threadIdx.x;
    float largest = FLOAT_LOWEST;
    int index = 0;
    for (int i = thread; i < vocabulary; i += ARGMAX_THREADS)
        if (row[i] > largest) {
            largest = row[i];
            index = i;
        }
    values[thread] = largest;
    indices[thread] = index;
    __syncthreads();
    for (int distance = ARGMAX_THREADS / 2; distance > 0; distance /= 2) {
        if (thread < distance) {
            const float other = values[thread + distance];
            const int other_index = indices[thread + distance];
            if (other > values[thread] || (other == values[thread] && other_index < indices[thread])) {
                values[thread] = other;
                indices[thread] = other_index;
            }
        }
        __syncthreads();
    }
    if (thread == 0) best[blockIdx.x] = indices[0];
}
