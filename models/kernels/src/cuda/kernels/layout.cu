// Copies between layouts.

struct Strided {
    u32 count;
    u32 shape[5];
    u32 strides[5];
};

__device__ __forceinline__ u64 offset_of(const Strided& layout, u32 index) {
    u64 offset = 0;
#pragma unroll
    for (int axis = 4; axis > 0; axis--) {
        u32 rest = index / layout.shape[axis];
        offset += (u64)(index - rest * layout.shape[axis]) * layout.strides[axis];
        index = rest;
    }
    return offset + (u64)index * layout.strides[0];
}

__device__ __forceinline__ void convert(unsigned short from, unsigned short& into) { into = from; }
__device__ __forceinline__ void convert(u32 from, u32& into) { into = from; }
__device__ __forceinline__ void convert(float from, Half& into) { narrow(from, into); }
__device__ __forceinline__ void convert(Half from, float& into) { into = widen(from); }
__device__ __forceinline__ void convert(float from, float& into) { into = from; }

// Dense from strided.
template <class A, class B>
__device__ __forceinline__ void copy(const A* from, B* into, const Strided& layout) {
    u32 step = gridDim.x * blockDim.x;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < layout.count; i += step)
        convert(from[offset_of(layout, i)], into[i]);
}

#define COPY(name, A, B)                                                                                          \
    extern "C" __global__ void name(const A* __restrict__ from, B* __restrict__ into, Strided layout) {           \
        copy<A, B>(from, into, layout);                                                                           \
    }

COPY(copy_2, unsigned short, unsigned short)
COPY(copy_4, u32, u32)
COPY(copy_single_to_half, float, Half)
COPY(copy_half_to_single, Half, float)

// Dense voxels to the places of a larger volume that lie on a grid from its first voxel; all others become 0.

struct Grid {
    u32 count;
    u32 shape[3];
    u32 stride[3];
    u32 channels;
};

template <class T>
__device__ __forceinline__ void spread(const T* from, T* into, const Grid& grid) {
    u32 coarse[3], step = gridDim.x * blockDim.x;
#pragma unroll
    for (int axis = 0; axis < 3; axis++) coarse[axis] = (grid.shape[axis] - 1) / grid.stride[axis] + 1;
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < grid.count; i += step) {
        u32 channel = i % grid.channels, rest = i / grid.channels, place[3];
        bool on_grid = true;
#pragma unroll
        for (int axis = 2; axis >= 0; axis--) {
            u32 voxel = rest % grid.shape[axis];
            rest /= grid.shape[axis];
            place[axis] = voxel / grid.stride[axis];
            on_grid = on_grid && voxel == place[axis] * grid.stride[axis];
        }
        u32 voxel = ((rest * coarse[0] + place[0]) * coarse[1] + place[1]) * coarse[2] + place[2];
        into[i] = on_grid ? from[(u64)voxel * grid.channels + channel] : T(0);
    }
}

#define SPREAD(name, T)                                                                                           \
    extern "C" __global__ void name(const T* __restrict__ from, T* __restrict__ into, Grid grid) {                \
        spread<T>(from, into, grid);                                                                              \
    }

SPREAD(spread_2, unsigned short)
SPREAD(spread_4, u32)

// Weights [K, C, taps] to [K, taps, C] and back, a tile of channels at a time through shared memory. One block per
// output channel and tile; the axes of the taps have strides of their own.

#define TILE_CHANNELS 32
#define TILE_VALUES 8192

struct Taps {
    u32 channels;
    u32 shape[3];
    u32 strides[5];
};

__device__ __forceinline__ u64 tap_offset(const Taps& taps, u32 tap) {
    u32 z = tap % taps.shape[2], rest = tap / taps.shape[2];
    u32 y = rest % taps.shape[1], x = rest / taps.shape[1];
    return (u64)x * taps.strides[2] + (u64)y * taps.strides[3] + (u64)z * taps.strides[4];
}

template <class T>
__device__ __forceinline__ void pack(const float* weight, T* packed, const Taps& taps) {
    __shared__ float tile[TILE_VALUES];
    u32 count = taps.shape[0] * taps.shape[1] * taps.shape[2];
    u32 first = blockIdx.x * TILE_CHANNELS, k = blockIdx.y;
    u32 channels = min((u32)TILE_CHANNELS, taps.channels - first);
    const float* from = weight + (u64)k * taps.strides[0] + (u64)first * taps.strides[1];
    for (u32 i = threadIdx.x; i < channels * count; i += blockDim.x) {
        u32 channel = i / count;
        tile[i] = from[(u64)channel * taps.strides[1] + tap_offset(taps, i - channel * count)];
    }
    __syncthreads();
    T* into = packed + (u64)k * count * taps.channels + first;
    for (u32 i = threadIdx.x; i < channels * count; i += blockDim.x) {
        u32 tap = i / channels, channel = i - tap * channels;
        narrow(tile[channel * count + tap], into[(u64)tap * taps.channels + channel]);
    }
}

template <class T>
__device__ __forceinline__ void unpack(const T* packed, float* weight, const Taps& taps) {
    __shared__ float tile[TILE_VALUES];
    u32 count = taps.shape[0] * taps.shape[1] * taps.shape[2];
    u32 first = blockIdx.x * TILE_CHANNELS, k = blockIdx.y;
    u32 channels = min((u32)TILE_CHANNELS, taps.channels - first);
    const T* from = packed + (u64)k * count * taps.channels + first;
    for (u32 i = threadIdx.x; i < channels * count; i += blockDim.x) {
        u32 tap = i / channels, channel = i - tap * channels;
        tile[channel * count + tap] = widen(from[(u64)tap * taps.channels + channel]);
    }
    __syncthreads();
    float* into = weight + ((u64)k * taps.channels + first) * count;
    for (u32 i = threadIdx.x; i < channels * count; i += blockDim.x) into[i] = tile[i];
}

#define PACK(type, T)                                                                                             \
    extern "C" __global__ void pack_##type(const float* __restrict__ weight, T* __restrict__ packed, Taps taps) { \
        pack<T>(weight, packed, taps);                                                                            \
    }                                                                                                             \
    extern "C" __global__ void unpack_##type(const T* __restrict__ packed, float* __restrict__ weight,            \
                                             Taps taps) {                                                         \
        unpack<T>(packed, weight, taps);                                                                          \
    }

PACK(half, Half)
PACK(single, float)
