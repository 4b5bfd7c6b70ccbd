//! Why bytes are no network.

use thiserror::Error;

use crate::wire::EncodingProblem;

/// Why bytes are no network that can be rewritten.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum NetworkError {
    /// Bytes that two decoders could read differently, or none.
    #[error("the bytes are no ONNX model: what is at byte {at} {problem}")]
    Encoding {
        at: usize,
        /// What is wrong with it.
        problem: EncodingProblem,
    },
    /// Little on disk that is much in memory.
    #[error(
        "the model of {bytes} bytes would take {found} bytes of memory, expected at most {most}"
    )]
    Inflated {
        /// Size of the model in bytes.
        bytes: usize,
        /// Bytes that its parts would take.
        found: usize,
        /// Most that they may take.
        most: usize,
    },
    /// No protobuf message of an ONNX model.
    #[error("the bytes are no ONNX model")]
    Malformed(#[from] prost::DecodeError),
    /// Something would be lost: fields that ONNX 1.23 does not have, or fields given twice.
    #[error(
        "the model has {found} bytes, {kept} of which are understood: a newer version of ONNX wrote it, or no program of ONNX"
    )]
    Lossy {
        /// Size of the model in bytes.
        found: usize,
        /// Bytes that it would have if it were encoded again.
        kept: usize,
    },
}

impl NetworkError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Encoding { .. } | Self::Malformed(_) => Some(
                "the file is damaged, or was made to be read differently: export the network again",
            ),
            Self::Inflated { .. } => Some("no network needs so many parts of so little content"),
            Self::Lossy { .. } => Some("export the network for ONNX 1.23 or older"),
        }
    }
}
