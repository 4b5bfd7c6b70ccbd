//! Shapes and layouts of tensors for kernels.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;

use super::argument::argument;
use super::backend::CudaTensor;
use super::error::CudaError;
use super::gpu::Gpu;
use super::limits::MOST_VALUES;

/// Alignment of buffers for vector loads, in bytes.
const ALIGNMENT: u64 = 16;

/// Whether a tensor is `f32`, not empty, and within the size limit.
pub fn is_single(tensor: &CudaTensor) -> bool {
    let count = tensor.meta.shape().num_elements();
    tensor.dtype == DType::F32
        && tensor.meta.shape().num_dims() <= 5
        && (1..MOST_VALUES).contains(&count)
}

pub fn axes<const D: usize>(tensor: &CudaTensor) -> [usize; D] {
    std::array::from_fn(|axis| tensor.meta.shape()[axis])
}

/// Strides of a tensor of known rank, in values.
pub fn strides<const D: usize>(tensor: &CudaTensor) -> [usize; D] {
    std::array::from_fn(|axis| tensor.meta.strides()[axis])
}

/// A layout that a copy reads: the shape of the result, and strides in the source.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Strided {
    count: u32,
    shape: [u32; 5],
    strides: [u32; 5],
}

impl Strided {
    /// A layout of at most five axes.
    pub fn new(shape: &[usize], strides: &[usize]) -> Self {
        let missing = 5 - shape.len();
        let padded = |values: &[usize], filler| {
            std::array::from_fn(|axis| {
                axis.checked_sub(missing)
                    .map_or(filler, |axis| values[axis] as u32)
            })
        };
        Self {
            count: shape.iter().product::<usize>() as u32,
            shape: padded(shape, 1),
            strides: padded(strides, 0),
        }
    }

    /// Copies into a dense buffer with one of the kernels `copy_…`.
    ///
    /// # Safety
    ///
    /// The buffers must have the types of the kernel and hold what the layout names.
    pub unsafe fn copy(
        self,
        gpu: &mut Gpu,
        kernel: &str,
        from: u64,
        into: u64,
    ) -> Result<(), CudaError> {
        let blocks = self.count.div_ceil(256).min(64 * gpu.multiprocessors);
        let mut arguments = [argument(&from), argument(&into), argument(&self)];
        // SAFETY: guaranteed by the caller.
        unsafe { gpu.launch(kernel, [blocks, 1, 1], 256, 0, &mut arguments) }
    }
}

/// Whether a buffer can be read as a row-major array by vectors.
pub fn is_dense(tensor: &CudaTensor) -> bool {
    let aligned = tensor
        .handle
        .offset_start
        .is_none_or(|offset| offset % ALIGNMENT == 0);
    let mut expected = 1;
    let axes = tensor.meta.shape().iter().zip(tensor.meta.strides().iter());
    aligned
        && axes.rev().all(|(&length, &stride)| {
            let fits = length == 1 || stride == expected;
            expected *= length;
            fits
        })
}
