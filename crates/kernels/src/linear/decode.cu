// Products of a few rows with frozen weights, as decoding computes them: y = x Wᵀ with 1 to 64 rows of x.
// Every weight is read once, and reading the weights is the time a product takes.
//
// A block owns 16 or 32 rows of W at a time. Its eight warps cut k into eight segments, one each, and their
// sums are added in order. No two warps need the same piece of x, so nothing is staged in shared memory:
// weights and x go from global memory to registers, many loads ahead of their use.
//
// W is the 16-row operand of the matrix instruction and x the 8-column one. Both lie k-contiguous, and a sum
// does not care in which order k is walked as long as both sides agree: so each lane takes 16 neighbouring
// bytes of its rows, and they are its fragments without a shuffle.
//
// How k is cut depends on k alone: a row's result is bitwise identical whatever the other rows are.

constexpr u32 WARPS = 8;
constexpr u32 THREADS = 32 * WARPS;
/// Bytes of a row of W that a warp takes at a time: 16 by each of the four lanes of the row.
constexpr u32 CHUNK = 64;

/// What y is: bf16 `[m, n]`, f32 `[m, n]`, or bf16 `[m, n/2]` of SwiGLU over gate (the first n/2 rows of W) and up.
enum Form : u32 { BF16, F32, SWIGLU };

/// The arguments of a kernel; its comment says what they are.
struct Product {
    const bf16 *x;
    const u8 *w;
    const float *scale, *norm, *bias;
    const bf16 *add;
    void *y;
    u32 ldx, ld_add, ldy, m, n, k, form;
    float eps;
};

// ---- operands -----------------------------------------------------------------------------------

/// 16 bytes of weights: read once, so kept out of L1. Zeros where `wanted` is false. Not declared read-only
/// (`.nc`): such loads may be put off beyond barriers, and these are to set out early.
DEVICE uint4 load_weights(const u8 *p, bool wanted) {
    uint4 v;
    asm volatile("{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %5, 0;\n"
                 "mov.u32 %0, 0;\nmov.u32 %1, 0;\nmov.u32 %2, 0;\nmov.u32 %3, 0;\n"
                 "@wanted ld.global.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];\n}"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p), "r"((u32)wanted));
    return v;
}

/// 16 bytes of x, which the next block on this multiprocessor finds in L1. Zeros where `wanted` is false.
DEVICE uint4 load_x(const u8 *p, bool wanted) {
    uint4 v;
    asm volatile("{\n.reg .pred wanted;\nsetp.ne.u32 wanted, %5, 0;\n"
                 "mov.u32 %0, 0;\nmov.u32 %1, 0;\nmov.u32 %2, 0;\nmov.u32 %3, 0;\n"
                 "@wanted ld.global.v4.u32 {%0,%1,%2,%3}, [%4];\n}"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(p), "r"((u32)wanted));
    return v;
}

DEVICE void prefetch(const void *p) { asm volatile("prefetch.global.L2 [%0];" :: "l"(p)); }

/// a + b of two bf16 each, as a · 1 + b: plain sums of bf16 came only with sm_90.
DEVICE u32 add_bf16(u32 a, u32 b) {
    u32 r;
    asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(0x3f803f80u), "r"(b));
    return r;
}

/// Bytes 0 and 1 (`HALF` 0) or 2 and 3 of a word of int8, as bf16, exactly. Under the upper byte 0x43, the
/// lower seven bits v of a byte read 128 + v; what is taken off is 128, or 256 where its sign bit is set.
template <int HALF> DEVICE u32 widen(u32 bytes) {
    u32 v = __byte_perm(bytes, 0x43434343u, HALF ? 0x4342 : 0x4140);
    return add_bf16(v & 0xff7fff7fu, (v & 0xff80ff80u) ^ 0x80008000u);
}

/// The operand of step `step` (of two) over one piece of 8 elements of rows g and g + 8.
template <bool INT8> DEVICE void weights_fragment(u32 *a, const uint4 &upper, const uint4 &lower, int piece, int step) {
    const u32 *u = &upper.x, *l = &lower.x;
    if (INT8) {
        int word = 2 * piece + step;
        a[0] = widen<0>(u[word]);
        a[1] = widen<0>(l[word]);
        a[2] = widen<1>(u[word]);
        a[3] = widen<1>(l[word]);
    } else {
        a[0] = u[2 * step];
        a[1] = l[2 * step];
        a[2] = u[2 * step + 1];
        a[3] = l[2 * step + 1];
    }
}

/// Two elements of x times the norm's weights; their squares are added to `squares`.
DEVICE u32 weighted(u32 x, float2 weight, float &squares) {
    float a = low(x), b = high(x);
    squares = fmaf(a, a, squares);
    squares = fmaf(b, b, squares);
    return pack_bf16(a * weight.x, b * weight.y);
}

// ---- from sums to y -----------------------------------------------------------------------------

/// Four neighbouring sums, over all warps in order.
DEVICE float4 total4(const float *parts, u32 stride) {
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    #pragma unroll
    for (u32 warp = 0; warp < WARPS; warp++) {
        float4 part = *(const float4 *)(parts + warp * stride);
        sum.x += part.x; sum.y += part.y; sum.z += part.z; sum.w += part.w;
    }
    return sum;
}

/// sum · scale · factor + bias + add, at four neighbouring columns of a row.
DEVICE float4 finish4(const Product &p, float4 v, float factor, u32 row, u32 column) {
    if (p.scale) {
        float4 s = *(const float4 *)(p.scale + column);
        v.x *= s.x; v.y *= s.y; v.z *= s.z; v.w *= s.w;
    }
    v.x *= factor; v.y *= factor; v.z *= factor; v.w *= factor;
    if (p.bias) {
        float4 b = *(const float4 *)(p.bias + column);
        v.x += b.x; v.y += b.y; v.z += b.z; v.w += b.w;
    }
    if (p.add) {
        // Past L1: another kernel, or this one where add is y, writes here.
        uint2 a = __ldcg((const uint2 *)(p.add + (size_t)row * p.ld_add + column));
        v.x += low(a.x); v.y += high(a.x); v.z += low(a.y); v.w += high(a.y);
    }
    return v;
}

DEVICE void store4(const Product &p, float4 v, u32 row, u32 column) {
    size_t at = (size_t)row * p.ldy + column;
    if (p.form == F32)
        *(float4 *)((float *)p.y + at) = v;
    else
        *(uint2 *)((bf16 *)p.y + at) = make_uint2(pack_bf16(v.x, v.y), pack_bf16(v.z, v.w));
}

/// silu(gate) · up of the values that a product would have stored.
DEVICE float swiglu(float gate, float up) {
    gate = from_bf16(to_bf16(gate));
    up = from_bf16(to_bf16(up));
    return gate * sigmoid(gate) * up;
}

/// Takes all warps' sums of one tile, `parts [WARPS][ROWS][PITCH]`, to y.
template <int ROWS, int COLUMNS, int PITCH>
DEVICE void finish(const Product &p, const float *parts, const float *squares, u32 tile) {
    const bool paired = p.form == SWIGLU;
    const u32 half = p.n / 2, width = paired ? COLUMNS / 2 : COLUMNS;
    for (u32 unit = 4 * threadIdx.x; unit < p.m * width; unit += 4 * THREADS) {
        u32 row = paired ? unit / (COLUMNS / 2) : unit / COLUMNS, at = unit - row * width, column = tile * width + at;
        if (column >= (paired ? half : p.n)) continue;
        float factor = 1.0f;
        if (p.norm) {
            float sum = 0.0f;
            #pragma unroll
            for (u32 warp = 0; warp < WARPS; warp++) sum += squares[warp * ROWS + row];
            factor = rsqrtf(sum / (float)p.k + p.eps);
        }
        if (paired) {
            const float *gates = parts + row * PITCH + at / 8 * 16 + at % 8;
            float4 gate = finish4(p, total4(gates, ROWS * PITCH), factor, row, column);
            float4 up = finish4(p, total4(gates + 8, ROWS * PITCH), factor, row, half + column);
            store4(p, make_float4(swiglu(gate.x, up.x), swiglu(gate.y, up.y), swiglu(gate.z, up.z), swiglu(gate.w, up.w)),
                   row, column);
        } else {
            store4(p, finish4(p, total4(parts + row * PITCH + at, ROWS * PITCH), factor, row, column), row, column);
        }
    }
}

// ---- the product --------------------------------------------------------------------------------

/// MT tiles of 8 rows of x, NT tiles of 16 rows of W; `DEPTH` chunks of W and `AHEAD` pieces of x are under
/// way while one is worked on.
template <bool INT8, int MT, int NT, int DEPTH, int AHEAD> DEVICE void skinny(const Product &p) {
    // A piece is 8 elements for each lane: 16 bytes of x, and as much of W in bf16, half of it in int8.
    constexpr int PIECES = INT8 ? 2 : 1, ROWS = 8 * MT, COLUMNS = 16 * NT;
    // Elements of a chunk, and bytes of x beside it.
    constexpr u32 STEP = INT8 ? CHUNK : CHUNK / 2, X_CHUNK = 2 * STEP;
    // Puts the sums that a warp stores at once into different banks.
    constexpr int PITCH = COLUMNS + 4;
    static_assert(DEPTH * PIECES % AHEAD == 0 && AHEAD % PIECES == 0, "slots must be known at compile time");

    extern __shared__ __align__(16) float shared[];
    float *parts = shared;                            // [WARPS][ROWS][PITCH]
    float *squares = parts + WARPS * ROWS * PITCH;    // [WARPS][ROWS]
    float *norm = squares + WARPS * ROWS;             // [k up to a whole chunk]

    const u32 warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
    const bool paired = p.form == SWIGLU;
    const u32 half = p.n / 2, tiles = (p.n + COLUMNS - 1) / COLUMNS, row_bytes = p.k * (INT8 ? 1 : 2);
    // This warp's segment; the last chunk of a row may end before this lane's part of it.
    const u32 chunks = (row_bytes + CHUNK - 1) / CHUNK, share = (chunks + WARPS - 1) / WARPS;
    const u32 begin = warp * share, end = min(begin + share, chunks);
    const u32 lane_end = (chunks - 1) * CHUNK + 16 * t < row_bytes ? end : min(end, chunks - 1);

    const u8 *w_at[NT][2], *x_at;
    u32 x_row[MT];
    uint4 w[DEPTH][NT][2], x[AHEAD][MT];

    // Rows beyond the last are read as the last and never stored: those of x here, those of W below.
    #pragma unroll
    for (int i = 0; i < MT; i++) x_row[i] = min(8 * i + g, p.m - 1) * p.ldx * 2 + 16 * PIECES * t;

    auto fetch_w = [&](int slot, int chunks_on, bool wanted) {
        #pragma unroll
        for (int j = 0; j < NT; j++) {
            w[slot][j][0] = load_weights(w_at[j][0] + chunks_on * CHUNK, wanted);
            w[slot][j][1] = load_weights(w_at[j][1] + chunks_on * CHUNK, wanted);
        }
    };
    auto fetch_x = [&](int slot, int chunks_on, int piece, bool wanted) {
        #pragma unroll
        for (int i = 0; i < MT; i++)
            x[slot][i] = load_x(x_at + x_row[i] + chunks_on * X_CHUNK + 16 * piece, wanted);
    };

    release_next();
    if (p.norm) {
        for (u32 at = begin * STEP + 4 * lane; at < end * STEP; at += 4 * 32) copy16(norm + at, p.norm + at, at < p.k);
        copy_commit();
    }
    for (u32 tile = blockIdx.x;; tile += gridDim.x) {
        // The first chunks of a tile travel while the tile before is finished.
        if (tile < tiles) {
            #pragma unroll
            for (int j = 0; j < NT; j++) {
                u32 column = tile * COLUMNS + 16 * j + g, gate = min(tile * (COLUMNS / 2) + 8 * j + g, half - 1);
                u32 upper = paired ? gate : min(column, p.n - 1);
                u32 lower = paired ? half + gate : min(column + 8, p.n - 1);
                w_at[j][0] = p.w + (size_t)upper * row_bytes + (begin * CHUNK + 16 * t);
                w_at[j][1] = p.w + (size_t)lower * row_bytes + (begin * CHUNK + 16 * t);
                if (p.scale && warp == 0) {
                    prefetch(p.scale + upper);
                    prefetch(p.scale + lower);
                }
            }
            #pragma unroll
            for (int d = 0; d < DEPTH; d++) fetch_w(d, d, begin + d < lane_end);
            // No earlier kernel writes the weights, so they are fetched before the wait; x is another kernel's output.
            if (tile == blockIdx.x) await_previous();
            x_at = (const u8 *)p.x + begin * X_CHUNK;
            #pragma unroll
            for (int a = 0; a < AHEAD; a++) fetch_x(a, a / PIECES, a % PIECES, begin + a / PIECES < lane_end);
        }
        if (tile != blockIdx.x) {
            finish<ROWS, COLUMNS, PITCH>(p, parts, squares, tile - gridDim.x);
            __syncthreads();
        }
        if (tile >= tiles) break;
        if (p.norm) {
            copy_wait<0>();
            __syncwarp();
        }

        float sum[NT][MT][4], square[MT];
        #pragma unroll
        for (int i = 0; i < MT; i++) {
            square[i] = 0.0f;
            #pragma unroll
            for (int j = 0; j < NT; j++) sum[j][i][0] = sum[j][i][1] = sum[j][i][2] = sum[j][i][3] = 0.0f;
        }
        for (u32 first = begin; first < end; first += DEPTH) {
            #pragma unroll
            for (int d = 0; d < DEPTH; d++) {
                const u32 chunk = first + d;
                if (chunk >= end) break;
                #pragma unroll
                for (int piece = 0; piece < PIECES; piece++) {
                    const int slot = (d * PIECES + piece) % AHEAD;
                    if (p.norm) {
                        const float2 *weights = (const float2 *)(norm + chunk * STEP + 8 * (PIECES * t + piece));
                        #pragma unroll
                        for (int word = 0; word < 4; word++) {
                            float2 weight = weights[word];
                            #pragma unroll
                            for (int i = 0; i < MT; i++) {
                                u32 *v = &x[slot][i].x + word;
                                *v = weighted(*v, weight, square[i]);
                            }
                        }
                    }
                    #pragma unroll
                    for (int j = 0; j < NT; j++) {
                        #pragma unroll
                        for (int step = 0; step < 2; step++) {
                            u32 a[4];
                            weights_fragment<INT8>(a, w[d][j][0], w[d][j][1], piece, step);
                            #pragma unroll
                            for (int i = 0; i < MT; i++) mma16816(sum[j][i], a, &x[slot][i].x + 2 * step);
                        }
                    }
                    fetch_x(slot, d + AHEAD / PIECES, piece, chunk + AHEAD / PIECES < lane_end);
                }
                fetch_w(d, d + DEPTH, chunk + DEPTH < lane_end);
            }
            #pragma unroll
            for (int j = 0; j < NT; j++) {
                w_at[j][0] += DEPTH * CHUNK;
                w_at[j][1] += DEPTH * CHUNK;
            }
            x_at += DEPTH * X_CHUNK;
        }

        #pragma unroll
        for (int i = 0; i < MT; i++) {
            #pragma unroll
            for (int j = 0; j < NT; j++) {
                float *at = parts + (warp * ROWS + 8 * i + 2 * t) * PITCH + 16 * j + g;
                at[0] = sum[j][i][0];
                at[PITCH] = sum[j][i][1];
                at[8] = sum[j][i][2];
                at[PITCH + 8] = sum[j][i][3];
            }
            square[i] += __shfl_xor_sync(~0u, square[i], 1);
            square[i] += __shfl_xor_sync(~0u, square[i], 2);
            if (t == 0) squares[warp * ROWS + 8 * i + g] = square[i];
        }
        __syncthreads();
    }
}

/// y = scale · f(x) Wᵀ + bias + add.
///
/// x `[m, k]`, rows ldx apart; w `[n, k]` bf16, or int8 with scale `[n]` (null in bf16). With norm `[k]` (may
/// be null), f is the RMS norm of a row with these weights: x · norm is rounded to bf16, and the row's
/// 1 / rms(x) multiplies its sums. bias f32 `[n]` and add bf16 `[m, n]`, rows ld_add apart, may be null; add
/// may be y. y is what `form` says, rows ldy apart. A name's number is how many rows of x it takes, in eights.
///
/// k is a multiple of 8 in bf16, of 16 in int8; n of 8, in SWIGLU of 16; ldx, ld_add and ldy of 8.
/// Launch: ⌈n / (16 NT)⌉ blocks or fewer, which then take several tiles each, of 256 threads; shared bytes:
/// 256 · MT · (16 NT + 5), and with norm 4 · k on top, k rounded up to 64.
#define SKINNY(NAME, INT8, MT, NT, DEPTH, AHEAD, BLOCKS)                                                          \
    KERNEL __launch_bounds__(THREADS, BLOCKS)                                                                     \
    NAME(const bf16 *x, u32 ldx, u32 m, const u8 *w, const float *scale, u32 n, u32 k, const float *norm,         \
         float eps, const float *bias, const bf16 *add, u32 ld_add, void *y, u32 ldy, u32 form) {                 \
        Product p = {x, w, scale, norm, bias, add, y, ldx, ld_add, ldy, m, n, k, form, eps};                      \
        skinny<INT8, MT, NT, DEPTH, AHEAD>(p);                                                                    \
    }

SKINNY(skinny_bf16_1, false, 1, 1, 8, 4, 2)
SKINNY(skinny_bf16_2, false, 2, 1, 8, 2, 2)
SKINNY(skinny_bf16_4, false, 4, 2, 4, 2, 1)
SKINNY(skinny_bf16_5, false, 5, 2, 4, 2, 1)
SKINNY(skinny_bf16_8, false, 8, 2, 2, 2, 1)

SKINNY(skinny_int8_1, true, 1, 1, 8, 4, 2)
SKINNY(skinny_int8_2, true, 2, 1, 6, 4, 2)
SKINNY(skinny_int8_4, true, 4, 2, 4, 2, 1)
SKINNY(skinny_int8_5, true, 5, 2, 4, 2, 1)
SKINNY(skinny_int8_8, true, 8, 2, 3, 2, 1)
