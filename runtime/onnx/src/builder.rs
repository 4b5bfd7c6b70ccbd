//! Builder of graphs.

use prost::Message;

use crate::limits::{IR_VERSION, OPSET};
use crate::mapped::align;
use crate::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorDataType, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// Size of one axis of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AxisSize<'a> {
    Fixed(usize),
    /// Free, under this name.
    Free(&'a str),
}

/// Collects nodes and weights in the order in which they are given: the same calls give the same bytes.
#[derive(Debug, Clone)]
pub struct GraphBuilder {
    graph: GraphProto,
}

impl GraphBuilder {
    /// An empty graph of this name.
    pub fn new(name: &str) -> Self {
        Self {
            graph: GraphProto {
                name: Some(name.into()),
                ..Default::default()
            },
        }
    }

    /// Declares an input of 32-bit floats.
    pub fn input(&mut self, name: &str, shape: &[AxisSize<'_>]) {
        self.graph.input.push(value_info(name, shape));
    }

    /// Declares an output of 32-bit floats.
    pub fn output(&mut self, name: &str, shape: &[AxisSize<'_>]) {
        self.graph.output.push(value_info(name, shape));
    }

    /// Adds a weight.
    ///
    /// **Shapes**: `values` in C order, as many as the product of `shape`.
    pub fn initializer(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        let weight = TensorProto::of_floats(name, shape, values);
        self.graph.initializer.push(weight);
    }

    /// Adds a vector of constant integers, such as a shape or indices.
    pub fn integers(&mut self, name: &str, values: &[i64]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes());
        let shape = [values.len()];
        let integers = TensorProto::constant(name, &shape, TensorDataType::Int64, bytes.collect());
        self.graph.initializer.push(integers);
    }

    /// Adds an operator with one output.
    pub fn node(
        &mut self,
        operator: &str,
        name: &str,
        inputs: Vec<String>,
        output: &str,
        attributes: Vec<AttributeProto>,
    ) {
        self.graph.node.push(NodeProto {
            input: inputs,
            output: vec![output.into()],
            name: Some(name.into()),
            op_type: Some(operator.into()),
            attribute: attributes,
            ..Default::default()
        });
    }

    /// Renames a value in all inputs and outputs of nodes.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.graph.rename(from, to);
    }

    /// The model, as made by this program. Its weights are aligned, so that they can be mapped from its file.
    pub fn finish(mut self, producer: &str) -> ModelProto {
        let front = ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some(producer.into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            ..Default::default()
        };
        align(&mut self.graph, front.encoded_len());
        ModelProto {
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
            graph: Some(self.graph),
            ..front
        }
    }
}

fn value_info(name: &str, shape: &[AxisSize<'_>]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|axis| match *axis {
            AxisSize::Fixed(size) => DimensionProto {
                dim_value: Some(size as i64),
                ..Default::default()
            },
            AxisSize::Free(name) => DimensionProto {
                dim_param: Some(name.into()),
                ..Default::default()
            },
        })
        .collect();
    let tensor = TensorTypeProto {
        elem_type: Some(TensorDataType::Float as i32),
        shape: Some(TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor),
            ..Default::default()
        }),
        ..Default::default()
    }
}
