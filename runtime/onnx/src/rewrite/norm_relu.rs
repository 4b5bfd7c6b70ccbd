//! Instance normalization and ReLU as one operator on channels-last volumes.

use std::collections::{HashMap, HashSet};
use std::mem;

use crate::domain::{DOMAIN, NORM_RELU, is_default_domain};
use crate::graph::{UniqueNames, only};
use crate::model::OnnxModel;
use crate::ops;
use crate::proto::{
    AttributeProto, GraphProto, NodeProto, OperatorSetIdProto, TensorDataType, TensorProto,
};
use crate::rewrite_error::RewriteError;

/// Channels are a multiple of this, and at most [`MAX_CHANNELS`].
const LANES: i64 = 8;
const MAX_CHANNELS: i64 = 2048;
/// Axes of the networks' values: `[N, C, X, Y, Z]`.
const AXES: usize = 5;

impl OnnxModel {
    /// Fuses every instance normalization and the ReLU after it into one [`NORM_RELU`]; also returns their number.
    ///
    /// ONNX Runtime's CUDA provider has no instance normalization of channels-last volumes, which its convolutions use:
    /// it transposes before and after every convolution, and reads and writes each volume up to four times more.
    ///
    /// **Definition**: `InstanceNormalization`, `Relu` become `Transpose` to channels last, [`NORM_RELU`], `Transpose`
    /// back; a provider that prefers channels last cancels the transposes. Pairs are unchanged where the number of
    /// channels is not a multiple of 8 or above 2048, or another node uses the value between the two.
    ///
    /// **Errors**: an operator that may change the number of axes, or an input of other than five axes.
    pub fn fuse_norm_relu(&self) -> Result<(Self, usize), RewriteError> {
        let (mut network, fused) = self.rewritten(fuse)?;
        if fused > 0 {
            network.import_own_domain();
        }
        Ok((network, fused))
    }

    pub(super) fn import_own_domain(&mut self) {
        let known = |import: &OperatorSetIdProto| import.domain.as_deref() == Some(DOMAIN);
        if !self.model.opset_import.iter().any(known) {
            self.model.opset_import.push(OperatorSetIdProto {
                domain: Some(DOMAIN.into()),
                version: Some(1),
            });
        }
    }
}

fn fuse(graph: &mut GraphProto) -> Result<usize, RewriteError> {
    graph.no_replaceable_weights()?;
    graph.no_subgraphs()?;
    for node in &graph.node {
        check_operator(node)?;
    }
    let (input, name) = only("inputs", &mut graph.input)?;
    match input.axes().map_or(0, |axes| axes.len()) {
        AXES => {}
        found => {
            return Err(RewriteError::Axes {
                value: name,
                found,
                expected: AXES,
            });
        }
    }
    let pairs = pairs(graph);
    replace(graph, &pairs);
    Ok(pairs.len())
}

/// Checks that the output of a node has as many axes as its first input.
///
/// **Errors**: its operator may change their number, or is not known.
fn check_operator(node: &NodeProto) -> Result<(), RewriteError> {
    let operator = ops::find(&node.operator());
    let keeps_axes = operator.is_some_and(|operator| operator.keeps_axes);
    if keeps_axes || node.is_custom(DOMAIN, NORM_RELU) {
        return Ok(());
    }
    Err(RewriteError::Operator {
        node: node.label(),
        found: node.operator(),
        expected: ops::names(|operator| operator.keeps_axes),
    })
}

fn is(node: &NodeProto, operator: &str) -> bool {
    node.op_type.as_deref() == Some(operator) && is_default_domain(node.domain.as_deref())
}

/// Nodes that define and use a value.
#[derive(Default)]
struct ValueUses {
    givers: usize,
    uses: usize,
    /// Position of the last node that uses it.
    taker: usize,
}

/// Positions of each normalization and of the ReLU that alone uses its output, in the order of the normalizations.
fn pairs(graph: &GraphProto) -> Vec<(usize, usize)> {
    let mut values: HashMap<&str, ValueUses> = HashMap::new();
    for (position, node) in graph.node.iter().enumerate() {
        for input in &node.input {
            let value = values.entry(input).or_default();
            value.uses += 1;
            value.taker = position;
        }
        for output in &node.output {
            values.entry(output).or_default().givers += 1;
        }
    }
    let outputs: HashSet<&str> = graph
        .output
        .iter()
        .filter_map(|info| info.name.as_deref())
        .collect();
    let lengths: HashMap<&str, i64> = graph.initializer.iter().filter_map(length).collect();
    let pair = |(position, norm): (usize, &NodeProto)| {
        let ([_, scale, bias], [between]) = (&norm.input[..], &norm.output[..]) else {
            return None;
        };
        let epsilon = norm
            .attribute
            .iter()
            .all(|attribute| attribute.name.as_deref() == Some("epsilon") && attribute.f.is_some());
        let channels = *lengths.get(scale.as_str())?;
        let fits = channels % LANES == 0 && (LANES..=MAX_CHANNELS).contains(&channels);
        let whole = epsilon && fits && lengths.get(bias.as_str()) == Some(&channels);
        let value = values.get(between.as_str())?;
        let inside = value.uses == 1 && value.givers == 1 && !outputs.contains(between.as_str());
        let relu = &graph.node[value.taker];
        let joined = value.taker > position && is(relu, "Relu") && relu.output.len() == 1;
        // A ReLU has one input, so that no two pairs share it.
        let alone = relu.input.len() == 1;
        (whole && inside && joined && alone).then_some((position, value.taker))
    };
    let nodes = graph.node.iter().enumerate();
    nodes
        .filter(|(_, node)| is(node, "InstanceNormalization"))
        .filter_map(pair)
        .collect()
}

/// Name and length of a weight of one axis and 32-bit floats.
fn length(weight: &TensorProto) -> Option<(&str, i64)> {
    match weight.dims[..] {
        [length] if weight.data_type == Some(TensorDataType::Float as i32) => {
            Some((weight.name.as_deref()?, length))
        }
        _ => None,
    }
}

/// Replaces each normalization by three nodes, and removes its ReLU.
fn replace(graph: &mut GraphProto, pairs: &[(usize, usize)]) {
    let mut names = graph.names();
    let mut nodes: Vec<Option<NodeProto>> =
        mem::take(&mut graph.node).into_iter().map(Some).collect();
    let relus: HashMap<usize, Option<NodeProto>> = pairs
        .iter()
        .map(|&(norm, relu)| (norm, nodes[relu].take()))
        .collect();
    let mut gone = HashSet::new();
    for (position, node) in nodes.into_iter().enumerate() {
        match (node, relus.get(&position)) {
            (Some(norm), Some(Some(relu))) => {
                graph.node.extend(joined(&norm, relu, &mut names));
                gone.extend(norm.output);
            }
            (node, _) => graph.node.extend(node),
        }
    }
    graph
        .value_info
        .retain(|info| !info.name.as_ref().is_some_and(|name| gone.contains(name)));
}

/// The nodes that compute a normalization and the ReLU after it.
fn joined(norm: &NodeProto, relu: &NodeProto, names: &mut UniqueNames) -> [NodeProto; 3] {
    let output = &relu.output[0];
    let mut fresh = |suffix: &str| names.fresh(&format!("{output}.{suffix}"));
    let (last, fused, scratch) = (fresh("last"), fresh("norm_relu"), fresh("scratch"));
    let operator = ops::find("InstanceNormalization");
    let epsilon = operator.and_then(|operator| operator.node("", norm, &[]).float("epsilon"));
    [
        transpose(&norm.input[0], &last, [0, 2, 3, 4, 1]),
        NodeProto {
            input: vec![last, norm.input[1].clone(), norm.input[2].clone()],
            output: vec![fused.clone(), scratch],
            name: norm.name.clone(),
            op_type: Some(NORM_RELU.into()),
            domain: Some(DOMAIN.into()),
            attribute: vec![AttributeProto::float(
                "epsilon",
                epsilon.unwrap_or_default(),
            )],
            ..Default::default()
        },
        transpose(&fused, output, [0, 4, 1, 2, 3]),
    ]
}

fn transpose(from: &str, to: &str, axes: [usize; AXES]) -> NodeProto {
    NodeProto {
        input: vec![from.into()],
        output: vec![to.into()],
        name: Some(format!("{to}.transpose")),
        op_type: Some("Transpose".into()),
        attribute: vec![AttributeProto::ints("perm", axes)],
        ..Default::default()
    }
}
