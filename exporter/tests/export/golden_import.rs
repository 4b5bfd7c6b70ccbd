//! Imported checkpoints against the reference's stored outputs: in Burn, with deep supervision, and in ONNX Runtime.

use std::fs::File;

use crate::support::{golden, runtime};
use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use ndarray::{Array5, ArrayD, Ix5};
use ndarray_npy::NpzReader;
use vesal_exporter::assemble::Destination;
use vesal_exporter::import::{Checkpoint, Overrides, Settings, import};
use vesal_exporter::{lower, parity, weights};
use vesal_models::{Network, SegmentationNetwork};

const TOLERANCE: f32 = 1e-4;

fn assert_close(name: &str, found: Tensor<Flex, 5>, expected: &Array5<f32>) {
    assert_eq!(found.dims().as_slice(), expected.shape());
    let found = found.into_data().into_vec::<f32>().unwrap();
    let difference = found
        .iter()
        .zip(expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0., f32::max);
    assert!(
        difference <= TOLERANCE,
        "{name}: logits differ by {difference} in Burn"
    );
}

fn check(name: &str) {
    let Some(folder) = golden() else { return };
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
    let settings = Settings::from_config(checkpoint.config.as_ref().unwrap()).unwrap();
    let config = settings.network.unwrap();
    let device = Default::default();
    let network: Network<Flex> = weights::load(&config, checkpoint.tensors, &device).unwrap();

    let values: Vec<f32> = input.iter().copied().collect();
    let tensor =
        Tensor::<Flex, 5>::from_data(TensorData::new(values, input.shape().to_vec()), &device);
    assert_close(name, network.forward(tensor.clone()), &expected);
    let deep = network.forward_training(tensor);
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
    let difference = found
        .iter()
        .zip(&expected)
        .map(|(a, b)| (a - b).abs())
        .fold(0., f32::max);
    println!("{name}: logits differ by {difference:e} in ONNX Runtime");
    assert!(
        difference <= TOLERANCE,
        "{name}: logits differ by {difference} in ONNX Runtime"
    );

    let directory = tempfile::tempdir().unwrap();
    let destination = Destination {
        output: directory.path().join(name),
        version: None,
        overwrite: false,
        library: Some(runtime().path().into()),
    };
    let flags = Overrides {
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
