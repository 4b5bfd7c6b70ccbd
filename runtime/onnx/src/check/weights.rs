//! Checks that all elements of weights are present.

use crate::error::{CheckError, InitializerProblem};
use crate::inference::dims;
use crate::limits::{MAX_AXES, MAX_MODEL_BYTES, MAX_SIZE};
use crate::ops::User;
use crate::proto::{TensorDataType, TensorProto};
use crate::shape::SymbolicShape;

/// Shape of a weight with all elements present: 32-bit floats or 64-bit integers in raw data; in a foreign network also
/// in other fields, or without elements.
pub(super) fn initializer_shape(
    name: &str,
    tensor: &TensorProto,
    user: User,
) -> Result<SymbolicShape, CheckError> {
    let broken = |problem| CheckError::Initializer {
        initializer: name.into(),
        problem,
    };
    if tensor.data_location.unwrap_or(0) != 0 || !tensor.external_data.is_empty() {
        return Err(broken(InitializerProblem::External));
    }
    if tensor.segment.is_some() {
        return Err(broken(InitializerProblem::Segment));
    }
    if tensor.dims.len() > MAX_AXES {
        return Err(broken(InitializerProblem::Axes {
            found: tensor.dims.len(),
        }));
    }
    let foreign = user == User::Foreign;
    let float = tensor.data_type == Some(TensorDataType::Float as i32);
    let size: usize = match tensor.data_type {
        _ if float => 4,
        Some(found) if found == TensorDataType::Int64 as i32 => 8,
        found => return Err(broken(InitializerProblem::Element { found })),
    };
    let least = i64::from(!foreign);
    let expected = tensor
        .dims
        .iter()
        .try_fold(size, |bytes, size| {
            let size = Some(*size).filter(|size| (least..=MAX_SIZE).contains(size))?;
            bytes.checked_mul(usize::try_from(size).ok()?)
        })
        .filter(|&bytes| bytes <= MAX_MODEL_BYTES)
        .ok_or_else(|| {
            broken(InitializerProblem::Dims {
                found: tensor.dims.clone(),
                least,
            })
        })?;
    let found = match (&tensor.raw_data, tensor.places()) {
        (Some(raw), 1) => raw.len(),
        (None, 0) if foreign && expected == 0 => 0,
        (None, 1) if foreign && float && !tensor.float_data.is_empty() => {
            tensor.float_data.len() * size
        }
        (None, 1) if foreign && !float && !tensor.int64_data.is_empty() => {
            tensor.int64_data.len() * size
        }
        (_, found) => return Err(broken(InitializerProblem::Places { found })),
    };
    if found != expected {
        return Err(broken(InitializerProblem::Bytes { found, expected }));
    }
    Ok(dims(tensor))
}
