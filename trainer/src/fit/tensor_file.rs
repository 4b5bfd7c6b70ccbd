//! Networks and optimizer states as safetensors files: tensors by module path, and JSON metadata.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, View};
use safetensors::{SafeTensorError, SafeTensors};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use vesal_files::atomic::{self, AtomicError};
use vesal_files::regular;

/// Key of the JSON in the file's metadata.
const HEAD_KEY: &str = "vesal";
const MAX_HEADER_BYTES: u64 = 64 << 20;

#[derive(Debug, Error)]
pub enum TensorFileError {
    #[error("cannot read `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Write(#[from] AtomicError),
    /// The file is not safetensors.
    #[error("`{}` is not a readable safetensors file", path.display())]
    Format {
        path: PathBuf,
        source: SafeTensorError,
    },
    /// The header is absent, too long, or lacks the JSON of a training.
    #[error("`{}` was not written by a training: its header lacks the entry `{HEAD_KEY}`", path.display())]
    Head { path: PathBuf },
    /// A tensor is missing.
    #[error("`{}` has no tensor `{tensor}`", path.display())]
    Missing { path: PathBuf, tensor: String },
    /// A tensor has another shape or type.
    #[error("tensor `{tensor}` of `{}` is {found}, expected {expected}", path.display())]
    Tensor {
        path: PathBuf,
        tensor: String,
        /// Type and shape in the file.
        found: String,
        /// Type and shape in the network.
        expected: String,
    },
}

/// Values of one tensor, to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Values {
    /// Values of a floating-point tensor in row-major order.
    pub fn from_f32(shape: Vec<usize>, values: &[f32]) -> Self {
        Self {
            shape,
            bytes: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        }
    }
}

impl View for &Values {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes tensors and metadata atomically.
///
/// **Errors**: [`TensorFileError`]; a previous file is then unchanged.
pub fn write(
    path: &Path,
    head: &impl Serialize,
    tensors: &[(String, Values)],
) -> Result<(), TensorFileError> {
    let failed = |source| TensorFileError::Format {
        path: path.to_owned(),
        source,
    };
    let json =
        serde_json::to_string(head).map_err(|error| failed(SafeTensorError::JsonError(error)))?;
    // A map of one entry, because several would be written in random order.
    let metadata = HashMap::from([(HEAD_KEY.to_owned(), json)]);
    let views = tensors.iter().map(|(name, values)| (name.as_str(), values));
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(failed)?;
    Ok(atomic::write_file(path, &bytes, true)?)
}

/// Reads the metadata alone; `None` where there is no file.
///
/// **Errors**: [`TensorFileError`].
pub fn read_head<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TensorFileError> {
    #[derive(Deserialize)]
    struct Header {
        #[serde(rename = "__metadata__")]
        metadata: HashMap<String, String>,
    }
    let refused = |source| TensorFileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut file = match regular::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(error)),
    };
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(refused)?;
    let mut header = Vec::new();
    let length = u64::from_le_bytes(length);
    if length <= MAX_HEADER_BYTES {
        file.take(length)
            .read_to_end(&mut header)
            .map_err(refused)?;
    }
    let header: Option<Header> = serde_json::from_slice(&header).ok();
    let head = header
        .as_ref()
        .and_then(|header| header.metadata.get(HEAD_KEY));
    match head.and_then(|json| serde_json::from_str(json).ok()) {
        Some(head) => Ok(Some(head)),
        None => Err(TensorFileError::Head {
            path: path.to_owned(),
        }),
    }
}

#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl TensorFile {
    /// **Errors**: [`TensorFileError::Read`].
    pub fn read(path: &Path) -> Result<Self, TensorFileError> {
        let bytes = regular::read(path).map_err(|source| TensorFileError::Read {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
        })
    }

    /// Parses the tensors in the bytes.
    ///
    /// **Errors**: [`TensorFileError::Format`].
    pub fn tensors(&self) -> Result<Tensors<'_>, TensorFileError> {
        let tensors =
            SafeTensors::deserialize(&self.bytes).map_err(|source| TensorFileError::Format {
                path: self.path.clone(),
                source,
            })?;
        Ok(Tensors {
            path: &self.path,
            tensors,
        })
    }
}

#[derive(Debug)]
pub struct Tensors<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl Tensors<'_> {
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// Values of a floating-point tensor.
    ///
    /// **Errors**: it is missing, or has another shape or type.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, TensorFileError> {
        let bytes = self.bytes(name, shape)?;
        Ok(bytes
            .as_chunks()
            .0
            .iter()
            .map(|&value| f32::from_le_bytes(value))
            .collect())
    }

    fn bytes(&self, name: &str, shape: &[usize]) -> Result<&[u8], TensorFileError> {
        let tensor = self
            .tensors
            .tensor(name)
            .map_err(|_| TensorFileError::Missing {
                path: self.path.to_owned(),
                tensor: name.to_owned(),
            })?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            return Err(TensorFileError::Tensor {
                path: self.path.to_owned(),
                tensor: name.to_owned(),
                found: format!("{:?} {:?}", tensor.dtype(), tensor.shape()),
                expected: format!("F32 {shape:?}"),
            });
        }
        Ok(tensor.data())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_and_facts_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.safetensors");
        assert_eq!(read_head::<Vec<u32>>(&path).unwrap(), None);
        let tensors = [(
            "a.b".to_owned(),
            Values::from_f32(vec![2, 1], &[1.5, f32::MIN]),
        )];
        write(&path, &vec![1u32, 2], &tensors).unwrap();
        assert_eq!(read_head::<Vec<u32>>(&path).unwrap(), Some(vec![1, 2]));
        let file = TensorFile::read(&path).unwrap();
        let found = file.tensors().unwrap();
        assert_eq!(found.values("a.b", &[2, 1]).unwrap(), [1.5, f32::MIN]);
        let error = found.values("a.b", &[1, 2]).unwrap_err().to_string();
        assert!(error.contains("F32 [2, 1], expected F32 [1, 2]"), "{error}");
        assert!(matches!(
            found.values("m", &[]),
            Err(TensorFileError::Missing { .. })
        ));
    }

    #[test]
    fn foreign_bytes_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.safetensors");
        for bytes in [
            &b""[..],
            b"\x02\0\0\0\0\0\0\0{}",
            b"\xff\xff\xff\xff\xff\xff\xff\xff{}",
            &[b'x'; 40],
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert!(read_head::<u32>(&path).is_err(), "{bytes:?}");
        }
    }
}
