//! Operations with gradients.

mod backward;
mod registration;
mod transformer;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::ops::{Backward, OpsKind};
use burn::tensor::TensorMetadata;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::ops::{FloatTensor, IntTensor};

use crate::backend_ops::BackendOps;
use crate::batch_norm::BatchNormSettings;
use crate::differentiable_ops::DifferentiableOps;
use crate::geometry::ConvGeometry;
use crate::nonlinearity::Nonlinearity;
use crate::results::{BatchNormalized, Normalized};
use crate::row_gather::RowGather;
use backward::{
    BatchNormBackward, ConvBackward, ConvTransposeBackward, ConvWithBiasBackward, DiceCeBackward,
    DiceFocalBackward, InstanceNormBackward, LeakyReluBackward, PlainInstanceNormBackward,
    ResizeBackward,
};

impl<B: BackendOps, C: CheckpointStrategy> DifferentiableOps for Autodiff<B, C> {
    fn layer_conv(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let state = (x.primitive.clone(), weight.primitive.clone(), geometry);
        let plain_bias = bias.as_ref().map(|bias| bias.primitive.clone());
        let output = B::conv(x.primitive, weight.primitive, plain_bias, geometry);
        match bias {
            None => match ConvBackward
                .prepare::<C>([x.node, weight.node])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(state, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            },
            Some(bias) => match ConvWithBiasBackward
                .prepare::<C>([x.node, weight.node, bias.node])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(state, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            },
        }
    }

    fn layer_conv_transpose(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        output_shape: [usize; 3],
        geometry: ConvGeometry,
    ) -> FloatTensor<Self> {
        let state = (x.primitive.clone(), weight.primitive.clone(), geometry);
        let output = B::conv_input_gradient(x.primitive, weight.primitive, output_shape, geometry);
        match ConvTransposeBackward
            .prepare::<C>([x.node, weight.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn layer_instance_norm(
        x: FloatTensor<Self>,
        affine: Option<[FloatTensor<Self>; 2]>,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> FloatTensor<Self> {
        let plain_x = x.primitive.clone();
        let plain = affine.as_ref().map(|affine| {
            let [weight, bias] = affine;
            [weight.primitive.clone(), bias.primitive.clone()]
        });
        let normalized = B::instance_norm(x.primitive, plain.clone(), epsilon, nonlinearity);
        let Normalized { output, statistics } = normalized;
        let Some(([weight, bias], [plain_weight, plain_bias])) = affine.zip(plain) else {
            return match PlainInstanceNormBackward
                .prepare::<C>([x.node])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => {
                    prep.finish(([plain_x, statistics], nonlinearity), output)
                }
                OpsKind::UnTracked(prep) => prep.finish(output),
            };
        };
        match InstanceNormBackward
            .prepare::<C>([x.node, weight.node, bias.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let kept = [plain_x, statistics, plain_weight, plain_bias];
                prep.finish((kept, nonlinearity), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn layer_batch_norm(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        running: [FloatTensor<Self>; 2],
        settings: BatchNormSettings,
        nonlinearity: Nonlinearity,
    ) -> BatchNormalized<Self> {
        let [plain_x, plain_weight, plain_bias] =
            [&x, &weight, &bias].map(|tensor| tensor.primitive.clone());
        let [n, sx, sy, sz, _] = plain_x.shape().dims();
        let Normalized { output, statistics } = B::batch_norm(
            x.primitive,
            weight.primitive,
            bias.primitive,
            settings.epsilon,
            nonlinearity,
        );
        let running = B::update_running(
            running.map(|tensor| tensor.primitive),
            statistics.clone(),
            n * sx * sy * sz,
            settings,
        );
        let output = match BatchNormBackward
            .prepare::<C>([x.node, weight.node, bias.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let kept = [plain_x, statistics, plain_weight, plain_bias];
                prep.finish((kept, nonlinearity), output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        BatchNormalized {
            output,
            running: running.map(Self::from_inner),
        }
    }

    fn layer_leaky_relu(
        x: FloatTensor<Self>,
        addend: Option<FloatTensor<Self>>,
        slope: f32,
    ) -> FloatTensor<Self> {
        let (addend, addend_node) = match addend {
            Some(addend) => (Some(addend.primitive), Some(addend.node)),
            None => (None, None),
        };
        let output = B::leaky_relu_sum(x.primitive, addend, slope);
        let state = (output.clone(), slope);
        match addend_node {
            None => match LeakyReluBackward
                .prepare::<C>([x.node])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(state, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            },
            Some(addend) => match LeakyReluBackward
                .prepare::<C>([x.node, addend])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(state, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            },
        }
    }

    fn layer_resize_linear(x: FloatTensor<Self>, space: [usize; 3]) -> FloatTensor<Self> {
        let state = backward::space(&x.primitive);
        let output = B::resize_linear(x.primitive, space);
        match ResizeBackward
            .prepare::<C>([x.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(state, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn layer_dice_ce(logits: FloatTensor<Self>, classes: IntTensor<Self>) -> FloatTensor<Self> {
        let computed = B::dice_ce(logits.primitive.clone(), classes.clone());
        match DiceCeBackward
            .prepare::<C>([logits.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                prep.finish((logits.primitive, classes, computed.sums), computed.loss)
            }
            OpsKind::UnTracked(prep) => prep.finish(computed.loss),
        }
    }

    fn layer_dice_focal(logits: FloatTensor<Self>, classes: IntTensor<Self>) -> FloatTensor<Self> {
        let computed = B::dice_focal(logits.primitive.clone(), classes.clone());
        match DiceFocalBackward
            .prepare::<C>([logits.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                prep.finish((logits.primitive, classes, computed.sums), computed.loss)
            }
            OpsKind::UnTracked(prep) => prep.finish(computed.loss),
        }
    }

    fn layer_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: Option<FloatTensor<Self>>,
    ) -> FloatTensor<Self> {
        transformer::linear::<B, C>(x, weight, bias)
    }

    fn layer_window_attention(
        qkv: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        regions: Option<IntTensor<Self>>,
    ) -> FloatTensor<Self> {
        transformer::window_attention::<B, C>(qkv, bias, regions)
    }

    fn layer_layer_norm(
        x: FloatTensor<Self>,
        affine: Option<[FloatTensor<Self>; 2]>,
        epsilon: f32,
    ) -> FloatTensor<Self> {
        transformer::layer_norm::<B, C>(x, affine, epsilon)
    }

    fn layer_gelu(x: FloatTensor<Self>) -> FloatTensor<Self> {
        transformer::gelu::<B, C>(x)
    }

    fn layer_gather_rows(
        x: FloatTensor<Self>,
        gather: &RowGather<IntTensor<Self>>,
    ) -> FloatTensor<Self> {
        transformer::gather_rows::<B, C>(x, gather)
    }
}
