//! Operations with gradients.

mod registration;
mod transformer;

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
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
use registration::register;

/// Spatial shape of channels-last activations.
fn space<T: TensorMetadata>(activations: &T) -> [usize; 3] {
    let shape = activations.shape();
    [shape[1], shape[2], shape[3]]
}

#[derive(Debug)]
struct Conv;

impl<B: BackendOps> Backward<B, 2> for Conv {
    type State = (FloatTensor<B>, FloatTensor<B>, ConvGeometry);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, geometry) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x, to_weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        let input_shape = space(&x);
        register::<B>(gradients, to_weight, || {
            B::conv_weight_gradient(x, gradient.clone(), geometry)
        });
        register::<B>(gradients, to_x, || {
            B::conv_input_gradient(gradient, weight, input_shape, geometry)
        });
    }
}

#[derive(Debug)]
struct ConvWithBias;

impl<B: BackendOps> Backward<B, 3> for ConvWithBias {
    type State = (FloatTensor<B>, FloatTensor<B>, ConvGeometry);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, geometry) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x, to_weight, to_bias] = ops.parents.map(|parent| parent.map(|node| node.id));
        let input_shape = space(&x);
        register::<B>(gradients, to_bias, || B::bias_gradient(gradient.clone()));
        register::<B>(gradients, to_weight, || {
            B::conv_weight_gradient(x, gradient.clone(), geometry)
        });
        register::<B>(gradients, to_x, || {
            B::conv_input_gradient(gradient, weight, input_shape, geometry)
        });
    }
}

/// A transposed convolution is the gradient of a convolution, whose gradient is the convolution.
#[derive(Debug)]
struct ConvTranspose;

impl<B: BackendOps> Backward<B, 2> for ConvTranspose {
    type State = (FloatTensor<B>, FloatTensor<B>, ConvGeometry);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, geometry) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x, to_weight] = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(gradients, to_weight, || {
            B::conv_weight_gradient(gradient.clone(), x, geometry)
        });
        register::<B>(gradients, to_x, || {
            B::conv(gradient, weight, None, geometry)
        });
    }
}

#[derive(Debug)]
struct InstanceNorm;

impl<B: BackendOps> Backward<B, 3> for InstanceNorm {
    type State = ([FloatTensor<B>; 4], Nonlinearity);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let ([x, statistics, weight, bias], nonlinearity) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x, to_weight, to_bias] = ops.parents.map(|parent| parent.map(|node| node.id));
        let computed =
            B::instance_norm_gradient(x, statistics, weight, bias, gradient, nonlinearity);
        register::<B>(gradients, to_x, || computed.input);
        register::<B>(gradients, to_weight, || computed.weight);
        register::<B>(gradients, to_bias, || computed.bias);
    }
}

#[derive(Debug)]
struct BatchNorm;

impl<B: BackendOps> Backward<B, 3> for BatchNorm {
    type State = ([FloatTensor<B>; 4], Nonlinearity);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let ([x, statistics, weight, bias], nonlinearity) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x, to_weight, to_bias] = ops.parents.map(|parent| parent.map(|node| node.id));
        let computed = B::batch_norm_gradient(x, statistics, weight, bias, gradient, nonlinearity);
        register::<B>(gradients, to_x, || computed.input);
        register::<B>(gradients, to_weight, || computed.weight);
        register::<B>(gradients, to_bias, || computed.bias);
    }
}

#[derive(Debug)]
struct DiceCe;

impl<B: BackendOps> Backward<B, 1> for DiceCe {
    type State = (FloatTensor<B>, IntTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (logits, classes, sums) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_logits] = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(gradients, to_logits, || {
            B::dice_ce_gradient(logits, classes, sums, gradient)
        });
    }
}

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
            None => match Conv
                .prepare::<C>([x.node, weight.node])
                .compute_bound()
                .stateful()
            {
                OpsKind::Tracked(prep) => prep.finish(state, output),
                OpsKind::UnTracked(prep) => prep.finish(output),
            },
            Some(bias) => match ConvWithBias
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
        match ConvTranspose
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
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        epsilon: f32,
        nonlinearity: Nonlinearity,
    ) -> FloatTensor<Self> {
        let [plain_x, plain_weight, plain_bias] =
            [&x, &weight, &bias].map(|tensor| tensor.primitive.clone());
        let normalized = B::instance_norm(
            x.primitive,
            weight.primitive,
            bias.primitive,
            epsilon,
            nonlinearity,
        );
        match InstanceNorm
            .prepare::<C>([x.node, weight.node, bias.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => {
                let kept = [plain_x, normalized.statistics, plain_weight, plain_bias];
                prep.finish((kept, nonlinearity), normalized.output)
            }
            OpsKind::UnTracked(prep) => prep.finish(normalized.output),
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
        let output = match BatchNorm
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

    fn layer_dice_ce(logits: FloatTensor<Self>, classes: IntTensor<Self>) -> FloatTensor<Self> {
        let computed = B::dice_ce(logits.primitive.clone(), classes.clone());
        match DiceCe
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
