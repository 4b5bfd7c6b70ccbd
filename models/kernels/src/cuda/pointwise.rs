//! Convolutions of one tap: linear maps of voxels, for some of which cuDNN recommends algorithms that take a hundred times
//! as long.

use burn::tensor::ops::FloatTensorOps;
use burn::tensor::{FloatDType, Slice};

use super::backend::{Cuda, CudaTensor};
use super::linear;
use super::tensor::axes;
use crate::geometry::ConvGeometry;

pub fn conv(
    x: CudaTensor,
    weight: CudaTensor,
    bias: Option<CudaTensor>,
    geometry: ConvGeometry,
) -> CudaTensor {
    let x = picked(x, geometry);
    let [n, sx, sy, sz, _] = axes::<5>(&x);
    let [k, ..] = axes::<5>(&weight);
    let y = linear::linear(rows(x), matrix(weight), bias);
    Cuda::float_reshape(y, [n, sx, sy, sz, k].into())
}

pub fn input_gradient(
    gradient: CudaTensor,
    weight: CudaTensor,
    [x, y, z]: [usize; 3],
    geometry: ConvGeometry,
) -> CudaTensor {
    let [n, sx, sy, sz, _] = axes::<5>(&gradient);
    let [_, c, ..] = axes::<5>(&weight);
    let (device, dtype) = (gradient.device.clone(), gradient.dtype);
    let of_picked = linear::linear_input_gradient(rows(gradient), matrix(weight));
    let of_picked = Cuda::float_reshape(of_picked, [n, sx, sy, sz, c].into());
    if geometry.stride == [1; 3] {
        return of_picked;
    }
    let zeros = Cuda::float_zeros([n, x, y, z, c].into(), &device, FloatDType::from(dtype));
    Cuda::float_slice_assign(zeros, &slices(geometry), of_picked)
}

pub fn weight_gradient(x: CudaTensor, gradient: CudaTensor, geometry: ConvGeometry) -> CudaTensor {
    let x = picked(x, geometry);
    let [[.., c], [.., k]] = [&x, &gradient].map(axes::<5>);
    let weight = linear::linear_weight_gradient(rows(x), rows(gradient));
    Cuda::float_reshape(weight, [k, c, 1, 1, 1].into())
}

/// The voxels that outputs read.
fn picked(x: CudaTensor, geometry: ConvGeometry) -> CudaTensor {
    if geometry.stride == [1; 3] {
        return x;
    }
    Cuda::float_slice(x, &slices(geometry))
}

/// Of the axes of activations.
fn slices(geometry: ConvGeometry) -> [Slice; 5] {
    let [x, y, z] = geometry
        .stride
        .map(|stride| Slice::new(0, None, stride as isize));
    [Slice::full(), x, y, z, Slice::full()]
}

/// `[N, X, Y, Z, C]` → `[N X Y Z, C]`.
fn rows(x: CudaTensor) -> CudaTensor {
    let [n, sx, sy, sz, c] = axes::<5>(&x);
    Cuda::float_reshape(x, [n * sx * sy * sz, c].into())
}

/// `[K, C, 1, 1, 1]` → `[K, C]`.
fn matrix(weight: CudaTensor) -> CudaTensor {
    let [k, c, ..] = axes::<5>(&weight);
    Cuda::float_reshape(weight, [k, c].into())
}
