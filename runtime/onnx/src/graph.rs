//! Queries and edits of graphs, for rewrites.

use std::collections::{BTreeSet, HashSet};

use crate::domain::is_default_domain;
use crate::proto::{DimensionProto, GraphProto, NodeProto, TensorProto, ValueInfoProto};
use crate::rewrite_error::RewriteError;

/// Names in use.
pub(crate) struct UniqueNames(HashSet<String>);

impl UniqueNames {
    /// Returns a new unused name and marks it as used.
    pub(crate) fn fresh(&mut self, base: &str) -> String {
        let mut name = base.to_owned();
        let mut uses = 1;
        while !self.0.insert(name.clone()) {
            uses += 1;
            name = format!("{base}.{uses}");
        }
        name
    }
}

impl GraphProto {
    /// Renames a value in all inputs and outputs of nodes.
    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        for node in &mut self.node {
            for value in node.input.iter_mut().chain(&mut node.output) {
                if value == from {
                    *value = to.into();
                }
            }
        }
    }

    /// A name that no value and no node has.
    pub(crate) fn fresh(&self, base: &str) -> String {
        self.names().fresh(base)
    }

    /// The names of all values and nodes.
    pub(crate) fn names(&self) -> UniqueNames {
        let values = self
            .node
            .iter()
            .flat_map(|node| node.input.iter().chain(&node.output));
        let infos = self
            .input
            .iter()
            .chain(&self.output)
            .chain(&self.value_info);
        let named = self
            .node
            .iter()
            .filter_map(|node| node.name.as_ref())
            .chain(infos.filter_map(|info| info.name.as_ref()))
            .chain(
                self.initializer
                    .iter()
                    .filter_map(|tensor| tensor.name.as_ref()),
            );
        UniqueNames(values.chain(named).cloned().collect())
    }

    /// The weight of this name.
    pub(crate) fn weight(&self, name: &str) -> Option<&TensorProto> {
        self.initializer
            .iter()
            .find(|tensor| tensor.name.as_deref() == Some(name))
    }

    /// Positions of the nodes with this output.
    pub(crate) fn givers(&self, value: &str) -> Vec<usize> {
        let gives = |node: &NodeProto| node.output.iter().any(|output| output == value);
        (0..self.node.len())
            .filter(|&index| gives(&self.node[index]))
            .collect()
    }

    /// Number of inputs of nodes that are this value.
    pub(crate) fn uses(&self, value: &str) -> usize {
        self.node
            .iter()
            .flat_map(|node| &node.input)
            .filter(|input| *input == value)
            .count()
    }

    /// Checks that no weight is an input too, which a caller could replace.
    ///
    /// **Errors**: a weight is an input.
    pub(crate) fn no_replaceable_weights(&self) -> Result<(), RewriteError> {
        let weights: BTreeSet<_> = self
            .initializer
            .iter()
            .filter_map(|tensor| tensor.name.as_deref())
            .collect();
        let inputs = self.input.iter().filter_map(|input| input.name.as_deref());
        match inputs.into_iter().find(|input| weights.contains(input)) {
            Some(tensor) => Err(RewriteError::Replaceable {
                tensor: tensor.into(),
            }),
            None => Ok(()),
        }
    }

    /// Checks that no node has a graph of its own, which could use any value of this one.
    ///
    /// **Errors**: a node has one.
    pub(crate) fn no_subgraphs(&self) -> Result<(), RewriteError> {
        let has = |node: &&NodeProto| {
            node.attribute
                .iter()
                .any(|attribute| attribute.g.is_some() || !attribute.graphs.is_empty())
        };
        match self.node.iter().find(has) {
            Some(node) => Err(RewriteError::Subgraph { node: node.label() }),
            None => Ok(()),
        }
    }
}

impl NodeProto {
    /// Name of the node in messages.
    pub(crate) fn label(&self) -> String {
        self.name
            .clone()
            .filter(|name| !name.is_empty())
            .or_else(|| self.output.first().cloned())
            .unwrap_or_default()
    }

    /// Whether it is this operator of the standard.
    pub(crate) fn is(&self, operator: &str) -> bool {
        self.op_type.as_deref() == Some(operator) && is_default_domain(self.domain.as_deref())
    }

    /// Whether it is this operator of this domain.
    pub(crate) fn is_custom(&self, domain: &str, operator: &str) -> bool {
        self.domain.as_deref() == Some(domain) && self.op_type.as_deref() == Some(operator)
    }

    /// Operator, with its domain if that is not the default one.
    pub(crate) fn operator(&self) -> String {
        let operator = self.op_type.clone().unwrap_or_default();
        match self.domain.as_deref() {
            domain if is_default_domain(domain) => operator,
            domain => format!("{}.{operator}", domain.unwrap_or_default()),
        }
    }
}

impl ValueInfoProto {
    /// Sizes of the value, if it is a tensor of declared shape.
    pub(crate) fn axes(&mut self) -> Option<&mut [DimensionProto]> {
        let tensor = self.r#type.as_mut()?.tensor_type.as_mut()?;
        Some(&mut tensor.shape.as_mut()?.dim)
    }

    /// Number of the element type in the format, if the value is a tensor.
    pub(crate) fn element(&mut self) -> Option<&mut i32> {
        let tensor = self.r#type.as_mut()?.tensor_type.as_mut()?;
        tensor.elem_type.as_mut()
    }
}

/// The only input or output of a graph, and its name.
///
/// **Errors**: none or several.
pub(crate) fn only<'a>(
    what: &'static str,
    infos: &'a mut [ValueInfoProto],
) -> Result<(&'a mut ValueInfoProto, String), RewriteError> {
    let found = infos.len();
    match infos {
        [info] => {
            let name = info.name.clone().unwrap_or_default();
            Ok((info, name))
        }
        _ => Err(RewriteError::Count { what, found }),
    }
}
