//! Linear maps and their gradients.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

use super::tensors::{same_type, single};
use crate::float_tensors::{primitive, tensor};

pub fn linear<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
) -> FloatTensor<B> {
    let x = tensor::<B, 2>(x);
    let dtype = x.dtype();
    let y = x.matmul(same_type(tensor::<B, 2>(weight), dtype).transpose());
    primitive(match bias {
        Some(bias) => y + same_type(tensor::<B, 1>(bias), dtype).unsqueeze(),
        None => y,
    })
}

pub fn linear_input_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    weight: FloatTensor<B>,
) -> FloatTensor<B> {
    let gradient = tensor::<B, 2>(gradient);
    let weight = same_type(tensor::<B, 2>(weight), gradient.dtype());
    primitive(gradient.matmul(weight))
}

pub fn linear_weight_gradient<B: Backend>(
    x: FloatTensor<B>,
    gradient: FloatTensor<B>,
) -> FloatTensor<B> {
    let [x, gradient] = [x, gradient].map(|rows| single(tensor::<B, 2>(rows)));
    primitive(gradient.transpose().matmul(x))
}
