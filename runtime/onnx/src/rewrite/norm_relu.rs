//! Instance normalization and ReLU as one operator on channels-last volumes.

use crate::graph::only;
use crate::network::{Network, is_default_domain};
use crate::proto::{AttributeProto, DataType, GraphProto, NodeProto, OperatorSetIdProto};
use crate::refusal::Refusal;
use crate::rewrite::half::check_operator;

/// Domain of the operators that this program brings along.
pub const DOMAIN: &str = "vesal";
/// Operator of [`DOMAIN`] that normalizes every channel of every volume of a batch and sets what is negative to 0.
///
/// **Shapes**: input `[N, X, Y, Z, C]` and, in 32-bit floats, scale `[C]` and bias `[C]`; output as the input, and
/// a second one of 32-bit floats for whoever computes it to work in. Its attribute is `epsilon`.
pub const NORM_RELU: &str = "NormRelu";

/// Channels are a multiple of this, and at most [`MAX_CHANNELS`].
const LANES: i64 = 8;
const MAX_CHANNELS: i64 = 2048;
/// Axes of what the networks compute on: `[N, C, X, Y, Z]`.
const AXES: usize = 5;
/// Epsilon of an instance normalization that states none.
const EPSILON: f32 = 1e-5;

impl Network {
    /// Joins every instance normalization and the ReLU after it into one [`NORM_RELU`]; gives their number as well.
    ///
    /// ONNX Runtime's CUDA provider has no instance normalization of channels-last volumes, which its convolutions want: it
    /// transposes before and after every convolution, and reads and writes each volume up to four times more.
    ///
    /// **Definition**: `InstanceNormalization`, `Relu` become `Transpose` to channels last, [`NORM_RELU`], `Transpose` back;
    /// a provider that prefers channels last cancels the transposes. Pairs stay as they are where the
    /// number of channels is no multiple of 8 or above 2048, or something else takes what lies between the two.
    ///
    /// **Errors**: an operator that may change the number of axes, or an input of other than five axes.
    pub fn fuse_norm_relu(&self) -> Result<(Self, usize), Refusal> {
        let (mut network, fused) = self.rewritten(fuse)?;
        if fused > 0 {
            network.import_own_domain();
        }
        Ok((network, fused))
    }

    /// Says that the network has operators of [`DOMAIN`].
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

fn fuse(graph: &mut GraphProto) -> Result<usize, Refusal> {
    graph.no_replaceable_weights()?;
    graph.no_subgraphs()?;
    for node in &graph.node {
        check_operator(node)?;
    }
    let (input, name) = only("inputs", &mut graph.input)?;
    match input.axes().map_or(0, |axes| axes.len()) {
        AXES => {}
        found => {
            return Err(Refusal::Axes {
                value: name,
                found,
                expected: AXES,
            });
        }
    }
    let mut fused = 0;
    while let Some((norm, relu)) = next_pair(graph) {
        replace(graph, norm, relu);
        fused += 1;
    }
    Ok(fused)
}

fn is(node: &NodeProto, operator: &str) -> bool {
    node.op_type.as_deref() == Some(operator) && is_default_domain(node.domain.as_deref())
}

/// Positions of a normalization and of the ReLU that alone takes what it gives.
fn next_pair(graph: &GraphProto) -> Option<(usize, usize)> {
    let pair = |(position, norm): (usize, &NodeProto)| {
        let ([_, scale, bias], [between]) = (&norm.input[..], &norm.output[..]) else {
            return None;
        };
        let epsilon = norm
            .attribute
            .iter()
            .all(|attribute| attribute.name.as_deref() == Some("epsilon") && attribute.f.is_some());
        let channels = channels(graph, scale)?;
        let fits = channels % LANES == 0 && (LANES..=MAX_CHANNELS).contains(&channels);
        let whole = epsilon && fits && self::channels(graph, bias) == Some(channels);
        let inside = graph.uses(between) == 1
            && graph.givers(between).len() == 1
            && !graph
                .output
                .iter()
                .any(|info| info.name.as_deref() == Some(between));
        if !whole || !inside {
            return None;
        }
        let takes = |node: &NodeProto| node.input.contains(between);
        let relu = position + 1 + graph.node[position + 1..].iter().position(takes)?;
        (is(&graph.node[relu], "Relu") && graph.node[relu].output.len() == 1)
            .then_some((position, relu))
    };
    let nodes = graph.node.iter().enumerate();
    nodes
        .filter(|(_, node)| is(node, "InstanceNormalization"))
        .find_map(pair)
}

/// Length of a weight of one axis and 32-bit floats.
fn channels(graph: &GraphProto, name: &str) -> Option<i64> {
    let weight = graph.weight(name)?;
    match weight.dims[..] {
        [channels] if weight.data_type == Some(DataType::Float as i32) => Some(channels),
        _ => None,
    }
}

fn replace(graph: &mut GraphProto, norm: usize, relu: usize) {
    // The later one first: the place of the other stays.
    let relu = graph.node.remove(relu);
    let at = norm;
    let norm = graph.node.remove(at);
    let (between, output) = (norm.output[0].clone(), relu.output[0].clone());
    let names =
        ["last", "norm_relu", "scratch"].map(|suffix| graph.fresh(&format!("{output}.{suffix}")));
    let [last, fused, scratch] = names;
    let epsilon = norm
        .attribute
        .iter()
        .find_map(|attribute| attribute.f)
        .unwrap_or(EPSILON);
    let nodes = [
        transpose(&norm.input[0], &last, [0, 2, 3, 4, 1]),
        NodeProto {
            input: vec![last.clone(), norm.input[1].clone(), norm.input[2].clone()],
            output: vec![fused.clone(), scratch],
            name: norm.name.clone(),
            op_type: Some(NORM_RELU.into()),
            domain: Some(DOMAIN.into()),
            attribute: vec![AttributeProto::float("epsilon", epsilon)],
            ..Default::default()
        },
        transpose(&fused, &output, [0, 4, 1, 2, 3]),
    ];
    graph.node.splice(at..at, nodes);
    graph
        .value_info
        .retain(|info| info.name.as_deref() != Some(&between));
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
