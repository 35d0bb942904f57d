// Frozen weights in NF4: 4 bits a weight, one f32 scale for 64 of them (Dettmers et al. 2023, QLoRA).

/// What the 4 bits stand for, in parts of the largest of the 64.
__constant__ float LEVELS[16] = {
    -1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
    0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f,
};

/// `w` bf16 to 4 bits a weight, two a byte, the first of the two in the upper half; `largest[i]` is max|w| of the
/// i-th 64. A thread takes 8 weights, 8 neighbours of a warp the 64. `vectors` of 8 in all, a multiple of 8.
KERNEL quantise_nf4(const bf16 *w, u32 *q, float *largest, u32 vectors) {
    u32 i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= vectors) return; // all of a 64 or none
    float v[8], most = 0.0f;
    unpack8(((const uint4 *)w)[i], v);
    #pragma unroll
    for (int j = 0; j < 8; j++) most = fmaxf(most, fabsf(v[j]));
    u32 among = 0xffu << (threadIdx.x % 32 / 8 * 8);
    #pragma unroll
    for (int step = 1; step < 8; step *= 2) most = fmaxf(most, __shfl_xor_sync(among, most, step));
    if (i % 8 == 0) largest[i / 8] = most;
    float inverse = most > 0.0f ? 1.0f / most : 0.0f;
    u32 word = 0;
    #pragma unroll
    for (int j = 0; j < 8; j++) {
        float part = v[j] * inverse;
        u32 code = 0;
        #pragma unroll
        for (int level = 0; level < 15; level++) code += part > 0.5f * (LEVELS[level] + LEVELS[level + 1]);
        word |= code << (j / 2 * 8 + (j % 2 == 0 ? 4 : 0));
    }
    q[i] = word;
}

/// w = bf16(level · largest); a thread takes 4 times 8 weights, a block apart, and then those that follow the
/// grid's. `vectors` of 8 in all.
KERNEL dequantise_nf4(const u32 *q, const float *largest, bf16 *w, u32 vectors) {
    constexpr int TIMES = 4;
    __shared__ float levels[16];
    if (threadIdx.x < 16) levels[threadIdx.x] = LEVELS[threadIdx.x];
    __syncthreads();
    u32 step = blockDim.x * TIMES;
    for (u32 first = blockIdx.x * step + threadIdx.x; first < vectors; first += gridDim.x * step) {
        u32 words[TIMES];
        #pragma unroll
        for (int t = 0; t < TIMES; t++) {
            u32 i = first + t * blockDim.x;
            if (i < vectors) words[t] = q[i];
        }
        #pragma unroll
        for (int t = 0; t < TIMES; t++) {
            u32 i = first + t * blockDim.x;
            if (i >= vectors) return;
            float scale = largest[i / 8], v[8];
            #pragma unroll
            for (int j = 0; j < 8; j++)
                v[j] = levels[words[t] >> (j / 2 * 8 + (j % 2 == 0 ? 4 : 0)) & 15] * scale;
            ((uint4 *)w)[i] = pack8(v);
        }
    }
}
