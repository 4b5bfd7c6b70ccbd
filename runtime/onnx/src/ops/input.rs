//! Inputs of nodes, and the elements of those that are constants.

use crate::proto::{TensorDataType, TensorProto};
use crate::shape::{Dim, SymbolicShape};

/// Most elements of a constant that has one for each axis or output.
const MAX_LIST: i64 = 256;

/// An input of a node.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeInput<'a> {
    pub shape: &'a SymbolicShape,
    /// The value itself, if it is a weight.
    pub constant: Option<&'a TensorProto>,
}

impl<'a> NodeInput<'a> {
    /// Number of elements; `None` if it is not known or cannot be expressed.
    pub fn elements(&self) -> Option<i64> {
        let mut dims = self.shape.0.iter();
        dims.try_fold(1_i64, |count, dim| match dim {
            Dim::Fixed(size) => count.checked_mul(*size),
            Dim::Free(_) => None,
        })
    }

    /// The constant, if it has at most [`MAX_LIST`] elements.
    pub fn list(&self) -> Option<&'a TensorProto> {
        let is_short = self.elements().is_some_and(|count| count <= MAX_LIST);
        self.constant.filter(|_| is_short)
    }
}

impl TensorProto {
    /// Elements of a constant of 64-bit integers.
    pub(crate) fn integers(&self) -> Option<Vec<i64>> {
        (self.data_type == Some(TensorDataType::Int64 as i32)).then_some(())?;
        Some(match &self.raw_data {
            Some(raw) => {
                let (values, _) = raw.as_chunks();
                let values = values.iter();
                values.map(|&bytes| i64::from_le_bytes(bytes)).collect()
            }
            None => self.int64_data.clone(),
        })
    }

    /// Elements of a constant of 32-bit floats, if its type is that.
    pub(crate) fn single_floats(&self) -> Option<Vec<f32>> {
        (self.data_type == Some(TensorDataType::Float as i32)).then_some(())?;
        Some(match &self.raw_data {
            Some(raw) => {
                let (values, _) = raw.as_chunks();
                let values = values.iter();
                values.map(|&bytes| f32::from_le_bytes(bytes)).collect()
            }
            None => self.float_data.clone(),
        })
    }
}
