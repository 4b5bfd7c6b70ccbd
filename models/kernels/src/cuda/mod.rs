//! Kernels for NVIDIA GPUs: cuDNN's convolutions, cuBLAS's matrix products and our own, on CubeCL's memory.
//!
//! An operation is a closure on CubeCL's device thread, in order with Burn's own launches. It launches on a separate
//! stream; this and CubeCL's streams wait for each other on the GPU, and the host never waits.

mod argument;
mod attention;
mod backend;
mod batch_norm;
mod communicator;
mod context_events;
mod convolution;
mod cublas;
mod cudnn;
mod error;
mod gather;
mod gpu;
mod labeled;
mod layer_norm;
mod leaky_relu;
mod limits;
mod loss;
mod nccl;
mod normalization;
mod operation;
mod optimizer;
mod pages;
mod pointwise;
mod precision;
mod problem;
mod program;
mod readback;
mod requirements;
mod resize;
mod tensor;
mod tiling;
mod usage;
mod weights;

use crate::backend_ops::BackendOps;
use crate::batch_norm::BatchNormSettings;
use crate::geometry::ConvGeometry;
use crate::nonlinearity::Nonlinearity;
use crate::optimizer::{AdamWStep, Moments, SgdStep, Velocity};
use crate::results::{Attended, AttentionGradients, NormGradients, Normalized, Scalars, VoxelLoss};
use crate::row_gather::RowGather;
use crate::without_gradients::without_gradients;
use backend::CudaTensor;

pub use backend::Cuda;
pub use burn_cuda::CudaDevice;
pub use communicator::Communicator;
pub use error::CudaError;
pub use requirements::{check, check_nccl};
pub use usage::{MemoryInfo, memory, reserved_bytes};

without_gradients!(Cuda);

impl BackendOps for Cuda {
    fn conv(
        x: CudaTensor,
        weight: CudaTensor,
        bias: Option<CudaTensor>,
        geometry: ConvGeometry,
    ) -> CudaTensor {
        if geometry.is_pointwise() {
            return pointwise::conv(x, weight, bias, geometry);
        }
        convolution::conv(x, weight, bias, geometry)
    }

    fn conv_input_gradient(
        gradient: CudaTensor,
        weight: CudaTensor,
        input_shape: [usize; 3],
        geometry: ConvGeometry,
    ) -> CudaTensor {
        if geometry.is_pointwise() {
            return pointwise::input_gradient(gradient, weight, input_shape, geometry);
        }
        convolution::input_gradient(gradient, weight, input_shape, geometry)
    }

    fn conv_weight_gradient(
        x: CudaTensor,
        gradient: CudaTensor,
        geometry: ConvGeometry,
    ) -> CudaTensor {
        if geometry.is_pointwise() {
            return pointwise::weight_gradient(x, gradient, geometry);
        }
        convolution::weight_gradient(x, gradient, geometry)
    }

    fn bias_gradient(gradient: CudaTensor) -> CudaTensor {
        normalization::bias_gradient(gradient)
    }

    fn instance_norm(
        x: CudaTensor,
        affine: Option<[CudaTensor; 2]>,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> Normalized<Self> {
        normalization::instance_norm(x, affine, epsilon, nonlinearity)
    }

    fn instance_norm_gradient(
        x: CudaTensor,
        statistics: CudaTensor,
        affine: Option<[CudaTensor; 2]>,
        gradient: CudaTensor,
        nonlinearity: Nonlinearity,
    ) -> NormGradients<Self> {
        normalization::instance_norm_gradient(x, statistics, affine, gradient, nonlinearity)
    }

    fn leaky_relu_sum(x: CudaTensor, addend: Option<CudaTensor>, slope: f32) -> CudaTensor {
        leaky_relu::leaky_relu_sum(x, addend, slope)
    }

    fn leaky_relu_gradient(output: CudaTensor, gradient: CudaTensor, slope: f32) -> CudaTensor {
        leaky_relu::leaky_relu_gradient(output, gradient, slope)
    }

    fn update_running(
        running: [CudaTensor; 2],
        statistics: CudaTensor,
        values: usize,
        settings: BatchNormSettings,
    ) -> [CudaTensor; 2] {
        batch_norm::update_running(running, statistics, values, settings)
    }

    fn batch_norm_inference(
        x: CudaTensor,
        running: [CudaTensor; 2],
        weight: CudaTensor,
        bias: CudaTensor,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> CudaTensor {
        batch_norm::batch_norm_inference(x, running, weight, bias, epsilon, nonlinearity)
    }

    fn dice_ce(logits: CudaTensor, classes: CudaTensor) -> VoxelLoss<Self> {
        loss::dice_ce(logits, classes)
    }

    fn dice_ce_gradient(
        logits: CudaTensor,
        classes: CudaTensor,
        sums: CudaTensor,
        gradient: CudaTensor,
    ) -> CudaTensor {
        loss::dice_ce_gradient(logits, classes, sums, gradient)
    }

    fn dice_focal(logits: CudaTensor, classes: CudaTensor) -> VoxelLoss<Self> {
        loss::dice_focal(logits, classes)
    }

    fn dice_focal_gradient(
        logits: CudaTensor,
        classes: CudaTensor,
        sums: CudaTensor,
        gradient: CudaTensor,
    ) -> CudaTensor {
        loss::dice_focal_gradient(logits, classes, sums, gradient)
    }

    fn resize_linear(x: CudaTensor, space: [usize; 3]) -> CudaTensor {
        resize::resize_linear(x, space)
    }

    fn resize_linear_gradient(gradient: CudaTensor, input_shape: [usize; 3]) -> CudaTensor {
        resize::resize_linear_gradient(gradient, input_shape)
    }

    fn linear(x: CudaTensor, weight: CudaTensor, bias: Option<CudaTensor>) -> CudaTensor {
        pointwise::linear(x, weight, bias)
    }

    fn linear_input_gradient(gradient: CudaTensor, weight: CudaTensor) -> CudaTensor {
        pointwise::linear_input_gradient(gradient, weight)
    }

    fn linear_weight_gradient(x: CudaTensor, gradient: CudaTensor) -> CudaTensor {
        pointwise::linear_weight_gradient(x, gradient)
    }

    fn window_attention(
        qkv: CudaTensor,
        bias: CudaTensor,
        regions: Option<CudaTensor>,
    ) -> Attended<Self> {
        attention::window_attention(qkv, bias, regions)
    }

    fn window_attention_gradient(
        qkv: CudaTensor,
        bias: CudaTensor,
        regions: Option<CudaTensor>,
        attended: Attended<Self>,
        gradient: CudaTensor,
    ) -> AttentionGradients<Self> {
        attention::window_attention_gradient(qkv, bias, regions, attended, gradient)
    }

    fn layer_norm(x: CudaTensor, affine: Option<[CudaTensor; 2]>, epsilon: f32) -> CudaTensor {
        layer_norm::layer_norm(x, affine, epsilon)
    }

    fn layer_norm_gradient(
        x: CudaTensor,
        weight: Option<CudaTensor>,
        gradient: CudaTensor,
        epsilon: f32,
    ) -> NormGradients<Self> {
        layer_norm::layer_norm_gradient(x, weight, gradient, epsilon)
    }

    fn gelu(x: CudaTensor) -> CudaTensor {
        layer_norm::gelu(x)
    }

    fn gelu_gradient(x: CudaTensor, gradient: CudaTensor) -> CudaTensor {
        layer_norm::gelu_gradient(x, gradient)
    }

    fn gather_rows(x: CudaTensor, gather: &RowGather<CudaTensor>) -> CudaTensor {
        gather::gather_rows(x, gather)
    }

    fn gather_rows_gradient(gradient: CudaTensor, gather: &RowGather<CudaTensor>) -> CudaTensor {
        gather::gather_rows_gradient(gradient, gather)
    }

    fn squared_norm(tensors: &[CudaTensor]) -> CudaTensor {
        optimizer::squared_norm(tensors)
    }

    fn read_scalars(tensors: Vec<CudaTensor>) -> Scalars {
        readback::read_scalars(tensors)
    }

    fn adamw(
        parameters: Vec<Moments<Self>>,
        step: AdamWStep,
        guard: Option<CudaTensor>,
    ) -> Vec<[CudaTensor; 3]> {
        optimizer::adamw(parameters, step, guard)
    }

    fn sgd(
        parameters: Vec<Velocity<Self>>,
        step: SgdStep,
        guard: Option<CudaTensor>,
    ) -> Vec<[CudaTensor; 2]> {
        optimizer::sgd(parameters, step, guard)
    }
}
