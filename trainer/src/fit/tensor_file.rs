//! Networks and optimizer states as safetensors files: tensors by module path, facts as JSON in the metadata.

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

/// Key of the facts in the metadata.
const HEAD_KEY: &str = "vesal";
/// Largest header that is read.
const MAX_HEADER_BYTES: u64 = 64 << 20;

/// Why a tensor file cannot be read or written.
#[derive(Debug, Error)]
pub enum TensorFileError {
    #[error("cannot read `{}`", path.display())]
    Read {
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The file cannot be put in its place.
    #[error(transparent)]
    Write(#[from] AtomicError),
    /// The bytes are not safetensors.
    #[error("`{}` is not a readable safetensors file", path.display())]
    Format {
        path: PathBuf,
        /// The rule that it breaks.
        source: SafeTensorError,
    },
    /// The header is absent, overlong, or lacks what a training writes there.
    #[error("`{}` was not written by a training: its header lacks the entry `{HEAD_KEY}`", path.display())]
    Head { path: PathBuf },
    /// A tensor is missing.
    #[error("`{}` has no tensor `{tensor}`", path.display())]
    Missing {
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor of another shape or type.
    #[error("tensor `{tensor}` of `{}` is {found}, expected {expected}", path.display())]
    Tensor {
        path: PathBuf,
        /// Name of the tensor.
        tensor: String,
        /// Its type and shape.
        found: String,
        /// Type and shape of the network's.
        expected: String,
    },
}

/// Values of one tensor on their way to a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Values {
    /// Values of a real tensor in row-major order.
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

/// Writes tensors and facts in one step.
///
/// **Errors**: [`TensorFileError`]; a previous file is then as it was.
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
    // A single entry: several would be written in random order.
    let metadata = HashMap::from([(HEAD_KEY.to_owned(), json)]);
    let views = tensors.iter().map(|(name, values)| (name.as_str(), values));
    let bytes = safetensors::serialize(views, Some(metadata)).map_err(failed)?;
    Ok(atomic::write_file(path, &bytes, true)?)
}

/// Reads the facts alone; `None` where there is no file.
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

/// The bytes of a tensor file.
#[derive(Debug)]
pub struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
}

impl TensorFile {
    /// Reads the whole file.
    ///
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

    /// Finds the tensors in the bytes.
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

/// The tensors of a file.
#[derive(Debug)]
pub struct Tensors<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl Tensors<'_> {
    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.tensor(name).is_ok()
    }

    /// Values of a real tensor.
    ///
    /// **Errors**: it is missing, or of another shape or type.
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
