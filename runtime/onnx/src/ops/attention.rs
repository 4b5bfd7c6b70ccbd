//! The custom operator [`ATTENTION`](crate::domain::ATTENTION), which rewrites make.

use super::attribute::Attribute;
use super::node::OperatorNode;
use super::operator::{Operator, User};
use crate::domain;
use crate::error::{CheckError, ShapeProblem};
use crate::shape::SymbolicShape;

pub(super) const ATTENTION: Operator = Operator {
    attributes: &[
        Attribute::derived_ints("bias_of"),
        Attribute::derived_ints("mask_of"),
    ],
    user: User::Rewrite,
    ..Operator::new(domain::ATTENTION, [3, 6], shapes)
};

/// As many rows as queries, of as many features as the values have.
fn shapes(node: &OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError> {
    let queries = node.required(0, "queries")?;
    let values = node.required(2, "values")?;
    match (&queries.0[..], &values.0[..]) {
        ([.., rows, _], [.., _, _]) => {
            let mut shape = values.clone();
            let axis = shape.rank() - 2;
            shape.0[axis] = rows.clone();
            Ok(vec![shape])
        }
        _ => Err(node.problem(ShapeProblem::Product {
            left: queries.to_string(),
            right: values.to_string(),
        })),
    }
}
