// Layer normalization, GELU, and rows at constant indices. Of a row, `lanes` threads (a power of two, at most 32) take W
// channels each at a time.

#define ROW_THREADS 256

struct Rows {
    u32 rows;
    u32 channels;
    u32 lanes;
    float epsilon;
};

// Sum over the lanes of a row, in all of them. Every thread must call it.
__device__ __forceinline__ float lanes_sum(float value, u32 lanes) {
    for (u32 span = lanes / 2; span > 0; span >>= 1) value += __shfl_xor_sync(0xffffffffu, value, span);
    return value;
}

// A thread's place; threads past the end take the last row and write nothing.
template <int W>
struct RowPlace {
    u32 row, first, step;
    u64 start;
    bool active;

    __device__ __forceinline__ RowPlace(const Rows& of) {
        u64 thread = (u64)blockIdx.x * blockDim.x + threadIdx.x, place = thread / of.lanes;
        active = place < of.rows;
        row = active ? (u32)place : of.rows - 1;
        first = threadIdx.x % of.lanes * W;
        step = of.lanes * W;
        start = (u64)row * of.channels;
    }
};

// Mean and inverse deviation of a row.
template <class T, int W>
__device__ __forceinline__ void row_statistics(const T* x, const Rows& of, const RowPlace<W>& place, float& mean,
                                               float& inverse) {
    float sum = 0, squares = 0, values[W];
    for (u32 c = place.first; c < of.channels; c += place.step) {
        load(x + place.start + c, values);
#pragma unroll
        for (int w = 0; w < W; w++) sum += values[w];
    }
    mean = lanes_sum(sum, of.lanes) / of.channels;
    for (u32 c = place.first; c < of.channels; c += place.step) {
        load(x + place.start + c, values);
#pragma unroll
        for (int w = 0; w < W; w++) squares = fmaf(values[w] - mean, values[w] - mean, squares);
    }
    inverse = 1.0f / sqrtf(lanes_sum(squares, of.lanes) / of.channels + of.epsilon);
}

// Without weight and bias where these are null.
template <class T, int W>
__device__ __forceinline__ void layer_norm(const T* x, const float* weight, const float* bias, T* into, const Rows& of) {
    RowPlace<W> place(of);
    float mean, inverse, values[W];
    row_statistics<T, W>(x, of, place, mean, inverse);
    if (!place.active) return;
    for (u32 c = place.first; c < of.channels; c += place.step) {
        load(x + place.start + c, values);
#pragma unroll
        for (int w = 0; w < W; w++) {
            float value = (values[w] - mean) * inverse;
            values[w] = weight ? fmaf(value, weight[c + w], bias[c + w]) : value;
        }
        store(into + place.start + c, values);
    }
}

// The gradient by the input, and statistics [rows, 2] where not null: mean and inverse deviation.
template <class T, int W>
__device__ __forceinline__ void layer_norm_gradient(const T* x, const float* weight, const T* gradient, T* into,
                                                    float* statistics, const Rows& of) {
    RowPlace<W> place(of);
    float mean, inverse, values[W], slopes[W], total = 0, along = 0;
    row_statistics<T, W>(x, of, place, mean, inverse);
    for (u32 c = place.first; c < of.channels; c += place.step) {
        load(x + place.start + c, values);
        load(gradient + place.start + c, slopes);
#pragma unroll
        for (int w = 0; w < W; w++) {
            float slope = weight ? slopes[w] * weight[c + w] : slopes[w];
            total += slope;
            along = fmaf(slope, (values[w] - mean) * inverse, along);
        }
    }
    total = lanes_sum(total, of.lanes) / of.channels;
    along = lanes_sum(along, of.lanes) / of.channels;
    if (!place.active) return;
    for (u32 c = place.first; c < of.channels; c += place.step) {
        load(x + place.start + c, values);
        load(gradient + place.start + c, slopes);
#pragma unroll
        for (int w = 0; w < W; w++) {
            float slope = weight ? slopes[w] * weight[c + w] : slopes[w];
            values[w] = (slope - total - (values[w] - mean) * inverse * along) * inverse;
        }
        store(into + place.start + c, values);
    }
    if (statistics && place.first == 0) {
        statistics[2 * (u64)place.row] = mean;
        statistics[2 * (u64)place.row + 1] = inverse;
    }
}

// Sums over `share` rows of the gradient times the normalized value, and of the gradient: partials [parts, 2, channels].
// A block has `lanes` threads along the channels. Grid: parts, tiles of channels.
template <class T, int W>
__device__ __forceinline__ void layer_norm_sums(const T* x, const T* gradient, const float* statistics, float* partials,
                                                const Rows& of, u32 share) {
    __shared__ float shared[2 * W * ROW_THREADS];
    u32 row = threadIdx.x / of.lanes, rows = blockDim.x / of.lanes;
    u32 channel = (blockIdx.y * of.lanes + threadIdx.x % of.lanes) * W;
    float sums[2 * W] = {};
    if (channel < of.channels) {
        u32 end = min((blockIdx.x + 1) * share, of.rows);
#pragma unroll 2
        for (u32 r = blockIdx.x * share + row; r < end; r += rows) {
            float values[W], slopes[W], mean = statistics[2 * (u64)r], inverse = statistics[2 * (u64)r + 1];
            load(x + (u64)r * of.channels + channel, values);
            load(gradient + (u64)r * of.channels + channel, slopes);
#pragma unroll
            for (int w = 0; w < W; w++) {
                sums[w] = fmaf(slopes[w], (values[w] - mean) * inverse, sums[w]);
                sums[W + w] += slopes[w];
            }
        }
    }
    sum_rows<2 * W>(shared, sums, of.lanes);
    if (row == 0 && channel < of.channels) {
        float* into = partials + (u64)blockIdx.x * 2 * of.channels + channel;
#pragma unroll
        for (int w = 0; w < W; w++) {
            into[w] = sums[w];
            into[of.channels + w] = sums[W + w];
        }
    }
}

// A warp per sum of either kind.
extern "C" __global__ void combine_layer_sums(const float* __restrict__ partials, float* __restrict__ weight,
                                              float* __restrict__ bias, u32 channels, u32 parts) {
    u32 output = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32, lane = threadIdx.x % 32;
    if (output >= 2 * channels) return;
    double sum = 0;
    for (u32 part = lane; part < parts; part += 32) sum += partials[(u64)part * 2 * channels + output];
    sum = warp_sum(sum);
    if (lane == 0) (output < channels ? weight : bias)[output % channels] = (float)sum;
}

// Share of the standard normal distribution below a value.
__device__ __forceinline__ float below(float x) { return 0.5f * (1.0f + erff(x * 0.707106781186547524f)); }

struct Gelu {
    __device__ __forceinline__ static float of(float x, float) { return x * below(x); }
};

struct GeluGradient {
    __device__ __forceinline__ static float of(float x, float gradient) {
        return gradient * (below(x) + x * 0.398942280401432678f * expf(-0.5f * x * x));
    }
};

// Of `count` values, by vectors; `gradient` may be null for functions without.
template <class F, class T, int W>
__device__ __forceinline__ void map(const T* x, const T* gradient, T* into, u32 count) {
    u32 step = gridDim.x * blockDim.x, thread = blockIdx.x * blockDim.x + threadIdx.x, whole = count / W;
    for (u32 i = thread; i < whole; i += step) {
        float values[W], slopes[W] = {};
        load(x + (u64)i * W, values);
        if (gradient) load(gradient + (u64)i * W, slopes);
#pragma unroll
        for (int w = 0; w < W; w++) values[w] = F::of(values[w], slopes[w]);
        store(into + (u64)i * W, values);
    }
    for (u32 i = whole * W + thread; i < count; i += step)
        narrow(F::of(widen(x[i]), gradient ? widen(gradient[i]) : 0.0f), into[i]);
}

// Copies rows of `units` of a size. Indices [outputs].
template <class U>
__device__ __forceinline__ void gather_rows(const U* x, const int* indices, U* into, u32 count, u32 rows, u32 outputs,
                                            u32 units) {
    u32 step = gridDim.x * blockDim.x;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        u32 unit = i % units, rest = i / units;
        u32 output = rest % outputs, one_case = rest / outputs;
        into[i] = x[((u64)one_case * rows + indices[output]) * units + unit];
    }
}

struct Readers {
    u32 cases;
    u32 rows;
    u32 outputs;
    u32 channels;
    // Rows with more readers than this are left to crowded_rows.
    u32 few;
};

// Sums of the readers' gradients; a thread per W channels of a row of a case.
template <class T, int W>
__device__ __forceinline__ void scatter_rows(const T* gradient, const int* offsets, const int* readers, T* into,
                                             const Readers& of) {
    u32 groups = of.channels / W, count = of.cases * of.rows * groups, step = gridDim.x * blockDim.x;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        u32 channel = i % groups * W, rest = i / groups;
        u32 row = rest % of.rows, one_case = rest / of.rows;
        int begin = offsets[row], end = offsets[row + 1];
        if (end - begin > of.few) continue;
        float sums[W] = {};
        for (int reader = begin; reader < end; reader++) {
            float values[W];
            load(gradient + ((u64)one_case * of.outputs + readers[reader]) * of.channels + channel, values);
#pragma unroll
            for (int w = 0; w < W; w++) sums[w] += values[w];
        }
        store(into + ((u64)one_case * of.rows + row) * of.channels + channel, sums);
    }
}

// The same for rows with many readers, a block each, with `lanes` threads along the channels. Grid: crowded rows, cases,
// tiles of channels.
template <class T, int W>
__device__ __forceinline__ void crowded_rows(const T* gradient, const int* offsets, const int* readers, T* into,
                                             const Readers& of, u32 lanes) {
    __shared__ float shared[W * ROW_THREADS];
    u32 row = offsets[of.rows + 1 + blockIdx.x], first = threadIdx.x / lanes, step = blockDim.x / lanes;
    u32 channel = (blockIdx.z * lanes + threadIdx.x % lanes) * W;
    float sums[W] = {};
    if (channel < of.channels) {
        int end = offsets[row + 1];
#pragma unroll 4
        for (int reader = offsets[row] + first; reader < end; reader += step) {
            float values[W];
            load(gradient + ((u64)blockIdx.y * of.outputs + readers[reader]) * of.channels + channel, values);
#pragma unroll
            for (int w = 0; w < W; w++) sums[w] += values[w];
        }
    }
    sum_rows<W>(shared, sums, lanes);
    if (first == 0 && channel < of.channels) store(into + ((u64)blockIdx.y * of.rows + row) * of.channels + channel, sums);
}

#define GATHER(bytes, U)                                                                                           \
    extern "C" __global__ void gather_rows_##bytes(const U* __restrict__ x, const int* __restrict__ indices,       \
                                                   U* __restrict__ into, u32 count, u32 rows, u32 outputs,         \
                                                   u32 units) {                                                    \
        gather_rows<U>(x, indices, into, count, rows, outputs, units);                                             \
    }

GATHER(2, unsigned short)
GATHER(4, u32)
GATHER(8, uint2)
GATHER(16, uint4)

#define MAPS(type, T, W)                                                                                           \
    extern "C" __global__ void gelu_##type(const T* __restrict__ x, T* __restrict__ into, u32 count) {             \
        map<Gelu, T, W>(x, (const T*)0, into, count);                                                              \
    }                                                                                                              \
    extern "C" __global__ void gelu_gradient_##type(const T* __restrict__ x, const T* __restrict__ gradient,       \
                                                    T* __restrict__ into, u32 count) {                             \
        map<GeluGradient, T, W>(x, gradient, into, count);                                                         \
    }

MAPS(half, Half, 8)
MAPS(single, float, 4)

#define ROWS(type, T, W)                                                                                           \
    extern "C" __global__ void __launch_bounds__(ROW_THREADS)                                                      \
        layer_norm_##type##_##W(const T* __restrict__ x, const float* __restrict__ weight,                         \
                                const float* __restrict__ bias, T* __restrict__ into, Rows of) {                   \
        layer_norm<T, W>(x, weight, bias, into, of);                                                               \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(ROW_THREADS)                                                      \
        layer_norm_gradient_##type##_##W(const T* __restrict__ x, const float* __restrict__ weight,                \
                                         const T* __restrict__ gradient, T* __restrict__ into,                     \
                                         float* __restrict__ statistics, Rows of) {                                \
        layer_norm_gradient<T, W>(x, weight, gradient, into, statistics, of);                                      \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(ROW_THREADS)                                                      \
        layer_norm_sums_##type##_##W(const T* __restrict__ x, const T* __restrict__ gradient,                      \
                                     const float* __restrict__ statistics, float* __restrict__ partials, Rows of,  \
                                     u32 share) {                                                                  \
        layer_norm_sums<T, W>(x, gradient, statistics, partials, of, share);                                       \
    }                                                                                                              \
    extern "C" __global__ void scatter_rows_##type##_##W(const T* __restrict__ gradient,                           \
                                                         const int* __restrict__ offsets,                          \
                                                         const int* __restrict__ readers, T* __restrict__ into,    \
                                                         Readers of) {                                             \
        scatter_rows<T, W>(gradient, offsets, readers, into, of);                                                  \
    }                                                                                                              \
    extern "C" __global__ void __launch_bounds__(ROW_THREADS)                                                      \
        crowded_rows_##type##_##W(const T* __restrict__ gradient, const int* __restrict__ offsets,                 \
                                  const int* __restrict__ readers, T* __restrict__ into, Readers of, u32 lanes) {  \
        crowded_rows<T, W>(gradient, offsets, readers, into, of, lanes);                                           \
    }

ROWS(half, Half, 1)
ROWS(half, Half, 8)
ROWS(single, float, 1)
ROWS(single, float, 4)
