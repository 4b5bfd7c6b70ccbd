//! Foreign networks: checked, and reduced to the parts that were checked.

use prost::bytes::Bytes;

use crate::check::check_foreign;
use crate::error::CheckError;
use crate::inference::is_name;
use crate::limits::MAX_MODEL_BYTES;
use crate::model::OnnxModel;
use crate::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto,
};

impl OnnxModel {
    /// Decodes a model file of unknown origin, checks it, and keeps the parts that were checked.
    ///
    /// **Definition**: the network has the operators of [`crate::ops`] alone, in the standard domain, with their
    /// attributes; all weights are in the file; every shape is known except for the size of the batch. When encoded
    /// again, it contains nothing else: no metadata, no unchecked field, and no texts except names of printable ASCII.
    ///
    /// **Errors**: the first rule that it breaks.
    pub fn load(bytes: impl Into<Bytes>) -> Result<Self, CheckError> {
        let bytes = bytes.into();
        if bytes.len() > MAX_MODEL_BYTES {
            return Err(CheckError::TooLarge { found: bytes.len() });
        }
        let network = Self::decode(bytes)?;
        check_foreign(network.model())?;
        let model = checked_parts(network.model());
        Ok(network.with_model(model))
    }
}

/// The checked parts of a model, copied field by field: all other fields are dropped.
fn checked_parts(model: &ModelProto) -> ModelProto {
    let graph = model.graph.as_ref().map(|graph| GraphProto {
        node: graph.node.iter().map(node).collect(),
        // ONNX Runtime refuses graphs without a name.
        name: Some("network".into()),
        initializer: graph.initializer.iter().map(tensor).collect(),
        input: graph.input.iter().map(value).collect(),
        output: graph.output.iter().map(value).collect(),
        ..Default::default()
    });
    ModelProto {
        ir_version: model.ir_version,
        opset_import: model.opset_import.clone(),
        graph,
        ..Default::default()
    }
}

fn node(node: &NodeProto) -> NodeProto {
    NodeProto {
        input: node.input.clone(),
        output: node.output.clone(),
        // Nothing refers to the name; messages name the node by its output.
        name: node.name.clone().filter(|name| is_name(name)),
        op_type: node.op_type.clone(),
        attribute: node.attribute.iter().map(attribute).collect(),
        ..Default::default()
    }
}

fn attribute(attribute: &AttributeProto) -> AttributeProto {
    AttributeProto {
        name: attribute.name.clone(),
        f: attribute.f,
        i: attribute.i,
        s: attribute.s.clone(),
        ints: attribute.ints.clone(),
        r#type: attribute.r#type,
        ..Default::default()
    }
}

fn tensor(tensor: &TensorProto) -> TensorProto {
    TensorProto {
        dims: tensor.dims.clone(),
        data_type: tensor.data_type,
        name: tensor.name.clone(),
        raw_data: tensor.raw_data.clone(),
        float_data: tensor.float_data.clone(),
        int64_data: tensor.int64_data.clone(),
        ..Default::default()
    }
}

fn value(info: &ValueInfoProto) -> ValueInfoProto {
    let r#type = info.r#type.as_ref().map(|kind| crate::proto::TypeProto {
        tensor_type: kind.tensor_type.clone(),
        ..Default::default()
    });
    ValueInfoProto {
        name: info.name.clone(),
        r#type,
        ..Default::default()
    }
}
