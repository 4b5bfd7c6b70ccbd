// Products of small matrices by warps. A product takes a 16 × 8 and an 8 × 8 matrix. Of the first and of the result, a
// lane holds two neighboring columns of the rows `lane / 4` and `lane / 4 + 8`; of the second, two rows of column
// `lane / 4`. Sums are single precision: half precision multiplies on tensor cores, single precision there as well, each
// factor as a sum of two numbers of 11 bits (TF32).

template <class T>
struct Pair;

template <>
struct Pair<Half> {
    u32 bits;

    __device__ __forceinline__ float low() const { return widen(half_of(bits & 0xffffu)); }
    __device__ __forceinline__ float high() const { return widen(half_of(bits >> 16)); }
};

template <>
struct Pair<float> {
    float2 values;

    __device__ __forceinline__ float low() const { return values.x; }
    __device__ __forceinline__ float high() const { return values.y; }
};

__device__ __forceinline__ void make(float low, float high, Pair<Half>& pair) { pair.bits = pair_of(low, high); }

__device__ __forceinline__ void make(float low, float high, Pair<float>& pair) {
    pair.values = make_float2(low, high);
}

// Two neighboring values of a row; the address is aligned to both.
template <class T>
__device__ __forceinline__ Pair<T> row_pair(const T* at) {
    return *reinterpret_cast<const Pair<T>*>(at);
}

// Two rows of a column of an 8 × 8 matrix in shared memory, whose rows begin at multiples of 16 bytes.
__device__ __forceinline__ Pair<float> column_pair(const float* matrix, u32 pitch) {
    u32 lane = threadIdx.x % 32;
    const float* at = matrix + lane % 4 * 2 * pitch + lane / 4;
    Pair<float> pair;
    make(at[0], at[pitch], pair);
    return pair;
}

__device__ __forceinline__ Pair<Half> column_pair(const Half* matrix, u32 pitch) {
    Pair<Half> pair;
#if __CUDA_ARCH__ >= 750
    u32 at = (u32)__cvta_generic_to_shared(matrix + threadIdx.x % 8 * pitch);
    asm volatile("ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];" : "=r"(pair.bits) : "r"(at) : "memory");
#else
    u32 lane = threadIdx.x % 32;
    const Half* at = matrix + lane % 4 * 2 * pitch + lane / 4;
    pair.bits = (u32)at[0].bits | ((u32)at[pitch].bits << 16);
#endif
    return pair;
}

// Where there are no tensor cores of the type.
template <class T>
__device__ __forceinline__ void multiply_by_shuffles(float (&sums)[4], const Pair<T> (&a)[2], Pair<T> b) {
    u32 lane = threadIdx.x % 32, row = lane & ~3u, column = lane % 4 * 8, all = 0xffffffffu;
    // Not unrolled, because compilation would take minutes.
#pragma unroll 1
    for (u32 k = 0; k < 4; k++) {
        float upper[2] = {__shfl_sync(all, a[0].low(), row + k), __shfl_sync(all, a[0].high(), row + k)};
        float lower[2] = {__shfl_sync(all, a[1].low(), row + k), __shfl_sync(all, a[1].high(), row + k)};
        float left[2] = {__shfl_sync(all, b.low(), column + k), __shfl_sync(all, b.high(), column + k)};
        float right[2] = {__shfl_sync(all, b.low(), column + 4 + k), __shfl_sync(all, b.high(), column + 4 + k)};
#pragma unroll
        for (int i = 0; i < 2; i++) {
            sums[0] = fmaf(upper[i], left[i], sums[0]);
            sums[1] = fmaf(upper[i], right[i], sums[1]);
            sums[2] = fmaf(lower[i], left[i], sums[2]);
            sums[3] = fmaf(lower[i], right[i], sums[3]);
        }
    }
}

// Adds a product.
__device__ __forceinline__ void multiply(float (&sums)[4], const Pair<Half> (&a)[2], Pair<Half> b) {
#if __CUDA_ARCH__ >= 750
    asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0].bits), "r"(a[1].bits), "r"(b.bits));
#else
    multiply_by_shuffles(sums, a, b);
#endif
}

#if __CUDA_ARCH__ >= 800
// The instruction takes columns 0..3 and 4..7 in different registers. It is given the even and the odd columns instead,
// of both matrices, which changes the order of summation only.
__device__ __forceinline__ void multiply_parts(float (&sums)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// The largest part of a number that TF32 holds, and the rest.
__device__ __forceinline__ void split(float value, u32& large, u32& small) {
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(large) : "f"(value));
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(small) : "f"(value - __uint_as_float(large)));
}
#endif

__device__ __forceinline__ void multiply(float (&sums)[4], const Pair<float> (&a)[2], Pair<float> b) {
#if __CUDA_ARCH__ >= 800
    u32 large_a[4], small_a[4], large_b[2], small_b[2];
    split(a[0].low(), large_a[0], small_a[0]);
    split(a[1].low(), large_a[1], small_a[1]);
    split(a[0].high(), large_a[2], small_a[2]);
    split(a[1].high(), large_a[3], small_a[3]);
    split(b.low(), large_b[0], small_b[0]);
    split(b.high(), large_b[1], small_b[1]);
    multiply_parts(sums, small_a, large_b);
    multiply_parts(sums, large_a, small_b);
    multiply_parts(sums, large_a, large_b);
#else
    multiply_by_shuffles(sums, a, b);
#endif
}
