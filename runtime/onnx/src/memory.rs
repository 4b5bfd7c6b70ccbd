//! Memory of a network's activations, computed from its graph.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::CheckError;
use crate::inference::shapes;
use crate::model::OnnxModel;
use crate::ops;
use crate::proto::NodeProto;

impl OnnxModel {
    /// Upper bound in bytes of activations that exist at once, input and output included, when a batch of windows is computed
    /// in the order of the graph, with elements of this size. `columns` says whether transposed convolutions go through a
    /// matrix of columns, as those of ONNX Runtime on a processor.
    ///
    /// **Definition**: the largest sum over nodes of the values that are alive while the node runs, and the working
    /// memory of its operator; some operators overwrite an input that nothing else uses. Values that follow from weights
    /// alone exist all the time, because ONNX Runtime computes them when the network is loaded.
    ///
    /// **Errors**: an operator outside of the table, or shapes that do not fit each other.
    pub fn activation_bytes(
        &self,
        batch: usize,
        element_bytes: usize,
        columns: bool,
    ) -> Result<u64, CheckError> {
        let graph = self.model().graph.as_ref().ok_or(CheckError::NoGraph)?;
        let shapes = shapes(graph, batch)?;
        let mut weights: BTreeSet<&str> = graph
            .initializer
            .iter()
            .filter_map(|tensor| tensor.name.as_deref())
            .collect();
        let mut folded = BTreeSet::new();
        for (index, node) in graph.node.iter().enumerate() {
            let mut inputs = node.input.iter().filter(|input| !input.is_empty());
            if inputs.all(|input| weights.contains(input.as_str())) {
                weights.extend(node.output.iter().map(String::as_str));
                folded.insert(index);
            }
        }
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
        let inputs = graph.input.iter().map(|input| input.name.as_deref());
        let constants = folded.iter().flat_map(|&index| &graph.node[index].output);
        let mut alive: u64 = inputs
            .map(Option::unwrap_or_default)
            .chain(constants.map(String::as_str))
            .map(bytes)
            .fold(0, u64::saturating_add);
        let mut peak = alive;
        let nodes = graph.node.iter().enumerate();
        for (index, node) in nodes.filter(|(index, _)| !folded.contains(index)) {
            let dying: u64 = activations(node, &weights)
                .filter(|input| last_use.get(input.as_str()) == Some(&index))
                .map(|input| bytes(input))
                .fold(0, u64::saturating_add);
            let made = node.output.iter().map(|output| bytes(output));
            let made = made.fold(0, u64::saturating_add);
            let operator = ops::find(node.op_type.as_deref().unwrap_or_default());
            let in_place = operator.is_some_and(|operator| operator.in_place) && dying >= made;
            let during = if in_place {
                alive
            } else {
                alive.saturating_add(made)
            };
            let copies = operator.map_or(0, |operator| operator.copies);
            let largest = node
                .input
                .iter()
                .chain(&node.output)
                .map(|value| bytes(value));
            let inputs: Vec<&[u64]> = node
                .input
                .iter()
                .map(|input| shapes.get(input.as_str()).map_or(&[][..], Vec::as_slice))
                .collect();
            let operator = operator.filter(|_| columns);
            let further = operator.map_or(0, |operator| (operator.working)(&inputs));
            let working = largest
                .max()
                .unwrap_or(0)
                .saturating_mul(copies)
                .saturating_add(further.saturating_mul(element_bytes as u64));
            peak = peak.max(during.saturating_add(working));
            alive = alive.saturating_add(made).saturating_sub(dying);
        }
        Ok(peak)
    }
}

/// Inputs of a node that are activations, each once.
fn activations<'a>(
    node: &'a NodeProto,
    weights: &'a BTreeSet<&str>,
) -> impl Iterator<Item = &'a String> {
    let inputs = &node.input;
    inputs
        .iter()
        .enumerate()
        .filter(|(index, input)| !inputs[..*index].contains(input))
        .map(|(_, input)| input)
        .filter(|input| !weights.contains(input.as_str()))
}
