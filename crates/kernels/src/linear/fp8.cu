// 8-bit floats (e4m3, up to 448) with one f32 scale a row: x ≈ q · scale. Compute capability 9.0.

/// Two numbers as e4m3, `a` in the low byte.
DEVICE u32 to_e4m3(float a, float b) {
    unsigned short r;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(r) : "f"(b), "f"(a));
    return r;
}

/// One row of `x [rows, k]` bf16 to e4m3, `scale = max|row| / 448`. One block a row; k a multiple of 8. The
/// row is kept in registers between its two passes as far as it fits.
KERNEL quantise_fp8(const bf16 *x, int k, u8 *q, float *scales) {
    constexpr int KEPT = 4;
    i64 row = blockIdx.x;
    const uint4 *from = (const uint4 *)(x + row * k);
    uint4 kept[KEPT];
    int vectors = k / 8;
    float largest = 0.0f;
    #pragma unroll
    for (int i = 0; i < KEPT; i++) {
        int at = i * blockDim.x + threadIdx.x;
        if (at >= vectors) continue;
        kept[i] = from[at];
        float v[8];
        unpack8(kept[i], v);
        #pragma unroll
        for (int j = 0; j < 8; j++) largest = fmaxf(largest, fabsf(v[j]));
    }
    for (int at = KEPT * blockDim.x + threadIdx.x; at < vectors; at += blockDim.x) {
        float v[8];
        unpack8(from[at], v);
        #pragma unroll
        for (int j = 0; j < 8; j++) largest = fmaxf(largest, fabsf(v[j]));
    }
    largest = block_max(largest);
    float inverse = largest > 0.0f ? 448.0f / largest : 0.0f;
    if (threadIdx.x == 0) scales[row] = largest / 448.0f;
    uint2 *to = (uint2 *)(q + row * k);
    auto store = [&](int at, uint4 bits) {
        float v[8];
        unpack8(bits, v);
        #pragma unroll
        for (int j = 0; j < 8; j++) v[j] *= inverse;
        to[at] = make_uint2(to_e4m3(v[0], v[1]) | to_e4m3(v[2], v[3]) << 16,
                            to_e4m3(v[4], v[5]) | to_e4m3(v[6], v[7]) << 16);
    };
    #pragma unroll
    for (int i = 0; i < KEPT; i++) {
        int at = i * blockDim.x + threadIdx.x;
        if (at < vectors) store(at, kept[i]);
    }
    for (int at = KEPT * blockDim.x + threadIdx.x; at < vectors; at += blockDim.x) store(at, from[at]);
}

/// to `[columns, rows]` = from `[rows, columns]` transposed, bf16. Blocks of 32 × 8 threads take 32 × 32.
KERNEL transpose_bf16(const bf16 *from, bf16 *to, int rows, int columns) {
    __shared__ bf16 tile[32][33];
    int x = threadIdx.x % 32, y = threadIdx.x / 32;
    i64 column = (i64)blockIdx.x * 32 + x, row = (i64)blockIdx.y * 32;
    for (int i = y; i < 32; i += 8)
        if (row + i < rows && column < columns) tile[i][x] = from[(row + i) * columns + column];
    __syncthreads();
    i64 to_row = (i64)blockIdx.x * 32, to_column = row + x;
    for (int i = y; i < 32; i += 8)
        if (to_row + i < columns && to_column < rows) to[(to_row + i) * rows + to_column] = tile[x][i];
}
