//! Batch normalizations as products and sums.

use std::collections::HashSet;

use crate::inference::shapes;
use crate::model::OnnxModel;
use crate::ops;
use crate::proto::{GraphProto, NodeProto, TensorProto};
use crate::rewrite_error::RewriteError;

const OPERATOR: &str = "BatchNormalization";

impl OnnxModel {
    /// Replaces batch normalizations by the products and sums that they are at inference.
    ///
    /// ONNX Runtime's CUDA provider, where it prefers channels last, takes the number of channels of 16-bit floats from a
    /// spatial axis, and normalizes with values that nobody wrote. Products and sums after a convolution become part of
    /// it.
    ///
    /// **Definition**: `a x + b` by channel with `a = scale / sqrt(variance + epsilon)` and `b = bias - a mean`, computed in
    /// 64-bit floats. Normalizations whose parameters are not constant are left as they are.
    ///
    /// **Errors**: shapes that do not fit each other, parameters that are not 32-bit floats.
    pub fn scale_batch_norms(&self) -> Result<Self, RewriteError> {
        let (network, ()) = self.rewritten(scale)?;
        Ok(network)
    }
}

/// `factor x + summand` by channel.
struct Affine {
    factor: Vec<f32>,
    summand: Vec<f32>,
}

/// A batch normalization: where it is, and what it does.
struct Scaled {
    position: usize,
    affine: Affine,
    /// Axes of its input.
    axes: usize,
}

fn scale(graph: &mut GraphProto) -> Result<(), RewriteError> {
    graph.no_replaceable_weights()?;
    graph.no_subgraphs()?;
    let shapes = shapes(graph, 1)?;
    let mut found = Vec::new();
    for (position, node) in graph.node.iter().enumerate() {
        let Some(affine) = affine(graph, node)? else {
            continue;
        };
        let axes = shapes.get(&node.input[0]).map_or(0, Vec::len);
        found.push(Scaled {
            position,
            affine,
            axes,
        });
    }
    let mut names = graph.names();
    // From the last, so that earlier positions stay.
    for scaled in found.into_iter().rev() {
        let node = &graph.node[scaled.position];
        let (input, output) = (node.input[0].clone(), node.output[0].clone());
        let factor = names.fresh(&format!("{output}.factor"));
        let summand = names.fresh(&format!("{output}.summand"));
        let product = names.fresh(&format!("{output}.product"));
        let nodes = [
            ("Mul", [&input, &factor], &product),
            ("Add", [&product, &summand], &output),
        ];
        let nodes = nodes.map(|(operator, inputs, output)| NodeProto {
            op_type: Some(operator.into()),
            input: inputs.map(String::clone).to_vec(),
            output: vec![output.clone()],
            name: Some(names.fresh(&format!("{output}.scaled"))),
            ..Default::default()
        });
        let place = scaled.position..=scaled.position;
        graph.node.splice(place, nodes);
        let Affine {
            factor: a,
            summand: b,
        } = scaled.affine;
        for (name, values) in [(factor, a), (summand, b)] {
            let constant = by_channel(&name, &values, scaled.axes);
            graph.initializer.push(constant);
        }
    }
    let used: HashSet<String> = {
        let inputs = graph.node.iter().flat_map(|node| &node.input);
        inputs.cloned().collect()
    };
    let is_used = |tensor: &TensorProto| used.contains(tensor.name.as_deref().unwrap_or_default());
    graph.initializer.retain(is_used);
    Ok(())
}

/// What a node does to each channel; none of a node that is no batch normalization, or has parameters that are not
/// constant.
fn affine(graph: &GraphProto, node: &NodeProto) -> Result<Option<Affine>, RewriteError> {
    let Some(operator) = ops::find(OPERATOR).filter(|operator| node.is(operator.name)) else {
        return Ok(None);
    };
    let ([_, parameters @ ..], [_]) = (&node.input[..], &node.output[..]) else {
        return Ok(None);
    };
    let weights: Option<Vec<_>> = parameters.iter().map(|name| graph.weight(name)).collect();
    let Some([scale, bias, mean, variance]) = weights.as_deref() else {
        return Ok(None);
    };
    let epsilon = operator.node("", node, &[]).float("epsilon");
    let epsilon = epsilon.unwrap_or_default();
    let deviations = variance.floats()?.into_iter();
    let deviations = deviations.map(|variance| f64::from(variance) + f64::from(epsilon));
    let (scale, bias, mean) = (scale.floats()?, bias.floats()?, mean.floats()?);
    let channels = scale.iter().zip(&bias).zip(mean.iter().zip(deviations));
    let channels = channels.map(|((scale, bias), (mean, deviation))| {
        let factor = f64::from(*scale) / deviation.sqrt();
        let summand = f64::from(*bias) - factor * f64::from(*mean);
        (factor as f32, summand as f32)
    });
    let (factor, summand) = channels.unzip();
    Ok(Some(Affine { factor, summand }))
}

/// A constant that differs along the axis of channels, the second.
fn by_channel(name: &str, values: &[f32], axes: usize) -> TensorProto {
    let mut shape = vec![1; axes.saturating_sub(1)];
    if let Some(channels) = shape.first_mut() {
        *channels = values.len();
    }
    TensorProto::of_floats(name, &shape, values)
}
