//! Convolutions of given shapes, and cuDNN's descriptors of them.
#![allow(unsafe_code, reason = "calls cuDNN")]

use std::ffi::c_int;

use cudarc::cudnn::sys::{self, cudnnMathType_t, cudnnTensorFormat_t};

use super::error::CudaError;
use super::precision::ActivationType;
use crate::geometry::ConvGeometry;

/// The result of a convolution problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    Forward,
    InputGradient,
    WeightGradient,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Problem {
    pub direction: Direction,
    /// Type of both activations and of the weights that cuDNN sees.
    pub precision: ActivationType,
    pub cases: usize,
    /// Channels of input and output.
    pub channels: [usize; 2],
    /// Voxels of input and output.
    pub voxels: [[usize; 3]; 2],
    pub geometry: ConvGeometry,
}

/// Order of the axes in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[N, X, Y, Z, C]`, the order of the tensors.
    ChannelsLast,
    /// `[N, C, X, Y, Z]`: for problems without a cuDNN algorithm in the other order.
    ChannelsFirst,
}

impl Problem {
    /// Shape of the activations on the side of the input, 0, or of the output, 1.
    pub fn activations(&self, side: usize) -> [usize; 5] {
        let [x, y, z] = self.voxels[side];
        [self.cases, x, y, z, self.channels[side]]
    }

    /// Bytes of the activations on the side of the input, 0, or of the output, 1.
    pub fn bytes(&self, side: usize) -> usize {
        self.activations(side).iter().product::<usize>() * self.precision.bytes()
    }
}

/// cuDNN's descriptors of a problem in a layout; never destroyed.
#[derive(Debug, Clone, Copy)]
pub struct Descriptors {
    pub input: sys::cudnnTensorDescriptor_t,
    pub output: sys::cudnnTensorDescriptor_t,
    pub weight: sys::cudnnFilterDescriptor_t,
    /// Stride, padding and arithmetic.
    pub convolution: sys::cudnnConvolutionDescriptor_t,
}

impl Descriptors {
    pub fn new(problem: &Problem, layout: Layout) -> Result<Self, CudaError> {
        let format = match layout {
            Layout::ChannelsLast => cudnnTensorFormat_t::CUDNN_TENSOR_NHWC,
            Layout::ChannelsFirst => cudnnTensorFormat_t::CUDNN_TENSOR_NCHW,
        };
        let (kind, math) = match problem.precision {
            ActivationType::Half => (
                sys::cudnnDataType_t::CUDNN_DATA_HALF,
                cudnnMathType_t::CUDNN_TENSOR_OP_MATH,
            ),
            ActivationType::Single => (
                sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
                cudnnMathType_t::CUDNN_TENSOR_OP_MATH_ALLOW_CONVERSION,
            ),
        };
        let whole = |values: [usize; 3]| values.map(|value| value as c_int);
        let five = |first: usize, second: usize, space: [usize; 3]| {
            let [x, y, z] = whole(space);
            [first as c_int, second as c_int, x, y, z]
        };
        let [c, k] = problem.channels;
        let geometry = problem.geometry;
        let mut made = Self {
            input: std::ptr::null_mut(),
            output: std::ptr::null_mut(),
            weight: std::ptr::null_mut(),
            convolution: std::ptr::null_mut(),
        };
        // SAFETY: descriptors are created before they are set; all arrays have the lengths that are named.
        unsafe {
            for (descriptor, channels, voxels) in [
                (&mut made.input, c, problem.voxels[0]),
                (&mut made.output, k, problem.voxels[1]),
            ] {
                sys::cudnnCreateTensorDescriptor(descriptor).result()?;
                let shape = five(problem.cases, channels, voxels);
                sys::cudnnSetTensorNdDescriptorEx(*descriptor, format, kind, 5, shape.as_ptr())
                    .result()?;
            }
            sys::cudnnCreateFilterDescriptor(&mut made.weight).result()?;
            let shape = five(k, c, geometry.kernel);
            sys::cudnnSetFilterNdDescriptor(made.weight, kind, format, 5, shape.as_ptr())
                .result()?;
            sys::cudnnCreateConvolutionDescriptor(&mut made.convolution).result()?;
            sys::cudnnSetConvolutionNdDescriptor(
                made.convolution,
                3,
                whole(geometry.padding).as_ptr(),
                whole(geometry.stride).as_ptr(),
                [1; 3].as_ptr(),
                sys::cudnnConvolutionMode_t::CUDNN_CROSS_CORRELATION,
                sys::cudnnDataType_t::CUDNN_DATA_FLOAT,
            )
            .result()?;
            sys::cudnnSetConvolutionMathType(made.convolution, math).result()?;
        }
        Ok(made)
    }
}
