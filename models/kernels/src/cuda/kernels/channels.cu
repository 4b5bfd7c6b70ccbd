// Channels-last reductions over voxels and maps by channel. A block has `lanes` threads along the channels, W channels
// each, and takes `chunk` voxels in rows; grid: chunks of voxels, tiles of channels, cases.

#define THREADS 256

struct Tiling {
    u32 voxels;
    u32 channels;
    u32 lanes;
    u32 chunk;
    // Factor on outputs of a normalization below 0; 1 for no nonlinearity.
    float slope;
};

template <int W>
struct Place {
    u32 channel, row, rows, begin, end;
    bool active;
    u64 start;

    __device__ __forceinline__ Place(const Tiling& tiling) {
        u32 lane = threadIdx.x % tiling.lanes;
        row = threadIdx.x / tiling.lanes;
        rows = blockDim.x / tiling.lanes;
        channel = (blockIdx.y * tiling.lanes + lane) * W;
        active = channel < tiling.channels;
        begin = blockIdx.x * tiling.chunk;
        end = min(begin + tiling.chunk, tiling.voxels);
        start = (u64)blockIdx.z * tiling.voxels * tiling.channels + channel;
    }

    __device__ __forceinline__ float* partial(float* partials, const Tiling& tiling) const {
        u64 part = (u64)blockIdx.z * gridDim.x + blockIdx.x;
        return partials + part * 2 * tiling.channels + channel;
    }
};

// Writes two sums per channel: partials [cases, chunks, 2, channels].
template <int W>
__device__ __forceinline__ void write_sums(float (&sums)[2 * W], const Place<W>& place, float* partials,
                                           const Tiling& tiling) {
    __shared__ float shared[2 * W * THREADS];
    sum_rows<2 * W>(shared, sums, tiling.lanes);
    if (place.row == 0 && place.active) {
        float* into = place.partial(partials, tiling);
#pragma unroll
        for (int w = 0; w < W; w++) {
            into[w] = sums[w];
            into[tiling.channels + w] = sums[W + w];
        }
    }
}

// Sums of values and squares, shifted by the first voxel against cancellation.
template <class T, int W>
__device__ __forceinline__ void moments(const T* x, float* partials, const Tiling& tiling) {
    Place<W> place(tiling);
    float sums[2 * W] = {};
    if (place.active) {
        float shift[W];
        load(x + place.start, shift);
#pragma unroll 4
        for (u32 v = place.begin + place.row; v < place.end; v += place.rows) {
            float values[W];
            load(x + place.start + (u64)v * tiling.channels, values);
#pragma unroll
            for (int w = 0; w < W; w++) {
                float d = values[w] - shift[w];
                sums[w] += d;
                sums[W + w] = fmaf(d, d, sums[W + w]);
            }
        }
    }
    write_sums<W>(sums, place, partials, tiling);
}

template <class T, int W>
__device__ __forceinline__ void totals(const T* x, float* partials, const Tiling& tiling) {
    Place<W> place(tiling);
    float sums[2 * W] = {};
    if (place.active) {
#pragma unroll 4
        for (u32 v = place.begin + place.row; v < place.end; v += place.rows) {
            float values[W];
            load(x + place.start + (u64)v * tiling.channels, values);
#pragma unroll
            for (int w = 0; w < W; w++) sums[w] += values[w];
        }
    }
    write_sums<W>(sums, place, partials, tiling);
}

// Statistics are [cases, 2, channels]: mean and inverse deviation. Weight and bias are both null where there are none.
template <int W>
struct Affine {
    float mean[W], inverse[W], scale[W], shift[W];

    __device__ __forceinline__ Affine(const float* statistics, const float* weight, const float* bias,
                                      const Place<W>& place, const Tiling& tiling) {
        const float* own = statistics + (u64)blockIdx.z * 2 * tiling.channels + place.channel;
        load_parameters(own, mean);
        load_parameters(own + tiling.channels, inverse);
        if (weight != nullptr) {
            load_parameters(weight + place.channel, scale);
            load_parameters(bias + place.channel, shift);
        } else {
#pragma unroll
            for (int w = 0; w < W; w++) {
                scale[w] = 1.0f;
                shift[w] = 0.0f;
            }
        }
#pragma unroll
        for (int w = 0; w < W; w++) scale[w] *= inverse[w];
    }
};

template <class T, int W>
__device__ __forceinline__ void normalize(const T* x, T* y, const float* statistics, const float* weight,
                                          const float* bias, const Tiling& tiling) {
    Place<W> place(tiling);
    if (!place.active) return;
    Affine<W> affine(statistics, weight, bias, place, tiling);
#pragma unroll 4
    for (u32 v = place.begin + place.row; v < place.end; v += place.rows) {
        u64 at = place.start + (u64)v * tiling.channels;
        float values[W];
        load(x + at, values);
#pragma unroll
        for (int w = 0; w < W; w++) {
            float value = fmaf(values[w] - affine.mean[w], affine.scale[w], affine.shift[w]);
            // What is not a number stays so.
            values[w] = value < 0.0f ? value * tiling.slope : value;
        }
        store(y + at, values);
    }
}

// Sums of the gradient, and of the gradient times the normalized value.
template <class T, int W>
__device__ __forceinline__ void gradient_sums(const T* x, const T* gradient, const float* statistics,
                                              const float* weight, const float* bias, float* partials,
                                              const Tiling& tiling) {
    Place<W> place(tiling);
    float sums[2 * W] = {};
    if (place.active) {
        Affine<W> affine(statistics, weight, bias, place, tiling);
#pragma unroll 2
        for (u32 v = place.begin + place.row; v < place.end; v += place.rows) {
            u64 at = place.start + (u64)v * tiling.channels;
            float values[W], slopes[W];
            load(x + at, values);
            load(gradient + at, slopes);
#pragma unroll
            for (int w = 0; w < W; w++) {
                float centered = values[w] - affine.mean[w];
                float slope = slopes[w];
                if (fmaf(centered, affine.scale[w], affine.shift[w]) <= 0.0f) slope *= tiling.slope;
                sums[w] += slope;
                sums[W + w] = fmaf(slope, centered, sums[W + w]);
            }
        }
#pragma unroll
        for (int w = 0; w < W; w++) sums[W + w] *= affine.inverse[w];
    }
    write_sums<W>(sums, place, partials, tiling);
}

// Means are [cases, 2, channels]: of the gradient, and of the gradient times the normalized value.
template <class T, int W>
__device__ __forceinline__ void gradient_input(const T* x, const T* gradient, T* into, const float* statistics,
                                               const float* weight, const float* bias, const float* means,
                                               const Tiling& tiling) {
    Place<W> place(tiling);
    if (!place.active) return;
    Affine<W> affine(statistics, weight, bias, place, tiling);
    float mean[W], along[W];
    const float* own = means + (u64)blockIdx.z * 2 * tiling.channels + place.channel;
    load_parameters(own, mean);
    load_parameters(own + tiling.channels, along);
#pragma unroll
    for (int w = 0; w < W; w++) along[w] *= affine.inverse[w];
#pragma unroll 2
    for (u32 v = place.begin + place.row; v < place.end; v += place.rows) {
        u64 at = place.start + (u64)v * tiling.channels;
        float values[W], slopes[W];
        load(x + at, values);
        load(gradient + at, slopes);
#pragma unroll
        for (int w = 0; w < W; w++) {
            float centered = values[w] - affine.mean[w];
            float slope = slopes[w];
            if (fmaf(centered, affine.scale[w], affine.shift[w]) <= 0.0f) slope *= tiling.slope;
            values[w] = (slope - mean[w] - centered * along[w]) * affine.scale[w];
        }
        store(into + at, values);
    }
}

template <class T>
__device__ __forceinline__ void add_bias(T* y, const float* bias, u32 count, u32 channels) {
    u32 step = gridDim.x * blockDim.x;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step)
        narrow(widen(y[i]) + bias[i % channels], y[i]);
}
