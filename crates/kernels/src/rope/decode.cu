// One decoding step between the projections and attention: q, k, v of new rows side by side, rotated
// to their positions, q for attention and k, v into the cache. One warp a (row, head).

/// From `qkv [rows, ld]` (heads q heads, kv_heads k heads, kv_heads v heads, of d numbers each): q heads
/// through `q_norm` (may be null) and rotated to `q [rows, ld_q]` (may be qkv); k heads alike, and v heads as
/// they are, to `[slots[row]][kv head][positions[row]][d]` of their caches, strides in numbers. What
/// `norm_and_rotate` makes, except for the order of a norm's sum. d is even; `table` is `[position][cos d/2 | sin d/2]`.
///
/// Grid ⌈rows · (heads + 2 kv_heads) / warps of a block⌉.
KERNEL rotate_into_cache(const bf16 *qkv, int ld, bf16 *q, int ld_q, const u32 *positions, const u32 *slots,
                         const float *table, const float *q_norm, const float *k_norm, float eps,
                         int heads, int kv_heads, int d, int rows,
                         bf16 *k_cache, bf16 *v_cache, i64 slot_stride, i64 head_stride) {
    release_next();
    await_previous();
    int lane = threadIdx.x % 32, half = d / 2, all = heads + 2 * kv_heads;
    int task = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, row = task / all, head = task % all;
    if (row >= rows) return;
    i64 position = positions[row];
    const bf16 *x = qkv + (i64)row * ld + head * d;

    bf16 *y = q + (i64)row * ld_q + head * d;
    if (head >= heads) {
        bool is_k = head < heads + kv_heads;
        int kv_head = is_k ? head - heads : head - heads - kv_heads;
        y = (is_k ? k_cache : v_cache) + slots[row] * slot_stride + kv_head * head_stride + position * d;
        if (!is_k) {
            for (int i = lane; i < half; i += 32) ((u32 *)y)[i] = ((const u32 *)x)[i];
            return;
        }
    }

    const float *weight = head < heads ? q_norm : k_norm;
    const float *cosine = table + position * d, *sine = cosine + half;
    float inverse = 1.0f;
    if (weight) {
        float sum = 0.0f;
        for (int i = lane; i < half; i += 32) {
            u32 w = ((const u32 *)x)[i];
            sum += low(w) * low(w) + high(w) * high(w);
        }
        inverse = rsqrtf(warp_sum(sum) / (float)d + eps);
    }
    for (int i = lane; i < half; i += 32) {
        float a = from_bf16(x[i]) * inverse, b = from_bf16(x[i + half]) * inverse;
        if (weight) {
            a *= weight[i];
            b *= weight[i + half];
        }
        float c = cosine[i], s = sine[i];
        y[i] = to_bf16(a * c - b * s);
        y[i + half] = to_bf16(b * c + a * s);
    }
}

/// Copies the first `count` numbers of each (layer, slot, head) of a cache to another, or to other slots of the
/// same one. Strides in numbers, multiples of 8 as `count` is. Grid (heads, slots, layers).
KERNEL copy_slots(const bf16 *from, i64 from_layer, i64 from_slot, i64 from_head,
                  bf16 *to, i64 to_layer, i64 to_slot, i64 to_head, int count) {
    from += blockIdx.z * from_layer + blockIdx.y * from_slot + blockIdx.x * from_head;
    to += blockIdx.z * to_layer + blockIdx.y * to_slot + blockIdx.x * to_head;
    for (int i = threadIdx.x * 8; i < count; i += blockDim.x * 8) *(uint4 *)(to + i) = *(const uint4 *)(from + i);
}
