// Frozen weights: int8 with a scale a row, to and from.

/// One row of `w [n, k]` bf16 to bytes, `scale = max|row| / 127`. One block a row; k a multiple of 16.
KERNEL quantise_rows(const bf16 *w, int k, i8 *q, float *scales) {
    i64 row = blockIdx.x;
    float largest = 0.0f;
    for (int i = threadIdx.x * 8; i < k; i += blockDim.x * 8) {
        float v[8];
        unpack8(*(const uint4 *)(w + row * k + i), v);
        #pragma unroll
        for (int j = 0; j < 8; j++) largest = fmaxf(largest, fabsf(v[j]));
    }
    largest = block_max(largest);
    float scale = largest / 127.0f, inverse = largest > 0.0f ? 127.0f / largest : 0.0f;
    if (threadIdx.x == 0) scales[row] = scale;
    for (int i = threadIdx.x * 8; i < k; i += blockDim.x * 8) {
        float v[8];
        unpack8(*(const uint4 *)(w + row * k + i), v);
        u32 word[2] = {0, 0};
        #pragma unroll
        for (int j = 0; j < 8; j++) word[j / 4] |= (u32)(__float2int_rn(v[j] * inverse) & 0xff) << (j % 4 * 8);
        *(uint2 *)(q + row * k + i) = make_uint2(word[0], word[1]);
    }
}

/// 8 bytes that are read once: the first to leave L2, where the weights made of them are to stay until a
/// product has read them.
DEVICE uint2 load_once(const uint2 *p) {
    uint2 v;
    u64 policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    asm volatile("ld.global.nc.L1::no_allocate.L2::cache_hint.v2.u32 {%0,%1}, [%2], %3;"
                 : "=r"(v.x), "=r"(v.y) : "l"(p), "l"(policy));
    return v;
}

/// w = bf16(q · scale), `[n, k]`; a thread takes 4 times 8 weights, a block apart, so that a warp writes whole
/// lines, and then those that follow the grid's. `vectors` of 8 in all, k / 8 of them a row.
KERNEL dequantise_rows(const i8 *q, const float *scales, bf16 *w, u32 vectors_per_row, u32 vectors) {
    constexpr int TIMES = 4;
    u32 step = blockDim.x * TIMES;
    for (u32 first = blockIdx.x * step + threadIdx.x; first < vectors; first += gridDim.x * step) {
        uint2 bytes[TIMES];
        #pragma unroll
        for (int t = 0; t < TIMES; t++) {
            u32 i = first + t * blockDim.x;
            if (i < vectors) bytes[t] = load_once((const uint2 *)q + i);
        }
        #pragma unroll
        for (int t = 0; t < TIMES; t++) {
            u32 i = first + t * blockDim.x;
            if (i >= vectors) return;
            float scale = scales[i / vectors_per_row], v[8];
            #pragma unroll
            for (int j = 0; j < 8; j++)
                v[j] = (float)(i8)((j < 4 ? bytes[t].x : bytes[t].y) >> (j % 4 * 8)) * scale;
            ((uint4 *)w)[i] = pack8(v);
        }
    }
}

/// x[i] = table[tokens[i]], rows of h numbers (a multiple of 8), one block a row.
KERNEL embed_rows(const u32 *tokens, const bf16 *table, int h, bf16 *x) {
    release_next();
    await_previous();
    i64 from = (i64)tokens[blockIdx.x] * h, to = (i64)blockIdx.x * h;
    for (int i = threadIdx.x * 8; i < h; i += blockDim.x * 8)
        *(uint4 *)(x + to + i) = *(const uint4 *)(table + from + i);
}
