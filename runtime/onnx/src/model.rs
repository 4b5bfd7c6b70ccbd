//! ONNX models: decoding, rewriting and encoding.

use prost::Message;
use prost::bytes::Bytes;

use crate::domain::is_default_domain;
use crate::error::NetworkError;
use crate::proto::{GraphProto, ModelProto};
use crate::rewrite_error::RewriteError;
use crate::wire;

/// Memory that the parts of a decoded model may take: a fixed number of bytes, and a number for each byte of the file.
const LEAST_DECODED_BYTES: usize = 16 << 20;
const DECODED_BYTES_PER_BYTE: usize = 4;

/// An ONNX network: a model file, decoded.
///
/// Weights are views of the bytes it was decoded from, so that clones and rewrites share them.
#[derive(Debug, Clone)]
pub struct OnnxModel {
    pub(crate) model: ModelProto,
    /// The bytes that it was decoded from, if any.
    source: Bytes,
}

impl OnnxModel {
    /// Decodes a model file. Nothing in it is checked beyond its encoding; rewrites check the parts that they use.
    ///
    /// **Errors**: the bytes are not a model, or decoding would lose some of them.
    pub fn decode(bytes: impl Into<Bytes>) -> Result<Self, NetworkError> {
        let bytes = bytes.into();
        let found = bytes.len();
        let decoded = wire::decoded_bytes(&bytes)
            .map_err(|wire::Broken { at, problem }| NetworkError::Encoding { at, problem })?;
        let most = found
            .saturating_mul(DECODED_BYTES_PER_BYTE)
            .saturating_add(LEAST_DECODED_BYTES);
        if decoded > most {
            return Err(NetworkError::Inflated {
                bytes: found,
                found: decoded,
                most,
            });
        }
        let source = bytes.clone();
        let model = ModelProto::decode(bytes)?;
        // The length of an encoding does not depend on the order of fields, so a shorter one has lost some.
        let kept = model.encoded_len();
        if kept != found {
            return Err(NetworkError::Lossy { found, kept });
        }
        Ok(Self { model, source })
    }

    /// Encodes the network as a model file.
    pub fn encode(&self) -> Vec<u8> {
        self.model.encode_to_vec()
    }

    pub fn model(&self) -> &ModelProto {
        &self.model
    }

    pub fn into_model(self) -> ModelProto {
        self.model
    }

    /// A rewritten model of the same file.
    pub(crate) fn with_model(self, model: ModelProto) -> Self {
        Self { model, ..self }
    }

    /// The bytes it was decoded from, including those of a network that it was rewritten from.
    pub(crate) fn source(&self) -> &Bytes {
        &self.source
    }

    /// A network with a changed graph.
    ///
    /// **Errors**: no graph, a part outside of it that may refer to its values, or those of `change`.
    pub(crate) fn rewritten<T>(
        &self,
        change: impl FnOnce(&mut GraphProto) -> Result<T, RewriteError>,
    ) -> Result<(Self, T), RewriteError> {
        let mut model = self.model.clone();
        let graph = model.graph.as_mut().ok_or(RewriteError::NoGraph)?;
        let parts = [
            ("training graphs", model.training_info.len()),
            ("functions", model.functions.len()),
            ("device configurations", model.configuration.len()),
            ("sparse initializers", graph.sparse_initializer.len()),
            (
                "quantization annotations",
                graph.quantization_annotation.len(),
            ),
        ];
        if let Some((part, _)) = parts.into_iter().find(|(_, count)| *count > 0) {
            return Err(RewriteError::Part { part });
        }
        let result = change(graph)?;
        let source = self.source.clone();
        Ok((Self { model, source }, result))
    }

    /// Whether a node has this operator of the default domain.
    pub fn has_operator(&self, operator: &str) -> bool {
        let mut nodes = self.model.graph.iter().flat_map(|graph| &graph.node);
        nodes.any(|node| node.operator() == operator)
    }

    /// Version of the default operator set, if it is imported once.
    pub fn opset(&self) -> Option<i64> {
        let mut imports = self
            .model
            .opset_import
            .iter()
            .filter(|import| is_default_domain(import.domain.as_deref()));
        match (imports.next(), imports.next()) {
            (Some(import), None) => import.version,
            _ => None,
        }
    }
}

impl PartialEq for OnnxModel {
    fn eq(&self, other: &Self) -> bool {
        self.model == other.model
    }
}

impl From<ModelProto> for OnnxModel {
    fn from(model: ModelProto) -> Self {
        let source = Bytes::new();
        Self { model, source }
    }
}
