// Running statistics of batch normalization. Grid: blocks of channels, one per thread.

// As channels.cu reads them, [1, 2, channels]: mean and inverse deviation.
extern "C" __global__ void running_statistics(const float* __restrict__ mean, const float* __restrict__ variance,
                                              float* __restrict__ statistics, u32 channels, float epsilon) {
    u32 channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= channels) return;
    statistics[channel] = mean[channel];
    statistics[channels + channel] = (float)(1.0 / sqrt((double)variance[channel] + (double)epsilon));
}

extern "C" __global__ void update_running(const float* __restrict__ statistics, const float* __restrict__ mean,
                                          const float* __restrict__ variance, float* __restrict__ new_mean,
                                          float* __restrict__ new_variance, u32 channels, float epsilon,
                                          float momentum, float correction) {
    u32 channel = blockIdx.x * blockDim.x + threadIdx.x;
    if (channel >= channels) return;
    double kept = 1.0 - (double)momentum, inverse = statistics[channels + channel];
    double population = 1.0 / (inverse * inverse) - (double)epsilon;
    // Not fmax: a variance that is not a number must stay one.
    double sample = (population < 0 ? 0.0 : population) * correction;
    new_mean[channel] = (float)(kept * mean[channel] + (double)momentum * statistics[channel]);
    new_variance[channel] = (float)(kept * variance[channel] + (double)momentum * sample);
}
