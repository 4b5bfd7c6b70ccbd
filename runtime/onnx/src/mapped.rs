//! Weights that ONNX Runtime maps from the network's own file, instead of parsing and copying them.

use prost::bytes::Bytes;
use prost::{Message, length_delimiter_len};

use crate::network::Network;
use crate::proto::{DataType, GraphProto, TensorProto};
use crate::refusal::Refusal;

/// Weights of fewer bytes stay in the model.
const LEAST_BYTES: usize = 1024;
/// The number that says that elements are in another file.
const EXTERNAL: i32 = 1;
/// What weights are aligned to when they are written: as ONNX Runtime aligns its own memory.
const ALIGNMENT: usize = 64;
/// Attempts at aligning them; two or three suffice.
const ROUNDS: usize = 8;

/// One fact about where the elements of a tensor are.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, optional, tag = "1")]
    key: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

impl Network {
    /// Encodes the network without the weights that are in the file it was decoded from, and says where in this file they
    /// are.
    ///
    /// ONNX Runtime maps them from there when it is told the file's folder: an 80 MB network then loads ten times as fast,
    /// and its weights take no memory of the process.
    ///
    /// **Definition**: weights of 1 KiB or more, floats of 32 or 16 bits, whose elements begin at a multiple of their
    /// size in the file, become external data in `file`; those that a rewrite made or that lie elsewhere stay in the model.
    /// The file must stay what it is as long as the network is in use.
    ///
    /// **Errors**: a weight that is in another file already, or does not hold the elements of its shape.
    pub fn encode_mapped(&self, file: &str) -> Result<Vec<u8>, Refusal> {
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

/// Where in the file a tensor's elements are and how many bytes they have, if they are to be mapped.
fn place(tensor: &TensorProto, file: &Bytes) -> Result<Option<(usize, usize)>, Refusal> {
    let elements = tensor.elements().ok_or_else(|| tensor.unusable())?;
    let Some(raw) = &tensor.raw_data else {
        return Ok(None);
    };
    let size = match tensor.data_type {
        Some(found) if found == DataType::Float as i32 => 4,
        Some(found) if found == DataType::Float16 as i32 => 2,
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
    Entry {
        key: Some(key.into()),
        value: Some(value.into()),
    }
    .encode_to_vec()
}

/// Makes the elements of weights begin at multiples of 64 bytes in a model file, all but the first weight's, so that they
/// can be mapped.
///
/// **Definition**: spaces in the doc string of each weight move the next one. `before` is what the model has in front of its
/// graph, in bytes. Spaces may lengthen the field that holds a length and so move what was right: hence several rounds.
pub(crate) fn align(graph: &mut GraphProto, before: usize) {
    let front = GraphProto {
        node: std::mem::take(&mut graph.node),
        name: graph.name.take(),
        ..Default::default()
    };
    let front_bytes = front.encoded_len();
    (graph.node, graph.name) = (front.node, front.name);
    for _ in 0..ROUNDS {
        let begin = before + 1 + length_delimiter_len(graph.encoded_len()) + front_bytes;
        if align_once(&mut graph.initializer, begin) {
            return;
        }
    }
}

/// Moves the weights that are not aligned, the first of which begins here; whether none had to be.
fn align_once(weights: &mut [TensorProto], begin: usize) -> bool {
    let mut at = begin;
    let mut aligned = true;
    for index in 0..weights.len() {
        let elements = at + bytes_before_elements(&weights[index]);
        if let Some(previous) = index.checked_sub(1)
            && !elements.is_multiple_of(ALIGNMENT)
        {
            let previous = &mut weights[previous];
            let length = field_bytes(previous);
            let spaces = previous.doc_string.as_ref().map(String::len);
            // A doc string has two bytes of its own.
            let least = elements - spaces.map_or(0, |spaces| spaces + 2) + 2;
            let spaces = least.next_multiple_of(ALIGNMENT) - least;
            previous.doc_string = Some(" ".repeat(spaces));
            at = at + field_bytes(previous) - length;
            aligned = false;
        }
        at += field_bytes(&weights[index]);
    }
    aligned
}

/// Bytes of a tensor as a field of its graph.
fn field_bytes(tensor: &TensorProto) -> usize {
    let bytes = tensor.encoded_len();
    1 + length_delimiter_len(bytes) + bytes
}

/// Bytes of a tensor's field in front of its elements.
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
