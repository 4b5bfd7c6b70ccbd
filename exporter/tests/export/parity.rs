//! Burn and ONNX Runtime compute the same, whole tensors, for every shape of network.

use crate::support::{self, config, input, network, runtime};
use vesal_bundle::probe::ProbeInput;
use vesal_exporter::lower::{self, LowerError};
use vesal_exporter::parity::{self, ParityError, compare_on};
use vesal_network::{NetworkConfig, WindowSizeError};

fn agree(config: NetworkConfig, batch: usize, window: [usize; 3]) {
    let [x, y, z] = window;
    let input = input(5, [batch, config.in_channels(), x, y, z]);
    let network = network(&config, 100);
    let onnx = lower::to_onnx(&network, &config, window).unwrap();
    let (parity, _) = compare_on(runtime(), &onnx, &network, &config, &input)
        .unwrap_or_else(|error| panic!("{config:?}: {error}"));
    assert!(parity.max_logit > 0.1, "logits vanish: {parity:?}");
}

#[test]
fn one_level() {
    agree(config(&[2], [1, 2], None), 1, [7, 5, 3]);
}

#[test]
fn two_levels_and_several_channels_in_a_batch() {
    agree(config(&[1, 2], [3, 4], None), 2, [8, 6, 10]);
}

#[test]
fn three_anisotropic_levels() {
    agree(
        config(&[1, 2, 1], [1, 3], Some([0.6, 0.6, 3.0])),
        1,
        [16, 12, 5],
    );
}

#[test]
fn every_axis_with_a_spacing_of_its_own() {
    agree(
        config(&[1, 1, 1, 1], [2, 2], Some([1.0, 2.0, 5.0])),
        1,
        [16, 24, 8],
    );
}

#[test]
fn five_levels() {
    agree(config(&[1, 2, 2, 4, 4], [1, 2], None), 1, [32, 32, 48]);
}

#[test]
fn the_bytes_that_ship_are_compared_at_the_deployed_window() {
    let config = config(&[1, 1, 1], [1, 2], None);
    let (network, other) = (network(&config, 1), network(&config, 200));
    let window = [12, 20, 100];
    let onnx = lower::to_onnx(&network, &config, window).unwrap();
    let probe = ProbeInput::new(3, 1, window);
    let (found, logits) = parity::compare(runtime(), &onnx, &network, &config, &probe).unwrap();
    assert_eq!(found.window, window);
    assert_eq!(logits.dim(), (2, 12, 20, 100));
    let differ = parity::compare(runtime(), &onnx, &other, &config, &probe);
    assert!(
        matches!(differ, Err(ParityError::Differ { .. })),
        "{differ:?}"
    );
}

#[test]
fn networks_lower_to_the_same_bytes_each_time() {
    let config = config(&[1, 2, 1], [1, 3], None);
    let bytes = |seed| lower::to_onnx(&network(&config, seed), &config, [8; 3]).unwrap();
    assert_eq!(bytes(7), bytes(7));
    assert_ne!(bytes(7), bytes(8));
}

#[test]
fn initializers_carry_the_names_of_the_state_dict() {
    let config = config(&[1, 1], [1, 2], None);
    let model = lower::lower(&network(&config, 7), &config, [8; 3]).unwrap();
    let graph = model.graph.unwrap();
    let mut names: Vec<&str> = graph
        .initializer
        .iter()
        .filter_map(|tensor| tensor.name.as_deref())
        .collect();
    names.sort_unstable();
    let tensors = support::tensors(&config, 7);
    assert_eq!(
        names,
        tensors.keys().map(String::as_str).collect::<Vec<_>>()
    );
    assert!(names.contains(&"encoder.layers.1.blocks.0.norm2.bias"));
}

#[test]
fn windows_that_the_strides_do_not_divide_are_refused() {
    let config = config(&[1, 1, 1], [1, 2], None);
    let error = lower::to_onnx(&network(&config, 7), &config, [8, 10, 8]).unwrap_err();
    assert!(
        matches!(
            error,
            LowerError::Window(WindowSizeError::Multiple {
                axis: 1,
                found: 10,
                factor: 4
            })
        ),
        "{error}"
    );
}
