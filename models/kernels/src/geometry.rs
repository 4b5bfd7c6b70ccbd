//! Hyperparameters of convolutions.

/// Hyperparameters of a 3-D convolution without dilation or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ConvGeometry {
    /// Taps per axis.
    pub kernel: [usize; 3],
    /// Input voxels per output voxel.
    pub stride: [usize; 3],
    /// Zeros before the first and after the last voxel.
    pub padding: [usize; 3],
}

impl ConvGeometry {
    /// Output voxels per axis.
    ///
    /// **Definition**: `floor((n + 2 p - k) / s) + 1`; 0 where the kernel does not fit.
    pub fn output_shape(&self, input: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| {
            (input[axis] + 2 * self.padding[axis])
                .checked_sub(self.kernel[axis])
                .map_or(0, |room| room / self.stride[axis] + 1)
        })
    }

    /// Output voxels per axis of the transposed convolution.
    ///
    /// **Definition**: `(n - 1) s - 2 p + k + extra`.
    pub fn transposed_shape(&self, input: [usize; 3], extra: [usize; 3]) -> [usize; 3] {
        std::array::from_fn(|axis| {
            (input[axis].saturating_sub(1) * self.stride[axis] + self.kernel[axis] + extra[axis])
                .saturating_sub(2 * self.padding[axis])
        })
    }

    /// Whether every output voxel reads a single input voxel.
    pub fn is_pointwise(&self) -> bool {
        self.kernel == [1; 3] && self.padding == [0; 3]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_brings_the_shape_back() {
        let halving = ConvGeometry {
            kernel: [3, 3, 1],
            stride: [2, 2, 1],
            padding: [1, 1, 0],
        };
        assert_eq!(halving.output_shape([8, 7, 5]), [4, 4, 5]);
        assert_eq!(halving.transposed_shape([4, 4, 5], [1, 0, 0]), [8, 7, 5]);
    }

    #[test]
    fn a_kernel_that_does_not_fit_gives_nothing() {
        let wide = ConvGeometry {
            kernel: [5; 3],
            stride: [1; 3],
            padding: [0; 3],
        };
        assert_eq!(wide.output_shape([4, 5, 6]), [0, 1, 2]);
    }
}
