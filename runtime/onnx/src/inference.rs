//! Shape inference: the shape of every value of a graph.

use std::collections::BTreeMap;

use crate::error::{CheckError, InitializerProblem, ShapeProblem, TypeProblem, short};
use crate::limits::{MAX_AXES, MAX_AXIS_NAME, MAX_SIZE};
use crate::ops::{self, NodeInput, Operator};
use crate::proto::{GraphProto, NodeProto, TensorDataType, TensorProto, ValueInfoProto};
use crate::shape::{Dim, SymbolicShape};

/// The values defined so far.
#[derive(Default)]
pub(crate) struct KnownValues<'a> {
    pub shapes: BTreeMap<&'a str, SymbolicShape>,
    constants: BTreeMap<&'a str, &'a TensorProto>,
}

impl<'a> KnownValues<'a> {
    pub fn define(&mut self, value: &'a str, shape: SymbolicShape) -> Result<(), CheckError> {
        match self.shapes.insert(value, shape) {
            None => Ok(()),
            Some(_) => Err(CheckError::Twice {
                value: short(value),
            }),
        }
    }

    pub fn define_constant(
        &mut self,
        value: &'a str,
        shape: SymbolicShape,
        tensor: &'a TensorProto,
    ) -> Result<(), CheckError> {
        self.define(value, shape)?;
        self.constants.insert(value, tensor);
        Ok(())
    }

    /// Shapes of the outputs of a node, whose sizes are within the limits and of which only the first, the batch, may
    /// be free.
    ///
    /// **Errors**: a missing input, integers where floats belong, or the operator's rule fails.
    pub fn infer(
        &self,
        label: &str,
        operator: &'static Operator,
        node: &NodeProto,
    ) -> Result<Vec<SymbolicShape>, CheckError> {
        let mut inputs = Vec::new();
        for (index, input) in node.input.iter().enumerate() {
            if input.is_empty() && index >= operator.inputs[0] {
                inputs.push(None);
                continue;
            }
            let shape = self.shapes.get(input.as_str());
            let shape = shape.ok_or_else(|| CheckError::Undefined {
                node: label.into(),
                value: short(input),
            })?;
            let constant = self.constants.get(input.as_str()).copied();
            let integers = Some(TensorDataType::Int64 as i32);
            let is_integers = constant.is_some_and(|constant| constant.data_type == integers);
            if is_integers && !operator.integers.contains(&index) {
                return Err(CheckError::Initializer {
                    initializer: short(input),
                    problem: InitializerProblem::Element { found: integers },
                });
            }
            inputs.push(Some(NodeInput { shape, constant }));
        }
        let view = operator.node(label, node, &inputs);
        let shapes = (operator.shapes)(&view)?;
        for shape in &shapes {
            if shape.rank() > MAX_AXES {
                let problem = ShapeProblem::Rank {
                    input: "output",
                    found: shape.rank(),
                    expected: format!("at most {MAX_AXES}"),
                };
                return Err(view.problem(problem));
            }
            for (axis, dim) in shape.0.iter().enumerate() {
                if axis > 0 || matches!(dim, Dim::Fixed(_)) {
                    view.present(axis, view.fixed(shape, axis)?)?;
                }
            }
        }
        Ok(shapes)
    }
}

/// Shape of a declared value of 32-bit floats.
pub(crate) fn declared_shape(
    value: &str,
    info: &ValueInfoProto,
) -> Result<SymbolicShape, CheckError> {
    let broken = |problem| CheckError::Type {
        value: value.into(),
        problem,
    };
    let tensor = info
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref())
        .ok_or_else(|| broken(TypeProblem::NoTensor))?;
    if tensor.elem_type != Some(TensorDataType::Float as i32) {
        return Err(broken(TypeProblem::Element {
            found: tensor.elem_type,
        }));
    }
    let shape = tensor
        .shape
        .as_ref()
        .ok_or_else(|| broken(TypeProblem::NoShape))?;
    if shape.dim.len() > MAX_AXES {
        return Err(broken(TypeProblem::Axes {
            found: shape.dim.len(),
        }));
    }
    let axes = shape.dim.iter().enumerate();
    let dims = axes.map(|(axis, dim)| match (dim.dim_value, &dim.dim_param) {
        (Some(size), None) if (1..=MAX_SIZE).contains(&size) => Ok(Dim::Fixed(size)),
        (None, Some(name)) if (1..=MAX_AXIS_NAME).contains(&name.len()) => {
            Ok(Dim::Free(name.clone()))
        }
        _ => Err(broken(TypeProblem::Axis { axis })),
    });
    dims.collect::<Result<_, _>>().map(SymbolicShape)
}

/// Sizes of a weight, as it states them.
pub(crate) fn dims(tensor: &TensorProto) -> SymbolicShape {
    SymbolicShape(tensor.dims.iter().map(|&size| Dim::Fixed(size)).collect())
}

/// Shape of every value of a network that is being rewritten, free sizes replaced by that of the batch.
///
/// **Errors**: an operator whose rule is not known, or shapes that do not fit each other.
pub(crate) fn shapes(
    graph: &GraphProto,
    batch: usize,
) -> Result<BTreeMap<String, Vec<u64>>, CheckError> {
    let mut values = KnownValues::default();
    for (index, input) in graph.input.iter().enumerate() {
        let value = usable_name("input", index, input.name.as_deref())?;
        values.define(value, declared_shape(value, input)?)?;
    }
    for initializer in &graph.initializer {
        let value = initializer.name.as_deref().unwrap_or_default();
        values.define_constant(value, dims(initializer), initializer)?;
    }
    for node in &graph.node {
        let label = short(&node.label());
        let found = node.operator();
        let operator = ops::of_node(node).ok_or_else(|| CheckError::Operator {
            node: label.clone(),
            found: short(&found),
            expected: ops::names(|_| true),
        })?;
        let shapes = values.infer(&label, operator, node)?;
        define_outputs(&mut values, node, shapes)?;
    }
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => u64::try_from(*size).unwrap_or(0),
        Dim::Free(_) => batch as u64,
    };
    let sizes = |(value, shape): (&str, SymbolicShape)| {
        (value.to_owned(), shape.0.iter().map(size).collect())
    };
    Ok(values.shapes.into_iter().map(sizes).collect())
}

/// Defines the outputs of a node, of these shapes.
pub(crate) fn define_outputs<'a>(
    values: &mut KnownValues<'a>,
    node: &'a NodeProto,
    shapes: Vec<SymbolicShape>,
) -> Result<(), CheckError> {
    for (index, (output, shape)) in node.output.iter().zip(shapes).enumerate() {
        usable_name("node output", index, Some(output))?;
        values.define(output, shape)?;
    }
    Ok(())
}

/// Whether a text can be the name of a value or node. Names of state dicts have spaces inside, as `cells.(0, 2).weight`.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.trim() == text && text.chars().all(|c| matches!(c, ' '..='~'))
}

/// The name of something.
///
/// **Errors**: none, or one with other than printable ASCII characters, or spaces at an end.
pub(crate) fn usable_name<'a>(
    what: &'static str,
    index: usize,
    name: Option<&'a str>,
) -> Result<&'a str, CheckError> {
    let found = name.unwrap_or_default();
    if !is_name(found) {
        return Err(CheckError::Name {
            what,
            index,
            found: short(found),
        });
    }
    Ok(found)
}
