//! Linear resizing of volumes, by products with matrices.

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorData};

use super::tensors::same_type;
use crate::float_tensors::{primitive, tensor};
use crate::resizing::resizing_matrix;

pub fn resize_linear<B: Backend>(x: FloatTensor<B>, space: [usize; 3]) -> FloatTensor<B> {
    let mut y = tensor::<B, 5>(x);
    for (axis, to) in space.into_iter().enumerate() {
        y = multiplied(y, axis + 1, to, |from| resizing_matrix(from, to));
    }
    primitive(y)
}

pub fn resize_linear_gradient<B: Backend>(
    gradient: FloatTensor<B>,
    space: [usize; 3],
) -> FloatTensor<B> {
    let mut y = tensor::<B, 5>(gradient);
    for (axis, from) in space.into_iter().enumerate() {
        y = multiplied(y, axis + 1, from, |to| {
            let matrix = resizing_matrix(from, to);
            let turned = (0..from * to).map(|at| matrix[at % to * from + at / to]);
            turned.collect()
        });
    }
    primitive(y)
}

/// An axis multiplied with a matrix `[rows, columns]`, which is made for its length.
fn multiplied<B: Backend>(
    x: Tensor<B, 5>,
    axis: usize,
    rows: usize,
    matrix: impl FnOnce(usize) -> Vec<f32>,
) -> Tensor<B, 5> {
    let mut sizes = x.dims();
    let columns = std::mem::replace(&mut sizes[axis], rows);
    if columns == rows {
        return x;
    }
    let before: usize = sizes[..axis].iter().product();
    let after: usize = sizes[axis + 1..].iter().product();
    let matrix = TensorData::new(matrix(columns), [1, rows, columns]);
    let matrix = Tensor::<B, 3>::from_data(matrix, &x.device());
    let matrix = same_type(matrix, x.dtype());
    let x = x.reshape([before, columns, after]);
    matrix.matmul(x).reshape(sizes)
}
