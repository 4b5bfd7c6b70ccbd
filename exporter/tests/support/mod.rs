//! Small networks with weights from a formula, and ONNX Runtime to run them.

#![allow(dead_code, reason = "every test uses its part")]

pub mod checkpoint;
pub mod folders;
pub mod golden;

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use burn_store::ModuleSnapshot;
use ndarray::Array5;
use vesal_bundle::probe::ProbeInput;
use vesal_engine::library::{self, Runtime};
use vesal_engine::{Device, EngineOptions, install};
use vesal_exporter::weights::{self, StateDict};
use vesal_models::{Network, SegmentationNetwork};
use vesal_network::{NetworkConfig, SegResNetDsConfig};

/// ONNX Runtime, found or fetched.
pub fn runtime() -> &'static Runtime {
    library::load(&install::find_or_fetch().expect("ONNX Runtime")).expect("loads")
}

/// That library on the processor.
pub fn engine_options() -> EngineOptions {
    EngineOptions {
        device: Device::Cpu,
        library: Some(runtime().path().into()),
        ..EngineOptions::default()
    }
}

pub fn config(
    blocks_down: &[usize],
    channels: [usize; 2],
    resolution: Option<[f64; 3]>,
) -> NetworkConfig {
    NetworkConfig::SegresnetDs(SegResNetDsConfig {
        in_channels: channels[0],
        out_channels: channels[1],
        init_filters: 4,
        blocks_down: blocks_down.to_vec(),
        dsdepth: 2,
        resolution,
    })
}

/// Deterministic numbers in `[-1, 1)` from a seed.
pub fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let values = ProbeInput::new(seed, 1, [count, 1, 1]).values();
    values.into_iter().map(|value| value / 2.).collect()
}

/// Weights from a formula: every tensor has its own numbers, norms scale by about 1.
pub fn tensors(config: &NetworkConfig, seed: u32) -> StateDict {
    let network = vesal_models::init::<Flex>(config, &Default::default()).expect("a valid network");
    let parameters = network.collect(None, None, true);
    let tensors = parameters.iter().enumerate().map(|(index, parameter)| {
        let (name, shape) = (parameter.full_path(), parameter.shape.to_vec());
        let count = shape.iter().product();
        let fan_in = shape.iter().skip(1).product::<usize>() as f32;
        let mut values = numbers(seed + index as u32, count);
        if name.contains("norm") && name.ends_with("weight") {
            values
                .iter_mut()
                .for_each(|value| *value = 1. + 0.5 * *value);
        } else if shape.len() > 1 {
            values
                .iter_mut()
                .for_each(|value| *value *= 3. / fan_in.sqrt());
        }
        (name, TensorData::new(values, shape))
    });
    tensors.collect()
}

pub fn network(config: &NetworkConfig, seed: u32) -> Network<Flex> {
    weights::load(config, tensors(config, seed), &Default::default()).expect("fitting weights")
}

pub fn input(seed: u32, shape: [usize; 5]) -> Array5<f32> {
    let count = shape.iter().product();
    let values = numbers(seed, count)
        .into_iter()
        .map(|value| 2. * value)
        .collect();
    Array5::from_shape_vec(shape, values).expect("as many values")
}

pub fn tensor(values: &Array5<f32>) -> Tensor<Flex, 5> {
    let data = TensorData::new(values.iter().copied().collect(), values.shape());
    Tensor::from_data(data, &Default::default())
}

/// Logits in Burn.
pub fn forward(network: &impl SegmentationNetwork<Flex>, input: &Array5<f32>) -> Array5<f32> {
    let logits = network.forward(tensor(input));
    let shape = logits.dims();
    let logits = logits.into_data().into_vec::<f32>().expect("floats");
    Array5::from_shape_vec(shape, logits).expect("as many values")
}

/// Largest absolute difference of as many values.
///
/// NaN where a value on either side is NaN, so that no tolerance allows it.
pub fn largest_difference<'a>(
    found: impl IntoIterator<Item = &'a f32, IntoIter: ExactSizeIterator>,
    expected: impl IntoIterator<Item = &'a f32, IntoIter: ExactSizeIterator>,
) -> f32 {
    let (found, expected) = (found.into_iter(), expected.into_iter());
    assert_eq!(found.len(), expected.len());
    let differences = found.zip(expected).map(|(a, b)| (a - b).abs());
    differences.fold(0., |largest, difference| {
        if difference > largest || difference.is_nan() {
            difference
        } else {
            largest
        }
    })
}

/// [`largest_difference`] from samples: places in C order and values.
pub fn largest_difference_at<'a>(
    found: impl IntoIterator<Item = &'a f32>,
    samples: &[(usize, f32)],
) -> f32 {
    let found: Vec<f32> = found.into_iter().copied().collect();
    let (found, expected): (Vec<f32>, Vec<f32>) = samples
        .iter()
        .map(|&(place, value)| (found[place], value))
        .unzip();
    largest_difference(&found, &expected)
}
