// Types, vector access and block reductions. The sources of this folder are compiled as one, in the order in which
// program.rs lists them. Half precision goes through PTX, so that no header of CUDA's is needed.

typedef unsigned int u32;
typedef unsigned long long u64;

struct Half {
    unsigned short bits;
};

__device__ __forceinline__ float widen(float value) { return value; }

__device__ __forceinline__ float widen(Half value) {
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(value.bits));
    return wide;
}

__device__ __forceinline__ void narrow(float value, float& into) { into = value; }

__device__ __forceinline__ void narrow(float value, Half& into) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(into.bits) : "f"(value));
}

__device__ __forceinline__ Half half_of(u32 bits) {
    Half value;
    value.bits = (unsigned short)bits;
    return value;
}

__device__ __forceinline__ u32 pair_of(float low, float high) {
    Half a, b;
    narrow(low, a);
    narrow(high, b);
    return (u32)a.bits | ((u32)b.bits << 16);
}

// Consecutive values: one, or 16 bytes of them, aligned.

template <class T>
__device__ __forceinline__ void load(const T* at, float (&values)[1]) {
    values[0] = widen(*at);
}

__device__ __forceinline__ void load(const float* at, float (&values)[4]) {
    float4 raw = *reinterpret_cast<const float4*>(at);
    values[0] = raw.x;
    values[1] = raw.y;
    values[2] = raw.z;
    values[3] = raw.w;
}

__device__ __forceinline__ void load(const Half* at, float (&values)[8]) {
    uint4 raw = *reinterpret_cast<const uint4*>(at);
    u32 words[4] = {raw.x, raw.y, raw.z, raw.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        values[2 * i] = widen(half_of(words[i] & 0xffffu));
        values[2 * i + 1] = widen(half_of(words[i] >> 16));
    }
}

template <class T>
__device__ __forceinline__ void store(T* at, const float (&values)[1]) {
    narrow(values[0], *at);
}

__device__ __forceinline__ void store(float* at, const float (&values)[4]) {
    *reinterpret_cast<float4*>(at) = make_float4(values[0], values[1], values[2], values[3]);
}

__device__ __forceinline__ void store(Half* at, const float (&values)[8]) {
    *reinterpret_cast<uint4*>(at) = make_uint4(pair_of(values[0], values[1]), pair_of(values[2], values[3]),
                                               pair_of(values[4], values[5]), pair_of(values[6], values[7]));
}

template <int W>
__device__ __forceinline__ void load_parameters(const float* at, float (&values)[W]) {
#pragma unroll
    for (int w = 0; w < W; w++) values[w] = at[w];
}

__device__ __forceinline__ float warp_sum(float value) {
#pragma unroll
    for (int span = 16; span > 0; span >>= 1) value += __shfl_xor_sync(0xffffffffu, value, span);
    return value;
}

__device__ __forceinline__ double warp_sum(double value) {
#pragma unroll
    for (int span = 16; span > 0; span >>= 1) value += __shfl_xor_sync(0xffffffffu, value, span);
    return value;
}

__device__ __forceinline__ float warp_maximum(float value) {
#pragma unroll
    for (int span = 16; span > 0; span >>= 1) value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, span));
    return value;
}

// Sum over the rows of a block of `lanes` times `rows` threads; valid in row 0. Every thread must call it.
template <int M, class S>
__device__ __forceinline__ void sum_rows(S* shared, S (&values)[M], u32 lanes) {
    u32 threads = blockDim.x, thread = threadIdx.x, row = thread / lanes, rows = threads / lanes;
#pragma unroll
    for (int m = 0; m < M; m++) shared[m * threads + thread] = values[m];
    __syncthreads();
    u32 span = 1;
    while (span * 2 < rows) span *= 2;
    for (; span > 0; span >>= 1) {
        if (row < span && row + span < rows) {
#pragma unroll
            for (int m = 0; m < M; m++) shared[m * threads + thread] += shared[m * threads + thread + span * lanes];
        }
        __syncthreads();
    }
#pragma unroll
    for (int m = 0; m < M; m++) values[m] = shared[m * threads + thread];
}

// Sum over a block of whole warps, at most 32; valid in thread 0. Every thread must call it.
__device__ __forceinline__ double block_sum(double value) {
    __shared__ double warps[32];
    value = warp_sum(value);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
    __syncthreads();
    double total = 0;
    if (threadIdx.x == 0)
        for (u32 w = 0; w < blockDim.x / 32; w++) total += warps[w];
    return total;
}
