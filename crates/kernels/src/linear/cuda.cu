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

/// 16 bytes that are read once: the first to leave L2, where the weights made of them are to stay until a
/// product has read them.
DEVICE uint4 load_once(const uint4 *p) {
    uint4 v;
    u64 policy;
    asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    asm volatile("ld.global.nc.L1::no_allocate.L2::cache_hint.v4.u32 {%0,%1,%2,%3}, [%4], %5;"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p), "l"(policy));
    return v;
}

/// w = bf16(q · scale), `[n, k]`; a thread takes 16 weights of one row, k a multiple of 16.
KERNEL dequantise_rows(const i8 *q, const float *scales, bf16 *w, u32 vectors_per_row, u32 vectors) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= vectors) return;
    uint4 bytes = load_once((const uint4 *)q + i);
    float scale = scales[i / vectors_per_row];
    u32 words[4] = {bytes.x, bytes.y, bytes.z, bytes.w};
    uint4 out[2];
    u32 *o = (u32 *)out;
    #pragma unroll
    for (int j = 0; j < 4; j++) {
        u32 b = words[j];
        o[2 * j] = pack_bf16((float)(i8)b * scale, (float)(i8)(b >> 8) * scale);
        o[2 * j + 1] = pack_bf16((float)(i8)(b >> 16) * scale, (float)(i8)(b >> 24) * scale);
    }
    ((uint4 *)w)[2 * i] = out[0];
    ((uint4 *)w)[2 * i + 1] = out[1];
}

/// x[i] = table[tokens[i]], rows of h numbers (a multiple of 8), one block a row.
KERNEL embed_rows(const u32 *tokens, const bf16 *table, int h, bf16 *x) {
    i64 from = (i64)tokens[blockIdx.x] * h, to = (i64)blockIdx.x * h;
    for (int i = threadIdx.x * 8; i < h; i += blockDim.x * 8)
        *(uint4 *)(x + to + i) = *(const uint4 *)(table + from + i);
}
