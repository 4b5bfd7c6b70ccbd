//! Convolutions and their gradients.

use burn::tensor::ops::FloatTensorOps;
use burn::tensor::{TensorData, TensorMetadata};
use burn_flex::Flex;

use super::{Numbers, assert_close, float, values};
use crate::backend_ops::BackendOps;
use crate::geometry::ConvGeometry;
use crate::reference;

/// Convolutions: cases, input shape, input and output channels, geometry.
const CONVOLUTIONS: &[([usize; 4], [usize; 2], ConvGeometry)] = &[
    ([1, 1, 1, 1], [1, 1], geometry([1; 3], [1; 3], [0; 3])),
    ([2, 4, 5, 3], [3, 5], geometry([1; 3], [1; 3], [0; 3])),
    ([1, 4, 5, 6], [8, 2], geometry([1; 3], [2; 3], [0; 3])),
    ([2, 6, 5, 7], [8, 8], geometry([3; 3], [1; 3], [1; 3])),
    ([1, 5, 6, 4], [1, 8], geometry([3; 3], [1; 3], [1; 3])),
    ([2, 4, 6, 4], [20, 17], geometry([3; 3], [1; 3], [1; 3])),
    ([2, 2, 3, 2], [64, 64], geometry([3; 3], [1; 3], [1; 3])),
    ([1, 7, 9, 5], [16, 32], geometry([3; 3], [2; 3], [1; 3])),
    ([1, 8, 6, 4], [5, 3], geometry([3; 3], [2; 3], [1; 3])),
    (
        [2, 5, 6, 4],
        [3, 20],
        geometry([3, 3, 1], [1; 3], [1, 1, 0]),
    ),
    (
        [1, 7, 6, 5],
        [5, 8],
        geometry([3, 3, 1], [2, 2, 1], [1, 1, 0]),
    ),
    (
        [1, 6, 7, 8],
        [4, 6],
        geometry([1, 3, 5], [1, 2, 3], [0, 1, 2]),
    ),
    ([1, 5, 4, 6], [3, 4], geometry([2; 3], [2; 3], [0; 3])),
    ([1, 3, 4, 5], [2, 9], geometry([3; 3], [1; 3], [0; 3])),
    ([1, 3, 2, 2], [2, 3], geometry([3; 3], [1; 3], [2, 1, 3])),
    ([3, 40, 5, 9], [8, 16], geometry([3; 3], [1; 3], [1; 3])),
    // One voxel per token, and its transpose.
    ([2, 4, 6, 8], [1, 12], geometry([2; 3], [2; 3], [0; 3])),
    ([1, 6, 4, 8], [24, 96], geometry([2; 3], [2; 3], [0; 3])),
    // Kernels of planes and of lines.
    (
        [1, 5, 6, 7],
        [20, 20],
        geometry([3, 1, 3], [1; 3], [1, 0, 1]),
    ),
    (
        [1, 5, 6, 7],
        [20, 20],
        geometry([1, 3, 3], [1; 3], [0, 1, 1]),
    ),
    (
        [2, 5, 4, 6],
        [16, 9],
        geometry([1, 1, 3], [1; 3], [0, 0, 1]),
    ),
    (
        [2, 5, 4, 6],
        [16, 9],
        geometry([1, 3, 1], [1; 3], [0, 1, 0]),
    ),
    (
        [2, 5, 4, 6],
        [16, 9],
        geometry([3, 1, 1], [1; 3], [1, 0, 0]),
    ),
    // Many channels over few voxels.
    ([1, 3, 2, 3], [1536, 96], geometry([1; 3], [1; 3], [0; 3])),
    ([2, 2, 2, 3], [96, 768], geometry([1; 3], [1; 3], [0; 3])),
    ([1, 3, 3, 2], [192, 96], geometry([3; 3], [1; 3], [1; 3])),
    ([1, 4, 2, 6], [64, 128], geometry([1; 3], [2; 3], [0; 3])),
];

const fn geometry(kernel: [usize; 3], stride: [usize; 3], padding: [usize; 3]) -> ConvGeometry {
    ConvGeometry {
        kernel,
        stride,
        padding,
    }
}

/// Data of one convolution: input, weights, bias and the gradient of the output.
fn convolution_data(
    [n, x, y, z]: [usize; 4],
    [c, k]: [usize; 2],
    geometry: ConvGeometry,
) -> [TensorData; 4] {
    let mut numbers = Numbers::new((n + x + y + z + c + k) as u64);
    let [kx, ky, kz] = geometry.kernel;
    let [ox, oy, oz] = geometry.output_shape([x, y, z]);
    [
        numbers.floats([n, x, y, z, c]),
        numbers.floats([k, c, kx, ky, kz]),
        numbers.floats([k]),
        numbers.floats([n, ox, oy, oz, k]),
    ]
}

/// Convolutions and all their gradients.
pub fn check_convolutions<B: BackendOps>(tolerance: f32) {
    for &(shape, channels, geometry) in CONVOLUTIONS {
        let what = |of: &str| format!("{of} of {shape:?} {channels:?} {geometry:?}");
        let space = [shape[1], shape[2], shape[3]];
        let [x, weight, bias, gradient] = convolution_data(shape, channels, geometry);
        for bias in [None, Some(bias)] {
            let actual = B::conv(
                float::<B>(&x),
                float::<B>(&weight),
                bias.as_ref().map(float::<B>),
                geometry,
            );
            assert_eq!(actual.shape(), gradient.shape, "{}", what("shape"));
            let expected = reference::conv::<Flex>(
                float::<Flex>(&x),
                float::<Flex>(&weight),
                bias.as_ref().map(float::<Flex>),
                geometry,
            );
            let expected = values::<Flex>(expected);
            assert_close(&what("output"), &values::<B>(actual), &expected, tolerance);
        }
        let actual =
            B::conv_input_gradient(float::<B>(&gradient), float::<B>(&weight), space, geometry);
        assert_eq!(actual.shape(), x.shape, "{}", what("shape"));
        let expected = reference::conv_input_gradient::<Flex>(
            float::<Flex>(&gradient),
            float::<Flex>(&weight),
            space,
            geometry,
        );
        let expected = values::<Flex>(expected);
        assert_close(
            &what("input gradient"),
            &values::<B>(actual),
            &expected,
            tolerance,
        );
        let actual = B::conv_weight_gradient(float::<B>(&x), float::<B>(&gradient), geometry);
        assert_eq!(actual.shape(), weight.shape, "{}", what("shape"));
        let expected = reference::conv_weight_gradient::<Flex>(
            float::<Flex>(&x),
            float::<Flex>(&gradient),
            geometry,
        );
        let expected = values::<Flex>(expected);
        assert_close(
            &what("weight gradient"),
            &values::<B>(actual),
            &expected,
            tolerance,
        );
        let actual = values::<B>(B::bias_gradient(float::<B>(&gradient)));
        let expected = values::<Flex>(reference::bias_gradient::<Flex>(float::<Flex>(&gradient)));
        assert_close(&what("bias gradient"), &actual, &expected, tolerance);
    }
}

/// Inputs need not be row-major.
pub fn check_permuted_convolution<B: BackendOps>(tolerance: f32) {
    let mut numbers = Numbers::new(3);
    let geometry = geometry([3; 3], [1; 3], [1; 3]);
    let (x, weight) = (
        numbers.floats([2, 5, 4, 3, 6]),
        numbers.floats([5, 3, 3, 3, 3]),
    );
    let actual = B::conv(
        B::float_permute(float::<B>(&x), &[0, 1, 2, 4, 3]),
        B::float_permute(float::<B>(&weight), &[0, 1, 4, 3, 2]),
        None,
        geometry,
    );
    let expected = reference::conv::<Flex>(
        Flex::float_permute(float::<Flex>(&x), &[0, 1, 2, 4, 3]),
        Flex::float_permute(float::<Flex>(&weight), &[0, 1, 4, 3, 2]),
        None,
        geometry,
    );
    let expected = values::<Flex>(expected);
    assert_close("permuted", &values::<B>(actual), &expected, tolerance);
}
