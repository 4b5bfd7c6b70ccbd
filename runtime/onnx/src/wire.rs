//! Scan of a model's bytes before they are decoded: ambiguous encodings are refused, and the memory of decoding is
//! bounded.
//!
//! Decoders differ on non-canonical encodings: one that drops the upper bits of a key of more than 32 bits reads
//! another field. A message of two bytes can become an object of hundreds.

use thiserror::Error;

use crate::proto::{
    AttributeProto, DimensionProto, GraphProto, NodeProto, OperatorSetIdProto, TensorProto,
    TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};

/// What is wrong with the encoding of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodingProblem {
    /// The bytes end too early.
    #[error("ends too early")]
    Truncated,
    /// A non-minimal varint, or one of more than 64 bits.
    #[error("has a number in more bytes than it needs")]
    Overlong,
    /// A field number beyond those of the format.
    #[error("has a key of more than 32 bits")]
    Key,
    /// A kind of field that ONNX does not have.
    #[error("has wire type {found}, expected 0, 1, 2 or 5")]
    WireType { found: u8 },
}

/// Byte position in the model of a wrong encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken {
    pub at: usize,
    pub problem: EncodingProblem,
}

/// Messages that are decoded; others stay bytes.
#[derive(Clone, Copy)]
enum Message {
    Model,
    OperatorSet,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
    Type,
    TensorType,
    Shape,
    Dimension,
}

/// Type that a field is decoded to.
enum Field {
    Message(Message),
    /// Packed numbers of this size in bytes.
    Packed(usize),
    /// A text or bytes, copied.
    Copied,
    /// Bytes that stay where they are.
    View,
}

impl Message {
    /// Kind of a length-delimited field.
    ///
    /// **Source**: `onnx.proto`, as `proto` has it.
    fn field(self, number: u32) -> Field {
        let message = match (self, number) {
            (Self::Model, 7) => Self::Graph,
            (Self::Model, 8) => Self::OperatorSet,
            (Self::Graph, 1) => Self::Node,
            (Self::Graph, 5) => Self::Tensor,
            (Self::Graph, 11..=13) => Self::ValueInfo,
            (Self::Node, 5) => Self::Attribute,
            (Self::ValueInfo, 2) => Self::Type,
            (Self::Type, 1) => Self::TensorType,
            (Self::TensorType, 2) => Self::Shape,
            (Self::Shape, 1) => Self::Dimension,
            (Self::Tensor, 4) | (Self::Attribute, 7) => return Field::Packed(4),
            // At least one byte each.
            (Self::Tensor, 1 | 5 | 7 | 11) | (Self::Attribute, 8) => return Field::Packed(1),
            (Self::Tensor, 10) => return Field::Packed(8),
            (Self::Tensor, 9) | (Self::Attribute, 5 | 6 | 10 | 11) => return Field::View,
            _ => return Field::Copied,
        };
        Field::Message(message)
    }

    /// Bytes of an object, without those that it points to.
    fn size(self) -> usize {
        match self {
            Self::Model => 0,
            Self::OperatorSet => size_of::<OperatorSetIdProto>(),
            Self::Graph => size_of::<GraphProto>(),
            Self::Node => size_of::<NodeProto>(),
            Self::Attribute => size_of::<AttributeProto>(),
            Self::Tensor => size_of::<TensorProto>(),
            Self::ValueInfo => size_of::<ValueInfoProto>(),
            Self::Type => size_of::<TypeProto>(),
            Self::TensorType => size_of::<TensorTypeProto>(),
            Self::Shape => size_of::<TensorShapeProto>(),
            Self::Dimension => size_of::<DimensionProto>(),
        }
    }
}

/// Bytes of a vector or a view of bytes.
const HANDLE: usize = 32;
/// Bytes of a number that is repeated.
const NUMBER: usize = 8;

/// Upper bound in bytes of the memory that decoding a model takes besides the model, without the spare capacity of
/// vectors.
///
/// **Errors**: an encoding that decoders may read differently.
pub(crate) fn decoded_bytes(model: &[u8]) -> Result<usize, Broken> {
    Reader {
        bytes: model,
        at: 0,
        end: model.len(),
    }
    .message(Message::Model)
}

#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl Reader<'_> {
    /// Scans a message, at most as deep as [`Message`] nests.
    fn message(mut self, message: Message) -> Result<usize, Broken> {
        let mut total = message.size();
        while self.at < self.end {
            let begin = self.at;
            let key = u32::try_from(self.number()?).map_err(|_| Broken {
                at: begin,
                problem: EncodingProblem::Key,
            })?;
            let cost = match key & 7 {
                0 => {
                    self.number()?;
                    NUMBER
                }
                1 => self.skip(8).map(|_| NUMBER)?,
                5 => self.skip(4).map(|_| NUMBER)?,
                2 => {
                    let length = self.number()?;
                    let field = self.skip(length)?;
                    match message.field(key >> 3) {
                        Field::Message(inner) => field.message(inner)?,
                        Field::Packed(bytes) => (field.end - field.at) / bytes * NUMBER.max(bytes),
                        Field::Copied => HANDLE + field.end - field.at,
                        Field::View => HANDLE,
                    }
                }
                found => {
                    let problem = EncodingProblem::WireType { found: found as u8 };
                    return Err(Broken { at: begin, problem });
                }
            };
            total = total.saturating_add(cost);
        }
        Ok(total)
    }

    fn number(&mut self) -> Result<u64, Broken> {
        let begin = self.at;
        let overlong = Broken {
            at: begin,
            problem: EncodingProblem::Overlong,
        };
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes[..self.end]
                .get(self.at)
                .ok_or(self.truncated())?;
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(overlong);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return if byte == 0 && shift > 0 {
                    Err(overlong)
                } else {
                    Ok(value)
                };
            }
        }
        Err(overlong)
    }

    /// Skips bytes and returns a reader of them.
    fn skip(&mut self, length: u64) -> Result<Self, Broken> {
        let taken = usize::try_from(length)
            .ok()
            .filter(|length| *length <= self.end - self.at)
            .ok_or(self.truncated())?;
        let inside = Self {
            end: self.at + taken,
            ..*self
        };
        self.at = inside.end;
        Ok(inside)
    }

    fn truncated(&self) -> Broken {
        Broken {
            at: self.at,
            problem: EncodingProblem::Truncated,
        }
    }
}
