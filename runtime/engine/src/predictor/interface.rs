//! Checks a session's inputs and outputs against the manifest.

use ort::value::{Outlet, TensorElementType, ValueType};

use super::error::{AxisSizes, PredictorError};

/// Checks that there is one input or output, of this name, for windows of this shape; the batch axis is free if `batch` is
/// `None`.
pub(super) fn check_outlet(
    what: &'static str,
    outlets: &[Outlet],
    name: &str,
    batch: Option<usize>,
    expected: [usize; 4],
) -> Result<(), PredictorError> {
    let [outlet] = outlets else {
        return Err(names(what, outlets, name));
    };
    if outlet.name() != name {
        return Err(names(what, outlets, name));
    }
    let ValueType::Tensor {
        ty: TensorElementType::Float32,
        shape,
        ..
    } = outlet.dtype()
    else {
        return Err(PredictorError::ElementType {
            what,
            found: outlet.dtype().to_string(),
        });
    };
    let found = AxisSizes(
        shape
            .iter()
            .map(|&size| usize::try_from(size).ok())
            .collect(),
    );
    let expected = AxisSizes(std::iter::once(batch).chain(expected.map(Some)).collect());
    if found == expected {
        Ok(())
    } else {
        Err(PredictorError::Shape {
            what,
            found,
            expected,
        })
    }
}

fn names(what: &'static str, outlets: &[Outlet], expected: &str) -> PredictorError {
    let found = outlets
        .iter()
        .map(|outlet| outlet.name().to_owned())
        .collect();
    PredictorError::Names {
        what,
        found,
        expected: expected.into(),
    }
}
