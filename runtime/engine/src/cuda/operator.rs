//! [`NORM_LEAKY_RELU`](vesal_onnx::NORM_LEAKY_RELU) as an operator of ONNX Runtime.

use std::ffi::c_void;
use std::sync::Arc;

use ort::Error;
use ort::ep::CUDA;
use ort::ep::ExecutionProvider;
use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
    ShapeInferenceContext,
};
use ort::value::{DynTensorValueType, TensorElementType, ValueRef};
use vesal_onnx::{DOMAIN, NORM_LEAKY_RELU};

use super::driver::CudaDriverError;
use super::kernels::{KernelElement, NormKernels, NormLeakyRelu, NormShape, scratch};

/// The operators of this program for networks of one element type.
pub(super) fn domain(
    kernels: Arc<NormKernels>,
    element: KernelElement,
) -> Result<OperatorDomain, Error> {
    OperatorDomain::new(DOMAIN)?.add(NormOperator { kernels, element })
}

struct NormOperator {
    kernels: Arc<NormKernels>,
    element: KernelElement,
}

impl Operator for NormOperator {
    type Kernel<'attr> = NormKernel;

    fn name(&self) -> &str {
        NORM_LEAKY_RELU
    }

    fn execution_provider_type(&self) -> Option<&str> {
        Some(CUDA::NAME)
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let float = TensorElementType::Float32;
        [self.element.of_ort(), float, float].map(OperatorInput::required)
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [self.element.of_ort(), TensorElementType::Float32].map(OperatorOutput::required)
    }

    fn create_kernel<'attr>(&self, context: &KernelContext<'attr>) -> Result<NormKernel, Error> {
        let float = |name: &str| {
            let missing = || Error::new(format!("attribute `{name}` is missing"));
            context.get::<f32>(name).ok_or_else(missing)
        };
        Ok(NormKernel {
            kernels: Arc::clone(&self.kernels),
            element: self.element,
            epsilon: float("epsilon")?,
            slope: float("slope")?,
        })
    }

    /// Without a known shape, ONNX Runtime leaves the transposes around the operator where they are.
    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> Result<(), Error> {
        match context.inputs().first() {
            Some(input) => context.set_output(0, input),
            None => Ok(()),
        }
    }
}

impl KernelElement {
    fn of_ort(self) -> TensorElementType {
        match self {
            Self::F16 => TensorElementType::Float16,
            Self::F32 => TensorElementType::Float32,
        }
    }
}

struct NormKernel {
    kernels: Arc<NormKernels>,
    element: KernelElement,
    epsilon: f32,
    slope: f32,
}

impl Kernel for NormKernel {
    fn compute(&mut self, context: &ComputeContext) -> Result<(), Error> {
        let float = TensorElementType::Float32;
        let input = tensor(context, 0, self.element.of_ort())?;
        let (scale, bias) = (tensor(context, 1, float)?, tensor(context, 2, float)?);
        let sizes: Option<Vec<usize>> = input
            .shape()
            .iter()
            .map(|&size| usize::try_from(size).ok())
            .collect();
        let Some([volumes, x, y, z, channels]) =
            sizes.and_then(|sizes| <[usize; 5]>::try_from(sizes).ok())
        else {
            return Err(Error::new(format!(
                "the input has shape {:?}, expected [N, X, Y, Z, C]",
                input.shape()
            )));
        };
        for parameter in [&scale, &bias] {
            if **parameter.shape() != [channels as i64] {
                return Err(Error::new(format!(
                    "scale or bias has shape {:?}, expected [{channels}]",
                    parameter.shape()
                )));
            }
        }
        let refused = |error: CudaDriverError| Error::new(error.to_string());
        let voxels = x.saturating_mul(y).saturating_mul(z);
        let shape = NormShape::new([volumes, voxels, channels]).map_err(refused)?;
        let floats = scratch(shape) as i64;
        let output = pointer_mut(context, 0, input.shape().to_vec())?;
        let scratch = pointer_mut(context, 1, vec![floats])?;
        let stream = context
            .stream()?
            .map_or(std::ptr::null_mut(), |stream| stream.as_ptr().cast());
        let task = NormLeakyRelu {
            element: self.element,
            shape,
            epsilon: self.epsilon,
            slope: self.slope,
            input: input.data_ptr().cast(),
            scale: scale.data_ptr().cast(),
            bias: bias.data_ptr().cast(),
            output,
            scratch,
        };
        // SAFETY: ONNX Runtime gives memory of the shapes and types that were checked or requested, and keeps it for
        // its stream; the sizes are supported by the kernels.
        unsafe { self.kernels.launch(&task, stream) }.map_err(refused)
    }
}

/// An input of this element type.
fn tensor(
    context: &ComputeContext,
    index: usize,
    element: TensorElementType,
) -> Result<ValueRef<'_, DynTensorValueType>, Error> {
    let value = context.input(index)?;
    let missing = || Error::new(format!("input {index} is missing"));
    let tensor: ValueRef<'_, DynTensorValueType> = value.ok_or_else(missing)?.downcast()?;
    if *tensor.data_type() != element {
        return Err(Error::new(format!(
            "input {index} holds {}, expected {element}",
            tensor.data_type()
        )));
    }
    Ok(tensor)
}

/// Address of an output, which is allocated.
fn pointer_mut(
    context: &ComputeContext,
    index: usize,
    shape: Vec<i64>,
) -> Result<*mut c_void, Error> {
    let value = context.output(index, shape)?;
    let missing = || Error::new(format!("output {index} is missing"));
    let value = value
        .ok_or_else(missing)?
        .downcast::<DynTensorValueType>()?;
    Ok(value.data_ptr().cast_mut().cast())
}
