//! [`ATTENTION`] as an operator of ONNX Runtime, on the threads of its session.

use std::cell::Cell;
use std::sync::Arc;

use ort::Error;
use ort::operator::{
    ComputeContext, Kernel, KernelContext, Operator, OperatorInput, OperatorOutput,
    ShapeInferenceContext,
};
use ort::value::{DynTensorValueType, TensorElementType, ValueRef, ValueType};
use vesal_onnx::{ATTENTION, AttentionSizes};

use super::attention::{AttentionConstants, AttentionInputs, PlannedAttention};
use super::processor::Processor;
use super::scratch::Scratch;

pub(super) struct AttentionOperator {
    pub processor: Processor,
    pub scratch: Arc<Scratch>,
}

impl Operator for AttentionOperator {
    type Kernel<'attr> = AttentionKernel;

    fn name(&self) -> &str {
        ATTENTION
    }

    fn inputs(&self) -> impl IntoIterator<Item = OperatorInput> {
        let float = TensorElementType::Float32;
        [
            OperatorInput::required(float),
            OperatorInput::required(float),
            OperatorInput::required(float),
            OperatorInput::optional(float),
            OperatorInput::optional(float),
            OperatorInput::optional(float),
        ]
    }

    fn outputs(&self) -> impl IntoIterator<Item = OperatorOutput> {
        [OperatorOutput::required(TensorElementType::Float32)]
    }

    fn create_kernel<'attr>(
        &self,
        context: &KernelContext<'attr>,
    ) -> Result<AttentionKernel, Error> {
        let groups = |name: &str| -> Result<Vec<usize>, Error> {
            let stated = context.get::<Vec<i64>>(name).unwrap_or_default();
            let sizes = stated.iter().map(|&size| size.try_into());
            let negative = |_| Error::new(format!("`{name}` has negative values"));
            sizes.collect::<Result<_, _>>().map_err(negative)
        };
        Ok(AttentionKernel {
            processor: self.processor,
            scratch: Arc::clone(&self.scratch),
            bias_of: groups("bias_of")?,
            mask_of: groups("mask_of")?,
            planned: None,
        })
    }

    /// With a known shape, ONNX Runtime plans its memory in advance.
    fn infer_shape(&self, context: &mut ShapeInferenceContext) -> Result<(), Error> {
        let inputs = context.inputs();
        let [Some(queries), Some(mut values)] = [0, 2].map(|index| inputs.get(index).cloned())
        else {
            return Ok(());
        };
        let rows = queries.tensor_shape().and_then(|shape| {
            let axis = shape.len().checked_sub(2)?;
            shape.get(axis).copied()
        });
        if let (ValueType::Tensor { shape, .. }, Some(rows)) = (&mut values, rows)
            && let Some(axis) = shape.len().checked_sub(2)
        {
            shape[axis] = rows;
            context.set_output(0, &values)?;
        }
        Ok(())
    }
}

pub(super) struct AttentionKernel {
    processor: Processor,
    scratch: Arc<Scratch>,
    bias_of: Vec<usize>,
    mask_of: Vec<usize>,
    planned: Option<(AttentionSizes, PlannedAttention)>,
}

/// Shape and elements of an input.
type Floats<'a> = (Vec<usize>, &'a [f32]);

fn floats<'a>(value: &'a ValueRef<'_, DynTensorValueType>) -> Result<Floats<'a>, Error> {
    let (shape, elements) = value.try_extract_tensor::<f32>()?;
    let shape: Option<Vec<usize>> = shape.iter().map(|&n| n.try_into().ok()).collect();
    let shape = shape.ok_or_else(|| Error::new("a shape has negative sizes"))?;
    Ok((shape, elements))
}

/// Product of the sizes between the batch and the matrices.
fn groups(shape: &[usize]) -> usize {
    match shape {
        [_, groups @ .., _, _] => groups.iter().product(),
        _ => 0,
    }
}

/// Sizes of matrices, with their number.
fn matrices(shape: &[usize]) -> [usize; 3] {
    match shape {
        [count @ .., rows, columns] => [count.iter().product(), *rows, *columns],
        _ => [0; 3],
    }
}

impl AttentionKernel {
    /// Sizes of an attention of these shapes, if they are compatible.
    fn sizes(
        &self,
        required: [&[usize]; 3],
        optional: [Option<&[usize]>; 3],
    ) -> Option<AttentionSizes> {
        let [queries, keys, values] = required;
        let [[cases, n, depth], [_, d, m], [_, k, features]] = required.map(matrices);
        let sizes = AttentionSizes {
            groups: groups(queries),
            queries: n,
            keys: m,
            depth,
            features,
            rank: optional[1].map_or(0, |left| matrices(left)[2]),
        };
        let same = [keys, values]
            .iter()
            .all(|shape| shape.first() == queries.first() && groups(shape) == sizes.groups);
        let within = |of: &[usize], count: usize| {
            of.len() == sizes.groups && of.iter().all(|&index| index < count)
        };
        let bias = match optional[0].map(matrices) {
            None => self.bias_of.is_empty(),
            Some([count, rows, columns]) => {
                [rows, columns] == [n, m] && within(&self.bias_of, count)
            }
        };
        let mask = match [optional[1], optional[2]].map(|shape| shape.map(matrices)) {
            [None, None] => self.mask_of.is_empty(),
            [Some([count, rows, rank]), Some([others, ranks, columns])] => {
                count == others
                    && [rows, rank, columns] == [n, ranks, m]
                    && within(&self.mask_of, count)
            }
            _ => false,
        };
        (cases > 0 && same && d == depth && k == m && bias && mask).then_some(sizes)
    }
}

impl Kernel for AttentionKernel {
    fn compute(&mut self, context: &ComputeContext) -> Result<(), Error> {
        let count = context.num_inputs()?;
        let mut found = Vec::new();
        for index in 0..6 {
            let value = match index < count {
                true => context.input(index)?,
                false => None,
            };
            found.push(
                value
                    .map(|value| value.downcast::<DynTensorValueType>())
                    .transpose()?,
            );
        }
        let mut inputs = Vec::new();
        for value in &found {
            inputs.push(value.as_ref().map(floats).transpose()?);
        }
        let [Some(queries), Some(keys), Some(values), bias, left, right] = &inputs[..] else {
            return Err(Error::new("queries, keys or values are missing"));
        };
        let required = [&queries.0[..], &keys.0, &values.0];
        let optional = [bias, left, right];
        let optional = optional.map(|value| value.as_ref().map(|(shape, _)| &shape[..]));
        let unfit = || {
            Error::new(format!(
                "the inputs have shapes {required:?} and constants {optional:?}: they are incompatible"
            ))
        };
        let sizes = self.sizes(required, optional).ok_or_else(unfit)?;
        if self
            .planned
            .as_ref()
            .is_none_or(|(planned, _)| *planned != sizes)
        {
            let planned = PlannedAttention::new(self.processor, sizes).ok_or_else(unfit)?;
            self.planned = Some((sizes, planned));
        }
        let Some((_, attention)) = &self.planned else {
            return Err(unfit());
        };
        let constants = AttentionConstants {
            bias: bias.as_ref().map(|(_, bias)| (*bias, &self.bias_of[..])),
            mask: match (left, right) {
                (Some((_, left)), Some((_, right))) => Some((*left, *right, &self.mask_of[..])),
                _ => None,
            },
        };
        let failed = Cell::new(None);
        let parallel = |count: usize, work: &(dyn Fn(usize) + Sync + Send)| {
            if let Err(error) = context.par_for(count, count, work) {
                failed.set(Some(error));
            }
        };
        let mut shape: Vec<i64> = values.0.iter().map(|&n| n as i64).collect();
        let axis = shape.len() - 2;
        shape[axis] = sizes.queries as i64;
        let mut output = context
            .output(0, shape)?
            .ok_or_else(|| Error::new("output 0 is missing"))?;
        let (_, output) = output.try_extract_tensor_mut::<f32>()?;
        let of_case = |features: usize| sizes.groups * features;
        let cases = queries.1.chunks_exact(of_case(sizes.queries * sizes.depth));
        let cases = cases.zip(keys.1.chunks_exact(of_case(sizes.depth * sizes.keys)));
        let cases = cases.zip(values.1.chunks_exact(of_case(sizes.keys * sizes.features)));
        let outputs = output.chunks_exact_mut(of_case(sizes.queries * sizes.features));
        for (((queries, keys), values), output) in cases.zip(outputs) {
            let inputs = AttentionInputs {
                queries,
                keys,
                values,
                constants,
            };
            attention.run(inputs, output, &self.scratch, &parallel);
        }
        match failed.take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
