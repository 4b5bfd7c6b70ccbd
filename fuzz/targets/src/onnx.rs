//! ONNX: what is decoded, written and decoded again is the same, and a decoder that knows no schema agrees.

#[path = "../../../runtime/onnx/tests/example/mod.rs"]
mod made;

use std::num::NonZeroUsize;

use prost::Message;
use vesal_onnx::proto::ModelProto;
use vesal_onnx::{Interface, OnnxModel};

use crate::target::Target;

pub const NETWORK: Target = Target {
    name: "onnx",
    run: |bytes| {
        let network = match OnnxModel::decode(bytes.to_vec()) {
            Ok(network) => network,
            Err(error) => return drop(error.to_string()),
        };
        let encoded = network.encode();
        assert_eq!(encoded.len(), bytes.len(), "something was lost");
        // As bytes: values that are not numbers do not equal themselves.
        let again = OnnxModel::decode(encoded.clone()).expect("what was written");
        assert_eq!(again.encode(), encoded);
        let by_prost = ModelProto::decode(bytes).expect("what one decoder takes, the other does");
        assert_eq!(by_prost.encode_to_vec(), encoded);
        let _ = network.fix_batch(NonZeroUsize::MIN);
        let _ = network.half(Interface::Single);
        let _ = network.fuse_norm_relu();
        let _ = network.split_head();
        // What is loaded says nothing that was not checked, and can be loaded again.
        if let Ok(loaded) = OnnxModel::load(bytes.to_vec()) {
            let again = OnnxModel::load(loaded.encode()).expect("what was loaded");
            assert_eq!(again.encode(), loaded.encode());
        }
    },
    seeds: || {
        let example = made::Example {
            features: 2,
            classes: 2,
            window: [4, 4, 4],
            seed: 1,
        };
        vec![example.model().encode_to_vec()]
    },
    wrapping: None,
};
