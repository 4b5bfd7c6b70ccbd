//! Tensors of safetensors files.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;

use burn::tensor::{Bytes, DType, TensorData};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use thiserror::Error;
use vesal_files::regular;

use crate::state_dict::{self, MAX_NAME_CHARS, StateDict};

/// Why a safetensors file cannot be read.
#[derive(Debug, Error)]
pub enum SafetensorsError {
    #[error("the weights are not a safetensors file")]
    Form(#[from] SafeTensorError),
    #[error(
        "a tensor's name, `{}...`, has more than {MAX_NAME_CHARS} characters, which no network's has",
        start.escape_debug()
    )]
    LongName { start: String },
    /// A tensor of integers and the like.
    #[error("tensor `{tensor}` has elements of type {found}, expected floats")]
    Type { tensor: String, found: String },
}

/// Whether a file begins as a safetensors file does: the length of a JSON object, and its first bracket.
pub(crate) fn is_safetensors(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    regular::open(path)?.take(9).read_to_end(&mut start)?;
    Ok(start.get(8) == Some(&b'{') && !start.starts_with(b"PK"))
}

/// Reads the tensors of a safetensors file as 32-bit floats. Names and integers are treated as those of checkpoints.
///
/// **Errors**: the bytes are not a safetensors file, or a tensor has no floats.
pub fn from_safetensors(bytes: &[u8]) -> Result<StateDict, SafetensorsError> {
    let mut tensors = StateDict::new();
    each(bytes, |name, view, kind| {
        tensors.insert(name.to_owned(), floats(view, kind));
    })?;
    Ok(tensors)
}

/// The shapes of the tensors that [`from_safetensors`] reads.
///
/// **Errors**: as there.
pub(crate) fn shapes(bytes: &[u8]) -> Result<BTreeMap<String, Vec<usize>>, SafetensorsError> {
    let mut shapes = BTreeMap::new();
    each(bytes, |name, view, _| {
        shapes.insert(name.to_owned(), view.shape().to_vec());
    })?;
    Ok(shapes)
}

/// Gives every tensor that networks need, with its name in the network and the type of its elements.
fn each(
    bytes: &[u8],
    mut take: impl FnMut(&str, &TensorView<'_>, DType),
) -> Result<(), SafetensorsError> {
    let stored = SafeTensors::deserialize(bytes)?;
    let stored: Vec<_> = stored
        .iter()
        .filter(|(name, _)| !state_dict::is_counter(name))
        .collect();
    if let Some(start) = stored
        .iter()
        .find_map(|(name, _)| state_dict::too_long(name))
    {
        return Err(SafetensorsError::LongName { start });
    }
    let prefix = state_dict::prefix(|| stored.iter().map(|(name, _)| *name));
    for (name, view) in &stored {
        let name = &name[prefix..];
        let kind = float_type(view.dtype()).ok_or_else(|| SafetensorsError::Type {
            tensor: name.into(),
            found: format!("{:?}", view.dtype()),
        })?;
        take(name, view, kind);
    }
    Ok(())
}

fn float_type(kind: Dtype) -> Option<DType> {
    Some(match kind {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        _ => return None,
    })
}

fn floats(view: &TensorView<'_>, kind: DType) -> TensorData {
    let bytes = Bytes::from_bytes_vec(view.data().to_vec());
    TensorData::from_bytes(bytes, view.shape().to_vec(), kind).convert::<f32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one tensor of two elements.
    fn file(kind: &str, bytes: &[u8]) -> Vec<u8> {
        let end = bytes.len();
        let header = format!(
            "{{\"a.b\":{{\"dtype\":\"{kind}\",\"shape\":[2,1],\"data_offsets\":[0,{end}]}}}}"
        );
        let length = (header.len() as u64).to_le_bytes();
        [&length, header.as_bytes(), bytes].concat()
    }

    #[test]
    fn floats_of_all_widths_are_read() {
        let halves = file("F16", &[0, 0x3c, 0, 0xc0]);
        let doubles = [1_f64, -2.].map(f64::to_le_bytes).concat();
        for bytes in [
            halves,
            file("BF16", &[0x80, 0x3f, 0, 0xc0]),
            file("F32", &[1_f32, -2.].map(f32::to_le_bytes).concat()),
            file("F64", &doubles),
        ] {
            let tensors = from_safetensors(&bytes).unwrap();
            let data = &tensors["a.b"];
            assert_eq!(data.shape.to_vec(), [2, 1]);
            assert_eq!(data.as_slice::<f32>().unwrap(), [1., -2.]);
        }
    }

    #[test]
    fn names_are_those_of_the_network_and_counters_are_left_out() {
        let header = r#"{"module.a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"module.b.num_batches_tracked":{"dtype":"I64","shape":[],"data_offsets":[4,12]}}"#;
        let length = (header.len() as u64).to_le_bytes();
        let bytes = [&length, header.as_bytes(), &[0; 12]].concat();
        assert!(from_safetensors(&bytes).unwrap().keys().eq(["a"]));
    }

    #[test]
    fn other_files_and_integers_are_refused() {
        let integers = from_safetensors(&file("I32", &[0; 8])).unwrap_err();
        assert!(integers.to_string().contains("`a.b`"), "{integers}");
        for bytes in [&b""[..], b"PK\x03\x04", &[0xff; 40], &file("F32", &[0; 4])] {
            let error = from_safetensors(bytes).unwrap_err();
            assert!(matches!(error, SafetensorsError::Form(_)), "{error}");
        }
    }
}
