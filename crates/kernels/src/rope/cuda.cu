// Head norms and rotary encoding over rows of q, k, v side by side. A team of lanes takes a head: each lane
// 4 neighbouring numbers of the first half and the 4 that they are rotated against.

/// Which head of which row a team has, and what it needs there.
struct Head {
    bool inside;
    i64 row;
    /// First number of the lane within the head.
    int column, half;
    const float *weight, *cosine, *sine;
};

/// `team` is a power of two, at most 32; d / 8 of its lanes have numbers.
DEVICE Head find_head(int team, const u32 *positions, const float *table, const float *q_norm,
                      const float *k_norm, int heads, int kv_heads, int d, int rows, int *head) {
    i64 task = ((i64)blockIdx.x * blockDim.x + threadIdx.x) / team;
    Head h;
    h.row = task / (heads + kv_heads);
    *head = (int)(task % (heads + kv_heads));
    h.half = d / 2;
    h.column = threadIdx.x % team * 4;
    h.inside = h.row < rows && h.column < h.half;
    h.weight = *head < heads ? q_norm : k_norm;
    h.cosine = table + (h.inside ? (i64)positions[h.row] * d : 0) + h.column;
    h.sine = h.cosine + h.half;
    return h;
}

DEVICE float team_sum(float x, int team) {
    for (int o = team / 2; o > 0; o /= 2) x += __shfl_xor_sync(~0u, x, o);
    return x;
}

DEVICE void load4(const bf16 *from, float *x) {
    uint2 v = *(const uint2 *)from;
    x[0] = low(v.x); x[1] = high(v.x);
    x[2] = low(v.y); x[3] = high(v.y);
}

DEVICE void store4(bf16 *to, const float *x) {
    *(uint2 *)to = make_uint2(pack_bf16(x[0], x[1]), pack_bf16(x[2], x[3]));
}

/// Rotates the q and k heads of `from [rows, ld_from]` to their positions, through RMS norms of their own
/// first where `q_norm`, `k_norm` are given, into `to [rows, ld_to]` (may be `from`). d is a multiple of 8;
/// `table` is `[position][cos d/2 | sin d/2]`.
KERNEL norm_and_rotate(const bf16 *from, int ld_from, bf16 *to, int ld_to, const u32 *positions,
                       const float *table, const float *q_norm, const float *k_norm, float eps,
                       int heads, int kv_heads, int d, int rows, int team) {
    release_next();
    await_previous();
    int head;
    Head h = find_head(team, positions, table, q_norm, k_norm, heads, kv_heads, d, rows, &head);
    const bf16 *x = from + h.row * ld_from + head * d + h.column;
    bf16 *y = to + h.row * ld_to + head * d + h.column;
    float a[4] = {}, b[4] = {}, sum = 0.0f;
    if (h.inside) {
        load4(x, a);
        load4(x + h.half, b);
    }
    if (h.weight) {
        #pragma unroll
        for (int i = 0; i < 4; i++) sum += a[i] * a[i] + b[i] * b[i];
        float inverse = rsqrtf(team_sum(sum, team) / (float)d + eps);
        if (h.inside) {
            #pragma unroll
            for (int i = 0; i < 4; i++) {
                a[i] *= inverse * h.weight[h.column + i];
                b[i] *= inverse * h.weight[h.column + h.half + i];
            }
        }
    }
    if (!h.inside) return;
    float p[4], q[4];
    #pragma unroll
    for (int i = 0; i < 4; i++) {
        float c = h.cosine[i], s = h.sine[i];
        p[i] = a[i] * c - b[i] * s;
        q[i] = b[i] * c + a[i] * s;
    }
    store4(y, p);
    store4(y + h.half, q);
}

/// Takes gradients of rotated q and k heads in `d_rows [rows, ld]` back through rotation and norm, in place.
/// `x_rows [rows, ld]` is what the norms read.
KERNEL norm_and_rotate_backward(bf16 *d_rows, const bf16 *x_rows, int ld, const u32 *positions,
                                const float *table, const float *q_norm, const float *k_norm, float eps,
                                int heads, int kv_heads, int d, int rows, int team) {
    release_next();
    await_previous();
    int head;
    Head h = find_head(team, positions, table, q_norm, k_norm, heads, kv_heads, d, rows, &head);
    i64 at = h.row * ld + head * d + h.column;
    float p[4] = {}, q[4] = {}, ga[4], gb[4];
    if (h.inside) {
        load4(d_rows + at, p);
        load4(d_rows + at + h.half, q);
    }
    #pragma unroll
    for (int i = 0; i < 4; i++) {
        float c = h.inside ? h.cosine[i] : 0.0f, s = h.inside ? h.sine[i] : 0.0f;
        ga[i] = p[i] * c + q[i] * s;
        gb[i] = q[i] * c - p[i] * s;
    }
    if (h.weight) {
        float a[4] = {}, b[4] = {}, squares = 0.0f, dot = 0.0f;
        if (h.inside) {
            load4(x_rows + at, a);
            load4(x_rows + at + h.half, b);
            #pragma unroll
            for (int i = 0; i < 4; i++) {
                ga[i] *= h.weight[h.column + i];
                gb[i] *= h.weight[h.column + h.half + i];
                squares += a[i] * a[i] + b[i] * b[i];
                dot += a[i] * ga[i] + b[i] * gb[i];
            }
        }
        float inverse = rsqrtf(team_sum(squares, team) / (float)d + eps);
        float slope = team_sum(dot, team) * inverse * inverse * inverse / (float)d;
        #pragma unroll
        for (int i = 0; i < 4; i++) {
            ga[i] = inverse * ga[i] - a[i] * slope;
            gb[i] = inverse * gb[i] - b[i] * slope;
        }
    }
    if (!h.inside) return;
    store4(d_rows + at, ga);
    store4(d_rows + at + h.half, gb);
}
