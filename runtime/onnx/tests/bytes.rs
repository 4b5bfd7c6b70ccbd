//! Files: nothing is lost, nothing is copied, and nothing in them makes the program fail.

mod example;

use std::num::NonZeroUsize;

use example::Example;
use prost::Message;
use prost::bytes::Bytes;
use vesal_onnx::{Interface, Network, NetworkError};

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
    let network = Network::decode(bytes.clone()).unwrap();
    assert_eq!(network.encode(), bytes);
}

#[test]
fn weights_are_views_of_the_file() {
    let file = Bytes::from(bytes());
    let range = file.as_ptr_range();
    let network = Network::decode(file).unwrap();
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
fn what_is_not_understood_is_not_lost_silently() {
    let whole = bytes();
    // Field 99 of a model, a varint.
    let unknown = [&whole[..], &[0x98, 0x06, 0x01]].concat();
    assert_eq!(
        Network::decode(unknown),
        Err(NetworkError::Lossy {
            found: whole.len() + 3,
            kept: whole.len()
        })
    );
    // The version once more.
    let twice = [&whole[..], &[0x08, 0x09]].concat();
    assert!(matches!(
        Network::decode(twice),
        Err(NetworkError::Lossy { .. })
    ));
    assert!(matches!(
        Network::decode(&b"\x89PNG\r\n\x1a\n"[..]),
        Err(NetworkError::Malformed(_))
    ));
}

/// All rewrites of a file, in the order in which a runtime would use them.
fn rewrite(bytes: Vec<u8>) -> bool {
    let Ok(network) = Network::decode(bytes) else {
        return false;
    };
    let _ = network.split_head();
    let fixed = network.fix_batch(NonZeroUsize::MIN);
    let _ = network.half(Interface::Half);
    let half = network.half(Interface::Single);
    let done = half.and_then(|half| half.fix_batch(NonZeroUsize::MIN));
    fixed.is_ok() && done.is_ok_and(|network| Network::decode(network.encode()) == Ok(network))
}

#[test]
fn broken_files_are_refused_without_failing() {
    let whole = bytes();
    assert!(rewrite(whole.clone()));
    for length in 0..whole.len() {
        assert!(!rewrite(whole[..length].to_vec()), "cut at {length}");
    }
    let mut survived = 0;
    for at in 0..whole.len() {
        for change in [0xff, 0x01] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            survived += usize::from(rewrite(bytes));
        }
    }
    assert!(survived > 0, "weights may change");
}
