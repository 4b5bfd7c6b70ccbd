//! A look at an ONNX file before ONNX Runtime gets it: its operator set, and whether it reaches for other files.
//!
//! ONNX Runtime itself would follow external data to wherever the file says.

use thiserror::Error;

/// Deepest nesting of graphs in graphs.
const MAX_DEPTH: usize = 32;

/// What an ONNX file says about itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    /// Operator set of the default domain.
    pub opset: Option<i64>,
    /// Name of a tensor whose values lie in another file.
    pub external: Option<String>,
}

/// Why a file is no ONNX model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the file is no ONNX model: its protobuf encoding is broken at byte {offset} of a message")]
pub struct MalformedModel {
    /// Bytes into the innermost message that was being read.
    pub offset: usize,
}

/// The messages of ONNX on the way to a tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    OperatorSet,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    SparseTensor,
    Tensor,
}

impl Message {
    /// The message in a field, if it is on the way.
    ///
    /// **Source**: field numbers of `onnx.proto`, ONNX 1.20.
    fn field(self, number: u64) -> Option<Self> {
        match (self, number) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => {
                Some(Self::Graph)
            }
            (Self::Model, 8) => Some(Self::OperatorSet),
            (Self::Model, 20) => Some(Self::Training),
            (Self::Model, 25) => Some(Self::Function),
            (Self::Graph, 1) | (Self::Function, 7) => Some(Self::Node),
            (Self::Node, 5) | (Self::Function, 11) => Some(Self::Attribute),
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::SparseTensor, 1 | 2) => {
                Some(Self::Tensor)
            }
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Some(Self::SparseTensor),
            _ => None,
        }
    }
}

impl Model {
    /// Reads what matters of an ONNX file.
    ///
    /// **Errors**: it is no protobuf message, or nests too deeply.
    pub(crate) fn inspect(bytes: &[u8]) -> Result<Self, MalformedModel> {
        let mut model = Self::default();
        model.walk(Message::Model, bytes, 0)?;
        Ok(model)
    }

    fn walk(&mut self, message: Message, bytes: &[u8], depth: usize) -> Result<(), MalformedModel> {
        let mut reader = Reader { bytes, at: 0 };
        let (mut name, mut external) = ("", false);
        let (mut domain, mut version) = (&b""[..], None);
        while let Some((number, value)) = reader.field()? {
            match (message, number, value) {
                (Message::Tensor, 8, Value::Bytes(text)) => {
                    name = std::str::from_utf8(text).unwrap_or("?")
                }
                (Message::Tensor, 13, Value::Bytes(_)) => external = true,
                (Message::Tensor, 14, Value::Varint(location)) => external |= location != 0,
                (Message::OperatorSet, 1, Value::Bytes(text)) => domain = text,
                (Message::OperatorSet, 2, Value::Varint(number)) => version = Some(number as i64),
                (_, _, Value::Bytes(inner)) => {
                    if let Some(next) = message.field(number) {
                        if depth == MAX_DEPTH * 3 {
                            return Err(MalformedModel { offset: reader.at });
                        }
                        self.walk(next, inner, depth + 1)?;
                    }
                }
                _ => {}
            }
        }
        if external && self.external.is_none() {
            self.external = Some(name.chars().take(80).collect());
        }
        if message == Message::OperatorSet && (domain.is_empty() || domain == b"ai.onnx") {
            self.opset = version;
        }
        Ok(())
    }
}

/// A value of a protobuf field.
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// Reads the fields of one protobuf message.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn field(&mut self) -> Result<Option<(u64, Value<'a>)>, MalformedModel> {
        if self.at == self.bytes.len() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            _ => return Err(self.malformed()),
        };
        Ok(Some((key >> 3, value)))
    }

    fn varint(&mut self) -> Result<u64, MalformedModel> {
        let mut value = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = *self.bytes.get(self.at).ok_or(self.malformed())?;
            self.at += 1;
            value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.malformed())
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], MalformedModel> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length));
        let taken = taken.ok_or(self.malformed())?;
        self.at += taken.len();
        Ok(taken)
    }

    fn malformed(&self) -> MalformedModel {
        MalformedModel { offset: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONV: &[u8] = include_bytes!("../tests/fixtures/conv_a.onnx");

    #[test]
    fn the_operator_set_is_found() {
        assert_eq!(
            Model::inspect(CONV),
            Ok(Model {
                opset: Some(20),
                external: None
            })
        );
    }

    #[test]
    fn external_data_are_found_wherever_they_hide() {
        let external = Some("weight".to_owned());
        for bytes in [
            &include_bytes!("../tests/fixtures/external.onnx")[..],
            &include_bytes!("../tests/fixtures/nested_external.onnx")[..],
        ] {
            assert_eq!(Model::inspect(bytes).expect("a model").external, external);
        }
    }

    #[test]
    fn broken_and_truncated_files_are_no_models() {
        assert!(Model::inspect(b"\x89PNG\r\n\x1a\n").is_err());
        let whole = (0..CONV.len())
            .filter(|&length| Model::inspect(&CONV[..length]).is_ok())
            .count();
        assert!(
            whole < 12,
            "cut between top-level fields alone it may pass: {whole}"
        );
        for at in 0..CONV.len() {
            let mut bytes = CONV.to_vec();
            bytes[at] ^= 0xff;
            let _ = Model::inspect(&bytes);
        }
    }

    #[test]
    fn endless_nesting_is_refused() {
        let wrap = |number: u8, inner: Vec<u8>| {
            let mut outer = vec![number << 3 | 2];
            let mut length = inner.len();
            while length >= 0x80 {
                outer.push(length as u8 | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(inner);
            outer
        };
        // A graph in an attribute of a node of a graph, and so on.
        let nested = |levels| {
            let graph = (0..levels).fold(Vec::new(), |graph, _| wrap(1, wrap(5, wrap(6, graph))));
            wrap(7, graph)
        };
        assert!(Model::inspect(&nested(MAX_DEPTH - 1)).is_ok());
        assert!(Model::inspect(&nested(MAX_DEPTH + 1)).is_err());
        let bytes = nested(1000);
        assert!(Model::inspect(&bytes).is_err());
    }
}
