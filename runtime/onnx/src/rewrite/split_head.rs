//! Splitting off the last convolution.

use crate::error::CheckError;
use crate::graph::only;
use crate::model::OnnxModel;
use crate::ops::{self, Convolution};
use crate::proto::{GraphProto, NodeProto, ValueInfoProto};
use crate::rewrite_error::{HeadProblem, RewriteError};

/// A linear map of the channels of a voxel: from features to logits.
///
/// **Definition**: `logits[k] = bias[k] + Σ_f weight[k, f] features[f]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// `[K, F]` in C order.
    pub weight: Vec<f32>,
    /// `[K]`.
    pub bias: Vec<f32>,
}

impl Head {
    /// Number of logits, K.
    pub fn classes(&self) -> usize {
        self.bias.len()
    }

    /// Number of features, F.
    pub fn features(&self) -> usize {
        self.weight.len() / self.bias.len().max(1)
    }
}

impl OnnxModel {
    /// Splits the last convolution off a network that has more classes than features.
    ///
    /// Stitching is linear and its weights sum to one, so that stitching features and then applying the head gives the
    /// logits that stitching logits gives, with `F / K` of the memory: for 104 classes from 8 features a thirteenth.
    ///
    /// **Definition**: the output, given by a convolution of 1×1×1 voxels, stride 1, no padding, one group, constant
    /// weights, becomes that convolution's input under the output's name, `[N, F, X, Y, Z]`.
    ///
    /// **Errors**: the network does not end with such a convolution; its features are used elsewhere; F ≥ K; weights
    /// that are not finite 32-bit floats.
    pub fn split_head(&self) -> Result<(Self, Head), RewriteError> {
        self.rewritten(split)
    }
}

fn split(graph: &mut GraphProto) -> Result<Head, RewriteError> {
    graph.no_replaceable_weights()?;
    graph.no_subgraphs()?;
    let (_, output) = only("outputs", &mut graph.output)?;
    let (last, features) = last_convolution(graph, &output)?;
    let node = graph.node[last].clone();
    let head = head(graph, &node)?;

    graph.node.remove(last);
    graph.rename(&features, &output);
    let gone = |info: &ValueInfoProto| {
        let name = info.name.as_deref();
        name == Some(&features) || name == Some(&output)
    };
    graph.value_info.retain(|info| !gone(info));
    for weight in &node.input[1..] {
        if graph.uses(weight) == 0 {
            graph
                .initializer
                .retain(|tensor| tensor.name.as_deref() != Some(weight));
        }
    }
    declare_channels(graph, &head)?;
    Ok(head)
}

/// Position of the convolution that defines the output, and its input, which it alone uses.
fn last_convolution(graph: &GraphProto, output: &str) -> Result<(usize, String), RewriteError> {
    let [last] = graph.givers(output)[..] else {
        return Err(RewriteError::NoNode {
            value: output.into(),
        });
    };
    let node = &graph.node[last];
    if !node.is("Conv") || node.output.len() != 1 {
        return Err(no_head(HeadProblem::Operator {
            found: node.operator(),
        }));
    }
    if let Some(attribute) = other_attribute(node) {
        return Err(no_head(HeadProblem::Attribute { attribute }));
    }
    let features = node.input.first().cloned().unwrap_or_default();
    let single = graph.givers(&features).len() == 1 && graph.uses(&features) == 1;
    if !single || graph.uses(output) > 0 {
        return Err(no_head(HeadProblem::Features { value: features }));
    }
    Ok((last, features))
}

fn no_head(why: HeadProblem) -> RewriteError {
    RewriteError::NoHead { why }
}

/// An attribute that a plain convolution of 1×1×1 voxels does not have: unknown, malformed, or of other than its only value.
fn other_attribute(node: &NodeProto) -> Option<String> {
    let operator = ops::find("Conv")?;
    let read = || {
        operator.check("", node)?;
        Convolution::read(&operator.node("", node, &[]), vec![1; 3], false)
    };
    let convolution = match read() {
        Ok(convolution) => convolution,
        Err(CheckError::Attribute { attribute, .. }) => return Some(attribute),
        // The number of inputs is checked with the weights.
        Err(_) => return None,
    };
    let all = |values: &[i64], expected: i64| values.iter().all(|value| *value == expected);
    let plain = [
        ("strides", all(&convolution.strides, 1)),
        ("dilations", all(&convolution.dilations, 1)),
        (
            "pads",
            all(&convolution.before, 0) && all(&convolution.after, 0),
        ),
        ("group", convolution.groups == 1),
    ];
    let other = plain.into_iter().find(|(_, plain)| !plain);
    other.map(|(attribute, _)| attribute.to_owned())
}

/// Weights and biases of the convolution.
fn head(graph: &GraphProto, node: &NodeProto) -> Result<Head, RewriteError> {
    let missing = |input| no_head(HeadProblem::Weight { input });
    let (name, bias_name) = match &node.input[..] {
        [_, weight] => (weight, None),
        [_, weight, bias] => (weight, Some(bias).filter(|bias| !bias.is_empty())),
        _ => return Err(missing("weight")),
    };
    let weight = graph.weight(name).ok_or_else(|| missing("weight"))?;
    let [classes, features, 1, 1, 1] = weight.dims[..] else {
        return Err(missing("weight"));
    };
    let (Ok(classes), Ok(features)) = (usize::try_from(classes), usize::try_from(features)) else {
        return Err(missing("weight"));
    };
    if classes <= features || features == 0 {
        return Err(no_head(HeadProblem::Narrow { classes, features }));
    }
    let weight = weight.floats()?;
    let bias = match bias_name {
        None => vec![0.; classes],
        Some(bias) => {
            let bias = graph.weight(bias).ok_or_else(|| missing("bias"))?;
            if bias.dims != [classes as i64] {
                return Err(missing("bias"));
            }
            bias.floats()?
        }
    };
    Ok(Head { weight, bias })
}

/// Declares the number of features as channels of the output.
fn declare_channels(graph: &mut GraphProto, head: &Head) -> Result<(), RewriteError> {
    let (output, _) = only("outputs", &mut graph.output)?;
    match output.axes().and_then(|axes| axes.get_mut(1)) {
        Some(channels) if channels.dim_value == Some(head.classes() as i64) => {
            channels.dim_value = Some(head.features() as i64);
            Ok(())
        }
        _ => Err(no_head(HeadProblem::Undeclared {
            classes: head.classes(),
        })),
    }
}
