//! [`CONVOLUTION`] as an operator of ONNX Runtime, on the threads of its session.

use std::cell::Cell;
use std::sync::Arc;

use ort::Error;
use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorDomain, OperatorInput, OperatorOutput,
    ShapeInferenceContext,
};
use ort::value::{TensorElementType, ValueType};
use vesal_onnx::{CONVOLUTION, DOMAIN, VolumeConvolution};

use super::attention_operator::AttentionOperator;
use super::plan::PlannedConvolution;
use super::processor::Processor;
use super::scratch::Scratch;

/// The operators of this program for a session on this processor.
pub(crate) fn operators(processor: Processor) -> Result<OperatorDomain, Error> {
    let scratch = Arc::default();
    OperatorDomain::new(DOMAIN)?
        .add(ConvolutionOperator {
            processor,
            scratch: Arc::clone(&scratch),
        })?
        .add(AttentionOperator { processor, scratch })
}

struct ConvolutionOperator {
    processor: Processor,
    /// Memory of all kernels of the session.
    scratch: Arc<Scratch>,
}

/// Attributes of a convolution.
struct Steps {
    stride: [usize; 3],
    /// Zeros before the first voxel and after the last one.
    pads: [usize; 6],
    /// Zeros after the output, if it is transposed.
    output_padding: Option<[usize; 3]>,
}

impl Operator for ConvolutionOperator {
    type Kernel<'attr> = ConvolutionKernel;

    fn name(&self) -> &str {
        CONVOLUTION
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let float = TensorElementType::Float32;
        [
            OperatorInput::required(float),
            OperatorInput::required(float),
            OperatorInput::optional(float),
        ]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(
        &self,
        context: &KernelContext<'attr>,
    ) -> Result<ConvolutionKernel, Error> {
        Ok(ConvolutionKernel {
            processor: self.processor,
            scratch: Arc::clone(&self.scratch),
            steps: Steps::new(|name| {
                let missing = || Error::new(format!("attribute `{name}` is missing"));
                context.get::<Vec<i64>>(name).ok_or_else(missing)
            })?,
            planned: None,
        })
    }

    /// With a known shape, ONNX Runtime plans its memory in advance.
    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> Result<(), Error> {
        let steps = Steps::new(|name| context.attr::<Vec<i64>>(name))?;
        let inputs = context.inputs();
        let [Some(mut input), Some(weights)] = [0, 1].map(|index| inputs.get(index).cloned())
        else {
            return Ok(());
        };
        let Some(weights) = weights.tensor_shape().cloned() else {
            return Ok(());
        };
        if let ValueType::Tensor { shape, .. } = &mut input {
            // A batch of any size is stated as negative.
            let one: Vec<i64> = shape
                .iter()
                .enumerate()
                .map(|(axis, &n)| if axis == 0 { 1 } else { n })
                .collect();
            let Some((sizes, output)) = steps.sizes(&one, &weights) else {
                return Ok(());
            };
            for (size, found) in shape[1..]
                .iter_mut()
                .zip([&[sizes.filters], &output[..]].concat())
            {
                *size = found as i64;
            }
            context.set_output(0, &input)?;
        }
        Ok(())
    }
}

impl Steps {
    fn new(attribute: impl Fn(&str) -> Result<Vec<i64>, Error>) -> Result<Self, Error> {
        Ok(Self {
            stride: list("strides", &attribute("strides")?)?,
            pads: list("pads", &attribute("pads")?)?,
            output_padding: attribute("output_padding")
                .ok()
                .map(|sizes| list("output_padding", &sizes))
                .transpose()?,
        })
    }

    /// Sizes of a convolution of these shapes, and of its output, if they are compatible.
    fn sizes(&self, input: &[i64], weights: &[i64]) -> Option<(VolumeConvolution, [usize; 3])> {
        let [_, channels, x, y, z] = list::<5>("", input).ok()?;
        let [mut filters, mut of, kernel @ ..] = list::<5>("", weights).ok()?;
        if self.output_padding.is_some() {
            (filters, of) = (of, filters);
        }
        let [a, b, c, d, e, f] = self.pads;
        let sizes = VolumeConvolution {
            channels,
            filters,
            kernel,
            stride: self.stride,
            before: [a, b, c],
            after: [d, e, f],
            input: [x, y, z],
            transposed: self.output_padding,
        };
        let output = sizes.output().filter(|_| of == channels)?;
        Some((sizes, output))
    }
}

fn list<const LENGTH: usize>(name: &str, values: &[i64]) -> Result<[usize; LENGTH], Error> {
    let sizes: Option<Vec<usize>> = values.iter().map(|&size| size.try_into().ok()).collect();
    sizes
        .and_then(|sizes| sizes.try_into().ok())
        .ok_or_else(|| Error::new(format!("`{name}` is {values:?}, expected {LENGTH} sizes")))
}

pub(super) struct ConvolutionKernel {
    processor: Processor,
    scratch: Arc<Scratch>,
    steps: Steps,
    /// Plan and transformed weights for the last input shape.
    planned: Option<(VolumeConvolution, PlannedConvolution, Option<Vec<f32>>)>,
}

impl Kernel for ConvolutionKernel {
    fn compute(&mut self, context: &ComputeContext) -> Result<(), Error> {
        let missing = |index: usize| Error::new(format!("input {index} is missing"));
        let value = |index| context.input(index)?.ok_or_else(|| missing(index));
        let (input, weights) = (value(0)?, value(1)?);
        let (shape, input) = input.try_extract_tensor::<f32>()?;
        let (weight_shape, weights) = weights.try_extract_tensor::<f32>()?;
        let bias = match context.num_inputs()? {
            0..=2 => None,
            _ => context.input(2)?,
        };
        let bias = match &bias {
            Some(bias) => bias.try_extract_tensor::<f32>()?.1,
            None => &[],
        };
        let unfit = || {
            Error::new(format!(
                "the input has shape {shape:?}, weights {weight_shape:?} and bias {} values: they are incompatible",
                bias.len()
            ))
        };
        let (sizes, [x, y, z]) = self.steps.sizes(shape, weight_shape).ok_or_else(unfit)?;
        if !bias.is_empty() && bias.len() != sizes.filters {
            return Err(unfit());
        }
        let failed = Cell::new(None);
        let parallel = |count: usize, work: &(dyn Fn(usize) + Sync + Send)| {
            if let Err(error) = context.par_for(count, count, work) {
                failed.set(Some(error));
            }
        };
        if self
            .planned
            .as_ref()
            .is_none_or(|(planned, ..)| *planned != sizes)
        {
            let convolution = PlannedConvolution::new(self.processor, sizes).ok_or_else(unfit)?;
            let transformed = convolution.transform(weights, &parallel);
            self.planned = Some((sizes, convolution, transformed));
        }
        let Some((_, convolution, transformed)) = &self.planned else {
            return Err(unfit());
        };
        let weights = transformed.as_deref().unwrap_or(weights);
        let output_shape = [shape[0], sizes.filters as i64, x as i64, y as i64, z as i64];
        let mut output = context
            .output(0, output_shape.to_vec())?
            .ok_or_else(|| Error::new("output 0 is missing"))?;
        let (_, output) = output.try_extract_tensor_mut::<f32>()?;
        let inputs = input.chunks_exact(sizes.channels * sizes.input.iter().product::<usize>());
        for (input, output) in inputs.zip(output.chunks_exact_mut(sizes.filters * x * y * z)) {
            convolution.run([input, weights, bias], output, &self.scratch, &parallel);
        }
        match failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
