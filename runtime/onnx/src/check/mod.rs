//! Checks a model by those rules of ONNX's own checker that concern networks here, and strictly: parts that networks do
//! not need are refused rather than skipped.
//!
//! An exported network is checked whole, names and declarations included; a foreign one in everything that determines
//! its result: operators, attributes, weights and shapes.
//!
//! **Source**: onnx/checker.cc, and the schemas of the operators in [`crate::ops`].

mod weights;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use crate::domain::is_default_domain;
use crate::error::short;
pub use crate::error::{
    AttributeProblem, CheckError, InitializerProblem, ShapeProblem, TypeProblem,
};
use crate::inference::{KnownValues, declared_shape, define_outputs, usable_name};
use crate::limits::{IR_VERSION, IR_VERSIONS, NEWEST_OPSET, OPSET};
pub use crate::limits::{MAX_MODEL_BYTES, MAX_PARTS};
use crate::model::OnnxModel;
use crate::ops::{self, Operator, User};
use crate::proto::{GraphProto, ModelProto, NodeProto};
use crate::shape::Dim;

/// Decodes an exported model and checks it; see [`check`].
///
/// **Errors**: the first rule that it breaks.
pub fn check_bytes(bytes: &[u8]) -> Result<ModelProto, CheckError> {
    if bytes.len() > MAX_MODEL_BYTES {
        return Err(CheckError::TooLarge { found: bytes.len() });
    }
    let network = OnnxModel::decode(bytes.to_vec())?;
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

/// Checks a foreign model: known operators only, on values that the file itself contains.
///
/// **Errors**: the first rule that it breaks.
pub(crate) fn check_foreign(model: &ModelProto) -> Result<(), CheckError> {
    let opset = versions(model, IR_VERSIONS, 1..=NEWEST_OPSET)?;
    check_model(model, User::Foreign, opset)
}

/// Version of the default operator set, the only one.
///
/// **Errors**: this version or that of the file format is unknown.
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

fn absent(part: &'static str, count: usize) -> Result<(), CheckError> {
    if count == 0 {
        Ok(())
    } else {
        Err(CheckError::Part { part })
    }
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
    let mut values = KnownValues::default();
    for (what, count) in [
        ("inputs", graph.input.len()),
        ("outputs", graph.output.len()),
        ("nodes", graph.node.len()),
    ] {
        if count == 0 {
            return Err(CheckError::Empty { what });
        }
    }
    let outputs = graph.node.iter().map(|node| node.output.len());
    let node_outputs = outputs.fold(0, usize::saturating_add);
    for (what, found) in [
        ("inputs", graph.input.len()),
        ("weights", graph.initializer.len()),
        ("nodes", graph.node.len()),
        ("outputs of nodes", node_outputs),
    ] {
        if found > MAX_PARTS {
            return Err(CheckError::TooMany { what, found });
        }
    }
    for (index, input) in graph.input.iter().enumerate() {
        let value = usable_name("input", index, input.name.as_deref())?;
        let shape = declared_shape(value, input)?;
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
        let value = usable_name("initializer", index, initializer.name.as_deref())?;
        let shape = weights::initializer_shape(value, initializer, user)?;
        values.define_constant(value, shape, initializer)?;
    }
    for node in &graph.node {
        let label = short(&node.label());
        check_domain(node.domain.as_deref())?;
        let operator = known_operator(&label, node, user)?;
        operator.check(&label, node)?;
        if opset < operator.since {
            return Err(CheckError::OperatorOpset {
                node: label,
                operator: operator.name,
                found: opset,
                least: operator.since,
            });
        }
        let shapes = values.infer(&label, operator, node)?;
        define_outputs(&mut values, node, shapes)?;
    }
    check_outputs(graph, &values, user)
}

/// The operator of a node, if it is permitted in such networks.
fn known_operator(
    label: &str,
    node: &NodeProto,
    user: User,
) -> Result<&'static Operator, CheckError> {
    let known = |operator: &Operator| match user {
        User::Exporter => operator.is_exported(),
        User::Foreign | User::Rewrite => operator.is_loaded(),
    };
    let found = node.op_type.as_deref().unwrap_or_default();
    let operator = ops::find(found).filter(|operator| known(operator));
    operator.ok_or_else(|| CheckError::Operator {
        node: label.into(),
        found: short(found),
        expected: ops::names(known),
    })
}

/// Checks the names of a graph and its nodes, to which nothing refers.
fn check_names(graph: &GraphProto) -> Result<(), CheckError> {
    usable_name("the graph", 0, graph.name.as_deref())?;
    let mut nodes = BTreeSet::new();
    for (index, node) in graph.node.iter().enumerate() {
        let node_name = usable_name("node", index, node.name.as_deref())?;
        if !nodes.insert(node_name) {
            return Err(CheckError::NodeTwice {
                node: node_name.into(),
            });
        }
    }
    Ok(())
}

/// Checks that nodes define the outputs, with the declared shapes.
fn check_outputs(
    graph: &GraphProto,
    values: &KnownValues<'_>,
    user: User,
) -> Result<(), CheckError> {
    let given: BTreeSet<&str> = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .map(String::as_str)
        .collect();
    let mut outputs = BTreeSet::new();
    for (index, output) in graph.output.iter().enumerate() {
        let value = usable_name("output", index, output.name.as_deref())?;
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
        // Nothing uses them.
        User::Foreign | User::Rewrite => &[],
    };
    for (index, declaration) in graph.output.iter().chain(between).enumerate() {
        let value = usable_name("declared value", index, declaration.name.as_deref())?;
        let expected = declared_shape(value, declaration)?;
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
