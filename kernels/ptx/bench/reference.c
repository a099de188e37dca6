// The eight kernels of reference.cu as a C programmer would write them: the peer of the benchmark.

#include <math.h>
#include <stdint.h>

void vadd(const float *restrict a, const float *restrict b, float *restrict c, int n) {
    for (int i = 0; i < n; ++i) c[i] = a[i] + b[i];
}

void matmul(const float *restrict a, const float *restrict b, float *restrict c, int rows,
            int columns, int inner) {
    for (int row = 0; row < rows; ++row) {
        float *out = c + row * columns;
        for (int column = 0; column < columns; ++column) out[column] = 0.0f;
        for (int k = 0; k < inner; ++k) {
            const float factor = a[row * inner + k];
            for (int column = 0; column < columns; ++column)
                out[column] += factor * b[k * columns + column];
        }
    }
}

// Each part is the sum that a block of 256 threads makes; eight sums at a time, as the order of
// additions is free there and the compiler may not change it here.
void block_reduce(const float *restrict values, float *restrict out, int n, int parts) {
    for (int part = 0; part < parts; ++part) {
        float sums[8] = {0};
        for (int64_t first = part * 256; first < n; first += (int64_t)parts * 256) {
            const int count = n - first < 256 ? n - first : 256;
            int i = 0;
            for (; i + 8 <= count; i += 8)
                for (int j = 0; j < 8; ++j) sums[j] += values[first + i + j];
            for (; i < count; ++i) sums[0] += values[first + i];
        }
        float sum = 0;
        for (int j = 0; j < 8; ++j) sum += sums[j];
        out[part] = sum;
    }
}

void softmax(const float *restrict x, float *restrict y, int rows, int columns) {
    for (int row = 0; row < rows; ++row) {
        const float *in = x + (int64_t)row * columns;
        float *out = y + (int64_t)row * columns, largest = -INFINITY, sum = 0;
        for (int i = 0; i < columns; ++i) largest = in[i] > largest ? in[i] : largest;
        for (int i = 0; i < columns; ++i) sum += out[i] = expf(in[i] - largest);
        for (int i = 0; i < columns; ++i) out[i] /= sum;
    }
}

void histogram(const uint8_t *restrict data, uint32_t *restrict bins, int n) {
    for (int i = 0; i < n; ++i) bins[data[i]] += 1;
}

void haxpy(const _Float16 *restrict x, const _Float16 *restrict y, _Float16 *restrict z,
           float *norm, float alpha, int n) {
    float sum = 0;
    for (int i = 0; i < n; ++i) {
        z[i] = (_Float16)((float)(_Float16)alpha * (float)x[i] + (float)y[i]);
        sum += (float)z[i] * (float)z[i];
    }
    *norm = sum;
}

void scan(const int32_t *restrict x, int32_t *restrict y, int rows, int n) {
    for (int row = 0; row < rows; ++row) {
        int32_t sum = 0;
        for (int i = 0; i < n; ++i) y[row * n + i] = sum += x[row * n + i];
    }
}

void gemv_q8(const int8_t *restrict weights, const _Float16 *restrict weight_scales,
             const int8_t *restrict inputs, const float *restrict input_scales,
             float *restrict outputs, int rows, int columns) {
    const int blocks = columns / 32;
    for (int row = 0; row < rows; ++row) {
        float sum = 0;
        for (int block = 0; block < blocks; ++block) {
            const int8_t *w = weights + ((int64_t)row * blocks + block) * 32;
            const int8_t *v = inputs + block * 32;
            int dot = 0;
            for (int i = 0; i < 32; ++i) dot += w[i] * v[i];
            sum += dot * (float)weight_scales[(int64_t)row * blocks + block] * input_scales[block];
        }
        outputs[row] = sum;
    }
}
