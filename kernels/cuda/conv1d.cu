// Convolution over time, three frames wide, padded by one frame of zeros on both sides.
//
//   outputs[f, o] = bias[o] + sum_c sum_k weights[o, c, k] * inputs[stride * f + k - 1, c]
//
// Shapes: inputs (frames, channels); weights (filters, channels, 3) as trained; bias (filters,);
//   outputs ((frames + stride - 1) / stride, filters). stride 1 or 2.
// Source: the two layers at the head of Whisper's encoder (Radford et al., 2022).
//
// Versions
//   conv1d_naive  one thread an output.
//   conv1d        a product without its matrix (implicit GEMM): a block makes 32 frames by 32
//                 filters, and brings the inputs and weights of 32 / 3 channels at a time into
//                 shared memory; a thread makes four outputs, so that a weight it reads is used
//                 four times.
//
// Ideas for the next version: int8 and dp4a; 64 by 64 outputs a block; loads of 16 bytes.

#include "common.cuh"

constexpr int TILE = 32;         // frames and filters of a block
constexpr int TAPS = 3;
constexpr int CHANNELS = 8;      // brought in at a time
constexpr int ROWS = 8;          // threads.y; a thread makes TILE / ROWS outputs
constexpr int SPAN_MAX = 2 * (TILE - 1) + TAPS;  // input frames behind a tile of outputs

extern "C" __global__ void conv1d_naive(
        const float* __restrict__ inputs, const float* __restrict__ weights,
        const float* __restrict__ bias, float* __restrict__ outputs, int frames, int channels,
        int filters, int stride) {
    const int filter = blockIdx.x * blockDim.x + threadIdx.x, frame = blockIdx.y;
    if (filter >= filters) return;
    float sum = bias[filter];
    for (int k = 0; k < TAPS; ++k) {
        const int source = stride * frame + k - 1;
        if (source < 0 || source >= frames) continue;
        for (int c = 0; c < channels; ++c)
            sum += weights[((size_t)filter * channels + c) * TAPS + k]
                 * inputs[(size_t)source * channels + c];
    }
    outputs[(size_t)frame * filters + filter] = sum;
}

extern "C" __global__ void __launch_bounds__(256) conv1d(
        const float* __restrict__ inputs, const float* __restrict__ weights,
        const float* __restrict__ bias, float* __restrict__ outputs, int frames, int channels,
        int filters, int stride) {
    __shared__ float heard[CHANNELS][SPAN_MAX + 1];
    __shared__ float kernel[CHANNELS * TAPS][TILE + 1];
    const int x = threadIdx.x % TILE, y = threadIdx.x / TILE;
    const int first_filter = blockIdx.x * TILE, first_frame = blockIdx.y * TILE;
    const int begin = stride * first_frame - 1, span = stride * (TILE - 1) + TAPS;
    float sums[TILE / ROWS] = {};
    for (int channel = 0; channel < channels; channel += CHANNELS) {
        for (int i = threadIdx.x; i < span * CHANNELS; i += TILE * ROWS) {
            const int c = i % CHANNELS, f = i / CHANNELS;
            const bool inside = begin + f >= 0 && begin + f < frames && channel + c < channels;
            heard[c][f] = inside ? inputs[(size_t)(begin + f) * channels + channel + c] : 0.0f;
        }
        for (int i = threadIdx.x; i < TILE * CHANNELS * TAPS; i += TILE * ROWS) {
            const int row = i % (CHANNELS * TAPS), filter = i / (CHANNELS * TAPS);
            const bool inside = first_filter + filter < filters && channel + row / TAPS < channels;
            const size_t from = (size_t)(first_filter + filter) * channels + channel;
            kernel[row][filter] = inside ? weights[from * TAPS + row] : 0.0f;
        }
        __syncthreads();
#pragma unroll
        for (int row = 0; row < CHANNELS * TAPS; ++row)
#pragma unroll
            for (int i = 0; i < TILE / ROWS; ++i) {
                const int frame = stride * (y + i * ROWS) + row % TAPS;
                sums[i] = __fmaf_rn(kernel[row][x], heard[row / TAPS][frame], sums[i]);
            }
        __syncthreads();
    }
    const int filter = first_filter + x, made = (frames + stride - 1) / stride;
    if (filter >= filters) return;
    for (int i = 0; i < TILE / ROWS; ++i) {
        const int frame = first_frame + y + i * ROWS;
        if (frame < made)
            outputs[(size_t)frame * filters + filter] = __fadd_rn(sums[i], bias[filter]);
    }
}
