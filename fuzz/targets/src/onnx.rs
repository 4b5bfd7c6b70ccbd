//! ONNX: decoding, encoding and decoding again give the same, and a schemaless decoder agrees.

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
        // Compared as bytes, because NaN does not equal itself.
        let again = OnnxModel::decode(encoded.clone()).expect("what was written");
        assert_eq!(again.encode(), encoded);
        let by_prost = ModelProto::decode(bytes).expect("what one decoder takes, the other does");
        assert_eq!(by_prost.encode_to_vec(), encoded);
        let _ = network.fix_batch(NonZeroUsize::MIN);
        let _ = network.half(Interface::Single);
        let _ = network.fuse_norms();
        let _ = network.fuse_attention(|_| true);
        let _ = network.split_head();
        // A loaded network contains only checked parts, and can be loaded again.
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
