//! Types and weights.

use vesal_onnx::proto::{DataType, TensorProto, ValueInfoProto};

use super::error::{CheckError, InitializerProblem, TypeProblem};
use super::shapes::{Dim, Shape};
use crate::onnx::MAX_MODEL_BYTES;

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
    let dims =
        shape
            .dim
            .iter()
            .enumerate()
            .map(|(axis, dim)| match (dim.dim_value, &dim.dim_param) {
                (Some(size), None) if size > 0 => Ok(Dim::Fixed(size)),
                (None, Some(name)) if !name.is_empty() => Ok(Dim::Free(name.clone())),
                _ => Err(broken(TypeProblem::Axis { axis })),
            });
    dims.collect::<Result<_, _>>().map(Shape)
}

/// Shape of a weight whose elements are all there.
pub(super) fn initializer_shape(name: &str, tensor: &TensorProto) -> Result<Shape, CheckError> {
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
    if tensor.data_type != Some(DataType::Float as i32) {
        return Err(broken(InitializerProblem::Element {
            found: tensor.data_type,
        }));
    }
    let raw = tensor
        .raw_data
        .as_ref()
        .filter(|_| tensor.places() == 1)
        .ok_or_else(|| {
            broken(InitializerProblem::Places {
                found: tensor.places(),
            })
        })?;
    let expected = tensor
        .dims
        .iter()
        .try_fold(4_usize, |bytes, &size| {
            usize::try_from(size)
                .ok()
                .filter(|&size| size > 0)
                .and_then(|size| bytes.checked_mul(size))
        })
        .filter(|&bytes| bytes <= MAX_MODEL_BYTES)
        .ok_or_else(|| {
            broken(InitializerProblem::Dims {
                found: tensor.dims.clone(),
            })
        })?;
    if raw.len() != expected {
        return Err(broken(InitializerProblem::Bytes {
            found: raw.len(),
            expected,
        }));
    }
    Ok(Shape(
        tensor.dims.iter().map(|&size| Dim::Fixed(size)).collect(),
    ))
}
