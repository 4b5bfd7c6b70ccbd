// Dice plus a loss by voxel, cross entropy or FOCAL. Up to 8 classes, a thread takes a voxel; above, a warp does.

#define LOSS_THREADS 256
#define LOSS_WARPS (LOSS_THREADS / 32)
#define SMOOTH_DENOMINATOR 1e-5

// Class indices on a grid that may be finer: the center of each coarse voxel counts.
struct ClassGrid {
    u32 strides[4];
    u32 fine[3];
    u32 coarse[3];
};

__device__ __forceinline__ u32 center(u32 index, u32 fine, u32 coarse) {
    return fine == coarse ? index : (u32)((2 * (u64)index + 1) * fine / (2 * (u64)coarse));
}

__device__ __forceinline__ int class_at(const int* classes, const ClassGrid& grid, u32 one_case, u32 voxel) {
    u32 z = voxel % grid.coarse[2], rest = voxel / grid.coarse[2];
    u32 y = rest % grid.coarse[1], x = rest / grid.coarse[1];
    return classes[(u64)one_case * grid.strides[0] + (u64)center(x, grid.fine[0], grid.coarse[0]) * grid.strides[1] +
                   (u64)center(y, grid.fine[1], grid.coarse[1]) * grid.strides[2] +
                   (u64)center(z, grid.fine[2], grid.coarse[2]) * grid.strides[3]];
}

// Probabilities of one voxel; classes past `count` get 0.
template <class T, int K>
struct Softmax {
    float p[K], top, total;

    __device__ __forceinline__ Softmax(const T* logits, u32 count) {
        top = widen(logits[0]);
#pragma unroll
        for (int k = 0; k < K; k++) {
            p[k] = k < count ? widen(logits[k]) : 0.0f;
            if (k < count) top = fmaxf(top, p[k]);
        }
        total = 0;
#pragma unroll
        for (int k = 0; k < K; k++) {
            p[k] = k < count ? expf(p[k] - top) : 0.0f;
            total += p[k];
        }
        float inverse = 1.0f / total;
#pragma unroll
        for (int k = 0; k < K; k++) p[k] *= inverse;
    }
};

// Focal loss of a logit, s² log(1 + eᵘ) with s = sigmoid(u): u is the logit, negated where its class is the true one.
struct Doubt {
    float wrong, loss;

    __device__ __forceinline__ Doubt(float logit, bool is_truth) {
        float u = is_truth ? -logit : logit, small = expf(-fabsf(u));
        wrong = (u > 0.0f ? 1.0f : small) / (1.0f + small);
        loss = fmaxf(u, 0.0f) + log1pf(small);
    }

    __device__ __forceinline__ float value() const { return wrong * wrong * loss; }

    // With respect to the logit.
    __device__ __forceinline__ float slope(bool is_truth) const {
        float by_u = wrong * wrong * (2.0f * (1.0f - wrong) * loss + wrong);
        return is_truth ? -by_u : by_u;
    }
};

// Partials [cases, chunks, 3 count + 1]: overlap, squares and presence by class, and the sum of the losses by voxel.
// Grid: chunks, cases.
template <class T, int K, bool FOCAL>
__device__ __forceinline__ void loss_sums(const T* logits, const int* classes, const ClassGrid& grid, float* partials,
                                          u32 voxels, u32 count, u32 chunk) {
    float sums[3 * K + 1] = {};
    u32 end = min((blockIdx.x + 1) * chunk, voxels);
    for (u32 v = blockIdx.x * chunk + threadIdx.x; v < end; v += blockDim.x) {
        const T* own = logits + ((u64)blockIdx.y * voxels + v) * count;
        int truth = class_at(classes, grid, blockIdx.y, v);
        Softmax<T, K> softmax(own, count);
        if (FOCAL) {
#pragma unroll
            for (int k = 0; k < K; k++)
                if (k < count) sums[3 * K] += Doubt(widen(own[k]), k == truth).value();
        } else {
            float entropy = logf(softmax.total);
            if (truth >= 0 && truth < (int)count) entropy -= widen(own[truth]) - softmax.top;
            sums[3 * K] += entropy;
        }
#pragma unroll
        for (int k = 0; k < K; k++) {
            float p = softmax.p[k];
            if (k == truth) {
                sums[k] += p;
                sums[2 * K + k] += 1.0f;
            }
            sums[K + k] = fmaf(p, p, sums[K + k]);
        }
    }
    __shared__ float warps[LOSS_WARPS][3 * K + 1];
#pragma unroll
    for (int m = 0; m < 3 * K + 1; m++) {
        float sum = warp_sum(sums[m]);
        if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32][m] = sum;
    }
    __syncthreads();
    float* into = partials + ((u64)blockIdx.y * gridDim.x + blockIdx.x) * (3 * count + 1);
    for (u32 m = threadIdx.x; m < 3 * K + 1; m += blockDim.x) {
        u32 kind = m / K, k = m % K;
        if (kind < 3 && k >= count) continue;
        float sum = 0;
        for (int w = 0; w < LOSS_WARPS; w++) sum += warps[w][m];
        into[kind * count + (kind < 3 ? k : 0)] = sum;
    }
}

// The same by warps. A lane owns every 32nd class, so that the sums in shared memory, [warps, 3 count + 1], have one
// writer each.
template <class T, bool FOCAL>
__device__ __forceinline__ void loss_sums_many(const T* logits, const int* classes, const ClassGrid& grid,
                                               float* partials, u32 voxels, u32 count, u32 chunk) {
    extern __shared__ float shared[];
    u32 size = 3 * count + 1, lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
    for (u32 i = threadIdx.x; i < warps * size; i += blockDim.x) shared[i] = 0;
    __syncthreads();
    float* sums = shared + warp * size;
    // Of the focal loss, a lane's share.
    float loss = 0;
    u32 end = min((blockIdx.x + 1) * chunk, voxels);
    for (u32 v = blockIdx.x * chunk + warp; v < end; v += warps) {
        const T* own = logits + ((u64)blockIdx.y * voxels + v) * count;
        int truth = class_at(classes, grid, blockIdx.y, v);
        float top = widen(own[0]);
        for (u32 k = lane; k < count; k += 32) top = fmaxf(top, widen(own[k]));
        top = warp_maximum(top);
        float total = 0;
        for (u32 k = lane; k < count; k += 32) total += expf(widen(own[k]) - top);
        total = warp_sum(total);
        if (!FOCAL) {
            loss += logf(total);
            if (truth >= 0 && truth < (int)count) loss -= widen(own[truth]) - top;
        }
        float inverse = 1.0f / total;
        for (u32 k = lane; k < count; k += 32) {
            float logit = widen(own[k]), p = expf(logit - top) * inverse;
            if (FOCAL) loss += Doubt(logit, (int)k == truth).value();
            sums[count + k] += p * p;
            if ((int)k == truth) {
                sums[k] += p;
                sums[2 * count + k] += 1.0f;
            }
        }
    }
    if (FOCAL) loss = warp_sum(loss);
    if (lane == 0) sums[3 * count] = loss;
    __syncthreads();
    float* into = partials + ((u64)blockIdx.y * gridDim.x + blockIdx.x) * size;
    for (u32 m = threadIdx.x; m < size; m += blockDim.x) {
        float sum = 0;
        for (u32 w = 0; w < warps; w++) sum += shared[w * size + m];
        into[m] = sum;
    }
}

// A warp per sum: sums [cases, 3, count] and losses by voxel [cases].
extern "C" __global__ void combine_loss_sums(const float* __restrict__ partials, float* __restrict__ sums,
                                             float* __restrict__ losses, u32 cases, u32 count, u32 chunks) {
    u32 size = 3 * count + 1, lane = threadIdx.x % 32;
    u32 output = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
    if (output >= cases * size) return;
    u32 n = output / size, m = output % size;
    double sum = 0;
    for (u32 part = lane; part < chunks; part += 32) sum += partials[((u64)n * chunks + part) * size + m];
    sum = warp_sum(sum);
    if (lane == 0) {
        if (m < 3 * count)
            sums[(u64)n * 3 * count + m] = (float)sum;
        else
            losses[n] = (float)sum;
    }
}

// One block. `terms` is the number of terms of a case's losses by voxel.
extern "C" __global__ void combine_loss(const float* __restrict__ sums, const float* __restrict__ losses,
                                        float* __restrict__ loss, u32 cases, u32 count, u32 terms,
                                        float smooth_numerator) {
    double sum = 0;
    for (u32 i = threadIdx.x; i < cases * count; i += blockDim.x) {
        const float* own = sums + (u64)(i / count) * 3 * count + i % count;
        double denominator = (double)own[count] + (double)own[2 * count] + SMOOTH_DENOMINATOR;
        sum -= (2.0 * (double)own[0] + smooth_numerator) / denominator / ((double)cases * count);
    }
    for (u32 n = threadIdx.x; n < cases; n += blockDim.x) sum += (double)losses[n] / ((double)cases * terms);
    sum = block_sum(sum);
    if (threadIdx.x == 0) *loss = (float)(1.0 + sum);
}

// d(1 - I / S)/dp = -2 g / S + 2 I p / S², with the means over cases and classes.
struct DiceSlope {
    float constant, linear;

    __device__ __forceinline__ DiceSlope(const float* sums, u32 one_case, u32 count, u32 k, float inverse_cases,
                                         float smooth_numerator) {
        const float* own = sums + (u64)one_case * 3 * count + k;
        float inverse = 1.0f / (own[count] + own[2 * count] + (float)SMOOTH_DENOMINATOR);
        constant = -2.0f * inverse * inverse_cases;
        linear = 2.0f * (2.0f * own[0] + smooth_numerator) * inverse * inverse * inverse_cases;
    }
};

template <class T, int K, bool FOCAL>
__device__ __forceinline__ void loss_gradient(const T* logits, const int* classes, const ClassGrid& grid,
                                              const float* sums, const float* gradient, T* into, u32 voxels,
                                              u32 count, float inverse_cases, float inverse_terms,
                                              float smooth_numerator) {
    float constant[K], linear[K], factor = *gradient;
#pragma unroll
    for (int k = 0; k < K; k++) {
        constant[k] = linear[k] = 0;
        if (k < count) {
            DiceSlope slope(sums, blockIdx.y, count, k, inverse_cases, smooth_numerator);
            constant[k] = slope.constant;
            linear[k] = slope.linear;
        }
    }
    u32 step = gridDim.x * blockDim.x;
    for (u32 v = blockIdx.x * blockDim.x + threadIdx.x; v < voxels; v += step) {
        u64 at = ((u64)blockIdx.y * voxels + v) * count;
        int truth = class_at(classes, grid, blockIdx.y, v);
        Softmax<T, K> softmax(logits + at, count);
        float slopes[K], along = 0;
#pragma unroll
        for (int k = 0; k < K; k++) {
            slopes[k] = linear[k] * softmax.p[k] + (k == truth ? constant[k] : 0.0f);
            along += slopes[k] * softmax.p[k];
        }
#pragma unroll
        for (int k = 0; k < K; k++) {
            if (k < count) {
                float p = softmax.p[k], by_voxel = p - (k == truth ? 1.0f : 0.0f);
                if (FOCAL) by_voxel = Doubt(widen(logits[at + k]), k == truth).slope(k == truth);
                float slope = p * (slopes[k] - along) + by_voxel * inverse_terms;
                narrow(slope * factor, into[at + k]);
            }
        }
    }
}

template <class T, bool FOCAL>
__device__ __forceinline__ void loss_gradient_many(const T* logits, const int* classes, const ClassGrid& grid,
                                                   const float* sums, const float* gradient, T* into, u32 voxels,
                                                   u32 count, float inverse_cases, float inverse_terms,
                                              float smooth_numerator) {
    u32 lane = threadIdx.x % 32, warps = gridDim.x * (blockDim.x / 32);
    float factor = *gradient;
    for (u32 v = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32; v < voxels; v += warps) {
        u64 at = ((u64)blockIdx.y * voxels + v) * count;
        int truth = class_at(classes, grid, blockIdx.y, v);
        float top = widen(logits[at]);
        for (u32 k = lane; k < count; k += 32) top = fmaxf(top, widen(logits[at + k]));
        top = warp_maximum(top);
        float total = 0, along = 0;
        for (u32 k = lane; k < count; k += 32) total += expf(widen(logits[at + k]) - top);
        float inverse = 1.0f / warp_sum(total);
        for (u32 k = lane; k < count; k += 32) {
            DiceSlope dice(sums, blockIdx.y, count, k, inverse_cases, smooth_numerator);
            float p = expf(widen(logits[at + k]) - top) * inverse;
            along += (dice.linear * p + ((int)k == truth ? dice.constant : 0.0f)) * p;
        }
        along = warp_sum(along);
        for (u32 k = lane; k < count; k += 32) {
            DiceSlope dice(sums, blockIdx.y, count, k, inverse_cases, smooth_numerator);
            float logit = widen(logits[at + k]), p = expf(logit - top) * inverse;
            float g = (int)k == truth ? 1.0f : 0.0f, by_voxel = p - g;
            if (FOCAL) by_voxel = Doubt(logit, (int)k == truth).slope((int)k == truth);
            float slope = p * (dice.linear * p + g * dice.constant - along) + by_voxel * inverse_terms;
            narrow(slope * factor, into[at + k]);
        }
    }
}

#define LOSS(loss, name, T, sums_of, gradient_of)                                                                 \
    extern "C" __global__ void __launch_bounds__(LOSS_THREADS)                                                    \
        loss##_sums_##name(const T* __restrict__ logits, const int* __restrict__ classes, ClassGrid grid,           \
                           float* __restrict__ partials, u32 voxels, u32 count, u32 chunk) {                      \
        sums_of(logits, classes, grid, partials, voxels, count, chunk);                                           \
    }                                                                                                             \
    extern "C" __global__ void __launch_bounds__(LOSS_THREADS)                                                    \
        loss##_gradient_##name(const T* __restrict__ logits, const int* __restrict__ classes, ClassGrid grid,       \
                               const float* __restrict__ sums, const float* __restrict__ gradient,                \
                               T* __restrict__ into, u32 voxels, u32 count, float inverse_cases,                  \
                               float inverse_terms, float smooth_numerator) {                                     \
        gradient_of(logits, classes, grid, sums, gradient, into, voxels, count, inverse_cases, inverse_terms,     \
                    smooth_numerator);                                                                            \
    }

#define LOSSES(loss, FOCAL)                                                                                       \
    LOSS(loss, half_4, Half, (loss_sums<Half, 4, FOCAL>), (loss_gradient<Half, 4, FOCAL>))                        \
    LOSS(loss, half_8, Half, (loss_sums<Half, 8, FOCAL>), (loss_gradient<Half, 8, FOCAL>))                        \
    LOSS(loss, half_many, Half, (loss_sums_many<Half, FOCAL>), (loss_gradient_many<Half, FOCAL>))                 \
    LOSS(loss, single_4, float, (loss_sums<float, 4, FOCAL>), (loss_gradient<float, 4, FOCAL>))                   \
    LOSS(loss, single_8, float, (loss_sums<float, 8, FOCAL>), (loss_gradient<float, 8, FOCAL>))                   \
    LOSS(loss, single_many, float, (loss_sums_many<float, FOCAL>), (loss_gradient_many<float, FOCAL>))

LOSSES(dice_ce, false)
LOSSES(dice_focal, true)
