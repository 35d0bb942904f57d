// Cross-entropy over rows of f32 logits. One block a row.

/// Largest logit of the row and sum of exp(logit − largest), one pass over memory.
DEVICE void row_statistics(const float *row, int n, float *largest, float *sum) {
    float m = -3.0e38f, s = 0.0f;
    for (int i = threadIdx.x * 4; i < n; i += blockDim.x * 4) {
        float4 v = *(const float4 *)(row + i);
        float top = fmaxf(fmaxf(v.x, v.y), fmaxf(v.z, v.w));
        if (top > m) {
            s *= __expf(m - top);
            m = top;
        }
        s += __expf(v.x - m) + __expf(v.y - m) + __expf(v.z - m) + __expf(v.w - m);
    }
    *largest = block_max(m);
    *sum = block_sum(s * __expf(m - *largest));
}

/// losses[row] = −log softmax(logits[row])[target]. With `weights`, the row becomes its gradient: as bf16,
/// `(softmax − onehot) · weight`, in the first half of the row's own memory (2n numbers from row to row).
/// n is a multiple of 8.
KERNEL cross_entropy(float *logits, int n, const u32 *targets, const float *weights, float *losses) {
    release_next();
    await_previous();
    float *row = logits + (i64)blockIdx.x * n;
    int target = (int)targets[blockIdx.x];
    float largest, sum, at_target = row[target];
    row_statistics(row, n, &largest, &sum);
    if (threadIdx.x == 0) losses[blockIdx.x] = __logf(sum) + largest - at_target;
    if (!weights) return;
    float weight = weights[blockIdx.x], factor = weight / sum;
    bf16 *gradient = (bf16 *)row;
    // A round writes the bytes 16t.. of what the rounds so far have read: never what is still to be read,
    // once all threads have read theirs.
    for (int first = 0; first < n; first += blockDim.x * 8) {
        int i = first + threadIdx.x * 8;
        float v[8];
        if (i < n) {
            *(float4 *)v = *(const float4 *)(row + i);
            *(float4 *)(v + 4) = *(const float4 *)(row + i + 4);
        }
        __syncthreads();
        if (i >= n) continue;
        #pragma unroll
        for (int j = 0; j < 8; j++) {
            v[j] = factor * __expf(v[j] - largest);
            if (i + j == target) v[j] -= weight;
        }
        *(uint4 *)(gradient + i) = pack8(v);
    }
}

/// out[i] = logits[rows[i]][tokens[i]]
KERNEL gather_logits(const float *logits, int ld, const u32 *rows, const u32 *tokens, int n, float *out) {
    release_next();
    await_previous();
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = logits[(i64)rows[i] * ld + tokens[i]];
}
