// Dropout of rows that no other kernel makes on the way.

/// y = x · mask for rows of `x [rows, n]`; one block a row, n a multiple of 8.
KERNEL dropout_scale(const bf16 *x, bf16 *y, int n, const RowKey *keys, u32 layer, u32 site) {
    release_next();
    await_previous();
    __shared__ Mask mask;
    i64 row = blockIdx.x;
    if (threadIdx.x == 0) mask = make_mask(keys[row], layer, site);
    __syncthreads();
    for (int column = threadIdx.x * 8; column < n; column += blockDim.x * 8) {
        float v[8], f[8];
        unpack8(*(const uint4 *)(x + row * n + column), v);
        mask_factors(mask, column, f);
        #pragma unroll
        for (int j = 0; j < 8; j++) v[j] *= f[j];
        *(uint4 *)(y + row * n + column) = pack8(v);
    }
}
