//! Types of activations.

use burn::tensor::DType;

use super::backend::CudaTensor;
use super::limits::{MOST_BLOCKS, MOST_VALUES};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActivationType {
    Half,
    Single,
}

impl ActivationType {
    /// The type of activations that kernels can take: of rank 5, not empty, within the limits.
    pub fn of(activations: &CudaTensor) -> Option<Self> {
        let shape = activations.meta.shape();
        let fits = shape.num_dims() == 5 && shape[0] <= MOST_BLOCKS;
        Self::of_values(activations).filter(|_| fits)
    }

    /// The type of values of any meaning that kernels can take: at most rank 5, not empty, within the size limit.
    pub fn of_values(tensor: &CudaTensor) -> Option<Self> {
        let shape = tensor.meta.shape();
        let fits = shape.num_dims() <= 5 && (1..MOST_VALUES).contains(&shape.num_elements());
        match tensor.dtype {
            DType::F16 if fits => Some(Self::Half),
            DType::F32 if fits => Some(Self::Single),
            _ => None,
        }
    }

    /// Values of a vector of 16 bytes.
    pub fn vector(self) -> usize {
        16 / self.bytes()
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::Half => 2,
            Self::Single => 4,
        }
    }

    /// The name in the names of kernels.
    pub fn name(self) -> &'static str {
        match self {
            Self::Half => "half",
            Self::Single => "single",
        }
    }
}
