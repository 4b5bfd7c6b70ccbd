//! Entries of the operator table.

use std::collections::BTreeSet;

use super::attribute::Attribute;
use super::input::NodeInput;
use super::node::OperatorNode;
use crate::error::{AttributeProblem, CheckError, short};
use crate::proto::NodeProto;
use crate::shape::SymbolicShape;

/// Shapes of a node's outputs, by the definition of its operator.
pub(crate) type ShapeRule = fn(&OperatorNode<'_>) -> Result<Vec<SymbolicShape>, CheckError>;

/// Working memory of a node in elements, by the shapes of its inputs; absent ones are empty.
pub(crate) type WorkingMemory = fn(&[&[u64]]) -> u64;

/// Most inputs of a concatenation, and most outputs of a split.
pub(super) const MANY: usize = 256;

/// An operator of the default domain.
#[derive(Debug)]
pub struct Operator {
    pub name: &'static str,
    /// Oldest operator set with this definition, for 32-bit floats and the listed attributes; the newest is
    /// [`NEWEST_OPSET`](crate::limits::NEWEST_OPSET).
    pub since: i64,
    /// Fewest and most inputs; further ones are optional.
    pub inputs: [usize; 2],
    /// Fewest and most outputs.
    pub outputs: [usize; 2],
    /// Positions of inputs that are constants of 64-bit integers.
    pub integers: &'static [usize],
    /// Its attributes, in alphabetical order; others are refused.
    pub attributes: &'static [Attribute],
    pub(crate) shapes: ShapeRule,
    /// Whether ONNX Runtime computes the output in place of an input that no other node uses.
    pub in_place: bool,
    /// Working memory of ONNX Runtime's kernels besides inputs and outputs, in copies of the largest input or output.
    pub copies: u64,
    /// The matrix of columns of ONNX Runtime's kernel on a processor, if it has one.
    pub(crate) working: WorkingMemory,
    /// Which inputs become 16-bit floats in a network of these; none if the operator is not safe in them: quotients,
    /// powers and the like overflow, or ONNX Runtime has no kernel that sums in 32 bits.
    pub half: Option<HalfInputs>,
    pub user: User,
}

/// The networks that may have an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Exported and foreign networks.
    Exporter,
    /// Foreign networks only.
    Foreign,
    /// Networks after rewriting; refused in files.
    Rewrite,
}

/// Inputs that become 16-bit floats; the others stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HalfInputs {
    /// All inputs: inputs and output have one type.
    All,
    /// Those at these positions.
    Only(&'static [usize]),
}

impl HalfInputs {
    /// Whether the input at this position becomes 16-bit floats.
    pub fn includes(self, position: usize) -> bool {
        match self {
            Self::All => true,
            Self::Only(positions) => positions.contains(&position),
        }
    }
}

impl Operator {
    /// An operator of foreign networks with one output, without attributes.
    pub(super) const fn new(name: &'static str, inputs: [usize; 2], shapes: ShapeRule) -> Self {
        Self {
            name,
            since: 1,
            inputs,
            outputs: [1, 1],
            integers: &[],
            attributes: &[],
            shapes,
            in_place: false,
            copies: 0,
            working: |_| 0,
            half: None,
            user: User::Foreign,
        }
    }

    /// Whether a network's file may have it.
    pub fn is_loaded(&self) -> bool {
        self.user != User::Rewrite
    }

    /// Whether an exported network may have it.
    pub fn is_exported(&self) -> bool {
        self.user == User::Exporter
    }

    /// A node of this operator; `label` names it in messages.
    pub(crate) fn node<'a>(
        &'static self,
        label: &'a str,
        node: &'a NodeProto,
        inputs: &'a [Option<NodeInput<'a>>],
    ) -> OperatorNode<'a> {
        OperatorNode::new(label, node, self.attributes, inputs)
    }

    /// Checks the number of inputs and outputs of a node, and its attributes by name, type and, where few are allowed, value.
    ///
    /// **Errors**: the first rule that it breaks.
    pub(crate) fn check(&self, label: &str, node: &NodeProto) -> Result<(), CheckError> {
        arity(label, "inputs", node.input.len(), self.inputs)?;
        arity(label, "outputs", node.output.len(), self.outputs)?;
        let mut seen = BTreeSet::new();
        for attribute in &node.attribute {
            let name = attribute.name.as_deref().unwrap_or_default();
            let broken = |problem| CheckError::Attribute {
                node: label.into(),
                attribute: short(name),
                problem,
            };
            let known = self.attributes.iter().find(|known| known.name == name);
            let known = known.ok_or_else(|| {
                broken(AttributeProblem::Unknown {
                    operator: self.name.into(),
                })
            })?;
            if !seen.insert(name) {
                return Err(broken(AttributeProblem::Twice));
            }
            known.kind.check(attribute).map_err(broken)?;
        }
        Ok(())
    }
}

fn arity(
    node: &str,
    what: &'static str,
    found: usize,
    [least, most]: [usize; 2],
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
