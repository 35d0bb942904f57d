// SwiGLU over rows: gate and up side by side `[rows, 2f]`, f a multiple of 8. One block a row.

/// y = silu(gate) · up; `dropped` (may be null) gets y · mask.
KERNEL swiglu_forward(const bf16 *gate_up, int f, bf16 *y, bf16 *dropped, const RowKey *keys, u32 layer, u32 site) {
    release_next();
    await_previous();
    __shared__ Mask mask;
    i64 row = blockIdx.x;
    if (dropped && threadIdx.x == 0) mask = make_mask(keys[row], layer, site);
    __syncthreads();
    const bf16 *gate = gate_up + row * 2 * f, *up = gate + f;
    for (int column = threadIdx.x * 8; column < f; column += blockDim.x * 8) {
        float g[8], u[8];
        unpack8(*(const uint4 *)(gate + column), g);
        unpack8(*(const uint4 *)(up + column), u);
        #pragma unroll
        for (int j = 0; j < 8; j++) u[j] *= g[j] * sigmoid(g[j]);
        uint4 packed = pack8(u);
        *(uint4 *)(y + row * f + column) = packed;
        if (!dropped) continue;
        float factor[8];
        mask_factors(mask, column, factor);
        unpack8(packed, u);
        #pragma unroll
        for (int j = 0; j < 8; j++) u[j] *= factor[j];
        *(uint4 *)(dropped + row * f + column) = pack8(u);
    }
}

/// d_gate = dy · up · σ(g)(1 + g(1 − σ(g))), d_up = dy · silu(g), side by side as gate and up are. `dropped`
/// (may be null) gets the masked result of forward again, which the gradient of A needs.
KERNEL swiglu_backward(const bf16 *gate_up, int f, const bf16 *dy, bf16 *d_gate_up, bf16 *dropped,
                       const RowKey *keys, u32 layer, u32 site) {
    release_next();
    await_previous();
    __shared__ Mask mask;
    i64 row = blockIdx.x;
    if (dropped && threadIdx.x == 0) mask = make_mask(keys[row], layer, site);
    __syncthreads();
    const bf16 *gate = gate_up + row * 2 * f, *up = gate + f;
    bf16 *d_gate = d_gate_up + row * 2 * f, *d_up = d_gate + f;
    for (int column = threadIdx.x * 8; column < f; column += blockDim.x * 8) {
        float g[8], u[8], d[8], y[8];
        unpack8(*(const uint4 *)(gate + column), g);
        unpack8(*(const uint4 *)(up + column), u);
        unpack8(*(const uint4 *)(dy + row * f + column), d);
        #pragma unroll
        for (int j = 0; j < 8; j++) {
            float s = sigmoid(g[j]), silu = g[j] * s;
            y[j] = silu * u[j];
            u[j] *= d[j] * s * (1.0f + g[j] * (1.0f - s));
            d[j] *= silu;
        }
        *(uint4 *)(d_gate + column) = pack8(u);
        *(uint4 *)(d_up + column) = pack8(d);
        if (!dropped) continue;
        float factor[8];
        mask_factors(mask, column, factor);
        #pragma unroll
        for (int j = 0; j < 8; j++) y[j] = from_bf16(to_bf16(y[j])) * factor[j];
        *(uint4 *)(dropped + row * f + column) = pack8(y);
    }
}
