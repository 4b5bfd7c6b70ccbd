//! Instance normalizations, with the activations after them, as one operator on channels-last volumes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;

use crate::domain::{DOMAIN, NORM_LEAKY_RELU};
use crate::graph::UniqueNames;
use crate::inference::shapes;
use crate::model::OnnxModel;
use crate::ops;
use crate::proto::{
    AttributeProto, GraphProto, NodeProto, OperatorSetIdProto, TensorDataType, TensorProto,
};
use crate::rewrite_error::RewriteError;

/// Channels are a multiple of this, and at most [`MAX_CHANNELS`].
const LANES: i64 = 8;
const MAX_CHANNELS: i64 = 2048;
/// Axes of volumes: `[N, C, X, Y, Z]`.
const AXES: usize = 5;

impl OnnxModel {
    /// Makes every instance normalization of volumes, with the ReLU or leaky ReLU after it, one [`NORM_LEAKY_RELU`]; also
    /// returns their number.
    ///
    /// ONNX Runtime's CUDA provider has no instance normalization of channels-last volumes, which its convolutions use:
    /// it transposes before and after every convolution, and reads and writes each volume up to four times more.
    ///
    /// **Definition**: `InstanceNormalization`, `LeakyRelu` become `Transpose` to channels last, [`NORM_LEAKY_RELU`],
    /// `Transpose` back; a provider that prefers channels last cancels the transposes. The slope is 0 for a `Relu`, and 1
    /// where another node uses the value between the two, which then stay apart. Normalizations are unchanged where
    /// the number of channels is not a multiple of 8 or above 2048, or values have other than five axes.
    ///
    /// **Errors**: a weight that a caller may replace, graphs in graphs, or shape inference fails.
    pub fn fuse_norms(&self) -> Result<(Self, usize), RewriteError> {
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

/// A normalization that becomes one operator.
struct FusedNorm {
    position: usize,
    /// Position of the activation after it, if it is part of it.
    activation: Option<usize>,
    slope: f32,
}

fn fuse(graph: &mut GraphProto) -> Result<usize, RewriteError> {
    graph.no_replaceable_weights()?;
    graph.no_subgraphs()?;
    if !graph.node.iter().any(is_norm) {
        return Ok(0);
    }
    let shapes = shapes(graph, 1)?;
    let norms = norms(graph, &shapes);
    replace(graph, &norms);
    Ok(norms.len())
}

fn is_norm(node: &NodeProto) -> bool {
    node.is("InstanceNormalization")
}

/// Nodes that define and use a value.
#[derive(Default)]
struct ValueUses {
    givers: usize,
    uses: usize,
    /// Position of the last node that uses it.
    taker: usize,
}

/// The normalizations that become operators, in order.
fn norms(graph: &GraphProto, shapes: &BTreeMap<String, Vec<u64>>) -> Vec<FusedNorm> {
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
    let fused = |(position, norm): (usize, &NodeProto)| {
        let ([x, scale, bias], [between]) = (&norm.input[..], &norm.output[..]) else {
            return None;
        };
        let epsilon = norm
            .attribute
            .iter()
            .all(|attribute| attribute.name.as_deref() == Some("epsilon") && attribute.f.is_some());
        let channels = *lengths.get(scale.as_str())?;
        let fits = channels % LANES == 0 && (LANES..=MAX_CHANNELS).contains(&channels);
        let volumes = shapes.get(x).is_some_and(|shape| shape.len() == AXES);
        let whole = epsilon && fits && volumes && lengths.get(bias.as_str()) == Some(&channels);
        whole.then_some(())?;
        let inside = |value: &&ValueUses| {
            value.uses == 1 && value.givers == 1 && !outputs.contains(between.as_str())
        };
        let taker = values.get(between.as_str()).filter(inside);
        let taker = taker.map(|value| value.taker).filter(|at| *at > position);
        let activation = taker.and_then(|at| Some((at, slope(&graph.node[at])?)));
        Some(FusedNorm {
            position,
            activation: activation.map(|(at, _)| at),
            slope: activation.map_or(1., |(_, slope)| slope),
        })
    };
    let nodes = graph.node.iter().enumerate();
    nodes
        .filter(|(_, node)| is_norm(node))
        .filter_map(fused)
        .collect()
}

/// Factor of what is negative, if a node is a ReLU or a leaky one.
fn slope(node: &NodeProto) -> Option<f32> {
    // With one input, so that no two normalizations share it.
    let ([_], [_]) = (&node.input[..], &node.output[..]) else {
        return None;
    };
    if node.is("Relu") {
        return Some(0.);
    }
    let operator = ops::find("LeakyRelu").filter(|operator| node.is(operator.name))?;
    operator.check("", node).ok()?;
    operator.node("", node, &[]).float("alpha")
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

/// Replaces each normalization by three nodes, and removes its activation.
fn replace(graph: &mut GraphProto, norms: &[FusedNorm]) {
    let mut names = graph.names();
    let mut nodes: Vec<Option<NodeProto>> =
        mem::take(&mut graph.node).into_iter().map(Some).collect();
    let mut fused = HashMap::new();
    for norm in norms {
        let activation = norm.activation.and_then(|at| nodes[at].take());
        fused.insert(norm.position, (activation, norm.slope));
    }
    let mut gone = HashSet::new();
    for (position, node) in nodes.into_iter().enumerate() {
        match (node, fused.get(&position)) {
            (Some(norm), Some((activation, slope))) => {
                let output = &activation.as_ref().unwrap_or(&norm).output[0];
                graph.node.extend(joined(&norm, output, *slope, &mut names));
                if activation.is_some() {
                    gone.extend(norm.output);
                }
            }
            (node, _) => graph.node.extend(node),
        }
    }
    graph
        .value_info
        .retain(|info| !info.name.as_ref().is_some_and(|name| gone.contains(name)));
}

/// The nodes that compute a normalization and an activation of this slope, and give `output`.
fn joined(norm: &NodeProto, output: &str, slope: f32, names: &mut UniqueNames) -> [NodeProto; 3] {
    let mut fresh = |suffix: &str| names.fresh(&format!("{output}.{suffix}"));
    let (last, fused, scratch) = (fresh("last"), fresh("norm"), fresh("scratch"));
    let operator = ops::find("InstanceNormalization");
    let epsilon = operator.and_then(|operator| operator.node("", norm, &[]).float("epsilon"));
    [
        transpose(&norm.input[0], &last, [0, 2, 3, 4, 1]),
        NodeProto {
            input: vec![last, norm.input[1].clone(), norm.input[2].clone()],
            output: vec![fused.clone(), scratch],
            name: norm.name.clone(),
            op_type: Some(NORM_LEAKY_RELU.into()),
            domain: Some(DOMAIN.into()),
            attribute: vec![
                AttributeProto::float("epsilon", epsilon.unwrap_or_default()),
                AttributeProto::float("slope", slope),
            ],
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
