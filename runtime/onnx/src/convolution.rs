//! The sizes of a convolution of volumes.

use crate::ops::WindowAxis;

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
    /// Zeros after the last voxel.
    pub after: [usize; 3],
    /// Voxels of a channel of the input.
    pub input: [usize; 3],
    /// Zeros after the output, for a transposed convolution, whose stride and padding are those of the convolution that
    /// it transposes.
    pub transposed: Option<[usize; 3]>,
}

impl VolumeConvolution {
    /// Voxels of a channel of the output; `None` if the kernel does not fit.
    ///
    /// **Definition**: `floor((input + before + after - kernel) / stride) + 1` along every axis; transposed
    /// `(input - 1) stride + kernel - before - after + transposed`.
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
        for (axis, output) in output.iter_mut().enumerate() {
            let at = |sizes: [usize; 3]| i64::try_from(sizes[axis]).ok();
            let window = WindowAxis {
                size: at(self.input)?,
                kernel: at(self.kernel)?,
                stride: at(self.stride).filter(|stride| *stride > 0)?,
                dilation: 1,
                before: at(self.before)?,
                after: at(self.after)?,
            };
            let size = match self.transposed {
                Some(extra) => window.transposed(at(extra)?),
                None => window.positions(),
            };
            let least = usize::from(self.transposed.is_none());
            *output = usize::try_from(size).ok().filter(|size| *size >= least)?;
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
