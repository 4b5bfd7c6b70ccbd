//! Checks a model by the rules of ONNX's own checker, as far as they concern networks here, and strictly: what a network has
//! no use for is refused, not skipped.
//!
//! An exported network is checked whole, names and declarations included; of one that others made, all that decides about
//! what is computed: operators, attributes, weights and shapes.
//!
//! **Source**: onnx/checker.cc, and the schemas of the operators in [`crate::operators`].

mod arrangement;
mod attributes;
mod error;
mod facts;
mod shapes;
mod values;
mod windows;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

pub use error::{AttributeProblem, CheckError, InitializerProblem, ShapeProblem, TypeProblem};
use shapes::Input;
pub(crate) use shapes::{Dim, Shape};

use crate::builder::{IR_VERSION, OPSET};
use crate::network::{Network, is_default_domain};
use crate::operators::{self, NEWEST_OPSET, Operator, User};
use crate::proto::{DataType, GraphProto, ModelProto, NodeProto, TensorProto};

/// Largest model in bytes: protobuf messages end at 2 GiB.
pub const MAX_MODEL_BYTES: usize = i32::MAX as usize;

/// Most nodes of a network, and most weights: networks of convolutions have some hundreds.
pub const MAX_PARTS: usize = 1 << 14;

/// Newest version of the file format that is known.
const NEWEST_IR_VERSION: i64 = 14;

/// Position of the only input that is no float: the sizes that `Resize` gives.
const SIZES: (&str, usize) = ("Resize", 3);

/// Decodes an exported model and checks it; see [`check`].
///
/// **Errors**: the first rule that it breaks.
pub fn check_bytes(bytes: &[u8]) -> Result<ModelProto, CheckError> {
    if bytes.len() > MAX_MODEL_BYTES {
        return Err(CheckError::TooLarge { found: bytes.len() });
    }
    let network = Network::decode(bytes.to_vec())?;
    check(network.model())?;
    Ok(network.into_model())
}

/// Checks an exported model: versions, names, single assignment, topological order, types, operators and their attributes,
/// weights, and that the shapes which follow from the inputs are the declared ones.
///
/// **Errors**: the first rule that it breaks.
pub fn check(model: &ModelProto) -> Result<(), CheckError> {
    let opset = versions(model, IR_VERSION..=IR_VERSION, OPSET..=OPSET)?;
    check_model(model, User::Exporter, opset)
}

/// Checks a model that others made: that it computes what this program knows, on values that it holds itself.
///
/// **Errors**: the first rule that it breaks.
pub(crate) fn check_foreign(model: &ModelProto) -> Result<(), CheckError> {
    let opset = versions(model, 1..=NEWEST_IR_VERSION, 1..=NEWEST_OPSET)?;
    check_model(model, User::Foreign, opset)
}

/// Version of the default operator set, the only one.
///
/// **Errors**: it or the version of the file format is none of those that are known.
fn versions(
    model: &ModelProto,
    formats: RangeInclusive<i64>,
    opsets: RangeInclusive<i64>,
) -> Result<i64, CheckError> {
    if !(model.ir_version).is_some_and(|found| formats.contains(&found)) {
        return Err(CheckError::IrVersion {
            found: model.ir_version,
            expected: formats,
        });
    }
    for import in &model.opset_import {
        check_domain(import.domain.as_deref())?;
    }
    match model.opset_import.as_slice() {
        [import] => match import.version.filter(|found| opsets.contains(found)) {
            Some(opset) => Ok(opset),
            None => Err(CheckError::Opset {
                found: import.version,
                expected: opsets,
            }),
        },
        imports => Err(CheckError::OpsetImports {
            found: imports.len(),
        }),
    }
}

fn check_domain(domain: Option<&str>) -> Result<(), CheckError> {
    if is_default_domain(domain) {
        return Ok(());
    }
    Err(CheckError::Domain {
        domain: short(domain.unwrap_or_default()),
    })
}

/// As much of a foreign text as a message needs.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn absent(part: &'static str, count: usize) -> Result<(), CheckError> {
    if count == 0 {
        Ok(())
    } else {
        Err(CheckError::Part { part })
    }
}

/// Whether a text can be the name of a value or node.
pub(crate) fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())
}

/// The name of something, if it is usable.
fn name<'a>(
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

fn check_model(model: &ModelProto, user: User, opset: i64) -> Result<(), CheckError> {
    absent("training graphs", model.training_info.len())?;
    absent("functions", model.functions.len())?;
    absent("device configurations", model.configuration.len())?;
    let graph = model.graph.as_ref().ok_or(CheckError::NoGraph)?;
    absent("sparse initializers", graph.sparse_initializer.len())?;
    absent(
        "quantization annotations",
        graph.quantization_annotation.len(),
    )?;
    if user == User::Exporter {
        check_names(graph)?;
    }
    let mut values = Values::default();
    for (what, count) in [
        ("inputs", graph.input.len()),
        ("outputs", graph.output.len()),
        ("nodes", graph.node.len()),
    ] {
        if count == 0 {
            return Err(CheckError::Empty { what });
        }
    }
    for (what, found) in [
        ("inputs", graph.input.len()),
        ("weights", graph.initializer.len()),
        ("nodes", graph.node.len()),
    ] {
        if found > MAX_PARTS {
            return Err(CheckError::TooMany { what, found });
        }
    }
    for (index, input) in graph.input.iter().enumerate() {
        let value = name("input", index, input.name.as_deref())?;
        let shape = values::declared_shape(value, input)?;
        if user == User::Foreign {
            let free = |dim: &Dim| matches!(dim, Dim::Free(_));
            if let Some(axis) = shape.0.iter().skip(1).position(free) {
                return Err(CheckError::Type {
                    value: value.into(),
                    problem: TypeProblem::Free { axis: axis + 1 },
                });
            }
        }
        values.define(value, shape)?;
    }
    for (index, initializer) in graph.initializer.iter().enumerate() {
        let value = name("initializer", index, initializer.name.as_deref())?;
        let shape = values::initializer_shape(value, initializer, user)?;
        values.define(value, shape)?;
        values.constants.insert(value, initializer);
    }
    for node in &graph.node {
        let label = short(&node.label());
        check_domain(node.domain.as_deref())?;
        let known = |operator: &Operator| match user {
            User::Exporter => operator.is_exported(),
            User::Foreign | User::Rewrite => operator.is_loaded(),
        };
        let operator = attributes::check(&label, node, known)?;
        if opset < operator.since {
            return Err(CheckError::OperatorOpset {
                node: label,
                operator: operator.name,
                found: opset,
                least: operator.since,
            });
        }
        values.give(&label, operator, node)?;
    }
    check_outputs(graph, &values, user)
}

/// Checks the names of a graph and its nodes, by which nothing refers to them.
fn check_names(graph: &GraphProto) -> Result<(), CheckError> {
    name("the graph", 0, graph.name.as_deref())?;
    let mut nodes = BTreeSet::new();
    for (index, node) in graph.node.iter().enumerate() {
        let node_name = name("node", index, node.name.as_deref())?;
        if !nodes.insert(node_name) {
            return Err(CheckError::NodeTwice {
                node: node_name.into(),
            });
        }
    }
    Ok(())
}

/// Checks that nodes give the outputs, in the shapes that are declared.
fn check_outputs(graph: &GraphProto, values: &Values<'_>, user: User) -> Result<(), CheckError> {
    let given: BTreeSet<&str> = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .map(String::as_str)
        .collect();
    let mut outputs = BTreeSet::new();
    for (index, output) in graph.output.iter().enumerate() {
        let value = name("output", index, output.name.as_deref())?;
        if !outputs.insert(value) {
            return Err(CheckError::Twice {
                value: value.into(),
            });
        }
        if !given.contains(value) {
            return Err(CheckError::NoOutput {
                output: value.into(),
            });
        }
    }
    let between = match user {
        User::Exporter => graph.value_info.as_slice(),
        // Nothing is taken from them.
        User::Foreign | User::Rewrite => &[],
    };
    for (index, declaration) in graph.output.iter().chain(between).enumerate() {
        let value = name("declared value", index, declaration.name.as_deref())?;
        let expected = values::declared_shape(value, declaration)?;
        let found = values
            .shapes
            .get(value)
            .ok_or_else(|| CheckError::NoOutput {
                output: value.into(),
            })?;
        let same = match user {
            User::Exporter => *found == expected,
            User::Foreign | User::Rewrite => found.fits(&expected),
        };
        if !same {
            return Err(CheckError::Declaration {
                value: value.into(),
                found: found.to_string(),
                expected: expected.to_string(),
            });
        }
    }
    Ok(())
}

/// The values that are there so far.
#[derive(Default)]
struct Values<'a> {
    shapes: BTreeMap<&'a str, Shape>,
    constants: BTreeMap<&'a str, &'a TensorProto>,
}

impl<'a> Values<'a> {
    fn define(&mut self, value: &'a str, shape: Shape) -> Result<(), CheckError> {
        match self.shapes.insert(value, shape) {
            None => Ok(()),
            Some(_) => Err(CheckError::Twice {
                value: short(value),
            }),
        }
    }

    /// Adds what a node gives.
    fn give(
        &mut self,
        label: &str,
        operator: &'static Operator,
        node: &'a NodeProto,
    ) -> Result<(), CheckError> {
        let mut inputs = Vec::new();
        for (index, input) in node.input.iter().enumerate() {
            if input.is_empty() && index >= operator.inputs[0] {
                inputs.push(None);
                continue;
            }
            let shape = self
                .shapes
                .get(input.as_str())
                .ok_or_else(|| CheckError::Undefined {
                    node: label.into(),
                    value: short(input),
                })?;
            let constant = self.constants.get(input.as_str()).copied();
            let whole =
                constant.is_some_and(|constant| constant.data_type == Some(DataType::Int64 as i32));
            if whole && (operator.name, index) != SIZES {
                return Err(CheckError::Initializer {
                    initializer: short(input),
                    problem: InitializerProblem::Element {
                        found: Some(DataType::Int64 as i32),
                    },
                });
            }
            inputs.push(Some(Input { shape, constant }));
        }
        let shape = shapes::infer(label, operator, node, &inputs)?;
        for (index, output) in node.output.iter().enumerate() {
            name("node output", index, Some(output))?;
            self.define(output, shape.clone())?;
        }
        Ok(())
    }
}

/// Shape of every value of a network that is being rewritten, free sizes replaced by that of the batch.
///
/// **Errors**: an operator of which is not known what shape it gives, or shapes that do not go together.
pub(crate) fn shapes(
    graph: &GraphProto,
    batch: usize,
) -> Result<BTreeMap<String, Vec<u64>>, CheckError> {
    let mut values = Values::default();
    for (index, input) in graph.input.iter().enumerate() {
        let value = name("input", index, input.name.as_deref())?;
        values.define(value, values::declared_shape(value, input)?)?;
    }
    for initializer in &graph.initializer {
        let value = initializer.name.as_deref().unwrap_or_default();
        values.define(value, values::dims(initializer))?;
        values.constants.insert(value, initializer);
    }
    for node in &graph.node {
        let label = short(&node.label());
        let found = node.operator();
        let operator = operators::find(&found).ok_or_else(|| CheckError::Operator {
            node: label.clone(),
            found: short(&found),
            expected: operators::names(|_| true),
        })?;
        values.give(&label, operator, node)?;
    }
    let size = |dim: &Dim| match dim {
        Dim::Fixed(size) => u64::try_from(*size).unwrap_or(0),
        Dim::Free(_) => batch as u64,
    };
    let sizes =
        |(value, shape): (&str, Shape)| (value.to_owned(), shape.0.iter().map(size).collect());
    Ok(values.shapes.into_iter().map(sizes).collect())
}
