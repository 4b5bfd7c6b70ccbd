// Instance normalization and leaky ReLU of volumes in channels-last order, [N, X, Y, Z, C], in two passes over the input.
//
// Sums are taken over fixed parts in a fixed order, so that results repeat bit for bit. Any number of channels that is a
// multiple of 8 and at most 2048. Three launches on one stream, no allocation:
//   blocks  = clamp(voxels * (channels / 8) / 2048, 1, max(1, 1056 / batch))
//   scratch = f32[batch * (blocks + 1) * channels * 2], whose last batch * channels * 2 are the coefficients
//   statistics_*  <<<(blocks, batch), 256>>>
//   coefficients  <<<(ceil(channels / 32), batch), (32, 16)>>>
//   apply_*       <<<(ceil(voxels / (4 * (256 / (channels / 8)))), batch), 256>>>
// nvcc compiles this to norm.fatbin: see build.sh.
#include <cuda_fp16.h>

namespace {

constexpr int kLanes = 8, kThreads = 256, kRows = 4;

__device__ inline void load(const __half* from, float* to) {
  const uint4 raw = *reinterpret_cast<const uint4*>(from);
  const __half2* pairs = reinterpret_cast<const __half2*>(&raw);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const float2 pair = __half22float2(pairs[i]);
    to[2 * i] = pair.x;
    to[2 * i + 1] = pair.y;
  }
}

__device__ inline void load(const float* from, float* to) {
  const float4 a = reinterpret_cast<const float4*>(from)[0];
  const float4 b = reinterpret_cast<const float4*>(from)[1];
  to[0] = a.x; to[1] = a.y; to[2] = a.z; to[3] = a.w;
  to[4] = b.x; to[5] = b.y; to[6] = b.z; to[7] = b.w;
}

__device__ inline void store(__half* to, const float* from) {
  uint4 raw;
  __half2* pairs = reinterpret_cast<__half2*>(&raw);
#pragma unroll
  for (int i = 0; i < 4; i++) pairs[i] = __floats2half2_rn(from[2 * i], from[2 * i + 1]);
  *reinterpret_cast<uint4*>(to) = raw;
}

__device__ inline void store(float* to, const float* from) {
  reinterpret_cast<float4*>(to)[0] = make_float4(from[0], from[1], from[2], from[3]);
  reinterpret_cast<float4*>(to)[1] = make_float4(from[4], from[5], from[6], from[7]);
}

// Sums and sums of squares of one part of the voxels, for all channels.
template <typename T>
__device__ inline void statistics(const T* __restrict__ x, float* __restrict__ partial, int voxels, int channels) {
  const int groups = channels / kLanes, rows = kThreads / groups;
  const int group = threadIdx.x % groups, row = threadIdx.x / groups;
  const int first = (int)((long long)voxels * blockIdx.x / gridDim.x);
  const int last = (int)((long long)voxels * (blockIdx.x + 1) / gridDim.x);
  const T* base = x + (size_t)blockIdx.y * voxels * channels + group * kLanes;
  float sum[kLanes] = {}, square[kLanes] = {};
  if (row < rows) {
    int v = first + row;
    for (; v + (kRows - 1) * rows < last; v += kRows * rows) {
      float f[kRows][kLanes];
#pragma unroll
      for (int u = 0; u < kRows; u++) load(base + (size_t)(v + u * rows) * channels, f[u]);
#pragma unroll
      for (int u = 0; u < kRows; u++)
#pragma unroll
        for (int i = 0; i < kLanes; i++) {
          sum[i] += f[u][i];
          square[i] = fmaf(f[u][i], f[u][i], square[i]);
        }
    }
    for (; v < last; v += rows) {
      float f[kLanes];
      load(base + (size_t)v * channels, f);
#pragma unroll
      for (int i = 0; i < kLanes; i++) {
        sum[i] += f[i];
        square[i] = fmaf(f[i], f[i], square[i]);
      }
    }
  }
  __shared__ float shared[kThreads][2 * kLanes + 1];
#pragma unroll
  for (int i = 0; i < kLanes; i++) {
    shared[threadIdx.x][2 * i] = sum[i];
    shared[threadIdx.x][2 * i + 1] = square[i];
  }
  __syncthreads();
  for (int t = threadIdx.x; t < 2 * channels; t += kThreads) {
    float total = 0;
    for (int r = 0; r < rows; r++) total += shared[r * groups + t / (2 * kLanes)][t % (2 * kLanes)];
    partial[((size_t)blockIdx.y * gridDim.x + blockIdx.x) * 2 * channels + t] = total;
  }
}

template <typename T>
__device__ inline void apply(const T* __restrict__ x, const float* __restrict__ coefficients, T* __restrict__ y,
                             int voxels, int channels, float slope) {
  const int groups = channels / kLanes, rows = kThreads / groups;
  const int group = threadIdx.x % groups, row = threadIdx.x / groups;
  if (row >= rows) return;
  // Backwards: what was read last is still in the cache.
  const int n = gridDim.y - 1 - blockIdx.y, block = gridDim.x - 1 - blockIdx.x;
  float a[kLanes], b[kLanes];
  const float4* pairs = reinterpret_cast<const float4*>(coefficients + ((size_t)n * channels + group * kLanes) * 2);
#pragma unroll
  for (int i = 0; i < kLanes / 2; i++) {
    const float4 pair = pairs[i];
    a[2 * i] = pair.x; b[2 * i] = pair.y;
    a[2 * i + 1] = pair.z; b[2 * i + 1] = pair.w;
  }
  const size_t base = (size_t)n * voxels * channels + group * kLanes;
#pragma unroll
  for (int u = 0; u < kRows; u++) {
    const int v = (block * kRows + u) * rows + row;
    if (v >= voxels) break;
    float f[kLanes];
    load(x + base + (size_t)v * channels, f);
    // Written so that what is not a number stays so, and a ReLU of minus infinity is 0.
#pragma unroll
    for (int i = 0; i < kLanes; i++) {
      const float value = fmaf(a[i], f[i], b[i]);
      f[i] = value < 0.f ? (slope == 0.f ? 0.f : slope * value) : value;
    }
    store(y + base + (size_t)v * channels, f);
  }
}

}  // namespace

extern "C" {

__global__ void __launch_bounds__(256) statistics_f16(const __half* x, float* partial, int voxels, int channels) {
  statistics(x, partial, voxels, channels);
}

__global__ void __launch_bounds__(256) statistics_f32(const float* x, float* partial, int voxels, int channels) {
  statistics(x, partial, voxels, channels);
}

__global__ void __launch_bounds__(256)
    apply_f16(const __half* x, const float* coefficients, __half* y, int voxels, int channels, float slope) {
  apply(x, coefficients, y, voxels, channels, slope);
}

__global__ void __launch_bounds__(256)
    apply_f32(const float* x, const float* coefficients, float* y, int voxels, int channels, float slope) {
  apply(x, coefficients, y, voxels, channels, slope);
}

// Of every channel, factor and summand.
__global__ void __launch_bounds__(512)
    coefficients(const float* __restrict__ partial, const float* __restrict__ scale, const float* __restrict__ bias,
                 float* __restrict__ out, int blocks, int voxels, int channels, float epsilon) {
  const int c = blockIdx.x * 32 + threadIdx.x;
  double sum = 0, square = 0;
  if (c < channels)
    for (int b = threadIdx.y; b < blocks; b += 16) {
      const float2 part =
          reinterpret_cast<const float2*>(partial)[((size_t)blockIdx.y * blocks + b) * channels + c];
      sum += part.x;
      square += part.y;
    }
  __shared__ double sums[16][33], squares[16][33];
  sums[threadIdx.y][threadIdx.x] = sum;
  squares[threadIdx.y][threadIdx.x] = square;
  __syncthreads();
  if (threadIdx.y != 0 || c >= channels) return;
  sum = square = 0;
  for (int k = 0; k < 16; k++) {
    sum += sums[k][threadIdx.x];
    square += squares[k][threadIdx.x];
  }
  const double mean = sum / voxels, spread = square / voxels - mean * mean;
  const double variance = spread < 0.0 ? 0.0 : spread;
  const float a = scale[c] * (float)(1.0 / sqrt(variance + epsilon));
  reinterpret_cast<float2*>(out)[(size_t)blockIdx.y * channels + c] = make_float2(a, bias[c] - (float)mean * a);
}
}
