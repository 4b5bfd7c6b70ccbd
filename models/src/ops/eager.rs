//! Computes a forward pass.

use std::ops::Range;

use burn::module::Param;
use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, ConvTranspose3d};
use burn::tensor::backend::Backend;
use burn::tensor::{DType, Slice, Tensor, TensorMetadata};
use vesal_kernels::{ConvGeometry, DifferentiableOps, Nonlinearity};

use super::constant::{Constant, Indices};
use super::convolution::{conv_shape, conv_transpose_shape};
use super::network_ops::NetworkOps;
use super::shape::Shape;
use super::value::{CHANNELS_LAST, EagerValue, primitive, tensor};
use super::window_attention::WindowAttention;
use crate::blocks::{BatchNorm, InstanceNorm, LayerNorm, Linear};

/// Computes immediately with the kernels of a backend.
///
/// Volumes lie in memory channels last, `[N, X, Y, Z, C]`: the order of the kernels. Convolutions with dilation, groups
/// or implicit padding are Burn's own.
#[derive(Debug, Clone)]
pub struct Eager<B: Backend> {
    device: B::Device,
}

impl<B: Backend> Eager<B> {
    /// On the device where the network and its input are.
    pub fn new(device: &B::Device) -> Self {
        Self {
            device: device.clone(),
        }
    }
}

impl<B: DifferentiableOps> NetworkOps<B> for Eager<B> {
    type Value = EagerValue<B>;

    fn shape<'v>(&self, x: &'v EagerValue<B>) -> &'v Shape {
        &x.shape
    }

    fn parameter<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) -> EagerValue<B> {
        let shape = Shape::fixed(parameter.dims());
        EagerValue::in_order(primitive(parameter.val()), shape)
    }

    fn constant(&mut self, constant: &Constant) -> EagerValue<B> {
        EagerValue::in_order(constant.on::<B>(&self.device), constant.shape().clone())
    }

    fn conv(&mut self, layer: &Conv3d<B>, x: EagerValue<B>) -> EagerValue<B> {
        let shape = conv_shape(layer, &x.shape);
        let x = x.into_channels_last();
        let padding = match layer.padding {
            PaddingConfig3d::Explicit(x, y, z) => Some([x, y, z]),
            PaddingConfig3d::Valid => Some([0; 3]),
            PaddingConfig3d::Same => None,
        };
        let plain = layer.dilation == [1; 3] && layer.groups == 1;
        let y = match padding.filter(|_| plain) {
            None => channels_last(layer.forward(channels_first(x))),
            Some(padding) => {
                let geometry = ConvGeometry {
                    kernel: layer.kernel_size,
                    stride: layer.stride,
                    padding,
                };
                let bias = layer.bias.as_ref().map(|bias| bias.val());
                vesal_kernels::conv(x, layer.weight.val(), bias, geometry)
            }
        };
        EagerValue::channels_last(y, shape)
    }

    fn conv_transpose(&mut self, layer: &ConvTranspose3d<B>, x: EagerValue<B>) -> EagerValue<B> {
        let shape = conv_transpose_shape(layer, &x.shape);
        let x = x.into_channels_last();
        let plain = layer.dilation == [1; 3] && layer.groups == 1 && layer.bias.is_none();
        let y = if plain {
            let geometry = ConvGeometry {
                kernel: layer.kernel_size,
                stride: layer.stride,
                padding: layer.padding,
            };
            let (_, space) = shape.volume();
            vesal_kernels::conv_transpose(x, layer.weight.val(), space, geometry)
        } else {
            channels_last(layer.forward(channels_first(x)))
        };
        EagerValue::channels_last(y, shape)
    }

    fn instance_norm(&mut self, layer: &InstanceNorm<B>, x: EagerValue<B>) -> EagerValue<B> {
        normalize(layer, x, Nonlinearity::Identity)
    }

    fn norm_relu(&mut self, layer: &InstanceNorm<B>, x: EagerValue<B>) -> EagerValue<B> {
        normalize(layer, x, Nonlinearity::Relu)
    }

    fn norm_leaky_relu(
        &mut self,
        layer: &InstanceNorm<B>,
        x: EagerValue<B>,
        slope: f32,
    ) -> EagerValue<B> {
        normalize(layer, x, Nonlinearity::LeakyRelu(slope))
    }

    fn batch_norm(&mut self, layer: &BatchNorm<B>, x: EagerValue<B>) -> EagerValue<B> {
        normalize_batch(layer, x, Nonlinearity::Identity)
    }

    fn batch_norm_relu(&mut self, layer: &BatchNorm<B>, x: EagerValue<B>) -> EagerValue<B> {
        normalize_batch(layer, x, Nonlinearity::Relu)
    }

    fn resize_linear(&mut self, x: EagerValue<B>, space: [usize; 3]) -> EagerValue<B> {
        let shape = x.shape.resized(space);
        let y = vesal_kernels::resize_linear(x.into_channels_last(), space);
        EagerValue::channels_last(y, shape)
    }

    fn relu(&mut self, x: EagerValue<B>) -> EagerValue<B> {
        x.each(|x| B::layer_leaky_relu(x, None, 0.0))
    }

    fn leaky_relu(&mut self, x: EagerValue<B>, slope: f32) -> EagerValue<B> {
        x.each(|x| B::layer_leaky_relu(x, None, slope))
    }

    fn add_leaky_relu(&mut self, a: EagerValue<B>, b: EagerValue<B>, slope: f32) -> EagerValue<B> {
        a.with_each(b, |a, b| B::layer_leaky_relu(a, Some(b), slope))
    }

    fn gelu(&mut self, x: EagerValue<B>) -> EagerValue<B> {
        x.each(B::layer_gelu)
    }

    fn add(&mut self, a: EagerValue<B>, b: EagerValue<B>) -> EagerValue<B> {
        a.with_each(b, B::float_add)
    }

    fn mul(&mut self, a: EagerValue<B>, b: EagerValue<B>) -> EagerValue<B> {
        a.with_each(b, B::float_mul)
    }

    fn scale(&mut self, x: EagerValue<B>, factor: f32) -> EagerValue<B> {
        x.each(|x| B::float_mul_scalar(x, factor.into()))
    }

    fn linear(&mut self, layer: &Linear<B>, x: EagerValue<B>) -> EagerValue<B> {
        let shape = x.shape.mapped(layer.channels());
        let x = x.last_in_place();
        // One matrix product rather than one per leading index.
        let mut sizes: Vec<usize> = x.tensor.shape().to_vec();
        let inputs = sizes.pop().unwrap_or_default();
        let rows: usize = sizes.iter().product();
        let flat = B::float_reshape(x.tensor.clone(), [rows, inputs].into());
        let bias = layer.bias.as_ref().map(Param::val);
        let y = vesal_kernels::linear(tensor(flat), layer.weight.val(), bias);
        sizes.push(shape.last());
        let y = B::float_reshape(primitive(y), sizes.into());
        x.with(y, shape)
    }

    fn matmul(&mut self, a: EagerValue<B>, b: EagerValue<B>) -> EagerValue<B> {
        let shape = a.shape.multiplied(&b.shape);
        let (a, b) = a.with_type_of(b);
        let rank = shape.rank();
        let (a, b) = (a.ordered().with_rank(rank), b.ordered().with_rank(rank));
        EagerValue::in_order(B::float_matmul(a.tensor, b.tensor), shape)
    }

    fn softmax(&mut self, x: EagerValue<B>) -> EagerValue<B> {
        let last = x.shape.rank() - 1;
        x.last_in_place().in_single(|x| B::softmax(x, last))
    }

    fn layer_norm(&mut self, layer: &LayerNorm<B>, x: EagerValue<B>) -> EagerValue<B> {
        let last = x.shape.rank() - 1;
        x.shape.normalized(last, layer.channels);
        let [weight, bias] = [&layer.weight, &layer.bias].map(|own| own.as_ref().map(Param::val));
        let x = x.last_in_place();
        let sizes = x.tensor.shape();
        let rows = sizes.num_elements() / layer.channels;
        let flat = B::float_reshape(x.tensor.clone(), [1, rows, layer.channels].into());
        let y = vesal_kernels::layer_norm(tensor(flat), weight, bias, layer.epsilon as f32);
        let y = B::float_reshape(primitive(y), sizes);
        let shape = x.shape.clone();
        x.with(y, shape)
    }

    fn window_attention(&mut self, attention: WindowAttention<EagerValue<B>>) -> EagerValue<B> {
        let WindowAttention {
            qkv,
            bias,
            regions,
            heads,
        } = attention;
        let sizes = qkv.shape.sizes();
        let (windows, tokens, channels) = (sizes[0], sizes[1], sizes[2] / 3);
        assert!(
            bias.shape.sizes() == [heads, tokens, tokens] && channels % heads == 0,
            "a bias {} does not fit {heads} heads of {}",
            bias.shape,
            qkv.shape
        );
        let shape = Shape::batched([windows, tokens, channels]);
        let regions = regions.map(|regions| {
            let ids = regions.ids().on::<B>(&self.device);
            let count = ids.shape().num_elements() / tokens;
            Tensor::from_primitive(B::int_reshape(ids, [count, tokens].into()))
        });
        let bias = bias.cast(DType::F32).into_tensor();
        let y = vesal_kernels::window_attention(qkv.into_tensor(), bias, regions);
        EagerValue::in_order(primitive(y), shape)
    }

    fn reshape(&mut self, x: EagerValue<B>, shape: &Shape) -> EagerValue<B> {
        let shape = x.shape.reshaped(shape);
        let sizes = shape.sizes_for(x.cases());
        let x = x.ordered();
        EagerValue::in_order(B::float_reshape(x.tensor, sizes.into()), shape)
    }

    fn transpose(&mut self, x: EagerValue<B>, axes: &[usize]) -> EagerValue<B> {
        let shape = x.shape.transposed(axes);
        let order = x.order.iter().map(|axis| {
            let place = axes.iter().position(|found| found == axis);
            place.expect("an order of the axes")
        });
        EagerValue {
            order: order.collect(),
            tensor: x.tensor,
            shape,
        }
    }

    fn gather(&mut self, x: EagerValue<B>, axis: usize, indices: &Indices) -> EagerValue<B> {
        let shape = x
            .shape
            .gathered(axis, indices.values().len(), indices.largest());
        let place = x.place(axis);
        let mut sizes = x.tensor.shape().to_vec();
        let before: usize = sizes[..place].iter().product();
        let after: usize = sizes[place + 1..].iter().product();
        let rows = std::mem::replace(&mut sizes[place], indices.values().len());
        let flat = B::float_reshape(x.tensor.clone(), [before, rows, after].into());
        let gather = indices.of_rows::<B>(rows, &self.device);
        let y = vesal_kernels::gather_rows::<B>(tensor(flat), &gather);
        x.with(B::float_reshape(primitive(y), sizes.into()), shape)
    }

    fn slice(
        &mut self,
        x: EagerValue<B>,
        axis: usize,
        range: Range<usize>,
        step: usize,
    ) -> EagerValue<B> {
        let shape = x.shape.sliced(axis, &range, step);
        let mut slices = vec![Slice::full(); shape.rank()];
        slices[x.place(axis)] = Slice::new(
            range.start as isize,
            Some(range.end as isize),
            step as isize,
        );
        let y = B::float_slice(x.tensor.clone(), &slices);
        x.with(y, shape)
    }

    fn subsample(&mut self, x: EagerValue<B>, start: usize, step: usize) -> EagerValue<B> {
        let (_, space) = x.shape.volume();
        let mut shape = x.shape.clone();
        let mut slices = vec![Slice::full(); shape.rank()];
        for (axis, size) in (2..5).zip(space) {
            shape = shape.sliced(axis, &(start..size), step);
            let end = Some(size as isize);
            slices[x.place(axis)] = Slice::new(start as isize, end, step as isize);
        }
        x.with(B::float_slice(x.tensor.clone(), &slices), shape)
    }

    fn concat(&mut self, values: Vec<EagerValue<B>>, axis: usize) -> EagerValue<B> {
        let shape = Shape::concatenated(values.iter().map(|value| &value.shape), axis);
        let first = &values[0];
        let (order, place, dtype) = (first.order.clone(), first.place(axis), first.tensor.dtype());
        let tensors = values.into_iter();
        let tensors = tensors.map(|value| value.arranged(&order).cast(dtype).tensor);
        EagerValue {
            tensor: B::float_cat(tensors.collect(), place),
            shape,
            order,
        }
    }

    fn pad(&mut self, x: EagerValue<B>, widths: &[[usize; 2]]) -> EagerValue<B> {
        let shape = x.shape.padded(widths);
        if shape == x.shape {
            return x;
        }
        let sizes = shape.sizes_for(x.cases());
        let inside: Vec<Slice> = x
            .order
            .iter()
            .zip(x.tensor.shape().to_vec())
            .map(|(&axis, size)| {
                let before = widths[axis][0] as isize;
                Slice::new(before, Some(before + size as isize), 1)
            })
            .collect();
        let sizes: Vec<usize> = x.order.iter().map(|&axis| sizes[axis]).collect();
        let zeros = B::float_zeros(sizes.into(), &self.device, x.tensor.dtype().into());
        let y = B::float_slice_assign(zeros, &inside, x.tensor.clone());
        x.with(y, shape)
    }
}

/// Instance normalization of a volume, and a nonlinearity.
fn normalize<B: DifferentiableOps>(
    layer: &InstanceNorm<B>,
    x: EagerValue<B>,
    nonlinearity: Nonlinearity,
) -> EagerValue<B> {
    let shape = x.shape.normalized(1, layer.channels);
    EagerValue::channels_last(layer.forward(x.into_channels_last(), nonlinearity), shape)
}

/// Batch normalization of a volume, and a nonlinearity.
fn normalize_batch<B: DifferentiableOps>(
    layer: &BatchNorm<B>,
    x: EagerValue<B>,
    nonlinearity: Nonlinearity,
) -> EagerValue<B> {
    let [channels] = layer.weight.dims();
    let shape = x.shape.normalized(1, channels);
    EagerValue::channels_last(layer.forward(x.into_channels_last(), nonlinearity), shape)
}

/// `[N, X, Y, Z, C]` → `[N, C, X, Y, Z]`, a view.
fn channels_first<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    x.permute([0, 4, 1, 2, 3])
}

/// `[N, C, X, Y, Z]` → `[N, X, Y, Z, C]`, a view.
fn channels_last<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    x.permute(CHANNELS_LAST)
}
