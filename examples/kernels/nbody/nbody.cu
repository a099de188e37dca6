// Gravitational acceleration of n bodies, all pairs, tiled through shared memory.
//   a[i] = sum_j m[j] (p[j] - p[i]) / (|p[j] - p[i]|^2 + eps^2)^(3/2)
// bodies: (n, 4) as x, y, z, mass. Source: Nyland, Harris, Prins, GPU Gems 3, chapter 31.
extern "C" __global__ void nbody(int n, float eps2, const float4* bodies, float4* acceleration) {
    extern __shared__ float4 tile[];
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    const float4 me = bodies[i < n ? i : 0];
    float ax = 0, ay = 0, az = 0;
    for (int start = 0; start < n; start += blockDim.x) {
        const int j = start + threadIdx.x;
        tile[threadIdx.x] = j < n ? bodies[j] : make_float4(0, 0, 0, 0);
        __syncthreads();
        for (int k = 0; k < blockDim.x; ++k) {
            const float4 other = tile[k];
            const float dx = other.x - me.x, dy = other.y - me.y, dz = other.z - me.z;
            const float d2 = dx * dx + dy * dy + dz * dz + eps2;
            const float pull = other.w / (d2 * sqrtf(d2));
            ax += pull * dx;
            ay += pull * dy;
            az += pull * dz;
        }
        __syncthreads();
    }
    if (i < n) acceleration[i] = make_float4(ax, ay, az, 0);
}
