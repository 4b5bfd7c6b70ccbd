//! Weights and activations in 16-bit floats.

use std::collections::BTreeSet;

use crate::domain::{DOMAIN, NORM_LEAKY_RELU};
use crate::graph::only;
use crate::limits::NEWEST_OPSET;
use crate::model::OnnxModel;
use crate::ops::{self, HalfInputs};
use crate::proto::{
    AttributeProto, GraphProto, NodeProto, TensorDataType, TensorProto, ValueInfoProto,
};
use crate::rewrite_error::RewriteError;

/// Element type of a network's input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interface {
    /// 32-bit floats: the network converts at its borders.
    Single,
    Half,
}

/// Oldest operator set in which the operators that can be halved have one element type for inputs and outputs.
const LEAST_OPSET: i64 = 13;

impl OnnxModel {
    /// Computes in 16-bit floats: half the memory, and several times the speed on a GPU's tensor cores.
    ///
    /// **Definition**: weights are rounded to nearest, ties to even; values too small for a normal 16-bit float become
    /// subnormal, then 0. Attributes, such as the epsilon of an instance normalization, stay as they are. With
    /// [`Interface::Single`] the input is converted first and the output last.
    ///
    /// **Errors**: an operator that is not known, a weight beyond ±65504, values that are not 32-bit floats.
    pub fn half(&self, interface: Interface) -> Result<Self, RewriteError> {
        let (least, most) = (LEAST_OPSET, NEWEST_OPSET);
        let opset = self.opset();
        if !opset.is_some_and(|opset| (least..=most).contains(&opset)) {
            return Err(RewriteError::Opset {
                found: opset,
                least,
                most,
            });
        }
        self.rewritten(|graph| {
            graph.no_replaceable_weights()?;
            for node in &graph.node {
                check_operator(node)?;
            }
            let weights = halved_weights(graph)?;
            halve_declarations(graph, &weights)?;
            if interface == Interface::Single {
                convert_input(graph)?;
                convert_output(graph)?;
            }
            Ok(())
        })
        .map(|(network, ())| network)
    }
}

/// Checks that an operator is safe in 16-bit floats.
///
/// **Errors**: it is not, or not known.
fn check_operator(node: &NodeProto) -> Result<(), RewriteError> {
    if half_inputs(node).is_none() {
        return Err(RewriteError::Operator {
            node: node.label(),
            found: node.operator(),
            expected: ops::names(|operator| operator.half.is_some()),
        });
    }
    Ok(())
}

/// Which inputs of a node become 16-bit floats, if its operator is safe in them. Of [`NORM_LEAKY_RELU`] it is the first: the others
/// are always 32-bit floats.
fn half_inputs(node: &NodeProto) -> Option<HalfInputs> {
    if node.is_custom(DOMAIN, NORM_LEAKY_RELU) {
        return Some(HalfInputs::Only(&[0]));
    }
    // Foreign operators have their domain in the name and are not in the table.
    ops::find(&node.operator())?.half
}

/// Inputs of a node that become 16-bit floats, or those that stay as they are.
fn inputs(node: &NodeProto, halved: bool) -> impl Iterator<Item = &String> {
    let half = half_inputs(node).unwrap_or(HalfInputs::All);
    let inputs = node.input.iter().enumerate();
    inputs.filter_map(move |(position, input)| (half.includes(position) == halved).then_some(input))
}

/// Halves the weights that are inputs of 16-bit floats, and returns their names. Of a weight that is also an input that
/// stays as it is, there are two then.
fn halved_weights(graph: &mut GraphProto) -> Result<BTreeSet<String>, RewriteError> {
    let names: BTreeSet<&str> = graph
        .initializer
        .iter()
        .filter_map(|tensor| tensor.name.as_deref())
        .collect();
    let halved: BTreeSet<String> = graph
        .node
        .iter()
        .flat_map(|node| inputs(node, true))
        .filter(|input| names.contains(input.as_str()))
        .cloned()
        .collect();
    let mut shared = BTreeSet::new();
    for node in &graph.node {
        for value in inputs(node, false).filter(|input| !input.is_empty()) {
            if !names.contains(value.as_str()) {
                return Err(RewriteError::Computed {
                    node: node.label(),
                    value: value.clone(),
                });
            }
            if halved.contains(value) {
                shared.insert(value.clone());
            }
        }
    }
    for value in shared {
        let single = graph.fresh(&format!("{value}.single"));
        keep_single(graph, &value, &single);
    }
    for tensor in &mut graph.initializer {
        if halved.contains(tensor.name.as_deref().unwrap_or_default()) {
            *tensor = tensor.halved()?;
        }
    }
    Ok(halved)
}

/// Copies a weight under another name, which all inputs take that stay as they are.
fn keep_single(graph: &mut GraphProto, value: &str, single: &str) {
    let weights = graph.initializer.iter();
    let copies: Vec<_> = weights
        .filter(|tensor| tensor.name.as_deref() == Some(value))
        .map(|tensor| TensorProto {
            name: Some(single.into()),
            ..tensor.clone()
        })
        .collect();
    graph.initializer.extend(copies);
    for node in &mut graph.node {
        let half = half_inputs(node).unwrap_or(HalfInputs::All);
        for (position, input) in node.input.iter_mut().enumerate() {
            if input == value && !half.includes(position) {
                *input = single.into();
            }
        }
    }
}

/// Declares input, output and outputs of nodes as 16-bit floats.
fn halve_declarations(
    graph: &mut GraphProto,
    weights: &BTreeSet<String>,
) -> Result<(), RewriteError> {
    let (_, input) = only("inputs", &mut graph.input)?;
    only("outputs", &mut graph.output)?;
    let changed: BTreeSet<&str> = graph
        .node
        .iter()
        .flat_map(|node| &node.output)
        .chain(weights)
        .chain([&input])
        .map(String::as_str)
        .collect();
    let infos = graph.value_info.iter_mut();
    let infos = infos.filter(|info| changed.contains(info.name.as_deref().unwrap_or_default()));
    for info in graph.input.iter_mut().chain(&mut graph.output).chain(infos) {
        let single = TensorDataType::Float;
        match info.element() {
            Some(element) if *element == single as i32 => *element = TensorDataType::Float16 as i32,
            found => {
                let found = found.copied();
                return Err(RewriteError::Element {
                    value: info.name.clone().unwrap_or_default(),
                    found,
                    expected: single,
                });
            }
        }
    }
    Ok(())
}

/// Converts the input from 32-bit floats.
fn convert_input(graph: &mut GraphProto) -> Result<(), RewriteError> {
    let (_, name) = only("inputs", &mut graph.input)?;
    let half = graph.fresh(&format!("{name}.half"));
    graph.rename(&name, &half);
    declare_single(&mut graph.input);
    graph
        .node
        .insert(0, cast(&name, &half, TensorDataType::Float16));
    Ok(())
}

/// Converts the output to 32-bit floats.
fn convert_output(graph: &mut GraphProto) -> Result<(), RewriteError> {
    let (_, name) = only("outputs", &mut graph.output)?;
    if graph.givers(&name).len() != 1 {
        return Err(RewriteError::NoNode { value: name });
    }
    let half = graph.fresh(&format!("{name}.half"));
    graph.rename(&name, &half);
    declare_single(&mut graph.output);
    graph.node.push(cast(&half, &name, TensorDataType::Float));
    Ok(())
}

fn declare_single(infos: &mut [ValueInfoProto]) {
    for element in infos.iter_mut().filter_map(ValueInfoProto::element) {
        *element = TensorDataType::Float as i32;
    }
}

/// A conversion, named after its output.
fn cast(from: &str, to: &str, element: TensorDataType) -> NodeProto {
    NodeProto {
        input: vec![from.into()],
        output: vec![to.into()],
        name: Some(format!("{to}.cast")),
        op_type: Some("Cast".into()),
        attribute: vec![AttributeProto::int("to", element as usize)],
        ..Default::default()
    }
}
