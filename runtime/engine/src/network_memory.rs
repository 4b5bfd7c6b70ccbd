//! GPU memory of a network, and the largest batch within a limit.

use std::num::NonZeroUsize;

use vesal_onnx::OnnxModel;

use crate::options::{EngineOptions, InferencePrecision};

/// GPU memory in bytes that CUDA, its libraries and this program's kernels take before any network is loaded.
pub(crate) const CONTEXT_BYTES: u64 = 640 << 20;
/// Bytes that convolutions on a GPU take for each byte of activations: these and the workspace.
const WORKSPACE_FACTOR: u64 = 3;

/// Bytes of the weights of a network file of `file_bytes`, in the precision of the computation.
pub(crate) fn weight_bytes(file_bytes: usize, options: &EngineOptions) -> u64 {
    file_bytes as u64 * element_bytes(options) as u64 / size_of::<f32>() as u64
}

fn element_bytes(options: &EngineOptions) -> usize {
    match options.precision {
        InferencePrecision::Float16 => size_of::<u16>(),
        InferencePrecision::Float32 => size_of::<f32>(),
    }
}

/// Upper bound in bytes of the GPU memory that ONNX Runtime takes for a network with these weights and activations.
pub(crate) fn device_network_bytes(weights: u64, activations: u64) -> u64 {
    weights.saturating_add(activations.saturating_mul(WORKSPACE_FACTOR))
}

/// The largest batch, at most the usual one, with which a network keeps within `limit` bytes of GPU memory; 1 if none does.
/// `file_bytes` is the size of the network's file.
pub(crate) fn fitting_batch(
    network: &OnnxModel,
    file_bytes: usize,
    options: &EngineOptions,
    usual: NonZeroUsize,
    limit: u64,
) -> NonZeroUsize {
    let weights = weight_bytes(file_bytes, options);
    let fits = |batch: &NonZeroUsize| {
        let activations = network.activation_bytes(batch.get(), element_bytes(options), false);
        activations.is_ok_and(|activations| {
            device_network_bytes(weights, activations).saturating_add(CONTEXT_BYTES) <= limit
        })
    };
    let halves = std::iter::successors(Some(usual), |batch| NonZeroUsize::new(batch.get() / 2));
    halves.into_iter().find(fits).unwrap_or(NonZeroUsize::MIN)
}
