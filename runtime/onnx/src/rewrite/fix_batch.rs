//! A size for the free batch axis.

use std::num::NonZeroUsize;

use crate::graph::only;
use crate::model::OnnxModel;
use crate::proto::{DimensionProto, ValueInfoProto};
use crate::rewrite_error::RewriteError;

impl OnnxModel {
    /// Fixes the size of the batch axis, the first of input and output.
    ///
    /// With every shape known, ONNX Runtime plans its memory once and a provider chooses its kernels once.
    ///
    /// **Definition**: the input's first axis is free and has a name; the size replaces the name in all declarations.
    /// Operators do not change. A network whose batch axis has this size already stays as it is.
    ///
    /// **Errors**: several inputs or outputs; a batch axis of another size, without a name, or with a name that another
    /// axis has as well.
    pub fn fix_batch(&self, batch: NonZeroUsize) -> Result<Self, RewriteError> {
        let size = i64::try_from(batch.get()).unwrap_or(i64::MAX);
        self.rewritten(|graph| {
            graph.no_replaceable_weights()?;
            let (input, input_name) = only("inputs", &mut graph.input)?;
            let free = free_axis(input, &input_name, size)?;
            let (output, output_name) = only("outputs", &mut graph.output)?;
            if free_axis(output, &output_name, size)? != free {
                return Err(RewriteError::Batch {
                    value: output_name,
                    found: described(first_axis(output)),
                });
            }
            let Some(name) = free else {
                return Ok(());
            };
            let infos = graph.input.iter_mut().chain(&mut graph.output);
            for info in infos.chain(&mut graph.value_info) {
                fix(info, &name, size)?;
            }
            Ok(())
        })
        .map(|(network, ())| network)
    }
}

fn first_axis(info: &mut ValueInfoProto) -> Option<&DimensionProto> {
    info.axes()?.first()
}

/// Name of the first axis; `None` if it has the size already.
fn free_axis(
    info: &mut ValueInfoProto,
    name: &str,
    size: i64,
) -> Result<Option<String>, RewriteError> {
    match first_axis(info) {
        Some(DimensionProto {
            dim_value: None,
            dim_param: Some(free),
            ..
        }) if !free.is_empty() => Ok(Some(free.clone())),
        Some(DimensionProto {
            dim_value: Some(found),
            dim_param: None,
            ..
        }) if *found == size => Ok(None),
        axis => Err(RewriteError::Batch {
            value: name.into(),
            found: described(axis),
        }),
    }
}

fn described(axis: Option<&DimensionProto>) -> String {
    let Some(axis) = axis else {
        return "missing".into();
    };
    match (axis.dim_value, axis.dim_param.as_deref()) {
        (Some(size), _) => size.to_string(),
        (None, Some(name)) if !name.is_empty() => format!("named {name:?}"),
        (None, _) => "without a name".into(),
    }
}

/// Replaces the name by the size.
fn fix(info: &mut ValueInfoProto, name: &str, size: i64) -> Result<(), RewriteError> {
    let value = info.name.clone().unwrap_or_default();
    for (axis, dim) in info.axes().into_iter().flatten().enumerate() {
        if dim.dim_param.as_deref() == Some(name) {
            if axis > 0 {
                return Err(RewriteError::SharedName {
                    value,
                    axis,
                    name: name.into(),
                });
            }
            (dim.dim_value, dim.dim_param) = (Some(size), None);
        }
    }
    Ok(())
}
