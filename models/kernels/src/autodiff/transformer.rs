//! Gradients of the operations of transformers.

use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::tensor::TensorMetadata;
use burn::tensor::ops::{FloatTensor, IntTensor};

use super::backward::register_norm;
use super::registration::register;
use crate::backend_ops::BackendOps;
use crate::results::Attended;
use crate::row_gather::RowGather;

/// Of a linear map with or without bias.
#[derive(Debug)]
struct Linear;

impl<B: BackendOps, const N: usize> Backward<B, N> for Linear {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let [x, weight] = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let mut parents = ops
            .parents
            .into_iter()
            .map(|parent| parent.map(|node| node.id));
        let [to_x, to_weight, to_bias] = [(); 3].map(|()| parents.next().flatten());
        register::<B>(gradients, to_bias, || {
            let [rows, outputs] = gradient.shape().dims();
            let voxels = B::float_reshape(gradient.clone(), [1, rows, 1, 1, outputs].into());
            B::bias_gradient(voxels)
        });
        register::<B>(gradients, to_weight, || {
            B::linear_weight_gradient(x, gradient.clone())
        });
        register::<B>(gradients, to_x, || {
            B::linear_input_gradient(gradient, weight)
        });
    }
}

pub fn linear<B: BackendOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    weight: FloatTensor<Autodiff<B, C>>,
    bias: Option<FloatTensor<Autodiff<B, C>>>,
) -> FloatTensor<Autodiff<B, C>> {
    let kept = [x.primitive.clone(), weight.primitive.clone()];
    let (bias, bias_node) = bias.map(|bias| (bias.primitive, bias.node)).unzip();
    let output = <B as BackendOps>::linear(x.primitive, weight.primitive, bias);
    match bias_node {
        None => match Linear
            .prepare::<C>([x.node, weight.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(kept, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        },
        Some(bias) => match Linear
            .prepare::<C>([x.node, weight.node, bias])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish(kept, output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        },
    }
}

#[derive(Debug)]
struct WindowAttention;

impl<B: BackendOps> Backward<B, 2> for WindowAttention {
    type State = ([FloatTensor<B>; 2], Option<IntTensor<B>>, Attended<B>);

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let ([qkv, bias], regions, attended) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_qkv, to_bias] = ops.parents.map(|parent| parent.map(|node| node.id));
        let computed = B::window_attention_gradient(qkv, bias, regions, attended, gradient);
        register::<B>(gradients, to_qkv, || computed.qkv);
        register::<B>(gradients, to_bias, || computed.bias);
    }
}

pub fn window_attention<B: BackendOps, C: CheckpointStrategy>(
    qkv: FloatTensor<Autodiff<B, C>>,
    bias: FloatTensor<Autodiff<B, C>>,
    regions: Option<IntTensor<B>>,
) -> FloatTensor<Autodiff<B, C>> {
    let kept = [qkv.primitive.clone(), bias.primitive.clone()];
    let attended = B::window_attention(qkv.primitive, bias.primitive, regions.clone());
    match WindowAttention
        .prepare::<C>([qkv.node, bias.node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => {
            let output = attended.output.clone();
            prep.finish((kept, regions, attended), output)
        }
        OpsKind::UnTracked(prep) => prep.finish(attended.output),
    }
}

/// Without weight and bias.
#[derive(Debug)]
struct PlainLayerNorm;

impl<B: BackendOps> Backward<B, 1> for PlainLayerNorm {
    type State = (FloatTensor<B>, f32);

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, epsilon) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x] = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(gradients, to_x, || {
            B::layer_norm_gradient(x, None, gradient, epsilon).input
        });
    }
}

#[derive(Debug)]
struct LayerNorm;

impl<B: BackendOps> Backward<B, 3> for LayerNorm {
    type State = (FloatTensor<B>, FloatTensor<B>, f32);

    fn backward(self, ops: Ops<Self::State, 3>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let (x, weight, epsilon) = ops.state;
        let gradient = gradients.consume::<B>(&ops.node);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        let computed = B::layer_norm_gradient(x, Some(weight), gradient, epsilon);
        register_norm(gradients, parents, computed);
    }
}

pub fn layer_norm<B: BackendOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    affine: Option<[FloatTensor<Autodiff<B, C>>; 2]>,
    epsilon: f32,
) -> FloatTensor<Autodiff<B, C>> {
    let kept = x.primitive.clone();
    let Some([weight, bias]) = affine else {
        let output = <B as BackendOps>::layer_norm(x.primitive, None, epsilon);
        return match PlainLayerNorm
            .prepare::<C>([x.node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((kept, epsilon), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
    };
    let kept_weight = weight.primitive.clone();
    let affine = [weight.primitive, bias.primitive];
    let output = <B as BackendOps>::layer_norm(x.primitive, Some(affine), epsilon);
    match LayerNorm
        .prepare::<C>([x.node, weight.node, bias.node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prep) => prep.finish((kept, kept_weight, epsilon), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Debug)]
struct Gelu;

impl<B: BackendOps> Backward<B, 1> for Gelu {
    type State = FloatTensor<B>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x] = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(gradients, to_x, || B::gelu_gradient(ops.state, gradient));
    }
}

pub fn gelu<B: BackendOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
) -> FloatTensor<Autodiff<B, C>> {
    let kept = x.primitive.clone();
    let output = <B as BackendOps>::gelu(x.primitive);
    match Gelu.prepare::<C>([x.node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(kept, output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}

#[derive(Debug)]
struct GatherRows;

impl<B: BackendOps> Backward<B, 1> for GatherRows {
    type State = RowGather<IntTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = gradients.consume::<B>(&ops.node);
        let [to_x] = ops.parents.map(|parent| parent.map(|node| node.id));
        register::<B>(gradients, to_x, || {
            B::gather_rows_gradient(gradient, &ops.state)
        });
    }
}

pub fn gather_rows<B: BackendOps, C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<B, C>>,
    gather: &RowGather<IntTensor<B>>,
) -> FloatTensor<Autodiff<B, C>> {
    let output = B::gather_rows(x.primitive, gather);
    match GatherRows.prepare::<C>([x.node]).compute_bound().stateful() {
        OpsKind::Tracked(prep) => prep.finish(gather.clone(), output),
        OpsKind::UnTracked(prep) => prep.finish(output),
    }
}
