// Log-mel spectrogram as Whisper takes it: 400 samples every 160, Hann window, power by mel bands.
//
//   spectrum[f, k] = sum_n samples[160 f + n - 200] window[n] exp(-2 pi i k n / 400),  k = 0..200
//   logs[b, f] = log10(max(sum_k filters[b, k] |spectrum[f, k]|^2, 1e-10))
//   mel[b, f] = (max(logs[b, f], max logs - 8) + 4) / 4
//
// Shapes: samples (count,), mirrored at both ends; tables (3, 400): cosines and sines of
//   2 pi n / 400, and the window; filters (bands, 201); logs, mel (bands, frames); peaks (frames,).
//   frames * 160 <= count, count > 200.
// Source: Whisper (Radford et al., 2022), section 2.2. The tables and filters are the host's
// (kernels/models/mel.py).
//
// Versions
//   log_mel_naive  one thread a band and frame; the transform is summed anew for each bin.
//   log_mel        one block a frame: the windowed samples lie in shared memory, a thread makes a
//                  bin, then a warp a band. 200 bins of 400 samples are 0.5 GFLOP for 30 s of
//                  sound: a Fourier transform would save microseconds.
//   log_mel_scale  one block a frame; the largest value of all is found again by each, from the
//                  largest of each frame, which saves a launch that would only find it.
// log10f is the device's: the last bits differ between cards.

#include "common.cuh"

constexpr int FFT = 400, HOP = 160, BINS = FFT / 2 + 1;
constexpr int MEL_THREADS = 256;

__device__ __forceinline__ float windowed(
        const float* samples, const float* tables, int count, int frame, int n) {
    int at = frame * HOP + n - FFT / 2;
    if (at < 0) at = -at;
    if (at >= count) at = 2 * (count - 1) - at;
    return samples[at] * tables[2 * FFT + n];
}

extern "C" __global__ void log_mel_naive(
        const float* __restrict__ samples, const float* __restrict__ tables,
        const float* __restrict__ filters, float* __restrict__ logs, int count, int frames,
        int bands) {
    const int frame = blockIdx.x * blockDim.x + threadIdx.x, band = blockIdx.y;
    if (frame >= frames) return;
    float energy = 0.0f;
    for (int k = 0; k < BINS; ++k) {
        const float share = filters[band * BINS + k];
        if (share == 0.0f) continue;
        float real = 0.0f, imaginary = 0.0f;
        for (int n = 0; n < FFT; ++n) {
            const float value = windowed(samples, tables, count, frame, n);
            real += value * tables[k * n % FFT];
            imaginary += value * tables[FFT + k * n % FFT];
        }
        energy += share * (real * real + imaginary * imaginary);
    }
    logs[(size_t)band * frames + frame] = log10f(fmaxf(energy, 1e-10f));
}

extern "C" __global__ void __launch_bounds__(MEL_THREADS) log_mel(
        const float* __restrict__ samples, const float* __restrict__ tables,
        const float* __restrict__ filters, float* __restrict__ logs, float* __restrict__ peaks,
        int count, int frames, int bands) {
    __shared__ float values[FFT], cosines[FFT], sines[FFT], power[BINS];
    __shared__ float largest[MEL_THREADS / WARP];
    const int frame = blockIdx.x, warp = threadIdx.x / WARP, lane = threadIdx.x % WARP;
    for (int n = threadIdx.x; n < FFT; n += MEL_THREADS) {
        values[n] = windowed(samples, tables, count, frame, n);
        cosines[n] = tables[n];
        sines[n] = tables[FFT + n];
    }
    __syncthreads();
    if (threadIdx.x < BINS) {
        float real = 0.0f, imaginary = 0.0f;
        for (int n = 0, angle = 0; n < FFT; ++n) {
            real = __fmaf_rn(values[n], cosines[angle], real);
            imaginary = __fmaf_rn(values[n], sines[angle], imaginary);
            angle += threadIdx.x;
            if (angle >= FFT) angle -= FFT;
        }
        power[threadIdx.x] = real * real + imaginary * imaginary;
    }
    __syncthreads();
    float most = FLOAT_LOWEST;
    for (int band = warp; band < bands; band += MEL_THREADS / WARP) {
        float energy = 0.0f;
        for (int k = lane; k < BINS; k += WARP)
            energy = __fmaf_rn(filters[band * BINS + k], power[k], energy);
        const float log = log10f(fmaxf(warp_sum(energy), 1e-10f));
        most = fmaxf(most, log);
        if (lane == 0) logs[(size_t)band * frames + frame] = log;
    }
    if (lane == 0) largest[warp] = most;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < MEL_THREADS / WARP; ++w) most = fmaxf(most, largest[w]);
        peaks[frame] = most;
    }
}

extern "C" __global__ void __launch_bounds__(128) log_mel_scale(
        const float* __restrict__ logs, const float* __restrict__ peaks, float* __restrict__ mel,
        int frames, int bands) {
    __shared__ float largest[128 / WARP];
    float most = FLOAT_LOWEST;
    for (int f = threadIdx.x; f < frames; f += blockDim.x) most = fmaxf(most, peaks[f]);
    most = warp_max(most);
    if (threadIdx.x % WARP == 0) largest[threadIdx.x / WARP] = most;
    __syncthreads();
    for (int w = 0; w < 128 / WARP; ++w) most = fmaxf(most, largest[w]);
    for (int band = threadIdx.x; band < bands; band += blockDim.x) {
        const size_t at = (size_t)band * frames + blockIdx.x;
        mel[at] = __fmul_rn(__fadd_rn(fmaxf(logs[at], __fsub_rn(most, 8.0f)), 4.0f), 0.25f);
    }
}
