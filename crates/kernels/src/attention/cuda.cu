// Causal attention with grouped queries over packed sequences, in tiles of 64 rows, so that no matrix of
// scores is ever in memory (FlashAttention-2, Dao 2023), and the same of single rows against a cache.
//
// A row of q has `heads · D` columns, one of k or v `heads / group · D`; the operands are strided, so that
// they may be columns of one matrix. D is a multiple of 8 and at most DP, the number in a kernel's name
// (16, 32, 64 or 128); the columns between them are zeros in shared memory.
//
// The factors of a product are bf16, among them the weights and the gradients of the scores, which are
// rounded for it; the softmax and all sums are f32. Nothing is added atomically: a result is the same to the
// bit in every run.

constexpr int ROWS = 64;
constexpr int THREADS = 128;
constexpr float LOG2_E = 1.44269504f;
constexpr float LN_2 = 0.69314718f;

/// 64 rows of a sequence: its first row in the batch, its length, and the tile's first row in the sequence,
/// a multiple of 64.
struct Tile {
    u32 start, len, first;
};

// ---- tiles in shared memory -----------------------------------------------------------------------

/// `[64][DP]`.
template <int DP> constexpr int TILE = ROWS * DP;

/// Where an element of a tile is. Groups of 8 columns change places from row to row (are swizzled), so that
/// 8 rows below each other, of which ldmatrix reads 16 bytes each, lie in different banks.
template <int DP> DEVICE int place(int row, int column) {
    constexpr int GROUPS = DP / 8, ROWS_PER_LINE = GROUPS < 8 ? 8 / GROUPS : 1, PLACES = GROUPS < 8 ? GROUPS : 8;
    return row * DP + (column ^ row / ROWS_PER_LINE % PLACES * 8);
}

/// Copies up to 64 rows of one head; zeros beyond row `count` and column `d`.
template <int DP> DEVICE void load_tile(bf16 *tile, const bf16 *rows, int ld, int count, int d) {
    constexpr int LANES = DP / 8, AT_ONCE = THREADS / LANES;
    int column = threadIdx.x % LANES * 8;
    #pragma unroll
    for (int r = 0; r < ROWS; r += AT_ONCE) {
        int row = r + threadIdx.x / LANES;
        copy16(tile + place<DP>(row, column), rows + (i64)row * ld + column, row < count && column < d);
    }
}

/// 4 bytes, as copy16.
DEVICE void copy4(void *to, const void *from, bool wanted) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;"
                 :: "r"(shared_address(to)), "l"(from), "r"(wanted ? 4 : 0) : "memory");
}

/// Where a lane points ldmatrix for the 16×16 elements of a tile at `row` and `column`, multiples of 16.
template <int DP> DEVICE const bf16 *lane_address(const bf16 *tile, int row, int column) {
    int lane = threadIdx.x % 32;
    return tile + row * DP + (place<DP>(lane % 16, lane / 16 * 8) ^ column);
}

/// c[16×16] += a · bᵀ, `b` 16×16 of a tile. `c` is the left and the right 16×8.
DEVICE void add_product_transposed(float (*c)[4], const u32 *a, const bf16 *b) {
    u32 r[4];
    ldmatrix4(r, b);
    u32 left[2] = {r[0], r[2]}, right[2] = {r[1], r[3]};
    mma16816(c[0], a, left);
    mma16816(c[1], a, right);
}

/// c[16×16] += a · b.
DEVICE void add_product(float (*c)[4], const u32 *a, const bf16 *b) {
    u32 r[4];
    ldmatrix4_transposed(r, b);
    mma16816(c[0], a, r);
    mma16816(c[1], a, r + 2);
}

/// c[16×16] as the left operand of the next product.
DEVICE void to_operand(u32 *a, const float (*c)[4]) {
    a[0] = pack_bf16(c[0][0], c[0][1]);
    a[1] = pack_bf16(c[0][2], c[0][3]);
    a[2] = pack_bf16(c[1][0], c[1][1]);
    a[3] = pack_bf16(c[1][2], c[1][3]);
}

/// Writes a warp's `c[16×DP]`, rows times `upper` (0 to 7) and `lower` (8 to 15), to the first `count` rows
/// of `to`. `scratch`, 16 rows of a tile that only this warp uses, turns the lanes' pairs into 16 bytes.
template <int DP>
DEVICE void store_rows(bf16 *to, int ld, int count, int d, bf16 *scratch, const float (*c)[4], float upper, float lower) {
    constexpr int LANES = DP / 8, AT_ONCE = 32 / LANES;
    int lane = threadIdx.x % 32, column = lane % LANES * 8;
    __syncwarp();
    #pragma unroll
    for (int n = 0; n < DP / 8; n++) {
        int at = place<DP>(lane / 4, n * 8) + lane % 4 * 2;
        *(u32 *)(scratch + at) = pack_bf16(c[n][0] * upper, c[n][1] * upper);
        *(u32 *)(scratch + at + 8 * DP) = pack_bf16(c[n][2] * lower, c[n][3] * lower);
    }
    __syncwarp();
    #pragma unroll
    for (int r = 0; r < 16; r += AT_ONCE) {
        int row = r + lane / LANES;
        if (row < count && column < d)
            *(uint4 *)(to + (i64)row * ld + column) = *(const uint4 *)(scratch + place<DP>(row, column));
    }
}

DEVICE float infinity() { return __int_as_float(0x7f800000); }

// ---- forward --------------------------------------------------------------------------------------

/// One tile of queries of one head; a warp has 16 of them.
template <int DP>
DEVICE void forward(const bf16 *q, const bf16 *k, const bf16 *v, int ld_q, int ld_k, int ld_v, bf16 *out, int ld_out,
                    float *lse, int t, const Tile *tiles, int group, int d, float scale) {
    release_next();
    await_previous();
    extern __shared__ uint4 shared[];
    bf16 *qs = (bf16 *)shared, *ks = qs + TILE<DP>, *vs = ks + TILE<DP>;
    Tile tile = tiles[blockIdx.y];
    int head = blockIdx.x, kv_head = head / group, len = tile.len, rows = min(len - (int)tile.first, ROWS);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    i64 query = tile.start + tile.first;
    const bf16 *keys = k + (i64)tile.start * ld_k + kv_head * d, *values = v + (i64)tile.start * ld_v + kv_head * d;

    load_tile<DP>(qs, q + query * ld_q + head * d, ld_q, rows, d);
    load_tile<DP>(ks, keys, ld_k, len, d);
    copy_commit();
    load_tile<DP>(vs, values, ld_v, len, d);
    copy_commit();

    // Exponents are base 2 and hold the scale. largest[0] is of row lane / 4, largest[1] of the row 8 below;
    // sum is of the lane's own columns until the end.
    bool active = warp * 16 < rows;
    float factor = scale * LOG2_E;
    float o[DP / 8][4] = {}, largest[2] = {-infinity(), -infinity()}, sum[2] = {};
    int last = tile.first / ROWS;
    for (int block = 0; block <= last; block++) {
        // The block on the diagonal ends, for this warp, with the 16 keys that are its own rows.
        int chunks = block < last ? ROWS / 16 : warp + 1;
        float s[ROWS / 16][2][4];
        copy_wait<1>();
        __syncthreads();
        if (active) {
            #pragma unroll
            for (int n = 0; n < ROWS / 16; n++) {
                #pragma unroll
                for (int e = 0; e < 8; e++) s[n][e / 4][e % 4] = n < chunks ? 0.0f : -infinity();
                if (n < chunks) {
                    #pragma unroll
                    for (int c = 0; c < DP; c += 16) {
                        u32 a[4];
                        ldmatrix4(a, lane_address<DP>(qs, warp * 16, c));
                        add_product_transposed(s[n], a, lane_address<DP>(ks, n * 16, c));
                    }
                }
                if (block == last && n == warp) {
                    #pragma unroll
                    for (int e = 0; e < 8; e++) {
                        int row = lane / 4 + e % 4 / 2 * 8, column = e / 4 * 8 + lane % 4 * 2 + e % 2;
                        if (column > row) s[n][e / 4][e % 4] = -infinity();
                    }
                }
            }
        }
        if (block < last) {
            __syncthreads();
            load_tile<DP>(ks, keys + (i64)(block + 1) * ROWS * ld_k, ld_k, len - (block + 1) * ROWS, d);
        }
        copy_commit();

        if (active) {
            #pragma unroll
            for (int r = 0; r < 2; r++) {
                float most = -infinity();
                #pragma unroll
                for (int n = 0; n < ROWS / 8; n++)
                    most = fmaxf(most, fmaxf(s[n / 2][n % 2][2 * r], s[n / 2][n % 2][2 * r + 1]));
                most = fmaxf(most, __shfl_xor_sync(~0u, most, 1));
                most = fmaxf(most, __shfl_xor_sync(~0u, most, 2));
                most = fmaxf(largest[r], most * factor);
                float shrink = exp2f(largest[r] - most);
                largest[r] = most;
                sum[r] *= shrink;
                #pragma unroll
                for (int n = 0; n < ROWS / 8; n++) {
                    #pragma unroll
                    for (int e = 2 * r; e < 2 * r + 2; e++) {
                        float p = exp2f(s[n / 2][n % 2][e] * factor - most);
                        s[n / 2][n % 2][e] = p;
                        sum[r] += p;
                    }
                }
                #pragma unroll
                for (int n = 0; n < DP / 8; n++) {
                    o[n][2 * r] *= shrink;
                    o[n][2 * r + 1] *= shrink;
                }
            }
        }
        copy_wait<1>();
        __syncthreads();
        if (active) {
            #pragma unroll
            for (int n = 0; n < ROWS / 16; n++) {
                if (n < chunks) {
                    u32 p[4];
                    to_operand(p, s[n]);
                    #pragma unroll
                    for (int c = 0; c < DP; c += 16)
                        add_product(o + c / 8, p, lane_address<DP>(vs, n * 16, c));
                }
            }
        }
        if (block < last) {
            __syncthreads();
            load_tile<DP>(vs, values + (i64)(block + 1) * ROWS * ld_v, ld_v, len - (block + 1) * ROWS, d);
        }
        copy_commit();
    }

    if (!active) return;
    float inverse[2];
    #pragma unroll
    for (int r = 0; r < 2; r++) {
        sum[r] += __shfl_xor_sync(~0u, sum[r], 1);
        sum[r] += __shfl_xor_sync(~0u, sum[r], 2);
        inverse[r] = 1.0f / sum[r];
        int row = warp * 16 + lane / 4 + r * 8;
        if (lane % 4 == 0 && row < rows) lse[(i64)head * t + query + row] = (largest[r] + log2f(sum[r])) * LN_2;
    }
    store_rows<DP>(out + (query + warp * 16) * ld_out + head * d, ld_out, rows - warp * 16, d,
                   qs + warp * 16 * DP, o, inverse[0], inverse[1]);
}

// ---- backward -------------------------------------------------------------------------------------
//
// With P the weights, g = d_out and delta = rowsum(g ∘ out):
// dS = P ∘ (g Vᵀ − delta), dQ = scale · dS K, dK = scale · dSᵀ Q, dV = Pᵀ g.
// P is computed again from lse, once by rows for dQ and once by columns for dK and dV, so that each
// gradient is one warp's sum.

/// delta and dQ of one tile of queries of one head; a warp has 16 of them.
template <int DP>
DEVICE void backward_queries(const bf16 *q, const bf16 *k, const bf16 *v, int ld_q, int ld_k, int ld_v,
                             const bf16 *out, int ld_out, const bf16 *d_out, int ld_d_out, const float *lse,
                             float *delta, bf16 *d_q, int ld_d_q, int t, const Tile *tiles, int group, int d,
                             float scale) {
    release_next();
    await_previous();
    extern __shared__ uint4 shared[];
    bf16 *qs = (bf16 *)shared, *gs = qs + TILE<DP>, *ks = gs + TILE<DP>, *vs = ks + TILE<DP>;
    float *deltas = (float *)(vs + TILE<DP>);
    Tile tile = tiles[blockIdx.y];
    int head = blockIdx.x, kv_head = head / group, len = tile.len, rows = min(len - (int)tile.first, ROWS);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    i64 query = tile.start + tile.first;
    const bf16 *keys = k + (i64)tile.start * ld_k + kv_head * d, *values = v + (i64)tile.start * ld_v + kv_head * d;

    load_tile<DP>(qs, q + query * ld_q + head * d, ld_q, rows, d);
    load_tile<DP>(gs, d_out + query * ld_d_out + head * d, ld_d_out, rows, d);
    load_tile<DP>(ks, keys, ld_k, len, d);
    load_tile<DP>(vs, values, ld_v, len, d);
    copy_commit();

    // delta: 8 columns a lane.
    constexpr int LANES = DP / 8, AT_ONCE = 32 / LANES;
    int column = lane % LANES * 8;
    uint4 outs[16 / AT_ONCE];
    #pragma unroll
    for (int i = 0; i < 16 / AT_ONCE; i++) {
        int row = warp * 16 + i * AT_ONCE + lane / LANES;
        outs[i] = make_uint4(0, 0, 0, 0);
        if (row < rows && column < d)
            outs[i] = *(const uint4 *)(out + (query + row) * ld_out + head * d + column);
    }
    copy_wait<0>();
    __syncthreads();
    #pragma unroll
    for (int i = 0; i < 16 / AT_ONCE; i++) {
        int row = warp * 16 + i * AT_ONCE + lane / LANES;
        float x[8], g[8], sum = 0.0f;
        unpack8(outs[i], x);
        unpack8(*(const uint4 *)(gs + place<DP>(row, column)), g);
        #pragma unroll
        for (int j = 0; j < 8; j++) sum += x[j] * g[j];
        #pragma unroll
        for (int o = LANES / 2; o > 0; o /= 2) sum += __shfl_xor_sync(~0u, sum, o);
        if (column == 0) {
            deltas[row] = sum;
            if (row < rows) delta[(i64)head * t + query + row] = sum;
        }
    }
    __syncwarp();

    bool active = warp * 16 < rows;
    float factor = scale * LOG2_E, row_lse[2], row_delta[2];
    #pragma unroll
    for (int r = 0; r < 2; r++) {
        int row = warp * 16 + lane / 4 + r * 8;
        row_lse[r] = row < rows ? lse[(i64)head * t + query + row] * LOG2_E : 0.0f;
        row_delta[r] = deltas[row];
    }
    float dq[DP / 8][4] = {};
    int last = tile.first / ROWS;
    for (int block = 0; block <= last; block++) {
        int chunks = !active ? 0 : block < last ? ROWS / 16 : warp + 1;
        for (int n = 0; n < chunks; n++) {
            float s[2][4] = {}, dp[2][4] = {};
            u32 a[4];
            #pragma unroll
            for (int c = 0; c < DP; c += 16) {
                ldmatrix4(a, lane_address<DP>(qs, warp * 16, c));
                add_product_transposed(s, a, lane_address<DP>(ks, n * 16, c));
                ldmatrix4(a, lane_address<DP>(gs, warp * 16, c));
                add_product_transposed(dp, a, lane_address<DP>(vs, n * 16, c));
            }
            bool diagonal = block == last && n == warp;
            #pragma unroll
            for (int e = 0; e < 8; e++) {
                int r = e % 4 / 2, row = lane / 4 + r * 8, column = e / 4 * 8 + lane % 4 * 2 + e % 2;
                float p = exp2f(s[e / 4][e % 4] * factor - row_lse[r]);
                if (diagonal && column > row) p = 0.0f;
                dp[e / 4][e % 4] = p * (dp[e / 4][e % 4] - row_delta[r]);
            }
            to_operand(a, dp);
            #pragma unroll
            for (int c = 0; c < DP; c += 16) add_product(dq + c / 8, a, lane_address<DP>(ks, n * 16, c));
        }
        if (block < last) {
            __syncthreads();
            int next = (block + 1) * ROWS;
            load_tile<DP>(ks, keys + (i64)next * ld_k, ld_k, len - next, d);
            load_tile<DP>(vs, values + (i64)next * ld_v, ld_v, len - next, d);
            copy_commit();
            copy_wait<0>();
            __syncthreads();
        }
    }
    if (active)
        store_rows<DP>(d_q + (query + warp * 16) * ld_d_q + head * d, ld_d_q, rows - warp * 16, d,
                       qs + warp * 16 * DP, dq, scale, scale);
}

/// What `backward_keys` reads of one tile of queries of one head.
template <int DP> struct Queries {
    bf16 q[TILE<DP>], d_out[TILE<DP>];
    float lse[ROWS], delta[ROWS];
};

/// dK and dV of one tile of keys of one key head; a warp has 16 of them. The scores are transposed here, a
/// row is a key: so the result of one product is the left operand of the next without a shuffle.
template <int DP>
DEVICE void backward_keys(const bf16 *q, const bf16 *k, const bf16 *v, int ld_q, int ld_k, int ld_v,
                          const bf16 *d_out, int ld_d_out, const float *lse, const float *delta, bf16 *d_k,
                          int ld_d_k, bf16 *d_v, int ld_d_v, int t, const Tile *tiles, int group, int d, float scale) {
    release_next();
    await_previous();
    extern __shared__ uint4 shared[];
    bf16 *ks = (bf16 *)shared, *vs = ks + TILE<DP>;
    Queries<DP> *queries = (Queries<DP> *)(vs + TILE<DP>);
    Tile tile = tiles[blockIdx.y];
    int kv_head = blockIdx.x, len = tile.len, first = tile.first, rows = min(len - first, ROWS);
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    i64 key = tile.start + first;

    // One step is one tile of queries, from the diagonal on, of one head of the group; a step's tile is
    // copied while the one before it is worked on.
    int per_head = (len - first + ROWS - 1) / ROWS, steps = per_head * group;
    auto load_queries = [&](int step) {
        Queries<DP> &to = queries[step % 2];
        int head = kv_head * group + step / per_head, from = first + step % per_head * ROWS;
        i64 query = tile.start + from, at = (i64)head * t + query + threadIdx.x % ROWS;
        load_tile<DP>(to.q, q + query * ld_q + head * d, ld_q, len - from, d);
        load_tile<DP>(to.d_out, d_out + query * ld_d_out + head * d, ld_d_out, len - from, d);
        bool wanted = (int)(threadIdx.x % ROWS) < len - from;
        if (threadIdx.x < ROWS) copy4(to.lse + threadIdx.x, lse + at, wanted);
        else copy4(to.delta + threadIdx.x - ROWS, delta + at, wanted);
    };
    load_tile<DP>(ks, k + key * ld_k + kv_head * d, ld_k, rows, d);
    load_tile<DP>(vs, v + key * ld_v + kv_head * d, ld_v, rows, d);
    load_queries(0);
    copy_commit();

    bool active = warp * 16 < rows;
    float factor = scale * LOG2_E;
    float dk[DP / 8][4] = {}, dv[DP / 8][4] = {};
    for (int step = 0; step < steps; step++) {
        if (step + 1 < steps) load_queries(step + 1);
        copy_commit();
        copy_wait<1>();
        __syncthreads();
        const Queries<DP> &from = queries[step % 2];
        int behind = step % per_head * ROWS, visible = min(len - first - behind, ROWS);
        int end = active ? (visible + 15) / 16 : 0;
        for (int n = behind == 0 ? warp : 0; n < end; n++) {
            float s[2][4] = {}, dp[2][4] = {};
            u32 a[4], b[4];
            #pragma unroll
            for (int c = 0; c < DP; c += 16) {
                ldmatrix4(a, lane_address<DP>(ks, warp * 16, c));
                add_product_transposed(s, a, lane_address<DP>(from.q, n * 16, c));
                ldmatrix4(b, lane_address<DP>(vs, warp * 16, c));
                add_product_transposed(dp, b, lane_address<DP>(from.d_out, n * 16, c));
            }
            bool diagonal = behind == 0 && n == warp;
            #pragma unroll
            for (int e = 0; e < 8; e++) {
                int row = lane / 4 + e % 4 / 2 * 8, column = e / 4 * 8 + lane % 4 * 2 + e % 2;
                float p = exp2f(s[e / 4][e % 4] * factor - from.lse[n * 16 + column] * LOG2_E);
                if (diagonal && row > column) p = 0.0f;
                s[e / 4][e % 4] = p;
                dp[e / 4][e % 4] = p * (dp[e / 4][e % 4] - from.delta[n * 16 + column]);
            }
            to_operand(a, s);
            to_operand(b, dp);
            #pragma unroll
            for (int c = 0; c < DP; c += 16) {
                add_product(dv + c / 8, a, lane_address<DP>(from.d_out, n * 16, c));
                add_product(dk + c / 8, b, lane_address<DP>(from.q, n * 16, c));
            }
        }
        __syncthreads();
    }
    if (!active) return;
    int at = warp * 16;
    store_rows<DP>(d_k + (key + at) * ld_d_k + kv_head * d, ld_d_k, rows - at, d, ks + at * DP, dk, scale, scale);
    store_rows<DP>(d_v + (key + at) * ld_d_v + kv_head * d, ld_d_v, rows - at, d, vs + at * DP, dv, 1.0f, 1.0f);
}

// ---- against a cache ------------------------------------------------------------------------------

constexpr int DECODE_THREADS = 256;

/// One row's query heads of one key head, HEADS of them a block. A team of DP / 8 lanes, 8 columns each,
/// takes one key at a time and keeps a softmax of its own; at the end the teams' sums are added in order.
template <int DP, int HEADS>
DEVICE void decode(const bf16 *q, int ld_q, const bf16 *k_cache, const bf16 *v_cache, i64 slot_stride,
                   i64 head_stride, const int *slots, const int *lengths, bf16 *out, int ld_out, int group, int d,
                   float scale) {
    constexpr int LANES = DP / 8, TEAMS = DECODE_THREADS / LANES, AT_ONCE = 4;
    __shared__ float maxima[HEADS][TEAMS], sums[TEAMS];
    __shared__ float4 parts[TEAMS][DP / 4];
    release_next();
    await_previous();
    int per_group = (group + HEADS - 1) / HEADS, kv_head = blockIdx.y / per_group, part = blockIdx.y % per_group;
    int row = blockIdx.x, length = lengths[row];
    int head = kv_head * group + part * HEADS, heads = min(group - part * HEADS, HEADS);
    int team = threadIdx.x / LANES, column = threadIdx.x % LANES * 8;
    bool inside = column < d;
    i64 at = (length > 0 ? slots[row] : 0) * slot_stride + kv_head * head_stride + column;
    const bf16 *keys = k_cache + at, *values = v_cache + at;

    // Exponents are base 2 and hold the scale. The least finite maximum, not −∞: a team without a key must
    // not come to −∞ − −∞.
    float x[HEADS][8] = {}, o[HEADS][8] = {}, largest[HEADS], sum[HEADS] = {};
    #pragma unroll
    for (int h = 0; h < HEADS; h++) {
        largest[h] = -3.4e38f;
        if (h < heads && inside)
            unpack8(*(const uint4 *)(q + (i64)row * ld_q + (head + h) * d + column), x[h]);
        #pragma unroll
        for (int j = 0; j < 8; j++) x[h][j] *= scale * LOG2_E;
    }
    for (int base = 0; base < length; base += TEAMS * AT_ONCE) {
        uint4 ks[AT_ONCE], vs[AT_ONCE];
        float s[HEADS][AT_ONCE];
        #pragma unroll
        for (int u = 0; u < AT_ONCE; u++) {
            int key = base + u * TEAMS + team;
            ks[u] = vs[u] = make_uint4(0, 0, 0, 0);
            if (key < length && inside) {
                ks[u] = *(const uint4 *)(keys + (i64)key * d);
                vs[u] = *(const uint4 *)(values + (i64)key * d);
            }
        }
        #pragma unroll
        for (int u = 0; u < AT_ONCE; u++) {
            float y[8];
            unpack8(ks[u], y);
            #pragma unroll
            for (int h = 0; h < HEADS; h++) {
                float dot = 0.0f;
                #pragma unroll
                for (int j = 0; j < 8; j++) dot += x[h][j] * y[j];
                #pragma unroll
                for (int b = LANES / 2; b > 0; b /= 2) dot += __shfl_xor_sync(~0u, dot, b);
                s[h][u] = base + u * TEAMS + team < length ? dot : -infinity();
            }
        }
        #pragma unroll
        for (int h = 0; h < HEADS; h++) {
            float most = largest[h];
            #pragma unroll
            for (int u = 0; u < AT_ONCE; u++) most = fmaxf(most, s[h][u]);
            float shrink = exp2f(largest[h] - most);
            largest[h] = most;
            sum[h] *= shrink;
            #pragma unroll
            for (int j = 0; j < 8; j++) o[h][j] *= shrink;
            #pragma unroll
            for (int u = 0; u < AT_ONCE; u++) sum[h] += s[h][u] = exp2f(s[h][u] - most);
        }
        #pragma unroll
        for (int u = 0; u < AT_ONCE; u++) {
            float y[8];
            unpack8(vs[u], y);
            #pragma unroll
            for (int h = 0; h < HEADS; h++) {
                #pragma unroll
                for (int j = 0; j < 8; j++) o[h][j] += s[h][u] * y[j];
            }
        }
    }

    if (column == 0) {
        #pragma unroll
        for (int h = 0; h < HEADS; h++) maxima[h][team] = largest[h];
    }
    __syncthreads();
    #pragma unroll
    for (int h = 0; h < HEADS; h++) {
        if (h < heads) {
            float most = maxima[h][0];
            for (int i = 1; i < TEAMS; i++) most = fmaxf(most, maxima[h][i]);
            float shrink = exp2f(largest[h] - most);
            #pragma unroll
            for (int j = 0; j < 8; j += 4)
                parts[team][(column + j) / 4] = make_float4(o[h][j] * shrink, o[h][j + 1] * shrink,
                                                            o[h][j + 2] * shrink, o[h][j + 3] * shrink);
            if (column == 0) sums[team] = sum[h] * shrink;
            __syncthreads();
            int c = threadIdx.x;
            if (c < d) {
                float total = 0.0f, weight = 0.0f;
                for (int i = 0; i < TEAMS; i++) {
                    total += ((const float *)parts[i])[c];
                    weight += sums[i];
                }
                out[(i64)row * ld_out + (head + h) * d + c] = to_bf16(length > 0 ? total / weight : 0.0f);
            }
            __syncthreads();
        }
    }
}

// ---- entry points ---------------------------------------------------------------------------------

/// Forward: out `[T, heads·D]` = softmax(scale · q kᵀ) v and lse `[heads, T]`, the logarithm of the sum of
/// the exponentials of a row's scaled scores. grid (heads, tiles), 128 threads, 3 tiles of shared memory:
/// 384 · DP bytes.
#define ATTENTION_FORWARD(DP)                                                                                     \
    KERNEL __launch_bounds__(THREADS)                                                                             \
    attention_forward_##DP(const bf16 *q, const bf16 *k, const bf16 *v, int ld_q, int ld_k, int ld_v, bf16 *out,  \
                           int ld_out, float *lse, int t, const Tile *tiles, int group, int d, float scale) {     \
        forward<DP>(q, k, v, ld_q, ld_k, ld_v, out, ld_out, lse, t, tiles, group, d, scale);                      \
    }

/// Backward, first of two: d_q, and delta `[heads, T]` for the second. grid (heads, tiles), 128 threads,
/// shared memory 512 · DP + 256 bytes.
#define ATTENTION_BACKWARD_QUERIES(DP)                                                                            \
    KERNEL __launch_bounds__(THREADS, 3)                                                                          \
    attention_backward_queries_##DP(const bf16 *q, const bf16 *k, const bf16 *v, int ld_q, int ld_k, int ld_v,    \
                                    const bf16 *out, int ld_out, const bf16 *d_out, int ld_d_out,                 \
                                    const float *lse, float *delta, bf16 *d_q, int ld_d_q, int t,                 \
                                    const Tile *tiles, int group, int d, float scale) {                           \
        backward_queries<DP>(q, k, v, ld_q, ld_k, ld_v, out, ld_out, d_out, ld_d_out, lse, delta, d_q, ld_d_q, t, \
                             tiles, group, d, scale);                                                             \
    }

/// Backward, second of two: d_k and d_v, sums over the heads of a group. The tiles are of keys here, the
/// list is the same. grid (heads / group, tiles), 128 threads, shared memory 768 · DP + 1024 bytes.
#define ATTENTION_BACKWARD_KEYS(DP)                                                                               \
    KERNEL __launch_bounds__(THREADS)                                                                             \
    attention_backward_keys_##DP(const bf16 *q, const bf16 *k, const bf16 *v, int ld_q, int ld_k, int ld_v,       \
                                 const bf16 *d_out, int ld_d_out, const float *lse, const float *delta,           \
                                 bf16 *d_k, int ld_d_k, bf16 *d_v, int ld_d_v, int t, const Tile *tiles,          \
                                 int group, int d, float scale) {                                                 \
        backward_keys<DP>(q, k, v, ld_q, ld_k, ld_v, d_out, ld_d_out, lse, delta, d_k, ld_d_k, d_v, ld_d_v, t,    \
                          tiles, group, d, scale);                                                                \
    }

/// Rows `[rows, heads·D]` against caches `[slot][key head][position][D]`: row i over the first `lengths[i]`
/// keys of slot `slots[i]`, its own among them; a row of length 0 gets zeros. Any group; HEADS is how many
/// of it share what a block reads. grid (rows, key heads · ⌈group / HEADS⌉), 256 threads, no dynamic shared
/// memory.
#define ATTENTION_DECODE(DP, HEADS)                                                                               \
    KERNEL __launch_bounds__(DECODE_THREADS)                                                                      \
    attention_decode_##DP##_##HEADS(const bf16 *q, int ld_q, const bf16 *k_cache, const bf16 *v_cache,            \
                                    i64 slot_stride, i64 head_stride, const int *slots, const int *lengths,       \
                                    bf16 *out, int ld_out, int group, int d, float scale) {                       \
        decode<DP, HEADS>(q, ld_q, k_cache, v_cache, slot_stride, head_stride, slots, lengths, out, ld_out,       \
                          group, d, scale);                                                                       \
    }

#define ATTENTION(DP)              \
    ATTENTION_FORWARD(DP)          \
    ATTENTION_BACKWARD_QUERIES(DP) \
    ATTENTION_BACKWARD_KEYS(DP)    \
    ATTENTION_DECODE(DP, 2)        \
    ATTENTION_DECODE(DP, 4)

#ifdef HEAD_DIM // one width alone: compiling all takes seconds
ATTENTION(HEAD_DIM)
#else
ATTENTION(16)
ATTENTION(32)
ATTENTION(64)
ATTENTION(128)
#endif
