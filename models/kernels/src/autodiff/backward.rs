//! Gradients of operations.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::TensorMetadata;
use burn::tensor::ops::{FloatTensor, IntTensor};

use super::registration::register;
use crate::backend_ops::BackendOps;
use crate::geometry::ConvGeometry;
use crate::nonlinearity::Nonlinearity;
use crate::results::NormGradients;

/// Spatial shape of channels-last activations.
pub fn space<T: TensorMetadata>(activations: &T) -> [usize; 3] {
    let shape = activations.shape();
    [shape[1], shape[2], shape[3]]
}

#[derive(Debug)]
pub struct ConvBackward;

impl<B: BackendOps> Backward<B, 2> for ConvBackward {
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
pub struct ConvWithBiasBackward;

impl<B: BackendOps> Backward<B, 3> for ConvWithBiasBackward {
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
pub struct ConvTransposeBackward;

impl<B: BackendOps> Backward<B, 2> for ConvTransposeBackward {
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

/// A normalization with scale and shift.
#[derive(Debug)]
pub struct InstanceNormBackward;

impl<B: BackendOps> Backward<B, 3> for InstanceNormBackward {
    type State = ([FloatTensor<B>; 4], Nonlinearity);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let ([x, statistics, weight, bias], nonlinearity) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let affine = Some([weight, bias]);
        let computed = B::instance_norm_gradient(x, statistics, affine, gradient, nonlinearity);
        register_norm(gradients, parents, computed);
    }
}

#[derive(Debug)]
pub struct PlainInstanceNormBackward;

impl<B: BackendOps> Backward<B, 1> for PlainInstanceNormBackward {
    type State = ([FloatTensor<B>; 2], Nonlinearity);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let ([x, statistics], nonlinearity) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x] = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(gradients, to_x, || {
            B::instance_norm_gradient(x, statistics, None, gradient, nonlinearity).input
        });
    }
}

#[derive(Debug)]
pub struct BatchNormBackward;

impl<B: BackendOps> Backward<B, 3> for BatchNormBackward {
    type State = ([FloatTensor<B>; 4], Nonlinearity);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let ([x, statistics, weight, bias], nonlinearity) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let computed = B::batch_norm_gradient(x, statistics, weight, bias, gradient, nonlinearity);
        register_norm(gradients, parents, computed);
    }
}

/// Adds the gradients of input, scale and shift to those parents that are tracked.
pub fn register_norm<B: BackendOps>(
    gradients: &mut Gradients,
    [to_x, to_weight, to_bias]: [Option<NodeId>; 3],
    computed: NormGradients<B>,
) {
    register::<B>(gradients, to_x, || computed.input);
    if let Some([weight, bias]) = computed.affine {
        register::<B>(gradients, to_weight, || weight);
        register::<B>(gradients, to_bias, || bias);
    }
}

/// Leaky ReLU of one input, or of the sum of two.
#[derive(Debug)]
pub struct LeakyReluBackward;

impl<B: BackendOps, const N: usize> Backward<B, N> for LeakyReluBackward {
    type State = (FloatTensor<B>, f32);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (output, slope) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let computed = B::leaky_relu_gradient(output, gradient, slope);
        for parent in ops.parents {
            register::<B>(gradients, parent.map(|node| node.id), || computed.clone());
        }
    }
}

/// Of a linear resizing; the state is the shape of the input.
#[derive(Debug)]
pub struct ResizeBackward;

impl<B: BackendOps> Backward<B, 1> for ResizeBackward {
    type State = [usize; 3];

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x] = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(gradients, to_x, || {
            B::resize_linear_gradient(gradient, ops.state)
        });
    }
}

#[derive(Debug)]
pub struct DiceCeBackward;

impl<B: BackendOps> Backward<B, 1> for DiceCeBackward {
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

#[derive(Debug)]
pub struct DiceFocalBackward;

impl<B: BackendOps> Backward<B, 1> for DiceFocalBackward {
    type State = (FloatTensor<B>, IntTensor<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (logits, classes, sums) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_logits] = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(gradients, to_logits, || {
            B::dice_focal_gradient(logits, classes, sums, gradient)
        });
    }
}
