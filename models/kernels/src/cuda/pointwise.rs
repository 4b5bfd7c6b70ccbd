//! Convolutions of one tap, and linear maps of rows, which are the same: products of matrices.
//!
//! For some of them, cuDNN recommends algorithms that take a hundred times as long.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;
use burn::tensor::ops::FloatTensorOps;

use super::argument::argument;
use super::backend::{Cuda, CudaTensor};
use super::convolution::add_bias;
use super::cublas::DeviceMatrix;
use super::error::CudaError;
use super::gpu::Gpu;
use super::operation::Operation;
use super::precision::ActivationType;
use super::tensor::{Strided, axes, is_single, strides};
use super::tiling::is_parameter;
use crate::geometry::ConvGeometry;
use crate::reference;

/// A convolution that the kernels can compute.
#[derive(Debug, Clone, Copy)]
struct Pointwise {
    precision: ActivationType,
    cases: usize,
    /// Voxels of input and output.
    voxels: [[usize; 3]; 2],
    /// Channels of input and output.
    channels: [usize; 2],
    stride: [usize; 3],
}

/// The voxels of a larger volume that lie on a grid; laid out as in layout.cu.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
struct Grid {
    count: u32,
    shape: [u32; 3],
    stride: [u32; 3],
    channels: u32,
}

impl Pointwise {
    fn new(
        activations: &CudaTensor,
        voxels: [[usize; 3]; 2],
        channels: [usize; 2],
        geometry: ConvGeometry,
    ) -> Option<Self> {
        let precision = ActivationType::of(activations)?;
        let [cases, ..] = axes::<5>(activations);
        let new = Self {
            precision,
            cases,
            voxels,
            channels,
            stride: geometry.stride,
        };
        let fits = |side: usize| {
            let voxels = voxels[side].iter().product::<usize>();
            (1..i32::MAX as usize).contains(&(cases * voxels * channels[side]))
        };
        let is_known = geometry.is_pointwise() && geometry.output_shape(voxels[0]) == voxels[1];
        (is_known && fits(0) && fits(1)).then_some(new)
    }

    fn rows(&self) -> usize {
        self.cases * self.voxels[1].iter().product::<usize>()
    }

    fn shape(&self, side: usize) -> [usize; 5] {
        let [x, y, z] = self.voxels[side];
        [self.cases, x, y, z, self.channels[side]]
    }

    fn is_strided(&self) -> bool {
        self.stride != [1; 3]
    }

    fn weight_bytes(&self) -> usize {
        self.channels.iter().product::<usize>() * self.precision.bytes()
    }

    /// Bytes of the voxels that outputs read, where these are not all.
    fn picked_bytes(&self) -> usize {
        let bytes = self.rows() * self.channels[0] * self.precision.bytes();
        if self.is_strided() { bytes } else { 0 }
    }

    fn input(&self, address: u64) -> DeviceMatrix {
        DeviceMatrix::new(address, self.precision, self.channels[0])
    }

    fn output(&self, address: u64) -> DeviceMatrix {
        DeviceMatrix::new(address, self.precision, self.channels[1])
    }

    /// The voxels that outputs read: the input itself, or a copy of some of it.
    ///
    /// # Safety
    ///
    /// `x` must be an input, and `picked` have room for the copy.
    unsafe fn pick(&self, gpu: &mut Gpu, x: u64, picked: u64) -> Result<u64, CudaError> {
        if !self.is_strided() {
            return Ok(x);
        }
        let [_, sx, sy, sz, c] = self.shape(0);
        let [stride_x, stride_y, stride_z] = self.stride;
        let [n, ox, oy, oz, _] = self.shape(1);
        let row = sz * c;
        let strides = [
            sx * sy * row,
            stride_x * sy * row,
            stride_y * row,
            stride_z * c,
            1,
        ];
        let layout = Strided::new(&[n, ox, oy, oz, c], &strides);
        let kernel = match self.precision {
            ActivationType::Half => "copy_2",
            ActivationType::Single => "copy_4",
        };
        // SAFETY: promised by the caller.
        unsafe { layout.copy(gpu, kernel, x, picked)? };
        Ok(picked)
    }

    /// Writes what was picked to its places in a volume, and zeros to all others.
    ///
    /// # Safety
    ///
    /// As of [`pick`](Self::pick).
    unsafe fn spread(&self, gpu: &mut Gpu, picked: u64, x: u64) -> Result<(), CudaError> {
        let whole = |values: [usize; 3]| values.map(|value| value as u32);
        let grid = Grid {
            count: self.shape(0).iter().product::<usize>() as u32,
            shape: whole(self.voxels[0]),
            stride: whole(self.stride),
            channels: self.channels[0] as u32,
        };
        let kernel = format!("spread_{}", self.precision.bytes());
        let blocks = grid.count.div_ceil(256).min(64 * gpu.multiprocessors);
        let mut arguments = [argument(&picked), argument(&x), argument(&grid)];
        // SAFETY: promised by the caller.
        unsafe { gpu.launch(&kernel, [blocks, 1, 1], 256, 0, &mut arguments) }
    }
}

/// The layout of weights, `[K, C, 1, 1, 1]` or `[K, C]`.
#[derive(Debug, Clone, Copy)]
struct WeightLayout(Strided);

impl WeightLayout {
    fn of(weight: &CudaTensor) -> Self {
        Self(Strided::new(&axes::<2>(weight), &strides::<2>(weight)))
    }

    /// Writes weights in the type of the activations.
    ///
    /// # Safety
    ///
    /// `weight` must have this layout, and `packed` room for as many values.
    unsafe fn pack(
        &self,
        gpu: &mut Gpu,
        problem: &Pointwise,
        weight: u64,
        packed: u64,
    ) -> Result<DeviceMatrix, CudaError> {
        let kernel = match problem.precision {
            ActivationType::Half => "copy_single_to_half",
            ActivationType::Single => "copy_4",
        };
        // SAFETY: promised by the caller.
        unsafe { self.0.copy(gpu, kernel, weight, packed)? };
        Ok(problem.input(packed))
    }
}

pub fn conv(
    x: CudaTensor,
    weight: CudaTensor,
    bias: Option<CudaTensor>,
    geometry: ConvGeometry,
) -> CudaTensor {
    let [_, voxels @ .., c] = axes::<5>(&x);
    let [k, own_c] = axes::<2>(&weight);
    let output = geometry.output_shape(voxels);
    let known = Pointwise::new(&x, [voxels, output], [c, k], geometry).filter(|_| {
        let mut biases = bias.iter();
        own_c == c && is_single(&weight) && biases.all(|bias| is_parameter(bias, k))
    });
    let Some(problem) = known else {
        return reference::conv::<Cuda>(x, weight, bias, geometry);
    };
    let mut operation = Operation::beside(&x);
    let dtype = x.dtype;
    let x = operation.dense(x);
    let weights = WeightLayout::of(&weight);
    let w = operation.strided(&weight);
    let bias = bias.map(|bias| operation.dense(bias));
    let (output, y) = operation.output(problem.shape(1), dtype);
    operation.submit(move |gpu, at| {
        let sizes = [problem.weight_bytes(), problem.picked_bytes()];
        let [packed, picked] = gpu.scratch(sizes)?;
        let rows = problem.rows();
        // SAFETY: buffers have the sizes of the tensors' shapes, and scratch memory those of the problem.
        unsafe {
            let w = weights.pack(gpu, &problem, at.of(w), packed)?;
            let x = problem.pick(gpu, at.of(x), picked)?;
            let y = problem.output(at.of(y));
            let sizes = [rows, problem.channels[0]];
            gpu.cublas()?
                .multiply(sizes, problem.input(x), w.transposed(), y)?;
            let Some(bias) = bias else { return Ok(()) };
            let sizes = [rows, problem.channels[1]];
            add_bias(gpu, problem.precision, y.address, at.of(bias), sizes)
        }
    });
    output
}

pub fn input_gradient(
    gradient: CudaTensor,
    weight: CudaTensor,
    input_shape: [usize; 3],
    geometry: ConvGeometry,
) -> CudaTensor {
    let [_, voxels @ .., k] = axes::<5>(&gradient);
    let [own_k, c] = axes::<2>(&weight);
    let known = Pointwise::new(&gradient, [input_shape, voxels], [c, k], geometry)
        .filter(|_| own_k == k && is_single(&weight));
    let Some(problem) = known else {
        return reference::conv_input_gradient::<Cuda>(gradient, weight, input_shape, geometry);
    };
    let mut operation = Operation::beside(&gradient);
    let dtype = gradient.dtype;
    let y = operation.dense(gradient);
    let weights = WeightLayout::of(&weight);
    let w = operation.strided(&weight);
    let (output, x) = operation.output(problem.shape(0), dtype);
    operation.submit(move |gpu, at| {
        let sizes = [problem.weight_bytes(), problem.picked_bytes()];
        let [packed, picked] = gpu.scratch(sizes)?;
        // SAFETY: buffers have the sizes of the tensors' shapes, and scratch memory those of the problem.
        unsafe {
            let w = weights.pack(gpu, &problem, at.of(w), packed)?;
            let (x, y) = (at.of(x), problem.output(at.of(y)));
            let into = if problem.is_strided() { picked } else { x };
            let sizes = [problem.rows(), problem.channels[1]];
            gpu.cublas()?.multiply(sizes, y, w, problem.input(into))?;
            if problem.is_strided() {
                problem.spread(gpu, picked, x)?;
            }
        }
        Ok(())
    });
    output
}

pub fn weight_gradient(x: CudaTensor, gradient: CudaTensor, geometry: ConvGeometry) -> CudaTensor {
    let [cases, voxels @ .., c] = axes::<5>(&x);
    let [own_cases, output @ .., k] = axes::<5>(&gradient);
    let known = Pointwise::new(&x, [voxels, output], [c, k], geometry).filter(|problem| {
        own_cases == cases && ActivationType::of(&gradient) == Some(problem.precision)
    });
    let Some(problem) = known else {
        return reference::conv_weight_gradient::<Cuda>(x, gradient, geometry);
    };
    let mut operation = Operation::beside(&x);
    let [x, y] = [x, gradient].map(|tensor| operation.dense(tensor));
    let (output, w) = operation.output([k, c, 1, 1, 1], DType::F32);
    operation.submit(move |gpu, at| {
        let [picked] = gpu.scratch([problem.picked_bytes()])?;
        // SAFETY: buffers have the sizes of the tensors' shapes, and scratch memory that of the problem.
        unsafe {
            let x = problem.pick(gpu, at.of(x), picked)?;
            let y = problem.output(at.of(y)).transposed();
            let w = DeviceMatrix::new(at.of(w), ActivationType::Single, c);
            let sizes = [k, problem.rows()];
            gpu.cublas()?.multiply(sizes, y, problem.input(x), w)
        }
    });
    output
}

/// The geometry by which a linear map is a convolution of one voxel: each row of its input is a voxel.
const LINEAR: ConvGeometry = ConvGeometry {
    kernel: [1; 3],
    stride: [1; 3],
    padding: [0; 3],
};

pub fn linear(x: CudaTensor, weight: CudaTensor, bias: Option<CudaTensor>) -> CudaTensor {
    matrix(conv(volume(x), taps(weight), bias, LINEAR))
}

pub fn linear_input_gradient(gradient: CudaTensor, weight: CudaTensor) -> CudaTensor {
    let [rows, _] = axes::<2>(&gradient);
    let gradient = volume(gradient);
    matrix(input_gradient(gradient, taps(weight), [rows, 1, 1], LINEAR))
}

pub fn linear_weight_gradient(x: CudaTensor, gradient: CudaTensor) -> CudaTensor {
    let gradient = weight_gradient(volume(x), volume(gradient), LINEAR);
    let [k, c] = axes::<2>(&gradient);
    Cuda::float_reshape(gradient, [k, c].into())
}

/// `[rows, C]` → `[1, rows, 1, 1, C]`.
fn volume(x: CudaTensor) -> CudaTensor {
    let [rows, c] = axes::<2>(&x);
    Cuda::float_reshape(x, [1, rows, 1, 1, c].into())
}

/// `[K, C]` → `[K, C, 1, 1, 1]`.
fn taps(weight: CudaTensor) -> CudaTensor {
    let [k, c] = axes::<2>(&weight);
    Cuda::float_reshape(weight, [k, c, 1, 1, 1].into())
}

/// `[1, rows, 1, 1, C]` → `[rows, C]`.
fn matrix(y: CudaTensor) -> CudaTensor {
    let [_, rows, .., c] = axes::<5>(&y);
    Cuda::float_reshape(y, [rows, c].into())
}
