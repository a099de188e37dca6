// Eight kernels that between them use what the PTX route must be good at, for its benchmark.
//
//   vadd           c = a + b                               one thread a value
//   matmul         C = A B                                 tiles of 16 x 16 in shared memory
//   block_reduce   out[b] = sum of the block's share       shuffles, then shared memory
//   softmax        y = exp(x - max) / sum of each row      dynamic shared memory, a tree
//   histogram      bins[d] += 1                            atomics in shared and global memory
//   haxpy          z = alpha x + y, norm += z^2            half precision, an atomic sum
//   scan           inclusive sums of each row              threads leave before the barriers
//   gemv_q8        y = (W s_w) (x s_x)                     16-byte loads, dp4a, shuffles
//
// Half precision goes through inline assembly, so that no header is needed.

typedef unsigned short half;
constexpr int TILE = 16;
constexpr unsigned ALL = 0xffffffffu;

__device__ __forceinline__ float to_float(half h) {
    float f;
    asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
    return f;
}
__device__ __forceinline__ unsigned two_halves(float f) {
    unsigned pair;
    asm("{ .reg .b16 h; cvt.rn.f16.f32 h, %1; mov.b32 %0, {h, h}; }" : "=r"(pair) : "f"(f));
    return pair;
}
__device__ __forceinline__ unsigned fma_halves(unsigned a, unsigned b, unsigned c) {
    unsigned d;
    asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(c));
    return d;
}

extern "C" __global__ void vadd(const float *a, const float *b, float *c, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) c[i] = a[i] + b[i];
}

extern "C" __global__ void matmul(
        const float *__restrict__ a, const float *__restrict__ b, float *__restrict__ c, int rows,
        int columns, int inner) {
    __shared__ float tile_a[TILE][TILE], tile_b[TILE][TILE];
    const int x = threadIdx.x, y = threadIdx.y;
    const int row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
    float sum = 0.0f;
    for (int first = 0; first < inner; first += TILE) {
        const bool in_a = row < rows && first + x < inner;
        const bool in_b = first + y < inner && column < columns;
        tile_a[y][x] = in_a ? a[row * inner + first + x] : 0.0f;
        tile_b[y][x] = in_b ? b[(first + y) * columns + column] : 0.0f;
        __syncthreads();
#pragma unroll
        for (int k = 0; k < TILE; ++k) sum += tile_a[y][k] * tile_b[k][x];
        __syncthreads();
    }
    if (row < rows && column < columns) c[row * columns + column] = sum;
}

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
        value += __shfl_down_sync(ALL, value, distance);
    return value;
}

extern "C" __global__ void block_reduce(const float *values, float *out, int n) {
    __shared__ float parts[32];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    float sum = 0.0f;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += values[i];
    sum = warp_sum(sum);
    if (lane == 0) parts[warp] = sum;
    __syncthreads();
    if (warp == 0) {
        sum = warp_sum(lane < blockDim.x / 32 ? parts[lane] : 0.0f);
        if (lane == 0) out[blockIdx.x] = sum;
    }
}

extern "C" __global__ void softmax(const float *x, float *y, int columns) {
    extern __shared__ float tree[];
    const int t = threadIdx.x;
    const float *row = x + (size_t)blockIdx.x * columns;
    float largest = -3.4e38f;
    for (int i = t; i < columns; i += blockDim.x) largest = fmaxf(largest, row[i]);
    tree[t] = largest;
    __syncthreads();
    for (int half_way = blockDim.x / 2; half_way > 0; half_way /= 2) {
        if (t < half_way) tree[t] = fmaxf(tree[t], tree[t + half_way]);
        __syncthreads();
    }
    largest = tree[0];
    __syncthreads();
    float sum = 0.0f;
    for (int i = t; i < columns; i += blockDim.x) sum += __expf(row[i] - largest);
    tree[t] = sum;
    __syncthreads();
    for (int half_way = blockDim.x / 2; half_way > 0; half_way /= 2) {
        if (t < half_way) tree[t] += tree[t + half_way];
        __syncthreads();
    }
    const float factor = 1.0f / tree[0];
    for (int i = t; i < columns; i += blockDim.x)
        y[(size_t)blockIdx.x * columns + i] = __expf(row[i] - largest) * factor;
}

extern "C" __global__ void histogram(const unsigned char *data, unsigned *bins, int n) {
    __shared__ unsigned own[256];
    for (int i = threadIdx.x; i < 256; i += blockDim.x) own[i] = 0;
    __syncthreads();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        atomicAdd(&own[data[i]], 1u);
    __syncthreads();
    for (int i = threadIdx.x; i < 256; i += blockDim.x)
        if (own[i]) atomicAdd(&bins[i], own[i]);
}

extern "C" __global__ void haxpy(
        const unsigned *x, const unsigned *y, unsigned *z, float *norm, float alpha, int pairs) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= pairs) return;
    const unsigned pair = fma_halves(two_halves(alpha), x[i], y[i]);
    z[i] = pair;
    const float low = to_float(pair & 0xffff), high = to_float(pair >> 16);
    atomicAdd(norm, low * low + high * high);
}

extern "C" __global__ void scan(const int *x, int *y, int n) {
    __shared__ int sums[2][256];
    const int t = threadIdx.x;
    if (t >= n) return;
    int now = 0;
    sums[0][t] = x[blockIdx.x * n + t];
    __syncthreads();
    for (int distance = 1; distance < n; distance *= 2) {
        sums[1 - now][t] = sums[now][t] + (t >= distance ? sums[now][t - distance] : 0);
        now = 1 - now;
        __syncthreads();
    }
    y[blockIdx.x * n + t] = sums[now][t];
}

extern "C" __global__ void __launch_bounds__(128) gemv_q8(
        const int4 *__restrict__ weights, const half *__restrict__ weight_scales,
        const int4 *__restrict__ inputs, const float *__restrict__ input_scales,
        float *__restrict__ outputs, int rows, int columns) {
    const int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= rows) return;
    const int blocks = columns / 32;
    float sum = 0.0f;
    for (int block = lane; block < blocks; block += 32) {
        int dot = 0;
#pragma unroll
        for (int part = 0; part < 2; ++part) {
            const int4 w = weights[((size_t)row * blocks + block) * 2 + part];
            const int4 x = inputs[block * 2 + part];
            dot = __dp4a(w.x, x.x, __dp4a(w.y, x.y, dot));
            dot = __dp4a(w.z, x.z, __dp4a(w.w, x.w, dot));
        }
        sum += (float)dot * to_float(weight_scales[(size_t)row * blocks + block])
             * input_scales[block];
    }
#pragma unroll
    for (int distance = 16; distance > 0; distance /= 2)
        sum += __shfl_xor_sync(ALL, sum, distance);
    if (lane == 0) outputs[row] = sum;
}
