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
// rank first; in a product, tiles that share the wide side next to each other: row by row for down and up,
// column by column for gradient. For down and up all tile sizes give the same bits, for gradient the same
// up to the last bits (teams sum apart), so size is a matter of speed alone: take the largest of which there
// are at least as many tiles as the GPU has multiprocessors, or else the smallest
// (lora_down_64x128 only where a block may have so much shared memory: not on sm_86, sm_89 and sm_12x).
//
// One of DOWN, UP and GRADIENT is defined: the three are compiled side by side.
//
//                       threads   dynamic shared memory
//   lora_down_16x16         128   98304
//   lora_down_32x32         128   98304
//   lora_down_64x64         128   98304
//   lora_down_64x128        256   147456
//   lora_up_64x128          128   65536
//   lora_up_64x512          128   65536
//   lora_up_64x256          128   65536
//   lora_gradient_16x64     256   81920
//   lora_gradient_32x64     128   49152
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
/// Unsigned, as all that is divided here: signed division costs several instructions.
template <int CHUNKS> DEVICE u32 swizzled(u32 row, u32 chunk) {
    constexpr u32 ROWS = CHUNKS < 8 ? 8 / CHUNKS : 1; // that fill the 128 bytes of all banks
    constexpr u32 PLACES = CHUNKS < 8 ? CHUNKS : 8;
    return (row * CHUNKS + (chunk ^ (row / ROWS % PLACES))) * 8;
}

/// Copies a tile of ROWS rows from a matrix of which `rows` rows and `columns` columns are left; the rest is zeros.
template <int ROWS, int CHUNKS, int THREADS>
DEVICE void copy_tile(bf16 *tile, const bf16 *from, int ld, int rows, int columns, u32 thread) {
    constexpr int LINES = THREADS / CHUNKS; // at a time
    static_assert(LINES % 8 == 0 && ROWS % LINES == 0, "all lines of a thread are swizzled alike");
    int line = int(thread / CHUNKS), chunk = int(thread % CHUNKS);
    bool inside = chunk * 8 < columns;
    tile += swizzled<CHUNKS>(line, chunk);
    from += (u64)line * ld + chunk * 8;
    #pragma unroll
    for (int i = 0; i < ROWS; i += LINES, from += LINES * (u64)ld)
        copy16(tile + i * CHUNKS * 8, from, inside && line + i < rows);
}

/// Copies the same but leaves the rest of the tile as it is: for operands whose rest reaches no result that is kept.
template <int ROWS, int CHUNKS, int THREADS>
DEVICE void copy_present(bf16 *tile, const bf16 *from, int ld, int rows, int columns, u32 thread) {
    constexpr int LINES = THREADS / CHUNKS; // at a time
    static_assert(LINES % 8 == 0 && ROWS % LINES == 0, "all lines of a thread are swizzled alike");
    int line = int(thread / CHUNKS), chunk = int(thread % CHUNKS);
    if (chunk * 8 >= columns) return;
    tile += swizzled<CHUNKS>(line, chunk);
    from += (u64)line * ld + chunk * 8;
    #pragma unroll
    for (int i = 0; i < ROWS; i += LINES, from += LINES * (u64)ld)
        if (line + i < rows) copy16(tile + i * CHUNKS * 8, from, true);
}

/// Left operand of mma16816 from a tile that keeps it as it is (rows × inner): 16 × 16 from `row`, `chunk` on.
template <int CHUNKS> DEVICE void left(u32 *a, const bf16 *tile, int row, int chunk, u32 lane) {
    ldmatrix4(a, tile + swizzled<CHUNKS>(row + lane % 16, chunk + lane / 16));
}

/// The same from a tile that keeps it transposed (inner × rows).
template <int CHUNKS> DEVICE void left_transposed(u32 *a, const bf16 *tile, int inner, int chunk, u32 lane) {
    ldmatrix4_transposed(a, tile + swizzled<CHUNKS>(inner + lane / 16 * 8 + lane % 8, chunk + lane / 8 % 2));
}

/// Right operands of two mma16816 (16 columns) from a tile that keeps them as they are (inner × columns).
template <int CHUNKS> DEVICE void right(u32 *b, const bf16 *tile, int inner, int chunk, u32 lane) {
    ldmatrix4_transposed(b, tile + swizzled<CHUNKS>(inner + lane % 16, chunk + lane / 16));
}

/// The same from a tile that keeps them transposed (columns × inner).
template <int CHUNKS> DEVICE void right_transposed(u32 *b, const bf16 *tile, int column, int chunk, u32 lane) {
    ldmatrix4(b, tile + swizzled<CHUNKS>(column + lane / 16 * 8 + lane % 8, chunk + lane / 8 % 2));
}

DEVICE void read8(const float *from, float *x) {
    float4 a = *(const float4 *)from, b = *(const float4 *)(from + 4);
    x[0] = a.x; x[1] = a.y; x[2] = a.z; x[3] = a.w;
    x[4] = b.x; x[5] = b.y; x[6] = b.z; x[7] = b.w;
}

// ---- down -----------------------------------------------------------------------------------------

/// Barrier of a team of WARPS warps.
template <int WARPS> DEVICE void team_barrier(int team) {
    if (WARPS == 1) __syncwarp();
    else asm volatile("bar.sync %0, %1;" :: "r"(team + 1), "n"(WARPS * 32) : "memory");
}

/// narrow[t, narrow + i] = factor · Σ_k wide[t, wide + k] · W[i, k] on a tile of BM rows and BN columns.
///
/// The sum is long and the tiles are few: four teams of warps share the sum, not the tile. Team w takes the
/// slices w, w + 4, … of 32 columns through a ring of its own in shared memory, so that a team waits for
/// its own copies and never for another team; at the end the four sums meet, in the teams' order. A team
/// is one warp, or two with half of the tile's columns each.
template <int BM, int BN, int STAGES, int SIDES>
DEVICE void down(const Product *products, const Work *works, const bf16 *weights, int layer,
                 const bf16 *wide, int ld_wide, bf16 *narrow, int ld_narrow) {
    release_next();
    await_previous();
    constexpr int TEAMS = 4, SLICE = 32, STAGE = (BM + BN) * SLICE, WN = BN / SIDES, LD = WN + 8;
    static_assert(TEAMS * STAGES * STAGE * sizeof(bf16) == (SIDES == 1 ? 98304 : 147456), "what the table above says");
    static_assert(SIDES * BM * LD * sizeof(float) <= STAGES * STAGE * sizeof(bf16), "sums take their ring's place");
    extern __shared__ uint4 shared[];
    Work work = works[blockIdx.x];
    Product p = products[work.product];
    int rows = p.rows - work.row, columns = p.rank - work.column, inner = p.columns; // may exceed the tile
    const bf16 *x = wide + (u64)(p.row + work.row) * ld_wide + p.wide;
    const bf16 *w = weights + p.weight + layer * p.layer_stride + (u64)work.column * inner;

    u32 lane = threadIdx.x % 32;
    int team = threadIdx.x / 32 % TEAMS, side = threadIdx.x / 32 / TEAMS;
    int own_columns = columns - side * WN; // of the warp, may exceed WN or not be positive
    bf16 *ring = (bf16 *)shared + team * STAGES * STAGE;
    int slices = (inner + SLICE - 1) / SLICE;

    auto copy = [&](int slice, int stage) {
        int k = slice * SLICE;
        bf16 *tile = ring + stage * STAGE;
        if (slice < slices) {
            copy_tile<BM, 4, SIDES * 32>(tile, x + k, ld_wide, rows, inner - k, side * 32 + lane);
            copy_tile<BN, 4, SIDES * 32>(tile + BM * SLICE, w + k, inner, columns, inner - k, side * 32 + lane);
        }
        copy_commit();
    };
    #pragma unroll
    for (int s = 0; s < STAGES - 1; s++) copy(team + s * TEAMS, s);

    float sum[BM / 16][WN / 8][4] = {};
    int stage = 0;
    for (int slice = team; slice < slices; slice += TEAMS) {
        copy_wait<STAGES - 2>();
        team_barrier<SIDES>(team);
        // Into the stage that the whole team has read a turn ago.
        copy(slice + (STAGES - 1) * TEAMS, stage == 0 ? STAGES - 1 : stage - 1);
        const bf16 *tile = ring + stage * STAGE;
        #pragma unroll
        for (int k = 0; k < SLICE / 8; k += 2) {
            u32 a[BM / 16][4], b[WN / 16][4];
            #pragma unroll
            for (int i = 0; i < BM / 16; i++) left<4>(a[i], tile, i * 16, k, lane);
            #pragma unroll
            for (int j = 0; j < WN / 16; j++) right_transposed<4>(b[j], tile + BM * SLICE, side * WN + j * 16, k, lane);
            #pragma unroll
            for (int j = 0; j < WN / 16; j++) {
                if (j * 16 >= own_columns) break;
                #pragma unroll
                for (int i = 0; i < BM / 16; i++) {
                    mma16816(sum[i][2 * j], a[i], b[j]);
                    mma16816(sum[i][2 * j + 1], a[i], b[j] + 2);
                }
            }
        }
        stage = stage == STAGES - 1 ? 0 : stage + 1;
    }

    // All copies of this team have come: each was waited for before its slice.
    team_barrier<SIDES>(team);
    float *own = (float *)ring + side * BM * LD;
    #pragma unroll
    for (int i = 0; i < BM / 16; i++) {
        #pragma unroll
        for (int j = 0; j < WN / 8; j++) {
            float *at = own + (i * 16 + lane / 4) * LD + j * 8 + lane % 4 * 2;
            *(float2 *)at = make_float2(sum[i][j][0], sum[i][j][1]);
            *(float2 *)(at + 8 * LD) = make_float2(sum[i][j][2], sum[i][j][3]);
        }
    }
    __syncthreads();
    bf16 *u = narrow + (u64)(p.row + work.row) * ld_narrow + p.narrow + work.column;
    for (u32 i = threadIdx.x; i < BM * BN / 8; i += TEAMS * SIDES * 32) {
        int row = i / (BN / 8), column = i % (BN / 8) * 8;
        if (row >= rows || column >= columns) continue;
        float total[8] = {};
        #pragma unroll
        for (int other = 0; other < TEAMS; other++) {
            const float *theirs = (const float *)((bf16 *)shared + other * STAGES * STAGE) + column / WN * BM * LD;
            float part[8];
            read8(theirs + row * LD + column % WN, part);
            #pragma unroll
            for (int j = 0; j < 8; j++) total[j] += part[j];
        }
        #pragma unroll
        for (int j = 0; j < 8; j++) total[j] *= p.factor;
        *(uint4 *)(u + (u64)row * ld_narrow + column) = pack8(total);
    }
}

#define LORA_DOWN(BM, BN, STAGES, SIDES)                                                              \
    KERNEL __launch_bounds__(SIDES * 128, 3 - SIDES) lora_down_##BM##x##BN(                           \
        const Product *products, const Work *works, const bf16 *weights, int layer, const bf16 *wide, \
        int ld_wide, bf16 *narrow, int ld_narrow) {                                                   \
        down<BM, BN, STAGES, SIDES>(products, works, weights, layer, wide, ld_wide, narrow, ld_narrow); \
    }

#ifdef DOWN
LORA_DOWN(16, 16, 12, 1)
LORA_DOWN(32, 32, 6, 1)
LORA_DOWN(64, 64, 3, 1)
LORA_DOWN(64, 128, 3, 2)
#endif

// ---- up -------------------------------------------------------------------------------------------

/// wide[t, wide + n] = mask ∘ (factor · Σ_i narrow[t, narrow + i] · W[i, n]) + source[t, wide + n] on a tile of
/// BM rows and WIDTH columns.
///
/// `keys` `[T]` names the rows' masks over the columns of W (null: no masks), `source` bf16 `[T, ld_source]`
/// is what the products are added to (null: nothing); it may be `wide` itself. Rows of no group are not
/// written.
///
/// The sums are short and the results many. A block walks over its columns, BN at a time, and keeps its rows
/// of the narrow side as it goes: what comes through the two stages is W, 64 terms at a time, copied while
/// the results before are stored. A warp makes WM × 64 and has a piece of shared memory of that shape,
/// where the source waits, results take its place, and whole lines of 128 bytes go out.
template <int BM, int BN, int WM, int WIDTH>
DEVICE void up(const Product *products, const Work *works, const bf16 *weights, int layer, const bf16 *narrow,
               int ld_narrow, bf16 *wide, int ld_wide, const bf16 *source, int ld_source,
               const RowKey *keys, int site) {
    release_next();
    await_previous();
    constexpr int BK = 64, WN = 64, SIDES = BN / WN, THREADS = BM / WM * SIDES * 32, STAGE = (BM + BN) * BK;
    static_assert(WIDTH % BN == 0 && BM <= THREADS, "one thread for each row's mask");
    extern __shared__ uint4 shared[];
    __shared__ Mask masks[BM];
    Work work = works[blockIdx.x];
    Product p = products[work.product];
    int rows = p.rows - work.row, inner = p.rank; // rows may exceed the tile
    int columns = min(WIDTH, (int)(p.columns - work.column));
    int first_row = p.row + work.row, first_column = p.wide + work.column;
    const bf16 *u = narrow + (u64)first_row * ld_narrow + p.narrow;
    const bf16 *w = weights + p.weight + layer * p.layer_stride + work.column;

    u32 thread = threadIdx.x, warp = thread / 32, lane = thread % 32;
    int top = warp / SIDES * WM, side = warp % SIDES * WN; // of the warp's part
    bf16 *own = (bf16 *)shared + 2 * STAGE + warp * WM * WN;
    bool idle = top >= rows;

    // The warp's part of the source, of the columns from `column` on. Belongs to the next commit.
    auto copy_source = [&](int column) {
        if (!source || idle || column >= columns) return;
        int at = column + side + int(lane % 8 * 8);
        const bf16 *from = source + (u64)(first_row + top + lane / 8) * ld_source + first_column + at;
        #pragma unroll
        for (int i = 0; i < WM; i += 4, from += 4 * (u64)ld_source) {
            bool inside = top + i + int(lane / 8) < rows && at < columns;
            copy16(own + i / 8 * 8 * WN + swizzled<8>(i % 8 + lane / 8, lane % 8), from, inside);
        }
    };
    // The operands of the next step: 64 terms of BN columns.
    int step_copied = 0, column_copied = 0, term_copied = 0;
    auto copy_step = [&] {
        if (column_copied < columns) {
            bf16 *tile = (bf16 *)shared + step_copied % 2 * STAGE;
            // A short sum takes one step or two: then the stage has its part of u from the columns before.
            if (step_copied < 2 || inner > 2 * BK)
                copy_present<BM, BK / 8, THREADS>(tile, u + term_copied, ld_narrow, rows, inner - term_copied, thread);
            copy_present<BK, BN / 8, THREADS>(tile + BM * BK, w + (u64)term_copied * p.columns + column_copied,
                                              p.columns, inner - term_copied, columns - column_copied, thread);
            step_copied++;
            term_copied += BK;
            if (term_copied >= inner) {
                term_copied = 0;
                column_copied += BN;
            }
        }
        copy_commit();
    };
    copy_source(0);
    #pragma unroll 1
    for (int i = 0; i < 2; i++) copy_step();
    if (keys && thread < BM && int(thread) < rows) masks[thread] = make_mask(keys[first_row + thread], layer, site);

    int step = 0;
    for (int column = 0; column < columns; column += BN) {
        float sum[WM / 16][WN / 8][4] = {};
        for (int term = 0; term < inner; term += BK, step++) {
            copy_wait<1>();
            __syncthreads();
            const bf16 *tile = (const bf16 *)shared + step % 2 * STAGE;
            int terms = idle ? 0 : min(BK, inner - term);
            #pragma unroll 2
            for (int k = 0; k < terms; k += 16) {
                u32 a[WM / 16][4], b[WN / 16][4];
                #pragma unroll
                for (int i = 0; i < WM / 16; i++) left<BK / 8>(a[i], tile, top + i * 16, k / 8, lane);
                #pragma unroll
                for (int j = 0; j < WN / 16; j++) right<BN / 8>(b[j], tile + BM * BK, k, side / 8 + j * 2, lane);
                #pragma unroll
                for (int i = 0; i < WM / 16; i++) {
                    #pragma unroll
                    for (int j = 0; j < WN / 16; j++) {
                        mma16816(sum[i][2 * j], a[i], b[j]);
                        mma16816(sum[i][2 * j + 1], a[i], b[j] + 2);
                    }
                }
            }
            __syncthreads();
            copy_step();
        }
        if (idle) continue;

        // A lane has columns 2t, 2t + 1 of every 8, of row g of every 8.
        float factor[WM / 8];
        #pragma unroll
        for (int i = 0; i < WM / 8; i++) {
            factor[i] = p.factor;
            if (!keys) continue;
            Mask mask = masks[top + i * 8 + lane / 4];
            if (mask.threshold == 0) continue;
            factor[i] *= mask.scale;
            // As in mask_factors, but a word serves both columns that draw from it.
            u32 first = (work.column + column + side) / 2 + lane % 4 * 2, threshold = mask.threshold << 16;
            #pragma unroll
            for (int j = 0; j < WN / 16; j++) {
                #pragma unroll
                for (int e = 0; e < 2; e++) {
                    u32 word = random_word(first + j * 8 + e, mask.a, mask.b);
                    float *lower = &sum[i / 2][j / 2 * 4 + j % 2][i % 2 * 2 + e];
                    float *upper = &sum[i / 2][j / 2 * 4 + j % 2 + 2][i % 2 * 2 + e];
                    if (word << 16 < threshold) *lower = 0.0f;
                    if (word < threshold) *upper = 0.0f;
                }
            }
        }
        if (source) copy_wait<0>();
        __syncwarp();
        #pragma unroll
        for (int i = 0; i < WM / 8; i++) {
            u32 *at[WN / 8], old[WN / 8] = {};
            #pragma unroll
            for (int j = 0; j < WN / 8; j++) {
                at[j] = (u32 *)(own + i * 8 * WN + swizzled<8>(lane / 4, j)) + lane % 4;
                if (source) old[j] = *at[j];
            }
            #pragma unroll
            for (int j = 0; j < WN / 8; j++) {
                const float *value = sum[i / 2][j] + i % 2 * 2;
                *at[j] = pack_bf16(factor[i] * value[0] + low(old[j]), factor[i] * value[1] + high(old[j]));
            }
        }
        __syncwarp();
        int at = column + side + int(lane % 8 * 8);
        bf16 *y = wide + (u64)(first_row + top + lane / 8) * ld_wide + first_column + at;
        #pragma unroll
        for (int i = 0; i < WM; i += 4, y += 4 * (u64)ld_wide) {
            uint4 line = *(const uint4 *)(own + i / 8 * 8 * WN + swizzled<8>(i % 8 + lane / 8, lane % 8));
            if (top + i + int(lane / 8) < rows && at < columns) *(uint4 *)y = line;
        }
        copy_source(column + BN);
    }
}

#define LORA_UP(NAME, BM, BN, WM, WIDTH, BLOCKS)                                                         \
    KERNEL __launch_bounds__(BM / WM * BN / 2, BLOCKS) NAME(                                             \
        const Product *products, const Work *works, const bf16 *weights, int layer, const bf16 *narrow,  \
        int ld_narrow, bf16 *wide, int ld_wide, const bf16 *source, int ld_source, const RowKey *keys,   \
        int site) {                                                                                      \
        up<BM, BN, WM, WIDTH>(products, works, weights, layer, narrow, ld_narrow, wide, ld_wide, source, \
                              ld_source, keys, site);                                                    \
    }

#ifdef UP
LORA_UP(lora_up_64x128, 64, 128, 32, 128, 3)
LORA_UP(lora_up_64x512, 64, 128, 32, 512, 3)
LORA_UP(lora_up_64x256, 64, 128, 32, 256, 3)
#endif

// ---- gradient -------------------------------------------------------------------------------------

/// gradients[W's place] = (accumulate ? itself : 0) + factor · Σ_t narrow[t, narrow + i] · wide[t, wide + n] on a
/// tile of BM rows and BN columns of W, f32.
///
/// BK rows of the batch at a time in a ring of STAGES. A warp makes all of the tile's rows in BN / 4 columns.
/// Where tiles are few, TEAMS of four warps share the sum, not the tile: team i takes every TEAMS-th BK rows
/// from the i-th on, through a ring of its own, and at the end the teams' sums meet in their order.
template <int BM, int BN, int BK, int STAGES, int TEAMS>
DEVICE void gradient(const Product *products, const Work *works, float *gradients, int layer,
                     const bf16 *narrow, int ld_narrow, const bf16 *wide, int ld_wide, int accumulate) {
    release_next();
    await_previous();
    constexpr int THREADS = 128, STAGE = (BM + BN) * BK, WN = BN / 4;
    extern __shared__ uint4 shared[];
    Work work = works[blockIdx.x];
    Product p = products[work.product];
    int rows = p.rank - work.row, columns = p.columns - work.column, inner = p.rows;
    const bf16 *u = narrow + (u64)p.row * ld_narrow + p.narrow + work.row;
    const bf16 *y = wide + (u64)p.row * ld_wide + p.wide + work.column;

    u32 thread = threadIdx.x % THREADS, team = threadIdx.x / THREADS, lane = thread % 32;
    int side = thread / 32 * WN;
    int steps = (inner + BK - 1) / BK, turns = (steps + TEAMS - 1) / TEAMS;
    bf16 *ring = (bf16 *)shared + team * STAGES * STAGE;

    auto copy = [&](int turn, int stage) {
        int step = turn * TEAMS + team, t = step * BK;
        bf16 *tile = ring + stage * STAGE;
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
    for (int turn = 0; turn < turns; turn++) {
        copy_wait<STAGES - 2>();
        __syncthreads();
        // Into the stage that all have read a turn ago.
        copy(turn + STAGES - 1, stage == 0 ? STAGES - 1 : stage - 1);
        const bf16 *tile = ring + stage * STAGE;
        #pragma unroll
        for (int t = 0; t < BK; t += 16) {
            if (turn * TEAMS + team >= steps) break;
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

    if constexpr (TEAMS > 1) {
        // Each lane's sums go to the same lane of team 0, one after the other.
        constexpr int OWN = BM / 16 * WN / 8;
        static_assert((TEAMS - 1) * THREADS * OWN * 16 <= TEAMS * STAGES * STAGE * sizeof(bf16), "in the rings' place");
        copy_wait<0>();
        __syncthreads();
        float4 *meet = (float4 *)shared;
        #pragma unroll
        for (int n = 0; n < OWN; n++) {
            const float *own = sum[n / (WN / 8)][n % (WN / 8)];
            if (team > 0)
                meet[((team - 1) * OWN + n) * THREADS + thread] = make_float4(own[0], own[1], own[2], own[3]);
        }
        __syncthreads();
        if (team > 0) return;
        #pragma unroll
        for (int other = 0; other < TEAMS - 1; other++) {
            #pragma unroll
            for (int n = 0; n < OWN; n++) {
                float4 part = meet[(other * OWN + n) * THREADS + thread];
                float *own = sum[n / (WN / 8)][n % (WN / 8)];
                own[0] += part.x; own[1] += part.y; own[2] += part.z; own[3] += part.w;
            }
        }
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

#define LORA_GRADIENT(BM, BN, BK, STAGES, TEAMS, BLOCKS)                                                    \
    KERNEL __launch_bounds__(128 * TEAMS, BLOCKS) lora_gradient_##BM##x##BN(                                \
        const Product *products, const Work *works, float *gradients, int layer, const bf16 *narrow,        \
        int ld_narrow, const bf16 *wide, int ld_wide, int accumulate) {                                     \
        gradient<BM, BN, BK, STAGES, TEAMS>(products, works, gradients, layer, narrow, ld_narrow, wide,     \
                                            ld_wide, accumulate);                                           \
    }

#ifdef GRADIENT
LORA_GRADIENT(16, 64, 64, 4, 2, 2)
LORA_GRADIENT(32, 64, 64, 4, 1, 4)
LORA_GRADIENT(64, 128, 32, 4, 1, 4)
#endif
