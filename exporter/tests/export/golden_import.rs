//! Imported checkpoints against the reference's stored outputs: in Burn, with deep supervision, and in ONNX Runtime.

use std::fs::File;

use crate::support::{golden, largest_difference, runtime, tensor};
use crate::work_dir::destination;
use burn::backend::Autodiff;
use burn::tensor::module::conv3d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use ndarray::{Array5, ArrayD, Ix5};
use ndarray_npy::NpzReader;
use vesal_exporter::import::{Checkpoint, ImportOverrides, import};
use vesal_exporter::{lower, parity, weights};
use vesal_models::blocks::{BatchNorm, Nonlinearity};
use vesal_models::{Network, SegmentationNetwork};

const TOLERANCE: f32 = 1e-4;

fn assert_close(name: &str, found: Tensor<Flex, 5>, expected: &Array5<f32>) {
    assert_eq!(found.dims().as_slice(), expected.shape());
    let found = found.into_data().into_vec::<f32>().unwrap();
    let difference = largest_difference(&found, expected);
    assert!(
        difference <= TOLERANCE,
        "{name}: logits differ by {difference} in Burn"
    );
}

fn check(name: &str) {
    let Some(folder) = golden::find("segresnet_ds") else {
        return;
    };
    let path = folder.join(format!("{name}.pt"));
    let mut arrays =
        NpzReader::new(File::open(folder.join(format!("{name}.npz"))).unwrap()).unwrap();
    let stored = arrays.names().unwrap();
    let mut array = |name: &str| -> Array5<f32> {
        let array: ArrayD<f32> = arrays.by_name(name).unwrap();
        array.into_dimensionality::<Ix5>().unwrap()
    };
    let (input, expected) = (array("input"), array("output"));
    let (_, _, x, y, z) = input.dim();

    let checkpoint = Checkpoint::read(&path).unwrap();
    let config = golden::network_config(&checkpoint);
    let device = Default::default();
    let network: Network<Flex> = weights::load(&config, checkpoint.tensors, &device).unwrap();

    let input_tensor = tensor(&input);
    assert_close(name, network.forward(input_tensor.clone()), &expected);
    let deep = network.forward_training(input_tensor);
    let count = stored
        .iter()
        .filter(|array| array.starts_with("deep"))
        .count();
    assert_eq!(deep.len(), count, "{name}: deep supervision outputs");
    for (level, output) in deep.into_iter().enumerate() {
        let channels_first = output.permute([0, 4, 1, 2, 3]);
        assert_close(name, channels_first, &array(&format!("deep{level}")));
    }

    let onnx = lower::to_onnx(&network, &config, [x, y, z]).unwrap();
    let found = parity::run_onnx(runtime(), &onnx, &config, &input).unwrap();
    assert_eq!(found.shape(), expected.shape());
    let difference = largest_difference(&found, &expected);
    println!("{name}: logits differ by {difference:e} in ONNX Runtime");
    assert!(
        difference <= TOLERANCE,
        "{name}: logits differ by {difference} in ONNX Runtime"
    );

    let directory = tempfile::tempdir().unwrap();
    let destination = destination(directory.path().join(name));
    let flags = ImportOverrides {
        roi: Some([x, y, z]),
        ..Default::default()
    };
    let imported = import(&[path.clone(), path], &flags, &destination, &mut |_| {}).unwrap();
    let bundle = imported.assembled.bundle;
    assert_eq!(bundle.manifest().members.len(), 2);
    assert_eq!(*bundle.member_bytes(0).unwrap(), onnx);
    assert_eq!(bundle.plan().window.size, [x, y, z]);
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

/// The first normalization of segresnet2d sees the first convolution of the image.
#[test]
fn golden_running_statistics() {
    type Training = Autodiff<Flex>;
    const NORM: &str = "net.encoder.layers.0.blocks.0.norm1";
    let Some(folder) = golden::find("algorithms/segresnet2d") else {
        return;
    };
    let checkpoint = Checkpoint::read(&folder.join("saved_by_template.pt")).unwrap();
    let names: Vec<&String> = checkpoint.tensors.keys().collect();
    assert!(!names.iter().any(|name| name.contains("num_batches")));
    let device = Default::default();
    let vector = |name: &str| {
        let data = checkpoint.tensors[&format!("{NORM}.{name}")].clone();
        Tensor::<Training, 1>::from_data(data, &device)
    };
    let weight = checkpoint.tensors["net.encoder.conv_init.weight"].clone();
    let weight = Tensor::<Training, 4>::from_data(weight, &device).unsqueeze_dim::<5>(4);
    let [channels, ..] = weight.dims();
    let norm = BatchNorm::<Training>::new(channels, &device);
    norm.running_mean.update(vector("running_mean"));
    norm.running_var.update(vector("running_var"));

    let file = File::open(folder.join("four_levels.npz")).unwrap();
    let image: ArrayD<f32> = NpzReader::new(file)
        .unwrap()
        .by_name("train_input")
        .unwrap();
    let values: Vec<f32> = image.iter().copied().collect();
    let image = TensorData::new(values, image.shape().to_vec());
    let image = Tensor::<Training, 5>::from_data(image, &device);
    let options = ConvOptions::new([1; 3], [1, 1, 0], [1; 3], 1);
    let features = conv3d(image, weight, None, options).permute([0, 2, 3, 4, 1]);
    norm.forward(features, Nonlinearity::Identity);

    let facts = std::fs::read(folder.join("four_levels.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_slice(&facts).unwrap();
    let after = &facts["training"]["running_statistics_after"];
    for (name, statistic) in [
        ("running_mean", &norm.running_mean),
        ("running_var", &norm.running_var),
    ] {
        let expected = after[format!("{NORM}.{name}")].as_array().unwrap();
        let found: Vec<f32> = statistic.value().into_data().to_vec().unwrap();
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let difference = (f64::from(*found) - expected.as_f64().unwrap()).abs();
            assert!(difference <= 1e-5, "{name}: {found} instead of {expected}");
        }
    }
}
