//! Rows at constant indices.

use burn::tensor::TensorMetadata;
use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};

use crate::row_gather::RowGather;

pub fn gather_rows<B: Backend>(
    x: FloatTensor<B>,
    gather: &RowGather<IntTensor<B>>,
) -> FloatTensor<B> {
    B::float_select(x, 1, gather.indices.clone())
}

pub fn gather_rows_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    gather: &RowGather<IntTensor<B>>,
) -> FloatTensor<B> {
    let [n, _, c]: [usize; 3] = gradient.shape().dims();
    let device = B::float_device(&gradient);
    let dtype = gradient.dtype().into();
    let zeros = B::float_zeros([n, gather.rows, c].into(), &device, dtype);
    B::float_select_add(zeros, 1, gather.indices.clone(), gradient)
}
