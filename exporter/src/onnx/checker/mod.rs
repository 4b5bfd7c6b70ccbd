//! Checks a model by the rules of ONNX's own checker, as far as they concern exported networks, and strictly: what a
//! network has no use for is refused, not skipped.
//!
//! **Source**: onnx/checker.cc and the schemas of Conv-11, ConvTranspose-11, InstanceNormalization-6, Relu-14 and
//! Add-14, which are those of opset 20.

mod error;
mod operators;
mod shapes;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use vesal_onnx::proto::{GraphProto, ModelProto, NodeProto};
use vesal_onnx::{IR_VERSION, OPSET};

pub use error::{AttributeProblem, CheckError, InitializerProblem, ShapeProblem, TypeProblem};
use shapes::Shape;

use super::MAX_MODEL_BYTES;

/// Decodes a model and checks it.
///
/// **Errors**: the first rule that it breaks.
pub fn check_bytes(bytes: &[u8]) -> Result<ModelProto, CheckError> {
    if bytes.len() > MAX_MODEL_BYTES {
        return Err(CheckError::TooLarge { found: bytes.len() });
    }
    let model = ModelProto::decode(bytes)?;
    check(&model)?;
    Ok(model)
}

/// Checks a model: versions, names, single assignment, topological order, types, operators and their attributes,
/// weights, and that the shapes which follow from the inputs are the declared ones.
///
/// **Errors**: the first rule that it breaks.
pub fn check(model: &ModelProto) -> Result<(), CheckError> {
    if model.ir_version != Some(IR_VERSION) {
        return Err(CheckError::IrVersion {
            found: model.ir_version,
        });
    }
    check_opsets(model)?;
    absent("training graphs", model.training_info.len())?;
    absent("functions", model.functions.len())?;
    check_graph(model.graph.as_ref().ok_or(CheckError::NoGraph)?)
}

fn check_opsets(model: &ModelProto) -> Result<(), CheckError> {
    for import in &model.opset_import {
        check_domain(import.domain.as_deref())?;
    }
    match model.opset_import.as_slice() {
        [import] if import.version == Some(OPSET) => Ok(()),
        [import] => Err(CheckError::Opset {
            found: import.version,
        }),
        imports => Err(CheckError::OpsetImports {
            found: imports.len(),
        }),
    }
}

fn check_domain(domain: Option<&str>) -> Result<(), CheckError> {
    match domain {
        None | Some("" | "ai.onnx") => Ok(()),
        Some(domain) => Err(CheckError::Domain {
            domain: domain.into(),
        }),
    }
}

fn absent(part: &'static str, count: usize) -> Result<(), CheckError> {
    if count == 0 {
        Ok(())
    } else {
        Err(CheckError::Part { part })
    }
}

/// The name of something, if it is usable.
fn name<'a>(
    what: &'static str,
    index: usize,
    name: Option<&'a str>,
) -> Result<&'a str, CheckError> {
    let found = name.unwrap_or_default();
    if found.is_empty() || !found.chars().all(|c| c.is_ascii_graphic()) {
        return Err(CheckError::Name {
            what,
            index,
            found: found.into(),
        });
    }
    Ok(found)
}

fn check_graph(graph: &GraphProto) -> Result<(), CheckError> {
    name("the graph", 0, graph.name.as_deref())?;
    absent("sparse initializers", graph.sparse_initializer.len())?;
    absent(
        "quantization annotations",
        graph.quantization_annotation.len(),
    )?;
    for (what, count) in [
        ("inputs", graph.input.len()),
        ("outputs", graph.output.len()),
        ("nodes", graph.node.len()),
    ] {
        if count == 0 {
            return Err(CheckError::Empty { what });
        }
    }

    let mut shapes: BTreeMap<&str, Shape> = BTreeMap::new();
    for (index, input) in graph.input.iter().enumerate() {
        let value = name("input", index, input.name.as_deref())?;
        define(&mut shapes, value, values::declared_shape(value, input)?)?;
    }
    for (index, initializer) in graph.initializer.iter().enumerate() {
        let value = name("initializer", index, initializer.name.as_deref())?;
        define(
            &mut shapes,
            value,
            values::initializer_shape(value, initializer)?,
        )?;
    }
    let mut nodes = BTreeSet::new();
    for (index, node) in graph.node.iter().enumerate() {
        let node_name = name("node", index, node.name.as_deref())?;
        if !nodes.insert(node_name) {
            return Err(CheckError::NodeTwice {
                node: node_name.into(),
            });
        }
        check_node(node_name, node, &mut shapes)?;
    }

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
    for (index, declaration) in graph.output.iter().chain(&graph.value_info).enumerate() {
        let value = name("declared value", index, declaration.name.as_deref())?;
        let expected = values::declared_shape(value, declaration)?;
        let found = shapes.get(value).ok_or_else(|| CheckError::NoOutput {
            output: value.into(),
        })?;
        if *found != expected {
            return Err(CheckError::Declaration {
                value: value.into(),
                found: found.to_string(),
                expected: expected.to_string(),
            });
        }
    }
    Ok(())
}

fn define<'a>(
    shapes: &mut BTreeMap<&'a str, Shape>,
    value: &'a str,
    shape: Shape,
) -> Result<(), CheckError> {
    match shapes.insert(value, shape) {
        None => Ok(()),
        Some(_) => Err(CheckError::Twice {
            value: value.into(),
        }),
    }
}

fn check_node<'a>(
    node_name: &str,
    node: &'a NodeProto,
    shapes: &mut BTreeMap<&'a str, Shape>,
) -> Result<(), CheckError> {
    check_domain(node.domain.as_deref())?;
    let operator = operators::check(node_name, node)?;
    let mut inputs = Vec::new();
    for input in &node.input {
        let shape = shapes
            .get(input.as_str())
            .ok_or_else(|| CheckError::Undefined {
                node: node_name.into(),
                value: input.clone(),
            })?;
        inputs.push(shape);
    }
    let shape = shapes::infer(node_name, operator, node, &inputs)?;
    for (index, output) in node.output.iter().enumerate() {
        name("node output", index, Some(output))?;
        define(shapes, output, shape.clone())?;
    }
    Ok(())
}
