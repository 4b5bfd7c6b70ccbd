// Linear resizing of volumes, the corners of which stay where they are. A thread takes W channels of a voxel.

struct Resize {
    u32 cases;
    u32 channels;
    u32 from[3];
    u32 to[3];
};

// Of output `i` along an axis: the lower of the two inputs that it reads, and the share of the upper one.
struct Blend {
    u32 low;
    float share;

    __device__ __forceinline__ Blend(u32 i, u32 from, u32 to) {
        u32 steps = max(to, 2u) - 1, place = i * (from - 1);
        low = place / steps;
        share = (float)(place - low * steps) / (float)steps;
    }

    __device__ __forceinline__ float of(u32 input) const {
        return input == low ? 1.0f - share : input == low + 1 ? share : 0.0f;
    }
};

// Outputs along an axis that may read an input.
__device__ __forceinline__ void readers(u32 input, u32 from, u32 to, u32& first, u32& end) {
    if (from == 1) {
        first = 0;
        end = to;
        return;
    }
    u32 spans = from - 1;
    first = input == 0 ? 0 : (input - 1) * (to - 1) / spans;
    end = min(to, ((input + 1) * (to - 1) + spans - 1) / spans + 1);
}

struct VoxelPlace {
    u32 z, y, x, n, c;

    // Of a group of channels in a volume of this shape.
    __device__ __forceinline__ VoxelPlace(u32 index, u32 groups, int width, const u32 (&shape)[3]) {
        c = index % groups * width;
        u32 voxel = index / groups;
        z = voxel % shape[2];
        voxel /= shape[2];
        y = voxel % shape[1];
        voxel /= shape[1];
        x = voxel % shape[0];
        n = voxel / shape[0];
    }
};

__device__ __forceinline__ u64 value_at(u32 n, u32 x, u32 y, u32 z, const u32 (&shape)[3], u32 channels) {
    return ((((u64)n * shape[0] + x) * shape[1] + y) * shape[2] + z) * channels;
}

template <class T, int W>
__device__ __forceinline__ void resize(const T* from, T* into, const Resize& of) {
    u32 groups = of.channels / W, step = gridDim.x * blockDim.x;
    u32 count = of.cases * of.to[0] * of.to[1] * of.to[2] * groups;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        VoxelPlace place(i, groups, W, of.to);
        Blend x(place.x, of.from[0], of.to[0]), y(place.y, of.from[1], of.to[1]), z(place.z, of.from[2], of.to[2]);
        float sums[W] = {}, values[W];
#pragma unroll
        for (u32 corner = 0; corner < 8; corner++) {
            u32 a = x.low + (corner >> 2), b = y.low + (corner >> 1 & 1), c = z.low + (corner & 1);
            float share = x.of(a) * y.of(b) * z.of(c);
            if (share == 0.0f) continue;
            load(from + value_at(place.n, a, b, c, of.from, of.channels) + place.c, values);
#pragma unroll
            for (int w = 0; w < W; w++) sums[w] = fmaf(share, values[w], sums[w]);
        }
        store(into + (u64)i * W, sums);
    }
}

// Each input adds what its readers pass on, in their order.
template <class T, int W>
__device__ __forceinline__ void resize_gradient(const T* gradient, T* into, const Resize& of) {
    u32 groups = of.channels / W, step = gridDim.x * blockDim.x;
    u32 count = of.cases * of.from[0] * of.from[1] * of.from[2] * groups;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < count; i += step) {
        VoxelPlace place(i, groups, W, of.from);
        u32 first[3], end[3];
        readers(place.x, of.from[0], of.to[0], first[0], end[0]);
        readers(place.y, of.from[1], of.to[1], first[1], end[1]);
        readers(place.z, of.from[2], of.to[2], first[2], end[2]);
        float sums[W] = {}, values[W];
        for (u32 a = first[0]; a < end[0]; a++) {
            float along_x = Blend(a, of.from[0], of.to[0]).of(place.x);
            if (along_x == 0.0f) continue;
            for (u32 b = first[1]; b < end[1]; b++) {
                float along_xy = along_x * Blend(b, of.from[1], of.to[1]).of(place.y);
                if (along_xy == 0.0f) continue;
                for (u32 c = first[2]; c < end[2]; c++) {
                    float share = along_xy * Blend(c, of.from[2], of.to[2]).of(place.z);
                    if (share == 0.0f) continue;
                    load(gradient + value_at(place.n, a, b, c, of.to, of.channels) + place.c, values);
#pragma unroll
                    for (int w = 0; w < W; w++) sums[w] = fmaf(share, values[w], sums[w]);
                }
            }
        }
        store(into + (u64)i * W, sums);
    }
}

#define RESIZE(type, T, W)                                                                                        \
    extern "C" __global__ void resize_##type##_##W(const T* __restrict__ from, T* __restrict__ into, Resize of) { \
        resize<T, W>(from, into, of);                                                                             \
    }                                                                                                             \
    extern "C" __global__ void resize_gradient_##type##_##W(const T* __restrict__ gradient, T* __restrict__ into, \
                                                            Resize of) {                                          \
        resize_gradient<T, W>(gradient, into, of);                                                                \
    }

RESIZE(half, Half, 8)
RESIZE(half, Half, 1)
RESIZE(single, float, 4)
RESIZE(single, float, 1)
