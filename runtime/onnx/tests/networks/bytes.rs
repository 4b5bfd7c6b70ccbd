//! Files: decoding loses nothing, copies nothing, and never panics.

use std::num::NonZeroUsize;

use crate::example::Example;
use prost::Message;
use prost::bytes::Bytes;
use vesal_onnx::{Interface, NetworkError, OnnxModel, RewriteError};

fn bytes() -> Vec<u8> {
    Example {
        features: 1,
        classes: 2,
        window: [4, 2, 2],
        seed: 3,
    }
    .model()
    .encode_to_vec()
}

#[test]
fn a_file_is_encoded_as_it_was() {
    let bytes = bytes();
    let network = OnnxModel::decode(bytes.clone()).unwrap();
    assert_eq!(network.encode(), bytes);
}

#[test]
fn weights_are_views_of_the_file() {
    let file = Bytes::from(bytes());
    let range = file.as_ptr_range();
    let network = OnnxModel::decode(file).unwrap();
    let changed = network.fix_batch(NonZeroUsize::MIN).unwrap();
    for network in [&network, &changed] {
        for tensor in &network.model().graph.as_ref().unwrap().initializer {
            assert!(
                range.contains(&tensor.raw_data().as_ptr()),
                "{}",
                tensor.name()
            );
        }
    }
}

#[test]
fn weights_are_aligned_whatever_the_length_of_their_lengths() {
    for features in (1..16).chain([20, 48]) {
        let model = Example {
            features,
            classes: 2,
            window: [4, 2, 2],
            seed: 5,
        }
        .model();
        let file = Bytes::from(model.encode_to_vec());
        let begin = file.as_ptr() as usize;
        let network = OnnxModel::decode(file).unwrap();
        for tensor in &network.model().graph.as_ref().unwrap().initializer[1..] {
            let offset = tensor.raw_data().as_ptr() as usize - begin;
            assert_eq!(offset % 64, 0, "{features} features, {}", tensor.name());
        }
    }
}

#[test]
fn large_weights_can_be_left_in_the_file() {
    let model = Example {
        features: 4,
        classes: 9,
        window: [4, 2, 2],
        seed: 3,
    }
    .model();
    let file = Bytes::from(model.encode_to_vec());
    let begin = file.as_ptr() as usize;
    let network = OnnxModel::decode(file.clone()).unwrap();
    let weights = &network.model().graph.as_ref().unwrap().initializer;
    let mapped = OnnxModel::decode(network.encode_mapped("net.onnx").unwrap()).unwrap();
    let graph = mapped.model().graph.as_ref().unwrap();
    let mut left = 0;
    for (tensor, before) in graph.initializer.iter().zip(weights) {
        let large = before.raw_data().len() >= 1024;
        assert_eq!(tensor.data_location() == 1, large, "{}", tensor.name());
        assert_eq!(tensor.raw_data.is_none(), large, "{}", tensor.name());
        left += usize::from(large);
        let offset = (before.raw_data().as_ptr() as usize - begin).to_string();
        let place = tensor.external_data.get(1);
        assert_eq!(place.is_some(), large);
        assert!(place.is_none_or(|place| place.ends_with(offset.as_bytes())));
    }
    assert!(left > 5, "{left}");
    // Weights from rewrites are in no file, and external weights are unknown.
    let half = network.half(Interface::Half).unwrap();
    let again = OnnxModel::decode(half.encode_mapped("net.onnx").unwrap());
    assert_eq!(again, Ok(half));
    assert!(matches!(
        mapped.encode_mapped("net.onnx"),
        Err(RewriteError::Weight { .. })
    ));
}

#[test]
fn what_is_not_understood_is_not_lost_silently() {
    let whole = bytes();
    // Field 99 of a model, a varint.
    let unknown = [&whole[..], &[0x98, 0x06, 0x01]].concat();
    assert_eq!(
        OnnxModel::decode(unknown),
        Err(NetworkError::Lossy {
            found: whole.len() + 3,
            kept: whole.len()
        })
    );
    // A repeated version.
    let twice = [&whole[..], &[0x08, 0x09]].concat();
    assert!(matches!(
        OnnxModel::decode(twice),
        Err(NetworkError::Lossy { .. })
    ));
    assert!(matches!(
        OnnxModel::decode(&b"\x89PNG\r\n\x1a\n"[..]),
        Err(NetworkError::Encoding { .. })
    ));
}

/// All rewrites of a file, in the order in which a runtime would use them.
fn rewrite(bytes: Vec<u8>) -> bool {
    let Ok(network) = OnnxModel::decode(bytes) else {
        return false;
    };
    let _ = network.split_head();
    let _ = network.encode_mapped("net.onnx");
    let fixed = network.fix_batch(NonZeroUsize::MIN);
    let _ = network.half(Interface::Half);
    let half = network.half(Interface::Single);
    let done = half.and_then(|half| half.fix_batch(NonZeroUsize::MIN));
    fixed.is_ok() && done.is_ok_and(|network| OnnxModel::decode(network.encode()) == Ok(network))
}

#[test]
fn broken_files_are_refused_without_failing() {
    let whole = bytes();
    assert!(rewrite(whole.clone()));
    for length in 0..whole.len() {
        assert!(!rewrite(whole[..length].to_vec()), "cut at {length}");
    }
    let mut survived = 0;
    for (at, change) in (0..whole.len()).zip([0xff, 0x01, 0x08].into_iter().cycle()) {
        let mut bytes = whole.clone();
        bytes[at] ^= change;
        survived += usize::from(rewrite(bytes));
    }
    assert!(survived > 0, "weights may change");
}
