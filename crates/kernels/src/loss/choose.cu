// From logits to tokens, on the device: the best allowed token of a row and the log of the sum of all
// exponentials, and the state of sequences from step to step.
//
// A row of logits is cut into slices of 2,048, one block each, so that a single row keeps the GPU busy; a
// second kernel puts a row's slices together in order.

constexpr u32 THREADS = 256;
constexpr u32 SLICE = 8 * THREADS;
/// No token: what a row is given whose mask allows none.
constexpr u32 NONE = 0xffffffffu;

DEVICE float minus_infinity() { return __int_as_float((int)0xff800000); }

struct Best {
    float logit;
    u32 token;
};

/// The larger logit; of equals, the lower token. A NaN never wins.
DEVICE Best better(Best a, Best b) {
    return b.logit > a.logit || (b.logit == a.logit && b.token < a.token) ? b : a;
}

DEVICE Best warp_best(Best x) {
    #pragma unroll
    for (int o = 16; o > 0; o /= 2) {
        Best other = {__shfl_xor_sync(~0u, x.logit, o), __shfl_xor_sync(~0u, x.token, o)};
        x = better(x, other);
    }
    return x;
}

/// What a slice adds to its row: best allowed token, largest logit, Σ exp(logit − largest).
struct __align__(16) Part {
    Best best;
    float largest, sum;
};

/// parts `[m, ⌈n / 2048⌉]` of logits `[m, n]`, rows ld apart (a multiple of 4). Bit t % 32 of word t / 32 of a
/// mask allows token t; row i's mask is row mask_rows[i] of masks `[.., ⌈n / 32⌉]`, none where that is NONE;
/// with mask_rows null, row i's is row i; with masks null, no row has one. Grid (⌈n / 2048⌉, m) of 256.
KERNEL __launch_bounds__(THREADS)
choose_slices(const float *logits, int ld, int n, const u32 *masks, const u32 *mask_rows, Part *parts) {
    release_next();
    await_previous();
    u32 row = blockIdx.y, mask_row = !masks ? NONE : mask_rows ? mask_rows[row] : row;
    const float *values = logits + (i64)row * ld;
    const u32 *mask = mask_row == NONE ? nullptr : masks + (i64)mask_row * ((n + 31) / 32);

    float v[8];
    #pragma unroll
    for (int j = 0; j < 2; j++) {
        int at = blockIdx.x * SLICE + (j * THREADS + threadIdx.x) * 4;
        float4 four = at < n ? *(const float4 *)(values + at) : float4();
        v[4 * j] = four.x; v[4 * j + 1] = four.y; v[4 * j + 2] = four.z; v[4 * j + 3] = four.w;
    }
    Best best = {minus_infinity(), NONE};
    float largest = minus_infinity();
    #pragma unroll
    for (int j = 0; j < 2; j++) {
        int at = blockIdx.x * SLICE + (j * THREADS + threadIdx.x) * 4;
        u32 allowed = mask && at < n ? mask[at / 32] >> (at % 32) : ~0u;
        #pragma unroll
        for (int i = 0; i < 4; i++) {
            if (at + i >= n) v[4 * j + i] = minus_infinity();
            else if (allowed >> i & 1) best = better(best, {v[4 * j + i], (u32)(at + i)});
            largest = fmaxf(largest, v[4 * j + i]);
        }
    }

    largest = block_max(largest);
    float sum = 0.0f;
    if (largest > minus_infinity()) {
        #pragma unroll
        for (int i = 0; i < 8; i++) sum += __expf(v[i] - largest);
    }
    sum = block_sum(sum);

    __shared__ Best bests[THREADS / 32];
    best = warp_best(best);
    if (threadIdx.x % 32 == 0) bests[threadIdx.x / 32] = best;
    __syncthreads();
    if (threadIdx.x >= 32) return;
    best = warp_best(bests[threadIdx.x % (THREADS / 32)]);
    if (threadIdx.x == 0) parts[(i64)row * gridDim.x + blockIdx.x] = {best, largest, sum};
}

/// Each row's slices together: token, its logit, and the log of the sum of all exponentials, allowed or not.
/// NONE and −∞ where nothing is allowed. Any of the outputs may be null. One block of 32 a row.
KERNEL choose(const Part *parts, int slices, u32 *tokens, float *logits, float *log_sums) {
    release_next();
    await_previous();
    u32 row = blockIdx.x;
    const Part *mine = parts + (i64)row * slices;
    Best best = {minus_infinity(), NONE};
    float largest = minus_infinity(), sum = 0.0f;
    for (int i = threadIdx.x; i < slices; i += 32) {
        best = better(best, mine[i].best);
        largest = fmaxf(largest, mine[i].largest);
    }
    best = warp_best(best);
    largest = warp_max(largest);
    for (int i = threadIdx.x; i < slices; i += 32)
        if (mine[i].largest > minus_infinity()) sum += mine[i].sum * __expf(mine[i].largest - largest);
    sum = warp_sum(sum);
    if (threadIdx.x > 0) return;
    if (tokens) tokens[row] = best.token;
    if (logits) logits[row] = best.logit;
    if (log_sums) log_sums[row] = largest + logf(sum);
}

/// After a choice: each of m sequences that is not finished takes its token as the next input, one position
/// further. A thread a sequence.
KERNEL advance(const u32 *chosen, const u32 *finished, u32 *tokens, u32 *positions, u32 *lengths, int m) {
    release_next();
    await_previous();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= m || finished[i] || chosen[i] == NONE) return;
    tokens[i] = chosen[i];
    positions[i] += 1;
    lengths[i] += 1;
}
