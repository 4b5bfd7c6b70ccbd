//! Kernels for the processor, in `f32`; other types use the reference.

mod attention;
mod attention_head;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod batch_norm;
mod channels;
mod conv;
mod dense;
mod dice;
mod dispatch;
mod exponential;
mod focal;
mod gather;
mod labels;
mod lanes;
mod layer_norm;
mod leaky_relu;
mod norm;
mod norm_gradient;
mod optimizer;
mod packing;
mod row_gather;
mod row_products;
mod sgd;
mod softmax;
mod tile;
mod voxel_term;
mod weight_gradient;
mod weight_tile;
mod window;

use burn::tensor::TensorMetadata;
use burn_flex::{Flex, FlexTensor};

use crate::backend_ops::BackendOps;
use crate::batch_norm::BatchNormSettings;
use crate::geometry::ConvGeometry;
use crate::nonlinearity::Nonlinearity;
use crate::optimizer::{AdamWStep, Moments, SgdStep, Velocity};
use crate::reference;
use crate::results::{Attended, AttentionGradients, NormGradients, Normalized, VoxelLoss};
use crate::row_gather::RowGather;
use crate::without_gradients::without_gradients;
use focal::Focal;
use voxel_term::CrossEntropy;

without_gradients!(Flex);

impl BackendOps for Flex {
    fn conv(
        x: FlexTensor,
        weight: FlexTensor,
        bias: Option<FlexTensor>,
        geometry: ConvGeometry,
    ) -> FlexTensor {
        match dense::single([&x, &weight].into_iter().chain(&bias)) {
            true => conv::conv(x, weight, bias, geometry),
            false => reference::conv::<Self>(x, weight, bias, geometry),
        }
    }

    fn conv_input_gradient(
        gradient: FlexTensor,
        weight: FlexTensor,
        input_shape: [usize; 3],
        geometry: ConvGeometry,
    ) -> FlexTensor {
        match dense::single([&gradient, &weight]) {
            true => conv::conv_input_gradient(gradient, weight, input_shape, geometry),
            false => {
                reference::conv_input_gradient::<Self>(gradient, weight, input_shape, geometry)
            }
        }
    }

    fn conv_weight_gradient(
        x: FlexTensor,
        gradient: FlexTensor,
        geometry: ConvGeometry,
    ) -> FlexTensor {
        match dense::single([&x, &gradient]) {
            true => weight_gradient::conv_weight_gradient(x, gradient, geometry),
            false => reference::conv_weight_gradient::<Self>(x, gradient, geometry),
        }
    }

    fn bias_gradient(gradient: FlexTensor) -> FlexTensor {
        let chunks = channels::Chunks::of_shape(dense::shape(&gradient));
        if !dense::single([&gradient]) || chunks.case == 0 {
            return reference::bias_gradient::<Self>(gradient);
        }
        let gradient = gradient.to_contiguous();
        let sums = channels::channel_sums(gradient.storage(), chunks);
        dense::tensor(sums, [chunks.channels])
    }

    fn instance_norm(
        x: FlexTensor,
        affine: Option<[FlexTensor; 2]>,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> Normalized<Self> {
        match dense::single(affine.iter().flatten().chain([&x])) && !dense::empty(&x) {
            true => norm::instance_norm(x, affine, epsilon, nonlinearity),
            false => reference::instance_norm::<Self>(x, affine, epsilon, nonlinearity),
        }
    }

    fn instance_norm_gradient(
        x: FlexTensor,
        statistics: FlexTensor,
        affine: Option<[FlexTensor; 2]>,
        gradient: FlexTensor,
        nonlinearity: Nonlinearity,
    ) -> NormGradients<Self> {
        let known = dense::single(affine.iter().flatten().chain([&x, &statistics, &gradient]));
        let compute = match known && !dense::empty(&x) {
            true => norm_gradient::instance_norm_gradient,
            false => reference::instance_norm_gradient::<Self>,
        };
        compute(x, statistics, affine, gradient, nonlinearity)
    }

    fn leaky_relu_sum(x: FlexTensor, addend: Option<FlexTensor>, slope: f32) -> FlexTensor {
        let shape = x.shape();
        let known = dense::single(addend.iter().chain([&x]))
            && addend.iter().all(|addend| addend.shape() == shape);
        match known {
            true => leaky_relu::leaky_relu_sum(x, addend, slope),
            false => reference::leaky_relu_sum::<Self>(x, addend, slope),
        }
    }

    fn leaky_relu_gradient(output: FlexTensor, gradient: FlexTensor, slope: f32) -> FlexTensor {
        match dense::single([&output, &gradient]) {
            true => leaky_relu::leaky_relu_gradient(output, gradient, slope),
            false => reference::leaky_relu_gradient::<Self>(output, gradient, slope),
        }
    }

    fn update_running(
        running: [FlexTensor; 2],
        statistics: FlexTensor,
        values: usize,
        settings: BatchNormSettings,
    ) -> [FlexTensor; 2] {
        let update = match dense::single(running.iter().chain([&statistics])) {
            true => batch_norm::update_running,
            false => reference::update_running::<Self>,
        };
        update(running, statistics, values, settings)
    }

    fn batch_norm_inference(
        x: FlexTensor,
        running: [FlexTensor; 2],
        weight: FlexTensor,
        bias: FlexTensor,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> FlexTensor {
        let compute =
            match dense::single(running.iter().chain([&x, &weight, &bias])) && !dense::empty(&x) {
                true => batch_norm::batch_norm_inference,
                false => reference::batch_norm_inference::<Self>,
            };
        compute(x, running, weight, bias, epsilon, nonlinearity)
    }

    fn dice_ce(logits: FlexTensor, classes: FlexTensor) -> VoxelLoss<Self> {
        match dense::single([&logits]) && !dense::empty(&logits) {
            true => dice::loss::<CrossEntropy>(logits, classes),
            false => reference::dice_ce::<Self>(logits, classes),
        }
    }

    fn dice_ce_gradient(
        logits: FlexTensor,
        classes: FlexTensor,
        sums: FlexTensor,
        gradient: FlexTensor,
    ) -> FlexTensor {
        match dense::single([&logits, &sums, &gradient]) && !dense::empty(&logits) {
            true => dice::gradient::<CrossEntropy>(logits, classes, sums, gradient),
            false => reference::dice_ce_gradient::<Self>(logits, classes, sums, gradient),
        }
    }

    fn dice_focal(logits: FlexTensor, classes: FlexTensor) -> VoxelLoss<Self> {
        match dense::single([&logits]) && !dense::empty(&logits) {
            true => dice::loss::<Focal>(logits, classes),
            false => reference::dice_focal::<Self>(logits, classes),
        }
    }

    fn dice_focal_gradient(
        logits: FlexTensor,
        classes: FlexTensor,
        sums: FlexTensor,
        gradient: FlexTensor,
    ) -> FlexTensor {
        match dense::single([&logits, &sums, &gradient]) && !dense::empty(&logits) {
            true => dice::gradient::<Focal>(logits, classes, sums, gradient),
            false => reference::dice_focal_gradient::<Self>(logits, classes, sums, gradient),
        }
    }

    fn window_attention(
        qkv: FlexTensor,
        bias: FlexTensor,
        regions: Option<FlexTensor>,
    ) -> Attended<Self> {
        let known = attention::Regions::new(regions.as_ref()).filter(|_| {
            dense::single([&qkv, &bias]) && attention::fits(&qkv, &bias, regions.as_ref())
        });
        match known {
            Some(regions) => attention::window_attention(qkv, bias, &regions),
            None => reference::window_attention::<Self>(qkv, bias, regions),
        }
    }

    fn window_attention_gradient(
        qkv: FlexTensor,
        bias: FlexTensor,
        regions: Option<FlexTensor>,
        attended: Attended<Self>,
        gradient: FlexTensor,
    ) -> AttentionGradients<Self> {
        let known = attention::Regions::new(regions.as_ref()).filter(|_| {
            dense::single([&qkv, &bias, &attended.output, &attended.log_sums, &gradient])
                && attention::fits(&qkv, &bias, regions.as_ref())
        });
        match known {
            Some(known) => {
                attention::window_attention_gradient(qkv, bias, &known, attended, gradient)
            }
            None => {
                reference::window_attention_gradient::<Self>(qkv, bias, regions, attended, gradient)
            }
        }
    }

    fn layer_norm(x: FlexTensor, affine: Option<[FlexTensor; 2]>, epsilon: f32) -> FlexTensor {
        let tensors = affine.iter().flatten().chain([&x]);
        match dense::single(tensors) && !dense::empty(&x) {
            true => layer_norm::layer_norm(x, affine, epsilon),
            false => reference::layer_norm::<Self>(x, affine, epsilon),
        }
    }

    fn layer_norm_gradient(
        x: FlexTensor,
        weight: Option<FlexTensor>,
        gradient: FlexTensor,
        epsilon: f32,
    ) -> NormGradients<Self> {
        let tensors = weight.iter().chain([&x, &gradient]);
        let compute = match dense::single(tensors) && !dense::empty(&x) {
            true => layer_norm::layer_norm_gradient,
            false => reference::layer_norm_gradient::<Self>,
        };
        compute(x, weight, gradient, epsilon)
    }

    fn gelu(x: FlexTensor) -> FlexTensor {
        match dense::single([&x]) {
            true => layer_norm::gelu(x),
            false => reference::gelu::<Self>(x),
        }
    }

    fn gelu_gradient(x: FlexTensor, gradient: FlexTensor) -> FlexTensor {
        match dense::single([&x, &gradient]) {
            true => layer_norm::gelu_gradient(x, gradient),
            false => reference::gelu_gradient::<Self>(x, gradient),
        }
    }

    fn gather_rows(x: FlexTensor, gather: &RowGather<FlexTensor>) -> FlexTensor {
        match dense::single([&x]) && !dense::empty(&x) && row_gather::is_known(gather) {
            true => row_gather::gather_rows(x, gather),
            false => reference::gather_rows::<Self>(x, gather),
        }
    }

    fn gather_rows_gradient(gradient: FlexTensor, gather: &RowGather<FlexTensor>) -> FlexTensor {
        match dense::single([&gradient]) && !dense::empty(&gradient) && row_gather::is_known(gather)
        {
            true => row_gather::gather_rows_gradient(gradient, gather),
            false => reference::gather_rows_gradient::<Self>(gradient, gather),
        }
    }

    fn squared_norm(tensors: &[FlexTensor]) -> FlexTensor {
        match dense::single(tensors) {
            true => optimizer::squared_norm(tensors),
            false => reference::squared_norm::<Self>(tensors),
        }
    }

    fn adamw(
        parameters: Vec<Moments<Self>>,
        step: AdamWStep,
        guard: Option<FlexTensor>,
    ) -> Vec<[FlexTensor; 3]> {
        let tensors = parameters.iter().flat_map(|parameter| {
            let Moments {
                weights,
                gradient,
                first,
                second,
            } = parameter;
            [weights, gradient, first, second]
        });
        match dense::single(tensors.chain(&guard)) {
            true => optimizer::adamw(parameters, step, guard),
            false => reference::adamw::<Self>(parameters, step, guard),
        }
    }

    fn sgd(
        parameters: Vec<Velocity<Self>>,
        step: SgdStep,
        guard: Option<FlexTensor>,
    ) -> Vec<[FlexTensor; 2]> {
        let tensors = parameters.iter().flat_map(|parameter| {
            let Velocity {
                weights,
                gradient,
                velocity,
            } = parameter;
            [weights, gradient, velocity]
        });
        match dense::single(tensors.chain(&guard)) {
            true => sgd::sgd(parameters, step, guard),
            false => reference::sgd::<Self>(parameters, step, guard),
        }
    }
}

#[cfg(test)]
mod tests;
