//! Names and shapes of the weights in a file.

use std::collections::BTreeMap;

use crate::candidates::StateDictChoice;

/// What a file of weights states about them besides their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightsHeader {
    /// Shapes of the tensors by parameter path.
    pub shapes: BTreeMap<String, Vec<usize>>,
    /// Where the tensors are, if there are others.
    pub choice: Option<StateDictChoice>,
}
