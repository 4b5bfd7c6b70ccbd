//! What a network's activations need, from its graph alone.

use std::collections::BTreeMap;

use crate::network::Network;
use crate::proto::{AttributeProto, GraphProto, NodeProto};

impl Network {
    /// Most bytes that activations take at once when a batch of so many windows is computed in the order of the graph, in
    /// elements of this size, input and output included.
    ///
    /// **Definition**: the largest sum over nodes of the values that are alive while the node runs; Relu and Add overwrite
    /// an input that nothing else takes.
    ///
    /// **Errors**: the operator whose output's shape is not known.
    pub fn activation_bytes(&self, batch: usize, element_bytes: usize) -> Result<u64, String> {
        let graph = self.model().graph.as_ref().ok_or("no graph")?;
        let shapes = shapes(graph, batch)?;
        let mut last_use: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for input in &node.input {
                last_use.insert(input, index);
            }
        }
        for output in &graph.output {
            last_use.insert(output.name.as_deref().unwrap_or_default(), graph.node.len());
        }
        let bytes = |name: &str| {
            let elements = shapes.get(name).map_or(0, |shape| {
                shape
                    .iter()
                    .fold(1_u64, |product, &n| product.saturating_mul(n))
            });
            elements.saturating_mul(element_bytes as u64)
        };
        let mut alive: u64 = graph
            .input
            .iter()
            .map(|input| bytes(input.name.as_deref().unwrap_or_default()))
            .fold(0, u64::saturating_add);
        let mut peak = alive;
        for (index, node) in graph.node.iter().enumerate() {
            let dying: u64 = activations(node)
                .filter(|input| last_use.get(input.as_str()) == Some(&index))
                .map(|input| bytes(input))
                .fold(0, u64::saturating_add);
            let made = node.output.iter().map(|output| bytes(output));
            let made = made.fold(0, u64::saturating_add);
            let in_place = matches!(node.op_type.as_deref(), Some("Relu" | "Add")) && dying >= made;
            let during = if in_place {
                alive
            } else {
                alive.saturating_add(made)
            };
            peak = peak.max(during);
            alive = alive.saturating_add(made).saturating_sub(dying);
        }
        Ok(peak)
    }
}

/// Inputs of a node that are no weights, each once.
fn activations(node: &NodeProto) -> impl Iterator<Item = &String> {
    let weights = match node.op_type.as_deref() {
        Some("Conv" | "ConvTranspose" | "InstanceNormalization") => 1,
        _ => node.input.len(),
    };
    let inputs = &node.input[..weights.min(node.input.len())];
    inputs
        .iter()
        .enumerate()
        .filter(|(index, input)| !inputs[..*index].contains(input))
        .map(|(_, input)| input)
}

/// Shape of every activation.
///
/// **Errors**: the operator or input whose shape is not known.
pub(crate) fn shapes(
    graph: &GraphProto,
    batch: usize,
) -> Result<BTreeMap<String, Vec<u64>>, String> {
    let mut shapes = BTreeMap::new();
    for input in &graph.input {
        let shape = input
            .r#type
            .as_ref()
            .and_then(|value| value.tensor_type.as_ref()?.shape.as_ref())
            .map(|shape| {
                let size =
                    |(axis, dimension): (usize, &crate::proto::DimensionProto)| match dimension
                        .dim_value
                    {
                        Some(size) => u64::try_from(size).ok(),
                        None => (axis == 0).then_some(batch as u64),
                    };
                shape.dim.iter().enumerate().map(size).collect()
            });
        let name = input.name.clone().unwrap_or_default();
        match shape {
            Some(Some(shape)) => shapes.insert(name, shape),
            _ => return Err(format!("input {name}")),
        };
    }
    let weights: BTreeMap<&str, &[i64]> = graph
        .initializer
        .iter()
        .map(|tensor| (tensor.name.as_deref().unwrap_or_default(), &tensor.dims[..]))
        .collect();
    for node in &graph.node {
        let input = |index: usize| {
            node.input
                .get(index)
                .map(String::as_str)
                .unwrap_or_default()
        };
        let operator = node.op_type.as_deref().unwrap_or_default();
        let from: Option<&Vec<u64>> = shapes.get(input(0));
        let shape = match operator {
            "Conv" | "ConvTranspose" => from
                .zip(weights.get(input(1)))
                .and_then(|(from, weight)| convolved(node, from, weight)),
            "InstanceNormalization" | "Relu" | "Cast" | "Identity" | "Sigmoid" | "LeakyRelu" => {
                from.cloned()
            }
            "Add" => from
                .zip(shapes.get(input(1)))
                .filter(|(a, b)| a == b)
                .map(|(a, _)| a.clone()),
            _ => None,
        };
        let shape = shape.ok_or_else(|| operator.to_owned())?;
        for output in &node.output {
            shapes.insert(output.clone(), shape.clone());
        }
    }
    Ok(shapes)
}

/// Shape of what a convolution gives; see the operator's definition.
fn convolved(node: &NodeProto, from: &[u64], weight: &[i64]) -> Option<Vec<u64>> {
    let transposed = node.op_type.as_deref() == Some("ConvTranspose");
    let attribute = |name: &str| -> Option<&AttributeProto> {
        node.attribute
            .iter()
            .find(|attribute| attribute.name.as_deref() == Some(name))
    };
    if attribute("auto_pad").is_some() || attribute("output_shape").is_some() {
        return None;
    }
    let axes = from.len().checked_sub(2)?;
    let ints = |name: &str, length: usize, default: i64| {
        let found = attribute(name).map(|attribute| attribute.ints.clone());
        found
            .or_else(|| Some(vec![default; length]))
            .filter(|ints| ints.len() == length)
    };
    let strides = ints("strides", axes, 1)?;
    let dilations = ints("dilations", axes, 1)?;
    let pads = ints("pads", 2 * axes, 0)?;
    let extra = ints("output_padding", axes, 0)?;
    let groups = attribute("group").and_then(|group| group.i).unwrap_or(1);
    let channels = match transposed {
        true => weight.get(1)?.checked_mul(groups)?,
        false => *weight.first()?,
    };
    let mut shape = vec![*from.first()?, u64::try_from(channels).ok()?];
    for axis in 0..axes {
        let size = i64::try_from(*from.get(axis + 2)?).ok()?;
        let extent = dilations[axis]
            .checked_mul(weight.get(axis + 2)?.checked_sub(1)?)?
            .checked_add(1)?;
        let padding = pads[axis].checked_add(pads[axis + axes])?;
        let size = match transposed {
            true => strides[axis]
                .checked_mul(size.checked_sub(1)?)?
                .checked_add(extra[axis])?
                .checked_add(extent)?
                .checked_sub(padding)?,
            false => {
                size.checked_add(padding)?
                    .checked_sub(extent)?
                    .checked_div_euclid(strides[axis])?
                    + 1
            }
        };
        shape.push(u64::try_from(size).ok()?);
    }
    Some(shape)
}
