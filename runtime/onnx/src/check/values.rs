//! Types and weights.

use super::MAX_MODEL_BYTES;
use super::error::{CheckError, InitializerProblem, TypeProblem};
use super::shapes::{Dim, MAX_AXES, MAX_SIZE, Shape};
use crate::operators::User;
use crate::proto::{DataType, TensorProto, ValueInfoProto};

/// Longest name of a free size, in bytes: every value that has the axis keeps it.
pub(super) const MAX_AXIS_NAME: usize = 256;

/// Shape of a declared value.
pub(super) fn declared_shape(value: &str, info: &ValueInfoProto) -> Result<Shape, CheckError> {
    let broken = |problem| CheckError::Type {
        value: value.into(),
        problem,
    };
    let tensor = info
        .r#type
        .as_ref()
        .and_then(|kind| kind.tensor_type.as_ref())
        .ok_or_else(|| broken(TypeProblem::NoTensor))?;
    if tensor.elem_type != Some(DataType::Float as i32) {
        return Err(broken(TypeProblem::Element {
            found: tensor.elem_type,
        }));
    }
    let shape = tensor
        .shape
        .as_ref()
        .ok_or_else(|| broken(TypeProblem::NoShape))?;
    if shape.dim.len() > MAX_AXES {
        return Err(broken(TypeProblem::Axes {
            found: shape.dim.len(),
        }));
    }
    let dims =
        shape
            .dim
            .iter()
            .enumerate()
            .map(|(axis, dim)| match (dim.dim_value, &dim.dim_param) {
                (Some(size), None) if (1..=MAX_SIZE).contains(&size) => Ok(Dim::Fixed(size)),
                (None, Some(name)) if (1..=MAX_AXIS_NAME).contains(&name.len()) => {
                    Ok(Dim::Free(name.clone()))
                }
                _ => Err(broken(TypeProblem::Axis { axis })),
            });
    dims.collect::<Result<_, _>>().map(Shape)
}

/// Shape of a weight whose elements are all there: 32-bit floats in raw data; of a network that others made also elsewhere,
/// none at all, or 64-bit integers, which only sizes are given in.
pub(super) fn initializer_shape(
    name: &str,
    tensor: &TensorProto,
    user: User,
) -> Result<Shape, CheckError> {
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
    let float = tensor.data_type == Some(DataType::Float as i32);
    let size: usize = match tensor.data_type {
        _ if float => 4,
        Some(found) if foreign && found == DataType::Int64 as i32 => 8,
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

/// Sizes of a weight, as it states them.
pub(super) fn dims(tensor: &TensorProto) -> Shape {
    Shape(tensor.dims.iter().map(|&size| Dim::Fixed(size)).collect())
}
