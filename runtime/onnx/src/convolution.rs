//! The sizes of a convolution.

/// Sizes of a convolution of volumes `[C, X, Y, Z]`: one group, not dilated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeConvolution {
    /// Channels of the input.
    pub channels: usize,
    /// Channels of the output.
    pub filters: usize,
    /// Voxels of the kernel.
    pub kernel: [usize; 3],
    /// Voxels from position to position.
    pub stride: [usize; 3],
    /// Zeros before the first voxel.
    pub before: [usize; 3],
    /// Zeros behind the last voxel.
    pub after: [usize; 3],
    /// Voxels of a channel of the input.
    pub input: [usize; 3],
    /// Zeros behind the output, if it is a transposed convolution: then stride and padding are those of the convolution whose
    /// transpose it is.
    pub transposed: Option<[usize; 3]>,
}

impl VolumeConvolution {
    /// Voxels of a channel of the output; none if the sizes do not go together.
    ///
    /// **Definition**: `(input + before + after - kernel) / stride + 1` along every axis, rounded down; transposed
    /// `(input - 1) * stride + kernel - before - after`, and the zeros behind.
    ///
    /// **Examples**
    /// ```
    /// use vesal_onnx::VolumeConvolution;
    ///
    /// let halved = VolumeConvolution {
    ///     channels: 8,
    ///     filters: 16,
    ///     kernel: [3; 3],
    ///     stride: [2; 3],
    ///     before: [1; 3],
    ///     after: [1; 3],
    ///     input: [4, 5, 6],
    ///     transposed: None,
    /// };
    /// assert_eq!(halved.output(), Some([2, 3, 3]));
    /// let doubled = VolumeConvolution { transposed: Some([1; 3]), ..halved };
    /// assert_eq!(doubled.output(), Some([8, 10, 12]));
    /// ```
    pub fn output(&self) -> Option<[usize; 3]> {
        let mut output = [0; 3];
        for axis in 0..3 {
            let (size, kernel, stride) = (self.input[axis], self.kernel[axis], self.stride[axis]);
            let padding = self.before[axis].checked_add(self.after[axis])?;
            output[axis] = match self.transposed {
                Some(extra) => (size.checked_sub(1)?.checked_mul(stride)?)
                    .checked_add(kernel)?
                    .checked_add(extra[axis])?
                    .checked_sub(padding)?,
                None => {
                    let free = size.checked_add(padding)?.checked_sub(kernel)?;
                    free.checked_div(stride)? + 1
                }
            };
        }
        Some(output)
    }

    /// Weights of a filter and channel.
    pub fn taps(&self) -> usize {
        self.kernel
            .iter()
            .fold(1, |taps, size| taps.saturating_mul(*size))
    }
}
