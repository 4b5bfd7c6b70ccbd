//! Errors of decoding networks.

use thiserror::Error;

use crate::wire::EncodingProblem;

/// Why bytes cannot be decoded as a network.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum NetworkError {
    /// Bytes that decoders could read differently or not at all.
    #[error("the bytes are not an ONNX model: the part at byte {at} {problem}")]
    Encoding { at: usize, problem: EncodingProblem },
    /// Decoding would take too much memory.
    #[error(
        "the model of {bytes} bytes would take {found} bytes of memory, expected at most {most}"
    )]
    Inflated {
        /// Size of the model in bytes.
        bytes: usize,
        /// Bytes that its parts would take.
        found: usize,
        most: usize,
    },
    /// No protobuf message of an ONNX model.
    #[error("the bytes are not an ONNX model")]
    Malformed(#[from] prost::DecodeError),
    /// Content would be lost: fields that ONNX 1.23 does not have, or repeated fields.
    #[error(
        "the model has {found} bytes, {kept} of which are known: it is from a newer version of ONNX, or not ONNX"
    )]
    Lossy {
        /// Size of the model in bytes.
        found: usize,
        /// Its size in bytes if it were encoded again.
        kept: usize,
    },
}

impl NetworkError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Encoding { .. } | Self::Malformed(_) => {
                Some("the file is damaged or ambiguous: export the network again")
            }
            Self::Inflated { .. } => Some("no network needs so many parts of so little content"),
            Self::Lossy { .. } => Some("export the network for ONNX 1.23 or older"),
        }
    }
}
