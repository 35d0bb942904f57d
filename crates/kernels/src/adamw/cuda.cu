// AdamW over the whole bank at once. The adapters' weights lie one after the other; a piece is a run of
// one adapter's weights, so that sums have an order of their own and no piece has two learning rates.

struct Piece {
    u64 start;
    u32 len;
    u32 adapter;
};

/// One adapter's part of a step. `lr < 0`: it does not step.
struct Rate {
    float lr, clip, bias1, bias2;
};

/// partial[piece] = Σ g² over the piece.
KERNEL sum_of_squares(const float *g, const Piece *pieces, double *partial) {
    release_next();
    await_previous();
    Piece piece = pieces[blockIdx.x];
    double sum = 0.0;
    const float4 *v = (const float4 *)(g + piece.start);
    for (u32 i = threadIdx.x; i < piece.len / 4; i += blockDim.x) {
        float4 x = v[i];
        sum += (double)(x.x * x.x) + (double)(x.y * x.y) + (double)(x.z * x.z) + (double)(x.w * x.w);
    }
    __shared__ double parts[32];
    #pragma unroll
    for (int o = 16; o > 0; o /= 2) sum += __shfl_xor_sync(~0u, sum, o);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int w = 1; w < blockDim.x / 32; w++) sum += parts[w];
        partial[blockIdx.x] = sum;
    }
}

/// norms[a] = √Σ partial over the adapter's pieces (first[a]..first[a+1]), in order; factors[a] what its
/// gradient is multiplied with.
KERNEL clip_factors(const double *partial, const u32 *first, const Rate *rates, float *norms, float *factors) {
    release_next();
    await_previous();
    u32 a = blockIdx.x;
    double sum = 0.0;
    for (u32 p = first[a] + threadIdx.x; p < first[a + 1]; p += 32) sum += partial[p];
    #pragma unroll
    for (int o = 16; o > 0; o /= 2) sum += __shfl_xor_sync(~0u, sum, o);
    if (threadIdx.x) return;
    norms[a] = (float)sqrt(sum);
    factors[a] = fminf(rates[a].clip / (norms[a] + 1e-6f), 1.0f);
}

struct Adam {
    float beta1, beta2, eps, decay;
};

DEVICE float adam_update(float w, float g, float *m, float *v, Adam a, float size, float bias2, float keep) {
    *m += (g - *m) * (1.0f - a.beta1);
    *v = *v * a.beta2 + g * g * (1.0f - a.beta2);
    float root = sqrtf(*v) / bias2 + a.eps;
    return w * keep - size * (*m / root);
}

/// One step of every adapter that has a rate; also rounds the new weights to bf16.
KERNEL adamw(const Piece *pieces, const Rate *rates, const float *factors, float beta1, float beta2,
             float eps, float decay, float *w, const float *g, float *m, float *v, bf16 *rounded) {
    release_next();
    await_previous();
    Piece piece = pieces[blockIdx.x];
    Rate rate = rates[piece.adapter];
    if (rate.lr < 0.0f) return;
    float factor = factors[piece.adapter], size = rate.lr / rate.bias1, keep = 1.0f - rate.lr * decay;
    Adam a = {beta1, beta2, eps, decay};
    for (u32 i = threadIdx.x * 4; i < piece.len; i += blockDim.x * 4) {
        u64 at = piece.start + i;
        float4 x = *(float4 *)(w + at), d = *(const float4 *)(g + at);
        float4 p = *(float4 *)(m + at), q = *(float4 *)(v + at);
        x.x = adam_update(x.x, d.x * factor, &p.x, &q.x, a, size, rate.bias2, keep);
        x.y = adam_update(x.y, d.y * factor, &p.y, &q.y, a, size, rate.bias2, keep);
        x.z = adam_update(x.z, d.z * factor, &p.z, &q.z, a, size, rate.bias2, keep);
        x.w = adam_update(x.w, d.w * factor, &p.w, &q.w, a, size, rate.bias2, keep);
        *(float4 *)(w + at) = x;
        *(float4 *)(m + at) = p;
        *(float4 *)(v + at) = q;
        uint2 r = {pack_bf16(x.x, x.y), pack_bf16(x.z, x.w)};
        *(uint2 *)(rounded + at) = r;
    }
}

/// rounded = bf16(w), n a multiple of 8.
KERNEL round_to_bf16(const float *w, bf16 *rounded, u64 n) {
    release_next();
    await_previous();
    u64 i = ((u64)blockIdx.x * blockDim.x + threadIdx.x) * 8;
    if (i < n) *(uint4 *)(rounded + i) = pack8((const float *)(w + i));
}
