// Cutting windows out of a volume and blending what a network makes of them, in the arithmetic of the host: products and
// sums are rounded one by one (no fused multiply-add) and divisions are IEEE's, so that results agree bit for bit.
//
// Blended planes lie in a ring of `ring` planes along X, each [K + 1, Y, Z]: K channels and the sum of the weights.
// nvcc compiles this to stitch.fatbin: see build.sh.

struct Sizes {
  int x, y, z;
};

extern "C" {

// One window, [C, window], of a volume [C, X, Y, Z], from `origin` on; <<<(ceil(wy * wz / 256), wx, C), 256>>>.
// Outside of the volume lies its nearest voxel, or the constant `fill`.
__global__ void __launch_bounds__(256)
    cut_window(const float* __restrict__ volume, float* __restrict__ patch, Sizes shape, Sizes window, Sizes origin,
               int replicate, float fill) {
  const int index = blockIdx.x * 256 + threadIdx.x;
  if (index >= window.y * window.z) return;
  const int i = blockIdx.y, channel = blockIdx.z;
  const int x = origin.x + i, y = origin.y + index / window.z, z = origin.z + index % window.z;
  const int cx = min(max(x, 0), shape.x - 1), cy = min(max(y, 0), shape.y - 1), cz = min(max(z, 0), shape.z - 1);
  const bool inside = cx == x && cy == y && cz == z;
  const size_t from = (((size_t)channel * shape.x + cx) * shape.y + cy) * shape.z + cz;
  const size_t to = ((size_t)channel * window.x + i) * window.y * window.z + index;
  patch[to] = inside || replicate ? volume[from] : fill;
}

// Adds one window's weighted output, [K, window]; <<<(ceil(wy * wz / 256), wx), 256>>>.
__global__ void __launch_bounds__(256)
    add_window(const float* __restrict__ output, const float* __restrict__ weights, float* __restrict__ sums,
               Sizes shape, Sizes window, Sizes origin, int channels, int ring) {
  const int index = blockIdx.x * 256 + threadIdx.x;
  if (index >= window.y * window.z) return;
  const int i = blockIdx.y;
  const int x = origin.x + i, y = origin.y + index / window.z, z = origin.z + index % window.z;
  if (x < 0 || x >= shape.x || y < 0 || y >= shape.y || z < 0 || z >= shape.z) return;
  const size_t voxels = (size_t)window.x * window.y * window.z;
  const size_t place = (size_t)i * window.y * window.z + index;
  const size_t plane = (size_t)shape.y * shape.z;
  float* sum = sums + (size_t)(x % ring) * (channels + 1) * plane + (size_t)y * shape.z + z;
  const float weight = weights[place];
  for (int k = 0; k < channels; k++, sum += plane)
    *sum = __fadd_rn(*sum, __fmul_rn(output[k * voxels + place], weight));
  *sum = __fadd_rn(*sum, weight);
}

// Divides the sums of the planes from `first` on by those of the weights; <<<(ceil(plane / 256), planes), 256>>>.
__global__ void __launch_bounds__(256) divide_planes(float* sums, int plane, int channels, int first, int ring) {
  const int index = blockIdx.x * 256 + threadIdx.x;
  if (index >= plane) return;
  const int x = first + blockIdx.y;
  float* sum = sums + (size_t)(x % ring) * (channels + 1) * plane + index;
  const float weight = sum[(size_t)channels * plane];
  for (int k = 0; k < channels; k++, sum += plane) *sum = __fdiv_rn(*sum, weight);
}
}
