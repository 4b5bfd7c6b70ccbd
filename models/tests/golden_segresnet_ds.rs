//! Forward passes against the reference: MONAI's weights, input and outputs.

use std::fs::File;
use std::path::PathBuf;

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use burn_store::{ModuleSnapshot, PytorchStore};
use ndarray::ArrayD;
use ndarray_npy::NpzReader;
use vesal_models::{SegResNetDs, SegResNetDsConfig, SegmentationNetwork};

const TOLERANCE: f32 = 1e-4;

/// Folder of the golden networks; none when absent, which is a failure where `CI` is `true`.
fn golden() -> Option<PathBuf> {
    let shared = std::env::var_os("VESAL_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")));
    let folder = shared.join("golden/segresnet_ds");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "golden networks are missing: {}", folder.display());
    println!("skipped: no golden networks at {}", folder.display());
    None
}

fn config(json: &serde_json::Value) -> SegResNetDsConfig {
    let count = |key: &str| json[key].as_u64().unwrap() as usize;
    SegResNetDsConfig {
        in_channels: count("in_channels"),
        out_channels: count("out_channels"),
        init_filters: count("init_filters"),
        blocks_down: json["blocks_down"].as_array().unwrap().iter().map(|v| v.as_u64().unwrap() as usize).collect(),
        dsdepth: count("dsdepth"),
        resolution: json["resolution"].as_array().map(|mm| std::array::from_fn(|i| mm[i].as_f64().unwrap())),
    }
}

fn largest_difference(found: Tensor<Flex, 5>, expected: &ArrayD<f32>) -> f32 {
    assert_eq!(found.dims().as_slice(), expected.shape());
    let found = found.into_data().into_vec::<f32>().unwrap();
    found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn check(name: &str) {
    let Some(folder) = golden() else { return };
    let device = Default::default();
    let json = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();

    let config = vesal_models::NetworkConfig::SegresnetDs(config(&json["config"]));
    let mut network: SegResNetDs<Flex> = config.init(&device).unwrap();
    let mut weights =
        PytorchStore::from_file(folder.join(format!("{name}.pt"))).with_top_level_key("state_dict");
    let applied = network.load_from(&mut weights).unwrap();
    assert!(applied.missing.is_empty() && applied.unused.is_empty(), "{applied:?}");

    let mut arrays = NpzReader::new(File::open(folder.join(format!("{name}.npz"))).unwrap()).unwrap();
    let input: ArrayD<f32> = arrays.by_name("input").unwrap();
    let data = TensorData::new(input.iter().copied().collect::<Vec<_>>(), input.shape().to_vec());
    let input = Tensor::<Flex, 5>::from_data(data, &device);

    let expected: ArrayD<f32> = arrays.by_name("output").unwrap();
    let difference = largest_difference(network.forward(input.clone()), &expected);
    assert!(difference <= TOLERANCE, "{name}: logits differ by {difference}");

    let deep = network.forward_training(input);
    let stored = arrays.names().unwrap().iter().filter(|name| name.starts_with("deep")).count();
    assert_eq!(deep.len(), stored);
    for (level, output) in deep.into_iter().enumerate() {
        let expected: ArrayD<f32> = arrays.by_name(&format!("deep{level}")).unwrap();
        let difference = largest_difference(output, &expected);
        assert!(difference <= TOLERANCE, "{name}: deep supervision output {level} differs by {difference}");
    }
}

#[test]
fn golden_isotropic_four_levels() {
    check("iso4");
}

#[test]
fn golden_isotropic_five_levels() {
    check("iso5");
}

#[test]
fn golden_anisotropic() {
    check("aniso");
}
