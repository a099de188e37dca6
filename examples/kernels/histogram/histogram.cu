// Counts how often each byte value occurs. Each block counts in shared memory first, so that
// threads of different blocks meet only 256 times a block in global memory.
#include <stdint.h>

extern "C" __global__ void histogram(const uint8_t* data, int n, uint32_t* counts) {
    __shared__ uint32_t local[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) local[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&local[data[i]], 1u);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
        if (local[i]) atomicAdd(&counts[i], local[i]);
}
