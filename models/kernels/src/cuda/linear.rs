//! Linear maps and their gradients.
#![allow(unsafe_code, reason = "launches kernels")]

use burn::tensor::DType;

use super::backend::{Cuda, CudaTensor};
use super::convolution::add_bias;
use super::cublas::DeviceMatrix;
use super::error::CudaError;
use super::gpu::Gpu;
use super::operation::Operation;
use super::precision::ActivationType;
use super::tensor::{Strided, axes, is_single, strides};
use super::tiling::is_parameter;
use crate::reference;

/// A map of rows from `inputs` to `outputs` values.
#[derive(Debug, Clone, Copy)]
struct Problem {
    precision: ActivationType,
    rows: usize,
    inputs: usize,
    outputs: usize,
}

impl Problem {
    /// A map by weights `[outputs, inputs]`, if the kernels can compute it.
    fn new(activations: &CudaTensor, weight: &CudaTensor) -> Option<Self> {
        let precision = ActivationType::of_values(activations)?;
        let ([rows, _], [outputs, inputs]) = (axes::<2>(activations), axes::<2>(weight));
        let fits = |width: usize| rows.saturating_mul(width) < i32::MAX as usize;
        (is_single(weight) && fits(inputs) && fits(outputs)).then_some(Self {
            precision,
            rows,
            inputs,
            outputs,
        })
    }
}

/// Weights as the kernels read them.
struct Weights(Strided);

impl Weights {
    fn of(weight: &CudaTensor) -> Self {
        Self(Strided::new(&axes::<2>(weight), &strides::<2>(weight)))
    }

    /// Weights in the type of the activations.
    fn packed(
        &self,
        gpu: &mut Gpu,
        problem: &Problem,
        weight: u64,
    ) -> Result<DeviceMatrix, CudaError> {
        let kernel = match problem.precision {
            ActivationType::Half => "copy_single_to_half",
            ActivationType::Single => "copy_4",
        };
        let bytes = problem.inputs * problem.outputs * problem.precision.bytes();
        let [packed] = gpu.scratch([bytes])?;
        // SAFETY: the layout is that of the weights, and scratch memory holds as many values.
        unsafe { self.0.copy(gpu, kernel, weight, packed)? };
        Ok(DeviceMatrix::new(packed, problem.precision, problem.inputs))
    }
}

pub fn linear(x: CudaTensor, weight: CudaTensor, bias: Option<CudaTensor>) -> CudaTensor {
    let known = Problem::new(&x, &weight).filter(|problem| {
        let mut biases = bias.iter();
        biases.all(|bias| is_parameter(bias, problem.outputs))
    });
    let Some(problem) = known else {
        return reference::linear::<Cuda>(x, weight, bias);
    };
    let Problem {
        precision,
        rows,
        inputs,
        outputs,
    } = problem;
    let mut operation = Operation::beside(&x);
    let dtype = x.dtype;
    let x = operation.dense(x);
    let weights = Weights::of(&weight);
    let w = operation.strided(&weight);
    let bias = bias.map(|bias| operation.dense(bias));
    let (output, y) = operation.output([rows, outputs], dtype);
    operation.submit(move |gpu, at| {
        let w = weights.packed(gpu, &problem, at.of(w))?.transposed();
        let x = DeviceMatrix::new(at.of(x), precision, inputs);
        let y = DeviceMatrix::new(at.of(y), precision, outputs);
        // SAFETY: the buffers have the sizes of the tensors' shapes.
        unsafe { gpu.cublas()?.multiply([rows, inputs], x, w, y)? };
        let Some(bias) = bias else { return Ok(()) };
        // SAFETY: the output has `rows` rows of one value per bias.
        unsafe { add_bias(gpu, precision, y.address, at.of(bias), [rows, outputs]) }
    });
    output
}

pub fn linear_input_gradient(gradient: CudaTensor, weight: CudaTensor) -> CudaTensor {
    let Some(problem) = Problem::new(&gradient, &weight) else {
        return reference::linear_input_gradient::<Cuda>(gradient, weight);
    };
    let Problem {
        precision,
        rows,
        inputs,
        outputs,
    } = problem;
    let mut operation = Operation::beside(&gradient);
    let dtype = gradient.dtype;
    let y = operation.dense(gradient);
    let weights = Weights::of(&weight);
    let w = operation.strided(&weight);
    let (output, x) = operation.output([rows, inputs], dtype);
    operation.submit(move |gpu, at| {
        let w = weights.packed(gpu, &problem, at.of(w))?;
        let y = DeviceMatrix::new(at.of(y), precision, outputs);
        let x = DeviceMatrix::new(at.of(x), precision, inputs);
        // SAFETY: the buffers have the sizes of the tensors' shapes.
        unsafe { gpu.cublas()?.multiply([rows, outputs], y, w, x) }
    });
    output
}

pub fn linear_weight_gradient(x: CudaTensor, gradient: CudaTensor) -> CudaTensor {
    let ([rows, inputs], [own_rows, outputs]) = (axes::<2>(&x), axes::<2>(&gradient));
    let known = ActivationType::of_values(&x).filter(|&precision| {
        ActivationType::of_values(&gradient) == Some(precision) && own_rows == rows
    });
    let Some(precision) = known else {
        return reference::linear_weight_gradient::<Cuda>(x, gradient);
    };
    let mut operation = Operation::beside(&x);
    let [x, y] = [x, gradient].map(|tensor| operation.dense(tensor));
    let (output, w) = operation.output([outputs, inputs], DType::F32);
    operation.submit(move |gpu, at| {
        let x = DeviceMatrix::new(at.of(x), precision, inputs);
        let y = DeviceMatrix::new(at.of(y), precision, outputs).transposed();
        let w = DeviceMatrix::new(at.of(w), ActivationType::Single, inputs);
        // SAFETY: the buffers have the sizes of the tensors' shapes.
        unsafe { gpu.cublas()?.multiply([outputs, rows], y, x, w) }
    });
    output
}
