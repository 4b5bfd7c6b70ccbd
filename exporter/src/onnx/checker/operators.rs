//! Which operators there are, and what attributes they have.

use std::collections::BTreeSet;

use vesal_onnx::proto::{AttributeProto, AttributeType, NodeProto};

use super::error::{AttributeProblem, CheckError};

/// An operator that networks use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Conv,
    ConvTranspose,
    InstanceNormalization,
    Relu,
    Add,
}

/// What an operator takes. Attributes are the schema's less those that make padding implicit (`auto_pad`,
/// `output_shape`), which exported networks never use.
struct Schema {
    operator: Operator,
    inputs: [usize; 2],
    attributes: &'static [(&'static str, AttributeType)],
}

const SCHEMAS: [(&str, Schema); 5] = [
    (
        "Conv",
        Schema {
            operator: Operator::Conv,
            inputs: [2, 3],
            attributes: &[
                ("dilations", AttributeType::Ints),
                ("group", AttributeType::Int),
                ("kernel_shape", AttributeType::Ints),
                ("pads", AttributeType::Ints),
                ("strides", AttributeType::Ints),
            ],
        },
    ),
    (
        "ConvTranspose",
        Schema {
            operator: Operator::ConvTranspose,
            inputs: [2, 3],
            attributes: &[
                ("dilations", AttributeType::Ints),
                ("group", AttributeType::Int),
                ("kernel_shape", AttributeType::Ints),
                ("output_padding", AttributeType::Ints),
                ("pads", AttributeType::Ints),
                ("strides", AttributeType::Ints),
            ],
        },
    ),
    (
        "InstanceNormalization",
        Schema {
            operator: Operator::InstanceNormalization,
            inputs: [3, 3],
            attributes: &[("epsilon", AttributeType::Float)],
        },
    ),
    (
        "Relu",
        Schema {
            operator: Operator::Relu,
            inputs: [1, 1],
            attributes: &[],
        },
    ),
    (
        "Add",
        Schema {
            operator: Operator::Add,
            inputs: [2, 2],
            attributes: &[],
        },
    ),
];

/// Checks operator, number of inputs and outputs, and attributes by name and type.
pub(super) fn check(name: &str, node: &NodeProto) -> Result<Operator, CheckError> {
    let found = node.op_type.as_deref().unwrap_or_default();
    let (_, schema) = SCHEMAS
        .iter()
        .find(|(operator, _)| *operator == found)
        .ok_or_else(|| CheckError::Operator {
            node: name.into(),
            found: found.into(),
        })?;
    let [least, most] = schema.inputs;
    arity(name, "inputs", node.input.len(), least, most)?;
    arity(name, "outputs", node.output.len(), 1, 1)?;

    let mut seen = BTreeSet::new();
    for attribute in &node.attribute {
        let attribute_name = attribute.name.as_deref().unwrap_or_default();
        let broken = |problem| CheckError::Attribute {
            node: name.into(),
            attribute: attribute_name.into(),
            problem,
        };
        let (_, expected) = schema
            .attributes
            .iter()
            .find(|(known, _)| *known == attribute_name)
            .ok_or_else(|| {
                broken(AttributeProblem::Unknown {
                    operator: found.into(),
                })
            })?;
        if !seen.insert(attribute_name) {
            return Err(broken(AttributeProblem::Twice));
        }
        check_value(attribute, *expected).map_err(broken)?;
    }
    Ok(schema.operator)
}

fn arity(
    node: &str,
    what: &'static str,
    found: usize,
    least: usize,
    most: usize,
) -> Result<(), CheckError> {
    if (least..=most).contains(&found) {
        Ok(())
    } else {
        Err(CheckError::Arity {
            node: node.into(),
            what,
            found,
            least,
            most,
        })
    }
}

/// Checks that an attribute has its type, and a value in the field of that type alone.
fn check_value(
    attribute: &AttributeProto,
    expected: AttributeType,
) -> Result<(), AttributeProblem> {
    if attribute.ref_attr_name.is_some() {
        return Err(AttributeProblem::Reference);
    }
    let found = attribute
        .r#type
        .and_then(|number| AttributeType::try_from(number).ok());
    if found != Some(expected) {
        return Err(AttributeProblem::Type { found, expected });
    }
    let used = [
        (attribute.f.is_some(), AttributeType::Float),
        (attribute.i.is_some(), AttributeType::Int),
        (attribute.s.is_some(), AttributeType::String),
        (attribute.t.is_some(), AttributeType::Tensor),
        (attribute.g.is_some(), AttributeType::Graph),
        (!attribute.floats.is_empty(), AttributeType::Floats),
        (!attribute.ints.is_empty(), AttributeType::Ints),
        (!attribute.strings.is_empty(), AttributeType::Strings),
        (!attribute.tensors.is_empty(), AttributeType::Tensors),
        (!attribute.graphs.is_empty(), AttributeType::Graphs),
        (
            attribute.sparse_tensor.is_some(),
            AttributeType::SparseTensor,
        ),
        (
            !attribute.sparse_tensors.is_empty(),
            AttributeType::SparseTensors,
        ),
        (attribute.tp.is_some(), AttributeType::TypeProto),
        (!attribute.type_protos.is_empty(), AttributeType::TypeProtos),
    ];
    let used: Vec<AttributeType> = used
        .into_iter()
        .filter(|(used, _)| *used)
        .map(|(_, kind)| kind)
        .collect();
    if used == [expected] {
        Ok(())
    } else {
        Err(AttributeProblem::Field)
    }
}
