//! Weights that ONNX Runtime maps from the network's own file, instead of parsing and copying them.

use prost::bytes::Bytes;
use prost::{Message, length_delimiter_len};

use crate::model::OnnxModel;
use crate::proto::{GraphProto, TensorDataType, TensorProto};
use crate::rewrite_error::RewriteError;

/// Weights of fewer bytes stay in the model.
const LEAST_BYTES: usize = 1024;
/// Value of `data_location` for elements in another file.
const EXTERNAL: i32 = 1;
/// Alignment of written weights in bytes, as in ONNX Runtime's own memory.
const ALIGNMENT: usize = 64;

/// One entry of the location of a tensor's elements.
#[derive(Clone, PartialEq, Message)]
struct ExternalDataEntry {
    #[prost(string, optional, tag = "1")]
    key: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

impl OnnxModel {
    /// Encodes the network without the weights that are in the file it was decoded from, and with their positions in
    /// that file.
    ///
    /// ONNX Runtime maps them from there: an 80 MB network then loads ten times as fast, and its weights take no
    /// private memory.
    ///
    /// **Definition**: weights of 1 KiB or more, floats of 32 or 16 bits, whose elements begin at a multiple of their
    /// size in the file, become external data in `file`; weights from rewrites or elsewhere stay in the model. The file
    /// must not change while the network is in use.
    ///
    /// **Errors**: a weight that is in another file already, or does not hold the elements of its shape.
    pub fn encode_mapped(&self, file: &str) -> Result<Vec<u8>, RewriteError> {
        let (network, ()) = self.rewritten(|graph| {
            for tensor in &mut graph.initializer {
                let Some((offset, length)) = place(tensor, self.source())? else {
                    continue;
                };
                tensor.raw_data = None;
                tensor.data_location = Some(EXTERNAL);
                tensor.external_data = vec![
                    entry("location", file),
                    entry("offset", &offset.to_string()),
                    entry("length", &length.to_string()),
                ];
            }
            Ok(())
        })?;
        Ok(network.encode())
    }
}

/// Position and length in bytes of a tensor's elements in the file, if they are to be mapped.
fn place(tensor: &TensorProto, file: &Bytes) -> Result<Option<(usize, usize)>, RewriteError> {
    let elements = tensor.elements().ok_or_else(|| tensor.unusable())?;
    let Some(raw) = &tensor.raw_data else {
        return Ok(None);
    };
    let size = match tensor.data_type {
        Some(found) if found == TensorDataType::Float as i32 => 4,
        Some(found) if found == TensorDataType::Float16 as i32 => 2,
        _ => return Ok(None),
    };
    if Some(raw.len()) != elements.checked_mul(size) {
        return Err(tensor.unusable());
    }
    let (begin, end) = (raw.as_ptr() as usize, raw.as_ptr() as usize + raw.len());
    let (first, last) = (file.as_ptr() as usize, file.as_ptr() as usize + file.len());
    let inside = first <= begin && end <= last;
    let fits = raw.len() >= LEAST_BYTES && inside && (begin - first).is_multiple_of(size);
    Ok(fits.then(|| (begin - first, raw.len())))
}

fn entry(key: &str, value: &str) -> Vec<u8> {
    ExternalDataEntry {
        key: Some(key.into()),
        value: Some(value.into()),
    }
    .encode_to_vec()
}

/// Aligns the elements of all weights but the first to multiples of 64 bytes in a model file, so that they can be
/// mapped.
///
/// **Definition**: weights have elements in `raw_data` alone; spaces in the doc string of each, which follows its
/// elements, shift the next one. `before` is the number of bytes before the graph.
pub(crate) fn align(graph: &mut GraphProto, before: usize) {
    // From the last to the first, because spaces change the length prefix of their own weight, which precedes its
    // elements.
    for index in (1..graph.initializer.len()).rev() {
        let Some(next) = graph.initializer.get(index + 1) else {
            continue;
        };
        let elements = graph.initializer[index].raw_data().len();
        // A doc string has two bytes of overhead.
        let least = elements + 2 + bytes_before_elements(next);
        let spaces = least.next_multiple_of(ALIGNMENT) - least;
        graph.initializer[index].doc_string = Some(" ".repeat(spaces));
    }
    // The first shift aligns the second weight, and with it all others, in the file.
    let front = front_bytes(graph);
    for spaces in 0..2 * ALIGNMENT {
        let Some(first) = graph.initializer.first_mut() else {
            return;
        };
        first.doc_string = Some(" ".repeat(spaces));
        let first = field_bytes(first);
        let begin = before + 1 + length_delimiter_len(graph.encoded_len()) + front + first;
        let second = graph.initializer.get(1).map_or(0, bytes_before_elements);
        if (begin + second).is_multiple_of(ALIGNMENT) {
            return;
        }
    }
}

/// Bytes of a graph before its weights.
fn front_bytes(graph: &mut GraphProto) -> usize {
    let front = GraphProto {
        node: std::mem::take(&mut graph.node),
        name: graph.name.take(),
        ..Default::default()
    };
    let bytes = front.encoded_len();
    (graph.node, graph.name) = (front.node, front.name);
    bytes
}

/// Bytes of a tensor as a field of its graph.
fn field_bytes(tensor: &TensorProto) -> usize {
    let bytes = tensor.encoded_len();
    1 + length_delimiter_len(bytes) + bytes
}

/// Bytes of a tensor's field before its elements.
fn bytes_before_elements(tensor: &TensorProto) -> usize {
    let front = TensorProto {
        dims: tensor.dims.clone(),
        data_type: tensor.data_type,
        name: tensor.name.clone(),
        ..Default::default()
    };
    let elements = tensor.raw_data.as_ref().map_or(0, Bytes::len);
    let length = length_delimiter_len(tensor.encoded_len());
    1 + length + front.encoded_len() + 1 + length_delimiter_len(elements)
}
