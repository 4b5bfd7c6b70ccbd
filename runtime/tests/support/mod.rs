//! Runs the program on small bundles and scans whose labels are known: the networks are 1x1x1 convolutions.

#![allow(dead_code)]

#[path = "../../engine/tests/example/probe.rs"]
mod probe_of_networks;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::{Array3, Array4, Axis};
use vesal_bundle::BundleWriter;
use vesal_bundle::deploy_plan::{
    Activation, Channel, Concept, DeployPlan, Label, LabelCode, Modality,
};
use vesal_bundle::manifest::{
    EnsembleRecord, Manifest, Member, MemberProvenance, NetworkInterface, Provenance,
};
use vesal_bundle::probe::Probe;
use vesal_engine::{Device, EngineOptions, install, library};
use vesal_io::nifti::{self, WriteOptions};
use vesal_volume::preprocess::Step;
use vesal_volume::window::{Blend, Padding, WindowPlan};
use vesal_volume::{Affine, Volume};

use probe_of_networks::recorded;

const CONV_A: &[u8] = include_bytes!("../../engine/tests/fixtures/conv_a.onnx");
const CONV_B: &[u8] = include_bytes!("../../engine/tests/fixtures/conv_b.onnx");
const CONV_TWO: &[u8] = include_bytes!("../../engine/tests/fixtures/conv_two.onnx");
const OVERFLOW: &[u8] = include_bytes!("../../engine/tests/fixtures/overflow.onnx");

/// Label values by class.
pub const LABELS: [u16; 3] = [0, 5, 2];
/// Weight and bias of each class in the two single-channel networks.
const CLASSES: [[(f32, f32); 3]; 2] = [
    [(0.5, 0.25), (-1.0, 0.0), (2.0, -0.5)],
    [(-0.75, 0.0), (0.5, 0.125), (1.0, 0.25)],
];
/// Weights of the two networks in the ensemble.
const WEIGHTS: [f64; 2] = [1.0, 2.0];

/// Output of the program.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }
}

/// The program, without the environment variables of the test run.
pub fn vesal() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesal"));
    for name in [
        "VESAL_DEVICE",
        "VESAL_PROVIDER",
        "VESAL_PRECISION",
        "VESAL_CONVOLUTIONS",
        "VESAL_PLUGIN_DIR",
        "VESAL_THREADS",
        "VESAL_BATCH",
        "VESAL_DATAROOT",
        "ORT_DYLIB_PATH",
        "ORT_DISABLE_TELEMETRY",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs it with these arguments.
pub fn run<A: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = A>) -> Ran {
    vesal().args(arguments).output().expect("runs").into()
}

/// The same with the tests' own ONNX Runtime, on the processor.
pub fn with_runtime() -> Command {
    let mut command = vesal();
    command
        .env("ORT_DYLIB_PATH", runtime().path())
        .env("VESAL_DEVICE", "cpu");
    command
}

/// ONNX Runtime, found or fetched.
pub fn runtime() -> &'static library::Runtime {
    library::load(&install::find_or_fetch().expect("ONNX Runtime")).expect("loads")
}

fn plan(channels: &[&str]) -> DeployPlan {
    let label = |class_index: usize| {
        Label::new(
            ["background", "soft tissue", "bone"][class_index],
            LABELS[class_index],
            class_index,
        )
    };
    let channel = |name: &&str| Channel::new(*name, Modality::Mri);
    DeployPlan {
        restore: Default::default(),
        name: "ramps".into(),
        channels: channels.iter().map(channel).collect(),
        labels: (0..3).map(label).collect(),
        activation: Activation::Softmax,
        preprocessing: vec![
            Step::OrientRas,
            Step::CropForeground {
                threshold: -100.0,
                margin: 0,
            },
        ],
        window: WindowPlan {
            size: [8, 6, 4],
            overlap: [0.5, 0.625, 0.25],
            blend: Blend::Gaussian { sigma_scale: 0.125 },
            padding: Padding::Constant(0.0),
        },
    }
}

fn write_bundle(path: &Path, plan: &DeployPlan, networks: &[(&[u8], f64)], probe: Probe) {
    let mut writer = BundleWriter::create(path, false).expect("created");
    writer
        .add("deploy_plan.json", &plan.to_json().expect("valid"))
        .expect("added");
    writer
        .add("probe.json", &probe.to_json().expect("serializable"))
        .expect("added");
    let mut members = Vec::new();
    for (index, (network, weight)) in networks.iter().enumerate() {
        let file = format!("members/{index}.onnx");
        writer.add(&file, network).expect("added");
        let provenance = MemberProvenance::ImportedMonai {
            checkpoint: format!("model_{index}.pt"),
            checkpoint_sha256: "0".repeat(64),
            epoch: Some(40),
            best_metric: Some(0.875),
        };
        members.push(Member {
            file,
            deploy_plan: "deploy_plan.json".into(),
            weight: *weight,
            provenance,
        });
    }
    let manifest = Manifest {
        name: "ramps-1".into(),
        version: Some("1.2.0".into()),
        probe: "probe.json".into(),
        network: interface(),
        members,
        provenance: Provenance {
            versions: BTreeMap::from([("vesal".into(), "0.1.0".into())]),
            data_stats_sha256: None,
        },
        ensemble: EnsembleRecord::default(),
        files: BTreeMap::new(),
    };
    writer.finish(manifest).expect("written");
}

fn interface() -> NetworkInterface {
    NetworkInterface {
        opset: 20,
        input: "image".into(),
        output: "logits".into(),
    }
}

fn probe(plan: &DeployPlan, networks: &[(&[u8], f64)]) -> Probe {
    runtime();
    let options = EngineOptions {
        device: Device::Cpu,
        ..EngineOptions::default()
    };
    recorded(plan, &interface(), networks, &options)
}

/// Writes an ensemble of two networks on one channel, its probe changed as asked.
pub fn bundle_with(folder: &Path, change: impl FnOnce(&mut Probe)) -> PathBuf {
    let networks = [(CONV_A, WEIGHTS[0]), (CONV_B, WEIGHTS[1])];
    let plan = plan(&["image"]);
    let mut probe = probe(&plan, &networks);
    change(&mut probe);
    let path = folder.join("ramps-1");
    write_bundle(&path, &plan, &networks, probe);
    path
}

/// Writes an ensemble of two networks on one channel.
pub fn bundle(folder: &Path) -> PathBuf {
    bundle_with(folder, |_| {})
}

/// Writes one network with its plan.
fn bundle_of(path: PathBuf, plan: &DeployPlan, network: &[u8]) -> PathBuf {
    let networks = [(network, 1.0)];
    write_bundle(&path, plan, &networks, probe(plan, &networks));
    path
}

/// Writes a network on the channels `t1` and `t2`.
pub fn two_channel_bundle(folder: &Path) -> PathBuf {
    bundle_of(folder.join("two-1"), &plan(&["t1", "t2"]), CONV_TWO)
}

/// Writes a network on one channel with these names of task, channel and of a label.
pub fn named_bundle(folder: &Path, task: &str, channel: &str, label: &str) -> PathBuf {
    let mut plan = plan(&[channel]);
    plan.name = task.into();
    plan.labels[2].name = label.into();
    bundle_of(folder.join("named-1"), &plan, CONV_A)
}

/// Writes the same network; with patterns of a channel and a code of a label.
pub fn bundle_with_rules(folder: &Path) -> PathBuf {
    let concept = |value: &str, meaning: &str| Concept {
        value: value.into(),
        scheme: "SCT".into(),
        meaning: meaning.into(),
    };
    let mut plan = plan(&["t1", "t2"]);
    plan.channels[1].series_descriptions = vec!["t2*".into(), "*flair*".into()];
    plan.labels[2].code = Some(LabelCode {
        category: concept("91723000", "Anatomical Structure"),
        kind: concept("272673000", "Bone"),
        modifier: Some(concept("7771000", "Left")),
        color: Some([241, 214, 145]),
    });
    bundle_of(folder.join("rules-1"), &plan, CONV_TWO)
}

/// Writes the same network for images `t1` and `t2` on grids of their own.
pub fn two_image_bundle(folder: &Path) -> PathBuf {
    let mut plan = plan(&["t1", "t2"]);
    plan.preprocessing = vec![Step::OrientRas, Step::ResampleToMatch { first_channels: 1 }];
    bundle_of(folder.join("images-1"), &plan, CONV_TWO)
}

/// Writes a network whose classes are regions that may overlap.
pub fn region_bundle(folder: &Path) -> PathBuf {
    let mut plan = plan(&["image"]);
    plan.activation = Activation::Sigmoid;
    for (class_index, label) in plan.labels.iter_mut().enumerate() {
        label.name = format!("region {class_index}");
        label.value = 1 << class_index;
    }
    bundle_of(folder.join("regions-1"), &plan, CONV_A)
}

/// Whether a voxel of this intensity belongs to a region of [`region_bundle`].
pub fn in_region(region: usize, intensity: f32) -> bool {
    let (weight, bias) = CLASSES[0][region];
    weight * intensity + bias > 0.0
}

/// Writes a network whose logits are not finite.
pub fn overflowing_bundle(folder: &Path) -> PathBuf {
    let path = folder.join("overflow-1");
    let plan = plan(&["image"]);
    let probe = probe(&plan, &[(CONV_A, 1.0)]);
    write_bundle(&path, &plan, &[(OVERFLOW, 1.0)], probe);
    path
}

/// An oblique, left-handed affine, as scanners write them.
pub fn affine() -> Affine {
    let (sin, cos) = 0.2_f64.sin_cos();
    let linear = [
        [-1.5 * cos, 0.0, 2.5 * sin],
        [0.0, -1.25, 0.0],
        [1.5 * sin, 0.0, 2.5 * cos],
    ];
    Affine::from_parts(linear, [90.5, 110.25, -60.0])
}

/// Intensities from -2 to 2 that differ along every axis.
pub fn scan(shape: [usize; 3]) -> Volume {
    let [x, y, z] = shape;
    let last = (x * 37 + y * 11 + z) as f32;
    let data = Array4::from_shape_fn((1, x, y, z), |(_, i, j, k)| {
        (i * 37 + j * 11 + k) as f32 / last * 4.0 - 2.0
            + if (i + j + k) % 2 == 0 { 0.1 } else { 0.0 }
    });
    Volume {
        data,
        affine: affine(),
    }
}

pub fn write_scan(path: &Path, volume: &Volume) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    nifti::write_volume(path, volume, &WriteOptions::default()).expect("written");
}

/// Probabilities that the ensemble of [`bundle`] gives, computed here voxel by voxel.
pub fn direct_probabilities(volume: &Volume) -> Array4<f64> {
    let image = volume.data.index_axis(Axis(0), 0);
    let (x, y, z) = image.dim();
    let mut mean = Array4::zeros((3, x, y, z));
    for ((i, j, k), &value) in image.indexed_iter() {
        for (classes, weight) in CLASSES.iter().zip(WEIGHTS) {
            let exponentials = classes.map(|(slope, bias)| f64::from(slope * value + bias).exp());
            let sum: f64 = exponentials.iter().sum();
            for class in 0..3 {
                mean[[class, i, j, k]] +=
                    weight / (WEIGHTS[0] + WEIGHTS[1]) * exponentials[class] / sum;
            }
        }
    }
    mean
}

/// The labels of these probabilities.
pub fn direct_labels(volume: &Volume) -> Array3<u16> {
    let probabilities = direct_probabilities(volume);
    let (_, x, y, z) = probabilities.dim();
    Array3::from_shape_fn((x, y, z), |(i, j, k)| {
        let of = |class: usize| probabilities[[class, i, j, k]];
        let best = (1..3).fold(
            0,
            |best, class| if of(class) > of(best) { class } else { best },
        );
        LABELS[best]
    })
}

/// Names in a folder, sorted; empty if there is none.
pub fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("readable")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// Text with a folder's path replaced, for comparisons.
pub fn without_path(text: &str, folder: &Path) -> String {
    text.replace(&folder.display().to_string(), "[folder]")
}

/// Runs `vesal predict` on these inputs.
pub fn predict(bundle: &Path, inputs: &[&Path], output: &Path, flags: &[&str]) -> Ran {
    let mut command = with_runtime();
    command
        .arg("predict")
        .arg("--bundle")
        .arg(bundle)
        .arg("--input")
        .args(inputs);
    command.arg("--output").arg(output).args(flags);
    command.output().expect("runs").into()
}
