// RMS norm over rows of bf16, sums in f32. One block a row; a thread holds V vectors of 8 numbers.

/// One row of `x [rows, h]` through the norm. `y` gets the plain result, `dropped` the masked one; either
/// may be null. `gather` names x's rows (null: row i is row i); y and dropped are dense.
template <int V>
DEVICE void rms_norm_forward(const bf16 *x, const u32 *gather, const float *weight, float eps, int h,
                             bf16 *y, bf16 *dropped, const RowKey *keys, u32 layer, u32 site) {
    release_next();
    await_previous();
    __shared__ Mask shared_mask;
    i64 row = blockIdx.x, from = gather ? (i64)gather[row] : row;
    if (dropped && threadIdx.x == 0) shared_mask = make_mask(keys[row], layer, site);
    float v[V][8], sum = 0.0f;
    #pragma unroll
    for (int i = 0; i < V; i++) {
        int column = (i * blockDim.x + threadIdx.x) * 8;
        if (column >= h) continue;
        unpack8(*(const uint4 *)(x + from * h + column), v[i]);
        #pragma unroll
        for (int j = 0; j < 8; j++) sum += v[i][j] * v[i][j];
    }
    float inverse = rsqrtf(block_sum(sum) / (float)h + eps);
    Mask mask = shared_mask;
    #pragma unroll
    for (int i = 0; i < V; i++) {
        int column = (i * blockDim.x + threadIdx.x) * 8;
        if (column >= h) continue;
        #pragma unroll
        for (int j = 0; j < 8; j++) v[i][j] *= inverse * weight[column + j];
        if (y) *(uint4 *)(y + row * h + column) = pack8(v[i]);
        if (!dropped) continue;
        float f[8];
        mask_factors(mask, column, f);
        #pragma unroll
        for (int j = 0; j < 8; j++) f[j] = from_bf16(to_bf16(v[i][j])) * f[j];
        *(uint4 *)(dropped + row * h + column) = pack8(f);
    }
}

/// `dx += inv · (w dy) − x · inv³ / h · Σ x w dy` for one row of `dy`; also makes the masked norm of x
/// again (`dropped`, may be null), which the gradient of A needs. With `gather`, row i of dy belongs to
/// row gather[i] of x and dx.
template <int V>
DEVICE void rms_norm_backward(const bf16 *x, const u32 *gather, const float *weight, float eps, int h,
                              const bf16 *dy, bf16 *dx, bf16 *dropped, const RowKey *keys, u32 layer, u32 site) {
    release_next();
    await_previous();
    __shared__ Mask shared_mask;
    i64 row = blockIdx.x, at = gather ? (i64)gather[row] : row;
    if (dropped && threadIdx.x == 0) shared_mask = make_mask(keys[row], layer, site);
    float v[V][8], g[V][8], squares = 0.0f, dot = 0.0f;
    #pragma unroll
    for (int i = 0; i < V; i++) {
        int column = (i * blockDim.x + threadIdx.x) * 8;
        if (column >= h) continue;
        unpack8(*(const uint4 *)(x + at * h + column), v[i]);
        unpack8(*(const uint4 *)(dy + row * h + column), g[i]);
        #pragma unroll
        for (int j = 0; j < 8; j++) {
            g[i][j] *= weight[column + j];
            squares += v[i][j] * v[i][j];
            dot += v[i][j] * g[i][j];
        }
    }
    float inverse = rsqrtf(block_sum(squares) / (float)h + eps);
    float slope = block_sum(dot) * inverse * inverse * inverse / (float)h;
    Mask mask = shared_mask;
    #pragma unroll
    for (int i = 0; i < V; i++) {
        int column = (i * blockDim.x + threadIdx.x) * 8;
        if (column >= h) continue;
        float d[8];
        unpack8(*(const uint4 *)(dx + at * h + column), d);
        #pragma unroll
        for (int j = 0; j < 8; j++) d[j] += inverse * g[i][j] - v[i][j] * slope;
        *(uint4 *)(dx + at * h + column) = pack8(d);
        if (!dropped) continue;
        float f[8];
        mask_factors(mask, column, f);
        #pragma unroll
        for (int j = 0; j < 8; j++) f[j] *= from_bf16(to_bf16(v[i][j] * (inverse * weight[column + j])));
        *(uint4 *)(dropped + row * h + column) = pack8(f);
    }
}

#define SIZES(V)                                                                                        \
    KERNEL rms_norm_forward_##V(const bf16 *x, const u32 *gather, const float *weight, float eps,       \
                                int h, bf16 *y, bf16 *dropped, const RowKey *keys, u32 layer, u32 site) { \
        rms_norm_forward<V>(x, gather, weight, eps, h, y, dropped, keys, layer, site);                  \
    }                                                                                                   \
    KERNEL rms_norm_backward_##V(const bf16 *x, const u32 *gather, const float *weight, float eps,      \
                                 int h, const bf16 *dy, bf16 *dx, bf16 *dropped, const RowKey *keys,    \
                                 u32 layer, u32 site) {                                                 \
        rms_norm_backward<V>(x, gather, weight, eps, h, dy, dx, dropped, keys, layer, site);            \
    }
SIZES(1)
SIZES(2)
SIZES(4)
