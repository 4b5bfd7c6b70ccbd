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
}

impl VolumeConvolution {
    /// Voxels of a channel of the output; none if the sizes do not go together.
    ///
    /// **Definition**: `(input + before + after - kernel) / stride + 1` along every axis, rounded down.
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
    /// };
    /// assert_eq!(halved.output(), Some([2, 3, 3]));
    /// ```
    pub fn output(&self) -> Option<[usize; 3]> {
        let mut output = [0; 3];
        for axis in 0..3 {
            let padded = self.input[axis]
                .checked_add(self.before[axis])?
                .checked_add(self.after[axis])?;
            let free = padded.checked_sub(self.kernel[axis])?;
            output[axis] = free.checked_div(self.stride[axis])? + 1;
        }
        Some(output)
    }

    /// Weights of a filter and channel.
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }
}
