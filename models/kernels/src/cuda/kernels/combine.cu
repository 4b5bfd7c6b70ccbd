// Second stages of the reductions by channel, in a fixed order, and the entry points of channels.cu.

#define COMBINE_THREADS 512

// Both sums of one channel of one case, in row 0 of blocks of 32 channels.
__device__ __forceinline__ void combine(const float* partials, u32 one_case, u32 chunks, u32 channels,
                                        double (&sums)[2]) {
    __shared__ double shared[2 * COMBINE_THREADS];
    u32 channel = blockIdx.x * 32 + threadIdx.x % 32, row = threadIdx.x / 32, rows = blockDim.x / 32;
    sums[0] = sums[1] = 0;
    if (channel < channels) {
#pragma unroll 4
        for (u32 part = row; part < chunks; part += rows) {
            const float* own = partials + ((u64)one_case * chunks + part) * 2 * channels + channel;
            sums[0] += own[0];
            sums[1] += own[channels];
        }
    }
    sum_rows<2>(shared, sums, 32);
    __syncthreads();
}

// Grid: tiles of 32 channels, cases.
template <class T>
__device__ __forceinline__ void combine_moments(const T* x, const float* partials, float* statistics, u32 voxels,
                                                u32 channels, u32 chunks, float epsilon) {
    double sums[2];
    combine(partials, blockIdx.y, chunks, channels, sums);
    u32 channel = blockIdx.x * 32 + threadIdx.x;
    if (threadIdx.x >= 32 || channel >= channels) return;
    double mean = sums[0] / voxels, variance = sums[1] / voxels - mean * mean;
    double shift = widen(x[(u64)blockIdx.y * voxels * channels + channel]);
    float* own = statistics + (u64)blockIdx.y * 2 * channels + channel;
    own[0] = (float)(shift + mean);
    // Not fmax: a variance that is not a number must stay one.
    own[channels] = (float)(1.0 / sqrt((variance < 0 ? 0.0 : variance) + (double)epsilon));
}

// Grid: tiles of 32 channels. The gradients of weight and bias are null where there are none.
extern "C" __global__ void combine_gradient(const float* __restrict__ partials, float* __restrict__ means,
                                            float* __restrict__ weight, float* __restrict__ bias, u32 cases,
                                            u32 voxels, u32 channels, u32 chunks) {
    u32 channel = blockIdx.x * 32 + threadIdx.x;
    bool writes = threadIdx.x < 32 && channel < channels;
    double total = 0, along = 0;
    for (u32 n = 0; n < cases; n++) {
        double sums[2];
        combine(partials, n, chunks, channels, sums);
        total += sums[0];
        along += sums[1];
        if (writes) {
            means[(u64)n * 2 * channels + channel] = (float)(sums[0] / voxels);
            means[(u64)n * 2 * channels + channels + channel] = (float)(sums[1] / voxels);
        }
    }
    if (writes && weight != nullptr) {
        weight[channel] = (float)along;
        bias[channel] = (float)total;
    }
}

// Grid: tiles of 32 channels.
extern "C" __global__ void combine_totals(const float* __restrict__ partials, float* __restrict__ into, u32 channels,
                                          u32 chunks) {
    double sums[2];
    combine(partials, 0, chunks, channels, sums);
    u32 channel = blockIdx.x * 32 + threadIdx.x;
    if (threadIdx.x < 32 && channel < channels) into[channel] = (float)sums[0];
}

#define BY_TYPE(type, T)                                                                                          \
    extern "C" __global__ void combine_moments_##type(const T* __restrict__ x, const float* __restrict__ partials, \
                                                      float* __restrict__ statistics, u32 voxels, u32 channels,   \
                                                      u32 chunks, float epsilon) {                                \
        combine_moments<T>(x, partials, statistics, voxels, channels, chunks, epsilon);                           \
    }                                                                                                             \
    extern "C" __global__ void add_bias_##type(T* __restrict__ y, const float* __restrict__ bias, u32 count,      \
                                               u32 channels) {                                                    \
        add_bias<T>(y, bias, count, channels);                                                                    \
    }

BY_TYPE(half, Half)
BY_TYPE(single, float)

#define BY_WIDTH(type, T, W)                                                                                      \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                         \
        moments_##type##_##W(const T* __restrict__ x, float* __restrict__ partials, Tiling tiling) {              \
        moments<T, W>(x, partials, tiling);                                                                       \
    }                                                                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                         \
        totals_##type##_##W(const T* __restrict__ x, float* __restrict__ partials, Tiling tiling) {               \
        totals<T, W>(x, partials, tiling);                                                                        \
    }                                                                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                         \
        normalize_##type##_##W(const T* __restrict__ x, T* __restrict__ y, const float* __restrict__ statistics,  \
                               const float* __restrict__ weight, const float* __restrict__ bias, Tiling tiling) { \
        normalize<T, W>(x, y, statistics, weight, bias, tiling);                                                  \
    }                                                                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                         \
        gradient_sums_##type##_##W(const T* __restrict__ x, const T* __restrict__ gradient,                       \
                                   const float* __restrict__ statistics, const float* __restrict__ weight,        \
                                   const float* __restrict__ bias, float* __restrict__ partials, Tiling tiling) { \
        gradient_sums<T, W>(x, gradient, statistics, weight, bias, partials, tiling);                             \
    }                                                                                                             \
    extern "C" __global__ void __launch_bounds__(THREADS)                                                         \
        gradient_input_##type##_##W(const T* __restrict__ x, const T* __restrict__ gradient, T* __restrict__ into, \
                                    const float* __restrict__ statistics, const float* __restrict__ weight,       \
                                    const float* __restrict__ bias, const float* __restrict__ means,              \
                                    Tiling tiling) {                                                              \
        gradient_input<T, W>(x, gradient, into, statistics, weight, bias, means, tiling);                         \
    }

BY_WIDTH(half, Half, 1)
BY_WIDTH(half, Half, 8)
BY_WIDTH(single, float, 1)
BY_WIDTH(single, float, 4)
