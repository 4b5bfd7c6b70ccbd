//! Rewritten networks compute what the original computes, in ONNX Runtime. A separate process, because it owns the only
//! environment of ONNX Runtime.

mod comparison;
#[path = "../../onnx/tests/example/mod.rs"]
mod network;
mod operators;

use std::num::NonZeroUsize;
use std::sync::OnceLock;

use comparison::relative_difference;
use ndarray::{Array2, Array5, ArrayD, Axis};
use network::{Example, Random};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::{TensorElementType, TensorRef};
use vesal_engine::install;
use vesal_onnx::proto::{AttributeProto, AttributeType, ModelProto};
use vesal_onnx::{AxisSize as Size, GraphBuilder, Interface, OnnxModel};

const EXAMPLE: Example = Example {
    features: 4,
    classes: 9,
    window: [8, 12, 16],
    seed: 7,
};

fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let found = install::find_or_fetch().expect("ONNX Runtime");
        let builder = ort::init_from(found.path).expect("loads");
        builder.with_telemetry(false).build().expect("starts")
    })
}

fn session(network: &OnnxModel) -> Session {
    let mut builder = Session::builder(environment()).expect("a session");
    builder
        .commit_from_memory(&network.encode())
        .expect("a network that ONNX Runtime takes")
}

fn run(network: &OnnxModel, images: &Array5<f32>) -> ArrayD<f32> {
    run_session(session(network), images)
}

fn run_session(mut session: Session, images: &Array5<f32>) -> ArrayD<f32> {
    let input = TensorRef::from_array_view(images).expect("a tensor");
    let outputs = session.run(ort::inputs!["image" => input]).expect("runs");
    let output = outputs[0].try_extract_array::<f32>().expect("floats");
    output.to_owned()
}

fn images(batch: usize) -> Array5<f32> {
    let [x, y, z] = EXAMPLE.window;
    let mut random = Random(11);
    Array5::from_shape_simple_fn((batch, 1, x, y, z), || 3. * random.next())
}

#[test]
fn a_fixed_batch_changes_no_bit() {
    let network = OnnxModel::from(EXAMPLE.model());
    for batch in [1, 3] {
        let size = NonZeroUsize::new(batch).expect("positive");
        let fixed = network.fix_batch(size).expect("fixed");
        let session = session(&fixed);
        let shape = session.inputs()[0]
            .dtype()
            .tensor_shape()
            .expect("a tensor");
        assert_eq!(shape[0], batch as i64);
        let images = images(batch);
        assert_eq!(run(&fixed, &images), run(&network, &images));
    }
}

#[test]
fn mapped_weights_change_no_bit() {
    let folder = tempfile::tempdir().expect("temporary directory");
    let file = OnnxModel::from(EXAMPLE.model()).encode();
    std::fs::write(folder.path().join("net.onnx"), &file).expect("written");
    let network = OnnxModel::decode(file).expect("a network");
    let mapped = network.encode_mapped("net.onnx").expect("encoded");
    assert!(4 * mapped.len() < network.encode().len());
    let key = "session.model_external_initializers_file_folder_path";
    let session = Session::builder(environment())
        .and_then(|builder| Ok(builder.with_config_entry(key, folder.path().to_string_lossy())?))
        .and_then(|mut builder| builder.commit_from_memory(&mapped));
    let images = images(2);
    let found = run_session(session.expect("a session"), &images);
    assert_eq!(found, run(&network, &images));
}

#[test]
fn halves_compute_nearly_the_same() {
    let network = OnnxModel::from(EXAMPLE.model());
    let half = network.half(Interface::Single).expect("halved");
    let images = images(2);
    let (found, expected) = (run(&half, &images), run(&network, &images));
    let off = relative_difference(found.view(), expected.view());
    assert!(off > 1e-6, "rounded: {off}");
    assert!(off < 2e-2, "not more than rounded: {off}");

    let half = network.half(Interface::Half).expect("halved");
    let session = session(&half);
    for outlet in [&session.inputs()[0], &session.outputs()[0]] {
        assert_eq!(
            outlet.dtype().tensor_type(),
            Some(TensorElementType::Float16),
            "{}",
            outlet.name()
        );
    }
}

/// Every further operator that can be halved: a convolution upsampled and joined with the image.
fn joined() -> ModelProto {
    let [x, y, z] = EXAMPLE.window;
    let mut random = Random(5);
    let mut graph = GraphBuilder::new("joined");
    let shape = |channels, factor: usize| {
        let mut shape = vec![Size::Free("batch"), Size::Fixed(channels)];
        shape.extend([x, y, z].map(|size| Size::Fixed(factor * size)));
        shape
    };
    graph.input("image", &shape(1, 1));
    graph.output("logits", &shape(5, 2));
    graph.initializer("weight", &[4, 1, 3, 3, 3], &random.values(108, 0.3));
    graph.initializer("bias", &[4], &random.values(4, 1.));
    graph.initializer("scales", &[5], &[1., 1., 2., 2., 2.]);
    let mode = AttributeProto {
        name: Some("mode".into()),
        s: Some(b"linear".to_vec()),
        r#type: Some(AttributeType::String as i32),
        ..Default::default()
    };
    let pads = AttributeProto::ints("pads", [1; 6]);
    let alpha = AttributeProto::float("alpha", 0.1);
    let axis = AttributeProto::int("axis", 1);
    let mut node = |operator: &str, inputs: &[&str], output: &str, attribute| {
        let inputs = inputs.iter().map(|&input| input.into()).collect();
        graph.node(operator, output, inputs, output, vec![attribute]);
    };
    node("Conv", &["image", "weight", "bias"], "conv", pads);
    node("LeakyRelu", &["conv"], "leaky", alpha);
    node("Concat", &["leaky", "image"], "concat", axis);
    node("Resize", &["concat", "", "scales"], "logits", mode);
    graph.finish("example")
}

#[test]
fn joined_and_resized_halves_compute_nearly_the_same() {
    let network = OnnxModel::from(joined());
    let half = network.half(Interface::Single).expect("halved");
    let images = images(2);
    let (found, expected) = (run(&half, &images), run(&network, &images));
    let off = relative_difference(found.view(), expected.view());
    assert!(off > 1e-6, "rounded: {off}");
    assert!(off < 5e-3, "not more than rounded: {off}");
}

#[test]
fn a_head_after_blending_gives_the_blended_logits() {
    let network = OnnxModel::from(EXAMPLE.model());
    let (rest, head) = network.split_head().expect("split");
    let (features, classes) = (head.features(), head.classes());
    assert_eq!((features, classes), (EXAMPLE.features, EXAMPLE.classes));
    let images = images(2);
    // Two windows blended with weights that sum to one in every voxel.
    let blend = |outputs: ArrayD<f32>| {
        let channels = outputs.shape()[1];
        let mut random = Random(13);
        let flat = outputs.into_shape_with_order((2, channels, EXAMPLE.window.iter().product()));
        let flat = flat.expect("standard layout");
        let share = Array2::from_shape_simple_fn((1, flat.len_of(Axis(2))), || random.next().abs());
        let (first, second) = (flat.index_axis(Axis(0), 0), flat.index_axis(Axis(0), 1));
        &first * &share + &second * &(1. - &share)
    };
    let expected = blend(run(&network, &images));
    let weight = Array2::from_shape_vec((classes, features), head.weight).expect("[K, F]");
    let bias = Array2::from_shape_vec((classes, 1), head.bias).expect("[K]");
    let found = weight.dot(&blend(run(&rest, &images))) + bias;
    let off = relative_difference(found.view(), expected.view());
    assert!(off <= 1e-5, "{off}");
}
