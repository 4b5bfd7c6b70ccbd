//! Operators, numbers of inputs and outputs, and attributes.

use std::collections::BTreeSet;

use super::error::{AttributeProblem, CheckError};
use crate::operators::{self, Kind, Operator};
use crate::proto::{AttributeProto, AttributeType, NodeProto};

/// Checks that the operator is one of those that are known, the number of inputs and outputs, and attributes by name, type
/// and, where few are allowed, value.
pub(super) fn check(
    name: &str,
    node: &NodeProto,
    known: impl Fn(&Operator) -> bool + Copy,
) -> Result<&'static Operator, CheckError> {
    let found = node.op_type.as_deref().unwrap_or_default();
    let operator = operators::find(found)
        .filter(|operator| known(operator))
        .ok_or_else(|| CheckError::Operator {
            node: name.into(),
            found: found.chars().take(80).collect(),
            expected: operators::names(known),
        })?;
    let [least, most] = operator.inputs;
    arity(name, "inputs", node.input.len(), least, most)?;
    arity(name, "outputs", node.output.len(), 1, 1)?;

    let mut seen = BTreeSet::new();
    for attribute in &node.attribute {
        let attribute_name = attribute.name.as_deref().unwrap_or_default();
        let broken = |problem| CheckError::Attribute {
            node: name.into(),
            attribute: attribute_name.chars().take(80).collect(),
            problem,
        };
        let (_, expected) = operator
            .attributes
            .iter()
            .find(|(known, _)| *known == attribute_name)
            .ok_or_else(|| {
                broken(AttributeProblem::Unknown {
                    operator: operator.name.into(),
                })
            })?;
        if !seen.insert(attribute_name) {
            return Err(broken(AttributeProblem::Twice));
        }
        check_value(attribute, *expected).map_err(broken)?;
    }
    Ok(operator)
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

/// Checks that an attribute has its type, and a value in the field of that type alone, which is one of those allowed.
fn check_value(attribute: &AttributeProto, kind: Kind) -> Result<(), AttributeProblem> {
    let expected = kind.attribute_type();
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
    if used != [expected] {
        return Err(AttributeProblem::Field);
    }
    match kind {
        Kind::Zero if attribute.i != Some(0) => Err(AttributeProblem::Range {
            found: attribute.i.unwrap_or_default().to_string(),
            expected: "0".into(),
        }),
        Kind::Text(allowed) => {
            let found = attribute.s.as_deref().unwrap_or_default();
            if allowed.iter().any(|text| text.as_bytes() == found) {
                return Ok(());
            }
            let found: String = String::from_utf8_lossy(found).chars().take(80).collect();
            Err(AttributeProblem::Range {
                found: format!("{found:?}"),
                expected: format!("one of {}", allowed.join(", ")),
            })
        }
        _ => Ok(()),
    }
}
