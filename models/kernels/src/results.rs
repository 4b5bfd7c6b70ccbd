//! Results of operations with several tensors.

use std::fmt;

use burn::tensor::backend::Backend;
use burn::tensor::ops::FloatTensor;

/// Result of an instance or batch normalization, with what its gradient needs.
#[derive(Debug, Clone)]
pub struct Normalized<B: Backend> {
    /// `[N, X, Y, Z, C]`.
    pub output: FloatTensor<B>,
    /// Mean and `1 / sqrt(var + epsilon)` per channel, and per case in an instance normalization: `[N, 2, C]` or
    /// `[1, 2, C]`, `f32`.
    pub statistics: FloatTensor<B>,
}

/// Result of a batch normalization, with its running statistics after it.
#[derive(Debug, Clone)]
pub struct BatchNormalized<B: Backend> {
    /// `[N, X, Y, Z, C]`.
    pub output: FloatTensor<B>,
    /// Running mean and variance, `[C]` each.
    pub running: [FloatTensor<B>; 2],
}

#[derive(Debug, Clone)]
pub struct NormGradients<B: Backend> {
    /// With respect to the input, of its shape.
    pub input: FloatTensor<B>,
    /// With respect to scale and shift, `[C]` each, where the normalization has them.
    pub affine: Option<[FloatTensor<B>; 2]>,
}

/// Result of an attention, with what its gradient needs.
#[derive(Debug, Clone)]
pub struct Attended<B: Backend> {
    /// `[N · W, n, C]`.
    pub output: FloatTensor<B>,
    /// Logarithm of the sum of exponentials of each query's scores, `[N · W, heads, n]`, `f32`.
    pub log_sums: FloatTensor<B>,
}

#[derive(Debug, Clone)]
pub struct AttentionGradients<B: Backend> {
    /// With respect to queries, keys and values, `[N · W, n, 3 C]`.
    pub qkv: FloatTensor<B>,
    /// With respect to the bias: sums over all windows, `[heads, n, n]`, `f32`.
    pub bias: FloatTensor<B>,
}

/// A Dice loss with a loss by voxel, with what its gradient needs.
#[derive(Debug, Clone)]
pub struct VoxelLoss<B: Backend> {
    /// The loss, `[1]`, `f32`.
    pub loss: FloatTensor<B>,
    /// `Σ p g`, `Σ p²` and `Σ g` over voxels, `[N, 3, K]`, `f32`.
    pub sums: FloatTensor<B>,
}

/// Numbers that were requested from a device.
pub struct Scalars(Box<dyn FnOnce() -> Vec<f32> + Send>);

impl Scalars {
    /// The numbers that `wait` will return.
    pub(crate) fn new(wait: impl FnOnce() -> Vec<f32> + Send + 'static) -> Self {
        Self(Box::new(wait))
    }

    /// Waits for the numbers, but not for later launches.
    pub fn wait(self) -> Vec<f32> {
        (self.0)()
    }
}

impl fmt::Debug for Scalars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scalars")
    }
}
