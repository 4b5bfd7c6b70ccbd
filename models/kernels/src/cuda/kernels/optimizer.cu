// Many tensors in one launch. A block takes BLOCK_VALUES values of one tensor; `first` is a tensor's first block.

#define BLOCK_VALUES 4096
#define TENSORS 90

struct Listed {
    float* at[4];
    u32 count;
    u32 first;
};

struct Tensors {
    Listed listed[TENSORS];
    u32 count;
};

__device__ __forceinline__ u32 tensor_of(const Tensors& tensors, u32 block) {
    u32 low = 0, high = tensors.count;
    while (high - low > 1) {
        u32 middle = (low + high) / 2;
        if (tensors.listed[middle].first <= block)
            low = middle;
        else
            high = middle;
    }
    return low;
}

// Sum of squares per block, into `partials` from `base` on.
extern "C" __global__ void square(const __grid_constant__ Tensors tensors, float* __restrict__ partials, u32 base) {
    const Listed& listed = tensors.listed[tensor_of(tensors, blockIdx.x)];
    const float* values = listed.at[0];
    u32 count = listed.count, begin = (blockIdx.x - listed.first) * BLOCK_VALUES;
    u32 end = min(begin + BLOCK_VALUES, count);
    float sum = 0;
    for (u32 i = begin + 4 * threadIdx.x; i < end; i += 4 * blockDim.x) {
        if (i + 4 <= end) {
            float own[4];
            load(values + i, own);
#pragma unroll
            for (int w = 0; w < 4; w++) sum = fmaf(own[w], own[w], sum);
        } else {
            for (u32 j = i; j < end; j++) sum = fmaf(values[j], values[j], sum);
        }
    }
    double total = block_sum((double)sum);
    if (threadIdx.x == 0) partials[base + blockIdx.x] = (float)total;
}

// One block.
extern "C" __global__ void combine_squares(const float* __restrict__ partials, float* __restrict__ into, u32 count) {
    double sum = 0;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) sum += partials[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *into = (float)sum;
}

struct Step {
    float kept;
    float rate;
    float first_decay;
    float second_decay;
    float first_correction;
    float second_correction;
    float epsilon;
    float gradient_factor;
    float max_norm;
};

__device__ __forceinline__ void update(float& weight, float gradient, float& first, float& second, const Step& step) {
    float g = gradient * step.gradient_factor;
    first = step.first_decay * first + (1.0f - step.first_decay) * g;
    second = step.second_decay * second + (1.0f - step.second_decay) * (g * g);
    float direction = first * step.first_correction / (sqrtf(second * step.second_correction) + step.epsilon);
    weight = weight * step.kept - direction * step.rate;
}

// The guard is the sum of the gradients' squares: one that is not finite stops everything, and one above the limit makes
// all gradients smaller.
__device__ __forceinline__ bool admits(const float* guard, float max_norm, float& gradient_factor) {
    if (guard == nullptr) return true;
    if (!(fabsf(*guard) <= 3.402823466e38f)) return false;
    float norm = sqrtf(*guard) * gradient_factor;
    gradient_factor *= fminf(max_norm / (norm + 1e-6f), 1.0f);
    return true;
}

// Weights, gradient, first and second moment of each tensor.
extern "C" __global__ void adamw(const __grid_constant__ Tensors tensors, Step step, const float* guard) {
    if (!admits(guard, step.max_norm, step.gradient_factor)) return;
    const Listed& listed = tensors.listed[tensor_of(tensors, blockIdx.x)];
    u32 count = listed.count, begin = (blockIdx.x - listed.first) * BLOCK_VALUES;
    u32 end = min(begin + BLOCK_VALUES, count);
    for (u32 i = begin + 4 * threadIdx.x; i < end; i += 4 * blockDim.x) {
        if (i + 4 <= end) {
            float weight[4], gradient[4], first[4], second[4];
            load(listed.at[0] + i, weight);
            load(listed.at[1] + i, gradient);
            load(listed.at[2] + i, first);
            load(listed.at[3] + i, second);
#pragma unroll
            for (int w = 0; w < 4; w++) update(weight[w], gradient[w], first[w], second[w], step);
            store(listed.at[0] + i, weight);
            store(listed.at[2] + i, first);
            store(listed.at[3] + i, second);
        } else {
            for (u32 j = i; j < end; j++)
                update(listed.at[0][j], listed.at[1][j], listed.at[2][j], listed.at[3][j], step);
        }
    }
}

struct Descent {
    float rate;
    float momentum;
    float decay;
    float gradient_factor;
    float max_norm;
};

__device__ __forceinline__ void descend(float& weight, float gradient, float& velocity, const Descent& step) {
    velocity = step.momentum * velocity + (gradient * step.gradient_factor + step.decay * weight);
    weight -= step.rate * velocity;
}

// Weights, gradient and velocity of each tensor.
extern "C" __global__ void sgd(const __grid_constant__ Tensors tensors, Descent step, const float* guard) {
    if (!admits(guard, step.max_norm, step.gradient_factor)) return;
    const Listed& listed = tensors.listed[tensor_of(tensors, blockIdx.x)];
    u32 count = listed.count, begin = (blockIdx.x - listed.first) * BLOCK_VALUES;
    u32 end = min(begin + BLOCK_VALUES, count);
    for (u32 i = begin + 4 * threadIdx.x; i < end; i += 4 * blockDim.x) {
        if (i + 4 <= end) {
            float weight[4], gradient[4], velocity[4];
            load(listed.at[0] + i, weight);
            load(listed.at[1] + i, gradient);
            load(listed.at[2] + i, velocity);
#pragma unroll
            for (int w = 0; w < 4; w++) descend(weight[w], gradient[w], velocity[w], step);
            store(listed.at[0] + i, weight);
            store(listed.at[2] + i, velocity);
        } else {
            for (u32 j = i; j < end; j++) descend(listed.at[0][j], listed.at[1][j], listed.at[2][j], step);
        }
    }
}
