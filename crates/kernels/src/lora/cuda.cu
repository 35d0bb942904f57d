// The adapters' products at one site: every adapter and every part of the site in one launch.
//
// A packed batch holds rows of several adapters, each adapter's rows together (a group). At a site, the
// batch has a wide side (x, y, dy or dx, bf16 `[T, ld_wide]`) and a narrow one (u or du, bf16
// `[T, ld_narrow]`), and an adapter has matrices W `[rank, columns]` between them, described by a `Product`:
//
//                    rank       columns   narrow   wide                    factor
//   A, all parts     parts·r    in        0        0                       1
//   Bᵀ of part i     r          out_i     i·r      first column of part i  α/r
//
// r is a multiple of 16 (the host pads the weights with zeros; what belongs to the padding stays zero),
// columns and all offsets are multiples of 8. Three kernels, for products that are all A or all Bᵀ:
//
//   lora_down      narrow = factor · wide Wᵀ       u = drop(x) Aᵀ            du = α/r · dy B
//   lora_up        wide = factor · narrow W        y = source + α/r · u Bᵀ   dx = mask ∘ (du A)
//   lora_gradient  dW += factor · narrowᵀ wide     dBᵀ += α/r · uᵀ dy        dA += duᵀ drop(x)
//
// A block makes one tile of one product's result: `lora_down_64x64` one of 64 × 64. The host lists the
// tiles in `Work`, one block for each (gridDim.x = their number), covering
//
//   lora_down [rows, rank]      lora_up [rows, columns]      lora_gradient [rank, columns]
//
// so that row and column step by the tile's size from 0. Any order is right. Fast is: products of large
// rank first; in a product, column after column for down and up, row after row for gradient. All tile sizes
// give the same bits, so size is a matter of speed alone: take the largest of which there are at least as
// many tiles as the GPU has multiprocessors, or else the smallest.
//
//                       threads   dynamic shared memory
//   lora_down_16x16         128   98304
//   lora_down_32x32         128   98304
//   lora_down_64x64         128   98304
//   lora_up_64x128          128   49152
//   lora_up_128x128         256   65536
//   lora_gradient_16x64     128   81920
//   lora_gradient_64x128    128   49152
//
// Every element is written by one block (so an adapter may have one group only in a batch) and is one sum
// in an order fixed by its place in its own product: rows of other adapters never enter it.

/// One matrix of one adapter and the rows and columns of the batch it meets. 48 bytes.
struct __align__(16) Product {
    /// Where W of layer 0 begins in `weights` and in `gradients`, in elements.
    u64 weight;
    /// Elements from a layer's W to the next one's.
    u64 layer_stride;
    /// First row of the group, and how many.
    u32 row, rows;
    /// First column on the narrow side; rows of W.
    u32 narrow, rank;
    /// First column on the wide side; columns of W.
    u32 wide, columns;
    float factor;
    u32 unused;
};

/// One tile: of which product, and its first row and column there.
struct Work {
    u32 product, row, column;
};

// ---- tiles in shared memory -----------------------------------------------------------------------

/// Index of 16-byte chunk `chunk` of row `row` in a tile whose rows have CHUNKS of them. Chunks change places
/// within their row so that the same chunk of 8 rows, which ldmatrix reads at once, lies in all banks.
template <int CHUNKS> DEVICE int swizzled(int row, int chunk) {
    constexpr int ROWS = CHUNKS < 8 ? 8 / CHUNKS : 1; // that fill the 128 bytes of all banks
    constexpr int PLACES = CHUNKS < 8 ? CHUNKS : 8;
    return (row * CHUNKS + (chunk ^ (row / ROWS % PLACES))) * 8;
}

/// Copies a tile of ROWS rows from a matrix of which `rows` rows and `columns` columns are left; the rest is zeros.
template <int ROWS, int CHUNKS, int THREADS>
DEVICE void copy_tile(bf16 *tile, const bf16 *from, int ld, int rows, int columns, int thread) {
    constexpr int LINES = THREADS / CHUNKS; // at a time
    static_assert(LINES % 8 == 0 && ROWS % LINES == 0, "all lines of a thread are swizzled alike");
    int line = thread / CHUNKS, chunk = thread % CHUNKS;
    bool inside = chunk * 8 < columns;
    tile += swizzled<CHUNKS>(line, chunk);
    from += (u64)line * ld + chunk * 8;
    #pragma unroll
    for (int i = 0; i < ROWS; i += LINES, from += LINES * (u64)ld)
        copy16(tile + i * CHUNKS * 8, from, inside && line + i < rows);
}

/// Left operand of mma16816 from a tile that keeps it as it is (rows × inner): 16 × 16 from `row`, `chunk` on.
template <int CHUNKS> DEVICE void left(u32 *a, const bf16 *tile, int row, int chunk, int lane) {
    ldmatrix4(a, tile + swizzled<CHUNKS>(row + lane % 16, chunk + lane / 16));
}

/// The same from a tile that keeps it transposed (inner × rows).
template <int CHUNKS> DEVICE void left_transposed(u32 *a, const bf16 *tile, int inner, int chunk, int lane) {
    ldmatrix4_transposed(a, tile + swizzled<CHUNKS>(inner + lane / 16 * 8 + lane % 8, chunk + lane / 8 % 2));
}

/// Right operands of two mma16816 (16 columns) from a tile that keeps them as they are (inner × columns).
template <int CHUNKS> DEVICE void right(u32 *b, const bf16 *tile, int inner, int chunk, int lane) {
    ldmatrix4_transposed(b, tile + swizzled<CHUNKS>(inner + lane % 16, chunk + lane / 16));
}

/// The same from a tile that keeps them transposed (columns × inner).
template <int CHUNKS> DEVICE void right_transposed(u32 *b, const bf16 *tile, int column, int chunk, int lane) {
    ldmatrix4(b, tile + swizzled<CHUNKS>(column + lane / 16 * 8 + lane % 8, chunk + lane / 8 % 2));
}

DEVICE void read8(const float *from, float *x) {
    float4 a = *(const float4 *)from, b = *(const float4 *)(from + 4);
    x[0] = a.x; x[1] = a.y; x[2] = a.z; x[3] = a.w;
    x[4] = b.x; x[5] = b.y; x[6] = b.z; x[7] = b.w;
}

// ---- down -----------------------------------------------------------------------------------------

/// narrow[t, narrow + i] = factor · Σ_k wide[t, wide + k] · W[i, k] on a tile of BM rows and BN columns.
///
/// The sum is long and the tiles are few: a block's warps share the sum, not the tile. Warp w takes the
/// slices w, w + 4, … of 32 columns through a ring of its own in shared memory, so that a warp waits for
/// its own copies and never for another warp; at the end the four sums meet, in the warps' order.
template <int BM, int BN, int STAGES>
DEVICE void down(const Product *products, const Work *works, const bf16 *weights, int layer,
                 const bf16 *wide, int ld_wide, bf16 *narrow, int ld_narrow) {
    constexpr int WARPS = 4, SLICE = 32, STAGE = (BM + BN) * SLICE, LD = BN + 8;
    static_assert(WARPS * STAGES * STAGE * sizeof(bf16) == 98304, "what the table above says");
    static_assert(BM * LD * sizeof(float) <= STAGES * STAGE * sizeof(bf16), "a sum takes its ring's place");
    extern __shared__ uint4 shared[];
    Work work = works[blockIdx.x];
    Product p = products[work.product];
    int rows = p.rows - work.row, columns = p.rank - work.column, inner = p.columns; // may exceed the tile
    const bf16 *x = wide + (u64)(p.row + work.row) * ld_wide + p.wide;
    const bf16 *w = weights + p.weight + layer * p.layer_stride + (u64)work.column * inner;

    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    bf16 *ring = (bf16 *)shared + warp * STAGES * STAGE;
    int slices = (inner + SLICE - 1) / SLICE;

    auto copy = [&](int slice, int stage) {
        int k = slice * SLICE;
        bf16 *tile = ring + stage * STAGE;
        if (slice < slices) {
            copy_tile<BM, 4, 32>(tile, x + k, ld_wide, rows, inner - k, lane);
            copy_tile<BN, 4, 32>(tile + BM * SLICE, w + k, inner, columns, inner - k, lane);
        }
        copy_commit();
    };
    #pragma unroll
    for (int s = 0; s < STAGES - 1; s++) copy(warp + s * WARPS, s);

    float sum[BM / 16][BN / 8][4] = {};
    int stage = 0;
    for (int slice = warp; slice < slices; slice += WARPS) {
        copy_wait<STAGES - 2>();
        __syncwarp();
        // Into the stage that the whole warp has read a turn ago.
        copy(slice + (STAGES - 1) * WARPS, stage == 0 ? STAGES - 1 : stage - 1);
        const bf16 *tile = ring + stage * STAGE;
        #pragma unroll
        for (int k = 0; k < SLICE / 8; k += 2) {
            u32 a[BM / 16][4], b[BN / 16][4];
            #pragma unroll
            for (int i = 0; i < BM / 16; i++) left<4>(a[i], tile, i * 16, k, lane);
            #pragma unroll
            for (int j = 0; j < BN / 16; j++) right_transposed<4>(b[j], tile + BM * SLICE, j * 16, k, lane);
            #pragma unroll
            for (int j = 0; j < BN / 16; j++) {
                if (j * 16 >= columns) break;
                #pragma unroll
                for (int i = 0; i < BM / 16; i++) {
                    mma16816(sum[i][2 * j], a[i], b[j]);
                    mma16816(sum[i][2 * j + 1], a[i], b[j] + 2);
                }
            }
        }
        stage = stage == STAGES - 1 ? 0 : stage + 1;
    }

    // All copies of this warp have come: each was waited for before its slice.
    __syncwarp();
    float *own = (float *)ring;
    #pragma unroll
    for (int i = 0; i < BM / 16; i++) {
        #pragma unroll
        for (int j = 0; j < BN / 8; j++) {
            float *at = own + (i * 16 + lane / 4) * LD + j * 8 + lane % 4 * 2;
            *(float2 *)at = make_float2(sum[i][j][0], sum[i][j][1]);
            *(float2 *)(at + 8 * LD) = make_float2(sum[i][j][2], sum[i][j][3]);
        }
    }
    __syncthreads();
    bf16 *u = narrow + (u64)(p.row + work.row) * ld_narrow + p.narrow + work.column;
    for (int i = threadIdx.x; i < BM * BN / 8; i += WARPS * 32) {
        int row = i / (BN / 8), column = i % (BN / 8) * 8;
        if (row >= rows || column >= columns) continue;
        float total[8] = {};
        #pragma unroll
        for (int other = 0; other < WARPS; other++) {
            float part[8];
            read8((const float *)((bf16 *)shared + other * STAGES * STAGE) + row * LD + column, part);
            #pragma unroll
            for (int j = 0; j < 8; j++) total[j] += part[j];
        }
        #pragma unroll
        for (int j = 0; j < 8; j++) total[j] *= p.factor;
        *(uint4 *)(u + (u64)row * ld_narrow + column) = pack8(total);
    }
}

#define LORA_DOWN(BM, BN, STAGES)                                                                     \
    KERNEL __launch_bounds__(128, 2) lora_down_##BM##x##BN(                                           \
        const Product *products, const Work *works, const bf16 *weights, int layer, const bf16 *wide, \
        int ld_wide, bf16 *narrow, int ld_narrow) {                                                   \
        down<BM, BN, STAGES>(products, works, weights, layer, wide, ld_wide, narrow, ld_narrow);      \
    }

LORA_DOWN(16, 16, 12)
LORA_DOWN(32, 32, 6)
LORA_DOWN(64, 64, 3)

// ---- up -------------------------------------------------------------------------------------------

/// wide[t, wide + n] = mask ∘ (factor · Σ_i narrow[t, narrow + i] · W[i, n]) + source[t, wide + n] on a tile of
/// BM rows and 128 columns.
///
/// `keys` `[T]` names the rows' masks over the columns of W (null: no masks), `source` bf16 `[T, ld_source]`
/// is what the products are added to (null: nothing); it may be `wide` itself. Rows of no group are not
/// written. A warp makes 32 × 64 of the tile; 64 terms of the sum at a time in two stages.
template <int BM>
DEVICE void up(const Product *products, const Work *works, const bf16 *weights, int layer, const bf16 *narrow,
               int ld_narrow, bf16 *wide, int ld_wide, const bf16 *source, int ld_source,
               const RowKey *keys, int site) {
    constexpr int BN = 128, BK = 64, THREADS = BM * 2, STAGE = (BM + BN) * BK, LD = 64 + 8;
    static_assert(THREADS / 32 * 16 * LD * sizeof(float) <= 2 * STAGE * sizeof(bf16), "results take the stages' place");
    extern __shared__ uint4 shared[];
    __shared__ Mask masks[BM];
    Work work = works[blockIdx.x];
    Product p = products[work.product];
    int rows = p.rows - work.row, columns = p.columns - work.column, inner = p.rank;
    int first_row = p.row + work.row;
    const bf16 *u = narrow + (u64)first_row * ld_narrow + p.narrow;
    const bf16 *w = weights + p.weight + layer * p.layer_stride + work.column;

    int thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    int steps = (inner + BK - 1) / BK;

    auto copy = [&](int step) {
        int k = step * BK;
        bf16 *tile = (bf16 *)shared + step % 2 * STAGE;
        if (step < steps) {
            copy_tile<BM, BK / 8, THREADS>(tile, u + k, ld_narrow, rows, inner - k, thread);
            copy_tile<BK, BN / 8, THREADS>(tile + BM * BK, w + (u64)k * p.columns, p.columns, inner - k, columns, thread);
        }
        copy_commit();
    };
    copy(0);
    copy(1);
    if (keys && thread < BM && thread < rows) masks[thread] = make_mask(keys[first_row + thread], layer, site);

    int top = warp / 2 * 32, side = warp % 2 * 64; // of the warp's part in the tile
    float sum[2][8][4] = {};
    for (int step = 0; step < steps; step++) {
        copy_wait<1>();
        __syncthreads();
        const bf16 *tile = (const bf16 *)shared + step % 2 * STAGE;
        #pragma unroll 2
        for (int k = 0; k < BK; k += 16) {
            if (step * BK + k >= inner) break;
            u32 a[2][4], b[4][4];
            #pragma unroll
            for (int i = 0; i < 2; i++) left<BK / 8>(a[i], tile, top + i * 16, k / 8, lane);
            #pragma unroll
            for (int j = 0; j < 4; j++) right<BN / 8>(b[j], tile + BM * BK, k, side / 8 + j * 2, lane);
            #pragma unroll
            for (int i = 0; i < 2; i++) {
                #pragma unroll
                for (int j = 0; j < 4; j++) {
                    mma16816(sum[i][2 * j], a[i], b[j]);
                    mma16816(sum[i][2 * j + 1], a[i], b[j] + 2);
                }
            }
        }
        __syncthreads();
        copy(step + 2);
    }

    // 16 rows at a time through shared memory; then a lane has columns `column..column + 8` and those
    // 16 further on, of rows lane % 8 and 8 below.
    float *own = (float *)shared + warp * 16 * LD;
    int own_column = lane / 16 * 32 + lane / 8 % 2 * 8, column = side + own_column;
    #pragma unroll
    for (int i = 0; i < 2; i++) {
        uint4 before[2][2];
        #pragma unroll
        for (int q = 0; q < 4; q++) {
            int row = top + i * 16 + q / 2 * 8 + lane % 8, at = column + q % 2 * 16;
            if (source && row < rows && at < columns)
                before[q / 2][q % 2] =
                    *(const uint4 *)(source + (u64)(first_row + row) * ld_source + p.wide + work.column + at);
        }
        __syncwarp();
        #pragma unroll
        for (int j = 0; j < 8; j++) {
            float *at = own + lane / 4 * LD + j * 8 + lane % 4 * 2;
            *(float2 *)at = make_float2(sum[i][j][0], sum[i][j][1]);
            *(float2 *)(at + 8 * LD) = make_float2(sum[i][j][2], sum[i][j][3]);
        }
        __syncwarp();
        #pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = top + i * 16 + half * 8 + lane % 8;
            if (row >= rows || column >= columns) continue;
            // As in mask_factors, but a word serves both columns that draw from it.
            Mask mask;
            u32 words[8];
            bool masked = keys && masks[row].threshold > 0;
            if (masked) {
                mask = masks[row];
                #pragma unroll
                for (int j = 0; j < 8; j++)
                    words[j] = random_word((work.column + column) / 32 * 16 + column % 16 + j, mask.a, mask.b);
            }
            #pragma unroll
            for (int q = 0; q < 2; q++) {
                if (column + q * 16 >= columns) break;
                float value[8], old[8];
                read8(own + (half * 8 + lane % 8) * LD + own_column + q * 16, value);
                #pragma unroll
                for (int j = 0; j < 8; j++) value[j] *= p.factor;
                if (masked) {
                    #pragma unroll
                    for (int j = 0; j < 8; j++)
                        value[j] *= (q ? words[j] >> 16 : words[j] & 0xffff) >= mask.threshold ? mask.scale : 0.0f;
                }
                if (source) {
                    unpack8(before[half][q], old);
                    #pragma unroll
                    for (int j = 0; j < 8; j++) value[j] += old[j];
                }
                *(uint4 *)(wide + (u64)(first_row + row) * ld_wide + p.wide + work.column + column + q * 16) = pack8(value);
            }
        }
    }
}

#define LORA_UP(BM, BLOCKS)                                                                              \
    KERNEL __launch_bounds__(BM * 2, BLOCKS) lora_up_##BM##x128(                                         \
        const Product *products, const Work *works, const bf16 *weights, int layer, const bf16 *narrow,  \
        int ld_narrow, bf16 *wide, int ld_wide, const bf16 *source, int ld_source, const RowKey *keys,   \
        int site) {                                                                                      \
        up<BM>(products, works, weights, layer, narrow, ld_narrow, wide, ld_wide, source, ld_source,     \
               keys, site);                                                                              \
    }

LORA_UP(64, 4)
LORA_UP(128, 2)

// ---- gradient -------------------------------------------------------------------------------------

/// gradients[W's place] = (accumulate ? itself : 0) + factor · Σ_t narrow[t, narrow + i] · wide[t, wide + n] on a
/// tile of BM rows and BN columns of W, summed over the group's rows in their order; f32.
///
/// BK rows of the batch at a time in a ring of STAGES. A warp makes all of the tile's rows in BN / 4 columns.
template <int BM, int BN, int BK, int STAGES>
DEVICE void gradient(const Product *products, const Work *works, float *gradients, int layer,
                     const bf16 *narrow, int ld_narrow, const bf16 *wide, int ld_wide, int accumulate) {
    constexpr int THREADS = 128, STAGE = (BM + BN) * BK, WN = BN / 4;
    extern __shared__ uint4 shared[];
    Work work = works[blockIdx.x];
    Product p = products[work.product];
    int rows = p.rank - work.row, columns = p.columns - work.column, inner = p.rows;
    const bf16 *u = narrow + (u64)p.row * ld_narrow + p.narrow + work.row;
    const bf16 *y = wide + (u64)p.row * ld_wide + p.wide + work.column;

    int thread = threadIdx.x, lane = thread % 32, side = thread / 32 * WN;
    int steps = (inner + BK - 1) / BK;

    auto copy = [&](int step, int stage) {
        int t = step * BK;
        bf16 *tile = (bf16 *)shared + stage * STAGE;
        if (step < steps) {
            copy_tile<BK, BM / 8, THREADS>(tile, u + (u64)t * ld_narrow, ld_narrow, inner - t, rows, thread);
            copy_tile<BK, BN / 8, THREADS>(tile + BM * BK, y + (u64)t * ld_wide, ld_wide, inner - t, columns, thread);
        }
        copy_commit();
    };
    #pragma unroll
    for (int s = 0; s < STAGES - 1; s++) copy(s, s);

    float sum[BM / 16][WN / 8][4] = {};
    int stage = 0;
    for (int step = 0; step < steps; step++) {
        copy_wait<STAGES - 2>();
        __syncthreads();
        // Into the stage that all have read a turn ago.
        copy(step + STAGES - 1, stage == 0 ? STAGES - 1 : stage - 1);
        const bf16 *tile = (const bf16 *)shared + stage * STAGE;
        #pragma unroll
        for (int t = 0; t < BK; t += 16) {
            u32 a[BM / 16][4], b[WN / 16][4];
            #pragma unroll
            for (int j = 0; j < WN / 16; j++) right<BN / 8>(b[j], tile + BM * BK, t, side / 8 + j * 2, lane);
            #pragma unroll
            for (int i = 0; i < BM / 16; i++) left_transposed<BM / 8>(a[i], tile, t, i * 2, lane);
            #pragma unroll
            for (int i = 0; i < BM / 16; i++) {
                if (i * 16 >= rows) break;
                #pragma unroll
                for (int j = 0; j < WN / 16; j++) {
                    mma16816(sum[i][2 * j], a[i], b[j]);
                    mma16816(sum[i][2 * j + 1], a[i], b[j] + 2);
                }
            }
        }
        stage = stage == STAGES - 1 ? 0 : stage + 1;
    }

    float *g = gradients + p.weight + layer * p.layer_stride + (u64)work.row * p.columns + work.column;
    #pragma unroll
    for (int i = 0; i < BM / 16; i++) {
        #pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = i * 16 + half * 8 + lane / 4;
            #pragma unroll
            for (int j = 0; j < WN / 8; j++) {
                int column = side + j * 8 + lane % 4 * 2;
                if (row >= rows || column >= columns) continue;
                float2 *at = (float2 *)(g + (u64)row * p.columns + column);
                float2 old = accumulate ? *at : make_float2(0.0f, 0.0f);
                *at = make_float2(old.x + p.factor * sum[i][j][2 * half], old.y + p.factor * sum[i][j][2 * half + 1]);
            }
        }
    }
}

#define LORA_GRADIENT(BM, BN, BK, STAGES, BLOCKS)                                                           \
    KERNEL __launch_bounds__(128, BLOCKS) lora_gradient_##BM##x##BN(                                        \
        const Product *products, const Work *works, float *gradients, int layer, const bf16 *narrow,        \
        int ld_narrow, const bf16 *wide, int ld_wide, int accumulate) {                                     \
        gradient<BM, BN, BK, STAGES>(products, works, gradients, layer, narrow, ld_narrow, wide, ld_wide,   \
                                     accumulate);                                                           \
    }

LORA_GRADIENT(16, 64, 64, 8, 2)
LORA_GRADIENT(64, 128, 32, 4, 4)
