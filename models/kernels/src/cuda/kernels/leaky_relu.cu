// Leaky ReLU of a tensor or of a sum, and its gradient: 16 bytes per thread and turn, then the rest by single values.

template <int W>
__device__ __forceinline__ void lessen_negative(float (&values)[W], float slope) {
#pragma unroll
    for (int w = 0; w < W; w++) values[w] = values[w] < 0.0f ? values[w] * slope : values[w];
}

// `addend` is null for a single tensor.
template <class T, int W>
__device__ __forceinline__ void leaky_relu_at(const T* x, const T* addend, T* y, u64 at, float slope) {
    float values[W];
    load(x + at, values);
    if (addend != nullptr) {
        float more[W];
        load(addend + at, more);
#pragma unroll
        for (int w = 0; w < W; w++) values[w] += more[w];
    }
    lessen_negative(values, slope);
    store(y + at, values);
}

template <class T, int W>
__device__ __forceinline__ void leaky_relu_sum(const T* x, const T* addend, T* y, u32 count, float slope) {
    u32 groups = count / W, first = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x;
    for (u32 group = first; group < groups; group += step)
        leaky_relu_at<T, W>(x, addend, y, (u64)group * W, slope);
    for (u32 i = groups * W + first; i < count; i += step) leaky_relu_at<T, 1>(x, addend, y, i, slope);
}

template <class T, int W>
__device__ __forceinline__ void leaky_relu_gradient_at(const T* y, const T* gradient, T* into, u64 at, float slope) {
    float outputs[W], slopes[W];
    load(y + at, outputs);
    load(gradient + at, slopes);
#pragma unroll
    for (int w = 0; w < W; w++)
        if (outputs[w] <= 0.0f) slopes[w] *= slope;
    store(into + at, slopes);
}

template <class T, int W>
__device__ __forceinline__ void leaky_relu_gradient(const T* y, const T* gradient, T* into, u32 count, float slope) {
    u32 groups = count / W, first = blockIdx.x * blockDim.x + threadIdx.x, step = gridDim.x * blockDim.x;
    for (u32 group = first; group < groups; group += step)
        leaky_relu_gradient_at<T, W>(y, gradient, into, (u64)group * W, slope);
    for (u32 i = groups * W + first; i < count; i += step)
        leaky_relu_gradient_at<T, 1>(y, gradient, into, i, slope);
}

#define LEAKY_RELU(type, T, W)                                                                                    \
    extern "C" __global__ void leaky_relu_sum_##type(const T* __restrict__ x, const T* __restrict__ addend,       \
                                                     T* __restrict__ y, u32 count, float slope) {                 \
        leaky_relu_sum<T, W>(x, addend, y, count, slope);                                                         \
    }                                                                                                             \
    extern "C" __global__ void leaky_relu_gradient_##type(const T* __restrict__ y, const T* __restrict__ gradient, \
                                                          T* __restrict__ into, u32 count, float slope) {         \
        leaky_relu_gradient<T, W>(y, gradient, into, count, slope);                                               \
    }

LEAKY_RELU(half, Half, 8)
LEAKY_RELU(single, float, 4)
