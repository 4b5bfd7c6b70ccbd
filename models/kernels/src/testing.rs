//! Tests of a backend's kernels against the reference on the processor.

use burn::tensor::ops::{FloatTensor, IntTensor};
use burn::tensor::{Int, Shape, Tensor, TensorData, TensorMetadata, TensorPrimitive};
use burn_flex::Flex;

use crate::backend_ops::BackendOps;
use crate::nonlinearity::Nonlinearity;
use crate::results::NormGradients;

mod batch_norm;
mod convolution;
mod loss;
mod normalization;
mod optimizer;

pub use batch_norm::check_batch_norm;
pub use convolution::{check_convolutions, check_permuted_convolution};
pub use loss::{check_dice_ce, check_dice_focal};
pub use normalization::{check_instance_norm, check_leaky_relu};
pub use optimizer::{check_adamw, check_sgd, check_squared_norm};

/// A nonlinearity of each kind.
pub const NONLINEARITIES: [Nonlinearity; 3] = [
    Nonlinearity::Identity,
    Nonlinearity::Relu,
    Nonlinearity::LeakyRelu(0.01),
];

/// Deterministic pseudorandom numbers.
pub struct Numbers(u64);

impl Numbers {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// **Source**: Marsaglia's xorshift64*.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }

    /// Between -1 and 1.
    pub fn float(&mut self) -> f32 {
        self.next() as f32 / (1_u64 << 30) as f32 - 1.0
    }

    pub fn floats<const D: usize>(&mut self, shape: [usize; D]) -> TensorData {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.float()).collect();
        TensorData::new(values, shape)
    }

    pub fn classes(&mut self, shape: [usize; 4], classes: usize) -> TensorData {
        let count = shape.iter().product();
        let values: Vec<i32> = (0..count)
            .map(|_| (self.next() % classes as u64) as i32)
            .collect();
        TensorData::new(values, shape)
    }
}

pub fn float<B: BackendOps>(data: &TensorData) -> FloatTensor<B> {
    B::float_from_data(data.clone(), &B::Device::default())
}

pub fn int<B: BackendOps>(data: &TensorData) -> IntTensor<B> {
    Tensor::<B, 4, Int>::from_data(data.clone(), &B::Device::default()).into_primitive()
}

pub fn values<B: BackendOps>(tensor: FloatTensor<B>) -> Vec<f32> {
    let count = tensor.shape().num_elements();
    let flat = B::float_reshape(tensor, Shape::from([count]));
    Tensor::<B, 1>::from_primitive(TensorPrimitive::Float(flat))
        .into_data()
        .iter::<f32>()
        .collect()
}

/// Compares to within `tolerance` times the largest expected value.
#[track_caller]
pub fn assert_close(what: &str, actual: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(actual.len(), expected.len(), "{what}: number of values");
    let largest = expected
        .iter()
        .fold(1e-6, |largest: f32, x| largest.max(x.abs()));
    for (index, (a, e)) in actual.iter().zip(expected).enumerate() {
        assert!(
            (a - e).abs() <= tolerance * largest,
            "{what}: {a} instead of {e} at {index} of {}, the largest being {largest}",
            actual.len(),
        );
    }
}

/// Compares the gradients of a normalization, each to within `tolerance` times its largest expected value.
#[track_caller]
pub fn assert_gradients_close<B: BackendOps>(
    what: impl Fn(&str) -> String,
    computed: NormGradients<B>,
    expected: NormGradients<Flex>,
    tolerance: f32,
) {
    let close = |of: &str, actual, expected| {
        let expected = values::<Flex>(expected);
        assert_close(&what(of), &values::<B>(actual), &expected, tolerance);
    };
    close("input gradient", computed.input, expected.input);
    assert_eq!(computed.affine.is_some(), expected.affine.is_some());
    if let Some(([weight, bias], [true_weight, true_bias])) = computed.affine.zip(expected.affine) {
        close("weight gradient", weight, true_weight);
        close("bias gradient", bias, true_bias);
    }
}
