//! Named tensors.

use std::collections::BTreeMap;

use burn::tensor::TensorData;

/// Tensors of 32-bit floats by parameter path.
pub type StateDict = BTreeMap<String, TensorData>;
