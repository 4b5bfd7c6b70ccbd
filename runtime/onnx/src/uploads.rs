//! Arrays that ONNX Runtime uploads to a GPU in every run.

use std::collections::BTreeMap;

use crate::inference::shapes;
use crate::model::OnnxModel;
use crate::proto::NodeProto;

/// Most parts of a concatenation whose addresses are arguments of the kernel.
const MAX_PARTS: usize = 32;

impl OnnxModel {
    /// Whether ONNX Runtime's CUDA provider uploads arrays of addresses or sizes in each run. It copies them from pinned
    /// memory, which only a run that waits for the GPU gives back: of other runs it grows, and ends the process when the
    /// session is dropped.
    ///
    /// **Definition**: there is a matrix product of a batch with the same matrix on the left, or of batches of different
    /// axes, or a concatenation of parts that differ in shape or are more than 32. Products with one matrix on the right
    /// are one product, and others of equal batches have a stride. Also where shapes cannot be inferred.
    pub fn uploads_arrays(&self) -> bool {
        let Some(graph) = &self.model.graph else {
            return false;
        };
        shapes(graph, 1).map_or(true, |shapes| {
            graph.node.iter().any(|node| uploads(node, &shapes))
        })
    }
}

fn uploads(node: &NodeProto, shapes: &BTreeMap<String, Vec<u64>>) -> bool {
    let mut inputs = node.input.iter().map(|input| shapes.get(input));
    if node.is("Concat") {
        let first = inputs.next().flatten();
        return node.input.len() > MAX_PARTS || !inputs.all(|other| other == first);
    }
    if !node.is("MatMul") {
        return false;
    }
    let (Some(Some(left)), Some(Some(right))) = (inputs.next(), inputs.next()) else {
        return true;
    };
    let batch = |shape: &[u64]| shape[..shape.len().saturating_sub(2)].to_vec();
    right.len() > 2 && batch(left) != batch(right)
}

#[cfg(test)]
mod tests {
    use crate::proto::NodeProto;

    fn uploads(operator: &str, shapes: &[&[u64]]) -> bool {
        let named = shapes.iter().enumerate();
        let named = named.map(|(index, shape)| (index.to_string(), shape.to_vec()));
        let node = NodeProto {
            op_type: Some(operator.into()),
            input: (0..shapes.len()).map(|index| index.to_string()).collect(),
            ..Default::default()
        };
        super::uploads(&node, &named.collect())
    }

    #[test]
    fn products_of_strided_batches_upload_nothing() {
        assert!(!uploads("MatMul", &[&[1, 8, 6, 4], &[4, 3]]));
        assert!(!uploads("MatMul", &[&[2, 8, 6, 4], &[2, 8, 4, 3]]));
        assert!(!uploads("MatMul", &[&[6, 4], &[4, 3]]));
        assert!(uploads("MatMul", &[&[6, 4], &[1, 8, 4, 3]]));
        assert!(uploads("MatMul", &[&[1, 8, 6, 4], &[8, 4, 3]]));
        assert!(!uploads("Mul", &[&[6, 4], &[1, 8, 6, 4]]));
    }

    #[test]
    fn concatenations_of_equal_parts_upload_nothing() {
        assert!(!uploads("Concat", &[&[1, 8, 4], &[1, 8, 4]]));
        assert!(uploads("Concat", &[&[1, 8, 4], &[1, 9, 4]]));
        assert!(uploads("Concat", &[&[1, 8, 4][..]; 33]));
    }
}
