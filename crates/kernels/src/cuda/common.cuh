// What every kernel file begins with: number formats, matrix instructions, sums over a warp or a block.
// No header of CUDA's is needed: a user who runs Verdict may not have them.
//
// bf16 is kept as its bits in 16 bits. sm_80 and up.

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short bf16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define DEVICE __device__ __forceinline__
#define KERNEL extern "C" __global__ void

// ---- bf16 -------------------------------------------------------------------------------------

DEVICE float from_bf16(bf16 x) { return __uint_as_float((u32)x << 16); }

/// Two bf16 of one word: the low one first.
DEVICE float low(u32 x) { return __uint_as_float(x << 16); }
DEVICE float high(u32 x) { return __uint_as_float(x & 0xffff0000u); }

/// Rounds to nearest, ties to even.
DEVICE bf16 to_bf16(float x) {
    bf16 r;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x));
    return r;
}

/// Two at once; `a` goes to the low half.
DEVICE u32 pack_bf16(float a, float b) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(b), "f"(a));
    return r;
}

/// Eight bf16 of 16 bytes.
DEVICE void unpack8(uint4 v, float *x) {
    x[0] = low(v.x); x[1] = high(v.x);
    x[2] = low(v.y); x[3] = high(v.y);
    x[4] = low(v.z); x[5] = high(v.z);
    x[6] = low(v.w); x[7] = high(v.w);
}

DEVICE uint4 pack8(const float *x) {
    uint4 v;
    v.x = pack_bf16(x[0], x[1]);
    v.y = pack_bf16(x[2], x[3]);
    v.z = pack_bf16(x[4], x[5]);
    v.w = pack_bf16(x[6], x[7]);
    return v;
}

// ---- matrix instructions ------------------------------------------------------------------------

/// c[16×8] += a[16×16] · b[16×8]. Lane l, g = l/4, t = l%4 holds
/// a: {(g, 2t), (g+8, 2t), (g, 2t+8), (g+8, 2t+8)}, each with the next column in the high half;
/// b: {(2t, g), (2t+8, g)}, each with the next row in the high half;
/// c: (g, 2t), (g, 2t+1), (g+8, 2t), (g+8, 2t+1).
DEVICE void mma16816(float *c, const u32 *a, const u32 *b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

DEVICE u32 shared_address(const void *p) { return (u32)__cvta_generic_to_shared(p); }

/// Four 8×8 matrices of bf16; lane l names row l%8 of matrix l/8.
DEVICE void ldmatrix4(u32 *r, const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)));
}

/// The same, each matrix transposed.
DEVICE void ldmatrix4_transposed(u32 *r, const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)));
}

// ---- copies into shared memory ------------------------------------------------------------------

/// 16 bytes, both addresses aligned to 16; zeros where `wanted` is false (`from` is not read then).
DEVICE void copy16(void *to, const void *from, bool wanted) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
                 :: "r"(shared_address(to)), "l"(from), "r"(wanted ? 16 : 0) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int PENDING> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" :: "n"(PENDING) : "memory"); }

// ---- sums and maxima ----------------------------------------------------------------------------

DEVICE float warp_sum(float x) {
    #pragma unroll
    for (int o = 16; o > 0; o /= 2) x += __shfl_xor_sync(~0u, x, o);
    return x;
}

DEVICE float warp_max(float x) {
    #pragma unroll
    for (int o = 16; o > 0; o /= 2) x = fmaxf(x, __shfl_xor_sync(~0u, x, o));
    return x;
}

/// Sum over a block of whole warps, the same to the bit in every thread and every run.
DEVICE float block_sum(float x) {
    __shared__ float parts[32];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    x = warp_sum(x);
    __syncthreads();
    if (lane == 0) parts[warp] = x;
    __syncthreads();
    return warp_sum(lane < warps ? parts[lane] : 0.0f);
}

DEVICE float block_max(float x) {
    __shared__ float parts[32];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    x = warp_max(x);
    __syncthreads();
    if (lane == 0) parts[warp] = x;
    __syncthreads();
    return warp_max(lane < warps ? parts[lane] : -__int_as_float(0x7f800000));
}

DEVICE float sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }

// ---- dropout ------------------------------------------------------------------------------------

/// What names the masks of one row, as `DropoutKey` in dropout/mod.rs, but for layer and site.
struct RowKey {
    u64 seed;
    u64 example;
    u32 position;
    /// Probability in units of 1/65536; 0: no dropout in this row.
    u32 threshold;
};

DEVICE u64 mix(u64 x) {
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

/// A row's generator at one site of one layer.
struct Mask {
    u32 a, b, threshold;
    float scale;
};

DEVICE Mask make_mask(RowKey key, u32 layer, u32 site) {
    u64 h = mix(key.seed ^ 0x9e3779b97f4a7c15ull);
    h = mix(h ^ key.example);
    h = mix(h ^ ((u64)layer << 32 | (u64)site));
    h = mix(h ^ (u64)key.position);
    Mask m;
    m.a = (u32)h;
    m.b = (u32)(h >> 32);
    m.threshold = key.threshold;
    m.scale = 65536.0f / (float)(65536u - key.threshold);
    return m;
}

DEVICE u32 random_word(u32 counter, u32 a, u32 b) {
    u32 h = counter * 0x9e3779b9u + a;
    h ^= h >> 16; h *= 0x7feb352du;
    h ^= h >> 15; h *= 0x846ca68bu;
    h ^= (h >> 16) ^ b; h *= 0x21f0aaadu;
    h ^= h >> 15; h *= 0x735a2d97u;
    return h ^ (h >> 15);
}

/// Factors of the elements `column..column + 8` (column a multiple of 8) and of those 16 further on:
/// one word serves element j and element j + 16 of every 32, as on the CPU.
DEVICE void mask_factors(Mask m, u32 column, float *f) {
    u32 first = column / 32 * 16 + column % 16;
    bool upper = column % 32 >= 16;
    #pragma unroll
    for (int j = 0; j < 8; j++) {
        u32 h = random_word(first + j, m.a, m.b);
        u32 bits = upper ? h >> 16 : h & 0xffffu;
        f[j] = bits >= m.threshold ? m.scale : 0.0f;
    }
}

// ---- launches that overlap ----------------------------------------------------------------------

/// Lets the next kernel of the stream begin once every block has come here, where it was launched so that
/// it may (programmatic dependent launch, sm_90); does nothing otherwise.
DEVICE void release_next() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

/// In a kernel launched that way: waits until the kernels before have ended and their results are visible.
/// Must come before the first read of their results and before the first write.
DEVICE void await_previous() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}
