//! Convolutions and their gradients.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn::tensor::module;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions, FloatTensor};

use super::tensors::{same_type, single};
use crate::float_tensors::{primitive, tensor};
use crate::geometry::ConvGeometry;

/// `[N, X, Y, Z, C]` → `[N, C, X, Y, Z]`.
fn channels_first<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    x.permute([0, 4, 1, 2, 3])
}

/// `[N, C, X, Y, Z]` → `[N, X, Y, Z, C]`.
fn channels_last<B: Backend>(x: Tensor<B, 5>) -> Tensor<B, 5> {
    x.permute([0, 2, 3, 4, 1])
}

fn options(geometry: ConvGeometry) -> ConvOptions<3> {
    ConvOptions::new(geometry.stride, geometry.padding, [1; 3], 1)
}

pub fn conv<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    let x = tensor::<B, 5>(x);
    let dtype = x.dtype();
    let weight = same_type(tensor::<B, 5>(weight), dtype);
    let bias = bias.map(|bias| same_type(tensor::<B, 1>(bias), dtype));
    let y = module::conv3d(channels_first(x), weight, bias, options(geometry));
    primitive(channels_last(y))
}

pub fn conv_input_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    weight: FloatTensor<B>,
    input_shape: [usize; 3],
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    let gradient = tensor::<B, 5>(gradient);
    let [_, x, y, z, _] = gradient.dims();
    let plain = geometry.transposed_shape([x, y, z], [0; 3]);
    let extra = std::array::from_fn(|axis| input_shape[axis] - plain[axis]);
    let weight = same_type(tensor::<B, 5>(weight), gradient.dtype());
    let options = ConvTransposeOptions::new(geometry.stride, geometry.padding, extra, [1; 3], 1);
    let y = module::conv_transpose3d(channels_first(gradient), weight, None, options);
    primitive(channels_last(y))
}

pub fn conv_weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
    geometry: ConvGeometry,
) -> FloatTensor<B> {
    let x = single(channels_first(tensor::<B, 5>(x)));
    let gradient = single(channels_first(tensor::<B, 5>(gradient)));
    let [_, c, ..] = x.dims();
    let [_, k, ..] = gradient.dims();
    let [kx, ky, kz] = geometry.kernel;
    // Only its shape is read.
    let weight = Tensor::<B, 5>::zeros([k, c, kx, ky, kz], &x.device());
    B::conv3d_weight_backward(
        primitive(x),
        primitive(weight),
        primitive(gradient),
        options(geometry),
    )
}
