//! Output shapes of convolutions.

use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, ConvTranspose3d};
use burn::tensor::backend::Backend;

use super::shape::Shape;

/// Output shape of a convolution of a volume.
///
/// **Definition**: `floor((n + 2 p - d (k - 1) - 1) / s) + 1` voxels along each axis; with implicit padding
/// `ceil(n / s)`.
#[track_caller]
pub fn conv_shape<B: Backend>(layer: &Conv3d<B>, x: &Shape) -> Shape {
    let [outputs, inputs, ..] = layer.weight.dims();
    let (_, space) = x.volume();
    let padding = match layer.padding {
        PaddingConfig3d::Explicit(x, y, z) => Some([x, y, z]),
        PaddingConfig3d::Valid => Some([0; 3]),
        PaddingConfig3d::Same => None,
    };
    let space = std::array::from_fn(|axis| {
        let (size, stride) = (space[axis], layer.stride[axis]);
        let Some(padding) = padding else {
            return size.div_ceil(stride);
        };
        let extent = layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1;
        let room = (size + 2 * padding[axis]).checked_sub(extent);
        room.map_or(0, |room| room / stride + 1)
    });
    x.convolved([inputs * layer.groups, outputs], space)
}

/// Output shape of a transposed convolution of a volume.
///
/// **Definition**: `(n - 1) s - 2 p + d (k - 1) + 1 + extra` voxels along each axis.
#[track_caller]
pub fn conv_transpose_shape<B: Backend>(layer: &ConvTranspose3d<B>, x: &Shape) -> Shape {
    let [inputs, outputs, ..] = layer.weight.dims();
    let (_, space) = x.volume();
    let space = std::array::from_fn(|axis| {
        let extent = layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1;
        let whole = (space[axis] - 1) * layer.stride[axis] + extent + layer.padding_out[axis];
        whole.saturating_sub(2 * layer.padding[axis])
    });
    x.convolved([inputs, outputs * layer.groups], space)
}
