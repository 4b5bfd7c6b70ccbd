//! Puts a graph together.

use super::proto::{
    AttributeProto, AttributeType, DataType, DimensionProto, GraphProto, ModelProto, NodeProto,
    OperatorSetIdProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use super::{IR_VERSION, OPSET};

/// Size of one axis of an input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis<'a> {
    /// Always this size.
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
    pub fn input(&mut self, name: &str, shape: &[Axis<'_>]) {
        self.graph.input.push(value_info(name, shape));
    }

    /// Declares an output of 32-bit floats.
    pub fn output(&mut self, name: &str, shape: &[Axis<'_>]) {
        self.graph.output.push(value_info(name, shape));
    }

    /// Adds a weight.
    ///
    /// **Shapes**: `values` in C order, as many as the product of `shape`.
    pub fn initializer(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.graph.initializer.push(TensorProto {
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type: Some(DataType::Float as i32),
            name: Some(name.into()),
            raw_data: Some(
                values
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
            ),
            ..Default::default()
        });
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

    /// Gives a value another name wherever a node gives or takes it.
    pub fn rename(&mut self, from: &str, to: &str) {
        for node in &mut self.graph.node {
            for value in node.input.iter_mut().chain(&mut node.output) {
                if value == from {
                    *value = to.into();
                }
            }
        }
    }

    /// The model.
    pub fn finish(self) -> ModelProto {
        ModelProto {
            ir_version: Some(IR_VERSION),
            producer_name: Some("vesal-export".into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            opset_import: vec![OperatorSetIdProto {
                domain: Some(String::new()),
                version: Some(OPSET),
            }],
            graph: Some(self.graph),
            ..Default::default()
        }
    }
}

impl AttributeProto {
    /// An attribute that holds one integer.
    pub fn int(name: &str, value: usize) -> Self {
        Self {
            name: Some(name.into()),
            i: Some(value as i64),
            r#type: Some(AttributeType::Int as i32),
            ..Default::default()
        }
    }

    /// An attribute that holds integers.
    pub fn ints(name: &str, values: impl IntoIterator<Item = usize>) -> Self {
        Self {
            name: Some(name.into()),
            ints: values.into_iter().map(|value| value as i64).collect(),
            r#type: Some(AttributeType::Ints as i32),
            ..Default::default()
        }
    }

    /// An attribute that holds one float.
    pub fn float(name: &str, value: f32) -> Self {
        Self {
            name: Some(name.into()),
            f: Some(value),
            r#type: Some(AttributeType::Float as i32),
            ..Default::default()
        }
    }
}

fn value_info(name: &str, shape: &[Axis<'_>]) -> ValueInfoProto {
    let dim = shape
        .iter()
        .map(|axis| match *axis {
            Axis::Fixed(size) => DimensionProto {
                dim_value: Some(size as i64),
                dim_param: None,
            },
            Axis::Free(name) => DimensionProto {
                dim_value: None,
                dim_param: Some(name.into()),
            },
        })
        .collect();
    let tensor = TensorTypeProto {
        elem_type: Some(DataType::Float as i32),
        shape: Some(TensorShapeProto { dim }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            tensor_type: Some(tensor),
        }),
    }
}
