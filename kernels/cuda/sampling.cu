// The next token, chosen on the device so that four bytes come back instead of a row.
//
//   argmax:  best[t] = the smallest i with scores[t, i] = max_j scores[t, j]
//   sample:  of the top_k likeliest tokens (ties to the lower index), the likeliest that together
//            reach top_p; of those, the first at which the running sum of weights exceeds draw
//            times their sum.   weights[t, i] = exp((scores[t, i] - scores[t, best]) / temperature)
//
// Shapes: scores, weights (tokens, vocabulary); best, chosen (tokens,); temperatures (tokens,),
//   doubles; rules (tokens, 3), a row is top_k (0: all) | top_p * 2^53 | draw * 2^53. The draw of a
//   seed and a position is the host's (kernels/models/sampling.py). Greedy choice is top_k 1.
//   argmax of a row without a number is 0; chosen is -1 where the largest score is not finite.
// Source: greedy decoding; nucleus sampling: Holtzman et al., 2020.
//
// Weights are integers, 2^44 for the likeliest: their sums are the same in every order, so the
// choice is exact although a whole block adds. kernels/models/sampling.py computes the same integers
// and chooses the same token. The exponential is exact (common.cuh).
//
// Versions
//   argmax_naive    one thread a row.
//   argmax          one block a row; a tree in shared memory, equal scores to the lower index.
//   sample_weights  one thread a weight; doubles are slow on consumer cards, so once only.
//   sample          one block a row and no sorting: a key is the falling score's bits and the
//                   index; the key at which a running sum reaches its target is found a byte at a
//                   time from sums of 256 buckets, for top_k, top_p and the draw alike.
//
// Ideas for the next version: many equal first bytes meet in one bucket: add them in the warp
// first; the row in shared memory after top_k.

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

constexpr int WEIGHT_BITS = 44;
constexpr int UNIT_BITS = 53;
constexpr int SAMPLE_THREADS = 256;
constexpr int BUCKETS = 256;

// floor(exp(x) 2^44) for x <= 0: Cody and Waite's reduction, and Taylor's series to the 13th power.
__device__ __forceinline__ long long weight_of(double x) {
    if (!(x <= 0.0) || x < -31.0) return 0;
    const double n = rint(__dmul_rn(x, 1.4426950408889634));
    const double r = __dsub_rn(__dsub_rn(x, __dmul_rn(n, 0.693147180369123816490)),
                               __dmul_rn(n, 1.90821492927058770002e-10));
    double series = 1.0;
#pragma unroll
    for (int i = 13; i > 0; --i)
        series = __dadd_rn(1.0, __dmul_rn(__dmul_rn(series, r), 1.0 / i));
    const double scale = __longlong_as_double((long long)((int)n + 1023 + WEIGHT_BITS) << 52);
    return (long long)__dmul_rn(series, scale);
}

extern "C" __global__ void __launch_bounds__(256) sample_weights(
        const float* __restrict__ scores, const int* __restrict__ best,
        const double* __restrict__ temperatures, long long* __restrict__ weights, int tokens,
        int vocabulary) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x, token = blockIdx.y;
    if (i >= vocabulary) return;
    const size_t row = (size_t)token * vocabulary;
    const double below = __dsub_rn(scores[row + i], scores[row + best[token]]);
    weights[row + i] = weight_of(__ddiv_rn(below, temperatures[token]));
}

// Likeliest first, ties by index: the bits of a float, flipped so that they rise as it falls.
__device__ __forceinline__ unsigned long long key_of(float score, int index) {
    const unsigned bits = __float_as_uint(__fadd_rn(score, 0.0f));  // -0 becomes 0
    const unsigned falling = bits >> 31 ? bits : ~bits & 0x7fffffffu;
    return (unsigned long long)falling << 32 | (unsigned)index;
}

struct Row {
    const float* scores;
    const long long* weights;  // or null: each counts one
    int vocabulary;
};

struct Found {
    unsigned long long key;  // the first at which the running sum reaches the target
    long long sum;           // of all keys up to it
};

// The bucket of `sums` at which the running sum reaches what is missing. For one whole warp.
__device__ __forceinline__ void find_bucket(
        const unsigned long long* sums, long long missing, int* bucket, long long* before) {
    constexpr int EACH = BUCKETS / WARP;
    const int lane = threadIdx.x % WARP;
    long long mine = 0;
    for (int i = 0; i < EACH; ++i) mine += sums[lane * EACH + i];
    long long running = mine;
#pragma unroll
    for (int distance = 1; distance < WARP; distance *= 2) {
        const long long other = __shfl_up_sync(FULL_WARP, running, distance);
        if (lane >= distance) running += other;
    }
    long long sum = running - mine;
    if (sum >= missing || running < missing) return;  // another lane's
    int i = lane * EACH;
    while (sum + (long long)sums[i] < missing) sum += sums[i++];
    *bucket = i;
    *before = sum;
}

// Every thread of the block must call it; target is 1 up to the sum over all keys up to `last`.
__device__ __forceinline__ Found descend(const Row& row, unsigned long long last, long long target) {
    __shared__ unsigned long long sums[BUCKETS];
    __shared__ int bucket;
    __shared__ long long before;
    unsigned long long prefix = 0;
    long long missing = target, sum = 0;
    for (int shift = 56; shift >= 0; shift -= 8) {
        for (int i = threadIdx.x; i < BUCKETS; i += SAMPLE_THREADS) sums[i] = 0;
        if (threadIdx.x == 0) bucket = before = 0;  // for weights that are all zero
        __syncthreads();
        for (int i = threadIdx.x; i < row.vocabulary; i += SAMPLE_THREADS) {
            const unsigned long long key = key_of(row.scores[i], i);
            const bool counts = key <= last && (shift == 56 || key >> (shift + 8) == prefix);
            const long long measure = row.weights ? row.weights[i] : 1;
            if (counts && measure > 0) atomicAdd(&sums[key >> shift & 255], measure);
        }
        __syncthreads();
        if (threadIdx.x < WARP) find_bucket(sums, missing, &bucket, &before);
        __syncthreads();
        prefix = prefix << 8 | bucket;
        missing -= before;
        sum = target - missing + (long long)sums[bucket];
        __syncthreads();
    }
    return {prefix, sum};
}

__device__ __forceinline__ long long sum_up_to(const Row& row, unsigned long long last) {
    __shared__ long long partial[SAMPLE_THREADS / WARP];
    long long mine = 0, total = 0;
    for (int i = threadIdx.x; i < row.vocabulary; i += SAMPLE_THREADS)
        if (key_of(row.scores[i], i) <= last) mine += row.weights[i];
#pragma unroll
    for (int distance = WARP / 2; distance > 0; distance /= 2)
        mine += __shfl_xor_sync(FULL_WARP, mine, distance);
    if (threadIdx.x % WARP == 0) partial[threadIdx.x / WARP] = mine;
    __syncthreads();
    for (int w = 0; w < SAMPLE_THREADS / WARP; ++w) total += partial[w];
    return total;
}

// a * share / 2^53, rounded down; `rest` tells whether something was lost.
__device__ __forceinline__ long long part_of(long long a, long long share, bool* rest) {
    const unsigned long long high = __umul64hi(a, share), low = (unsigned long long)a * share;
    *rest = (low & ((1ull << UNIT_BITS) - 1)) != 0;
    return high << (64 - UNIT_BITS) | low >> UNIT_BITS;
}

extern "C" __global__ void __launch_bounds__(SAMPLE_THREADS, 2) sample(
        const float* __restrict__ scores, const long long* __restrict__ weights,
        const int* __restrict__ best, const long long* __restrict__ rules,
        int* __restrict__ chosen, int tokens, int vocabulary) {
    const int token = blockIdx.x;
    const size_t start = (size_t)token * vocabulary;
    const long long top_k = rules[3 * token], top_p = rules[3 * token + 1];
    const Row row = {scores + start, weights + start, vocabulary};
    int result = best[token];
    if (!(fabsf(row.scores[result]) <= -FLOAT_LOWEST)) {
        result = -1;
    } else if (top_k != 1) {
        Found found = {~0ull, 0};
#pragma unroll 1
        for (int stage = top_k > 0 && top_k < vocabulary ? 0 : 1; stage < 3; ++stage) {
            long long target = top_k, most = top_k;  // stage 0 counts; 1 cuts at top_p; 2 draws
            bool rest;
            if (stage == 1) {
                most = sum_up_to(row, found.key);
                target = part_of(most, top_p, &rest) + rest;
            } else if (stage == 2) {
                most = found.sum;
                target = part_of(most, rules[3 * token + 2], &rest) + 1;
            }
            const Row measured = {row.scores, stage == 0 ? nullptr : row.weights, vocabulary};
            found = descend(measured, found.key, max(1ll, min(target, most)));
        }
        result = (int)found.key;
    }
    if (threadIdx.x == 0) chosen[token] = result;
}
