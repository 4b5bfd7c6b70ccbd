//! Small bundles of networks whose answers are known: 1x1x1 convolutions.

#![allow(dead_code)]

mod probe;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};

use ndarray::{Array4, ArrayView4, Axis, s};
use tempfile::TempDir;
use vesal_bundle::deploy_plan::{Activation, Channel, DeployPlan, Label, Modality};
use vesal_bundle::manifest::{
    EnsembleRecord, Manifest, Member, MemberProvenance, NetworkInterface, Provenance,
};
use vesal_bundle::{Bundle, BundleWriter, Probe};
use vesal_engine::{
    EngineOptions, Ensemble, ProbabilitySink, Segmentation, SinkError, Stage, install, library,
};
use vesal_volume::preprocess::Step;
use vesal_volume::window::{Blend, Padding, WindowPlan};
use vesal_volume::{Affine, Geometry, Volume};

pub use probe::recorded;

pub const WINDOW: [usize; 3] = [8, 6, 4];
pub const LABELS: [u16; 3] = [0, 5, 2];

pub const CONV_A: &[u8] = include_bytes!("../fixtures/conv_a.onnx");
pub const CONV_B: &[u8] = include_bytes!("../fixtures/conv_b.onnx");

/// Weight and bias of each class in [`CONV_A`].
pub const CLASSES_A: [(f32, f32); 3] = [(0.5, 0.25), (-1.0, 0.0), (2.0, -0.5)];
/// Weight and bias of each class in [`CONV_B`].
pub const CLASSES_B: [(f32, f32); 3] = [(-0.75, 0.0), (0.5, 0.125), (1.0, 0.25)];

/// ONNX Runtime, found or fetched.
pub fn runtime() -> &'static library::Runtime {
    library::load(&install::find_or_fetch().expect("ONNX Runtime")).expect("loads")
}

pub fn options() -> EngineOptions {
    runtime();
    EngineOptions {
        device: "cpu".parse().expect("a device"),
        ..EngineOptions::default()
    }
}

pub fn plan(preprocessing: Vec<Step>) -> DeployPlan {
    let label = |class_index: usize| {
        Label::new(
            format!("class {class_index}"),
            LABELS[class_index],
            class_index,
        )
    };
    DeployPlan {
        restore: Default::default(),
        name: "ramps".into(),
        channels: vec![Channel::new("image", Modality::Mri)],
        labels: (0..3).map(label).collect(),
        activation: Activation::Softmax,
        preprocessing,
        window: WindowPlan {
            size: WINDOW,
            overlap: [0.5, 0.625, 0.25],
            blend: Blend::Gaussian { sigma_scale: 0.125 },
            padding: Padding::Constant(0.),
        },
    }
}

pub fn interface() -> NetworkInterface {
    NetworkInterface {
        opset: 20,
        input: "image".into(),
        output: "logits".into(),
    }
}

/// Writes a bundle of these networks and weights, with a probe that `change` may spoil.
pub fn bundle_with(
    plan: &DeployPlan,
    networks: &[(&[u8], f64)],
    change: impl FnOnce(&mut Probe),
) -> (TempDir, Bundle) {
    let mut probe = recorded(plan, &interface(), networks, &options());
    change(&mut probe);
    let parent = TempDir::new().expect("temporary directory");
    let mut writer = BundleWriter::create(&parent.path().join("ramps"), false).expect("created");
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
            checkpoint: "model.pt".into(),
            checkpoint_sha256: "0".repeat(64),
            epoch: None,
            best_metric: None,
        };
        members.push(Member {
            file,
            deploy_plan: "deploy_plan.json".into(),
            weight: *weight,
            provenance,
        });
    }
    let bundle = writer.finish(Manifest {
        name: "ramps".into(),
        version: None,
        probe: "probe.json".into(),
        network: interface(),
        members,
        provenance: Provenance {
            versions: BTreeMap::new(),
            data_stats_sha256: None,
        },
        ensemble: EnsembleRecord::default(),
        files: BTreeMap::new(),
    });
    (parent, bundle.expect("written"))
}

pub fn bundle(plan: &DeployPlan, networks: &[(&[u8], f64)]) -> (TempDir, Bundle) {
    bundle_with(plan, networks, |_| {})
}

/// Intensities from -2 to 2 that differ along every axis.
pub fn ramp(shape: [usize; 3], affine: Affine) -> Volume {
    let [x, y, z] = shape;
    let last = (x * 37 + y * 11 + z) as f32;
    let data = Array4::from_shape_fn((1, x, y, z), |(_, i, j, k)| {
        ((i * 37 + j * 11 + k) as f32 / last * 4. - 2.)
            + if (i + j + k) % 2 == 0 { 0.1 } else { 0. }
    });
    Volume { data, affine }
}

/// Probabilities that weighted networks of one convolution give, computed here.
pub fn direct(volume: &Volume, networks: &[(&[(f32, f32); 3], f64)]) -> Array4<f32> {
    let image = volume.data.index_axis(Axis(0), 0);
    let (x, y, z) = image.dim();
    let total: f64 = networks.iter().map(|(_, weight)| weight).sum();
    let mut mean = Array4::zeros((3, x, y, z));
    for (position, &value) in image.indexed_iter() {
        for (classes, weight) in networks {
            let exponentials = classes.map(|(slope, bias)| f64::from(slope * value + bias).exp());
            for (class, exponential) in exponentials.into_iter().enumerate() {
                let probability = exponential / exponentials.iter().sum::<f64>();
                mean[(class, position.0, position.1, position.2)] +=
                    (weight / total * probability) as f32;
            }
        }
    }
    mean
}

/// Collects all probabilities.
struct Gathered {
    volume: Option<Volume>,
    to: Sender<Volume>,
}

impl ProbabilitySink for Gathered {
    fn begin(&mut self, classes: usize, grid: &Geometry, _: usize) -> Result<(), SinkError> {
        let [x, y, z] = grid.shape;
        self.volume = Some(Volume {
            data: Array4::zeros((classes, x, y, z)),
            affine: grid.affine,
        });
        Ok(())
    }

    fn write(
        &mut self,
        [i, j, k]: [usize; 3],
        block: ArrayView4<'_, f32>,
    ) -> Result<(), SinkError> {
        let (_, x, y, z) = block.dim();
        let volume = self.volume.as_mut().ok_or("nothing was begun")?;
        let mut to = volume.data.slice_mut(s![.., i..i + x, j..j + y, k..k + z]);
        to.assign(&block);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        let volume = self.volume.take().ok_or("nothing was begun")?;
        Ok(self.to.send(volume)?)
    }
}

/// Segments a volume, and gathers the probabilities of all classes.
pub fn with_probabilities(ensemble: &mut Ensemble, volume: &Volume) -> (Segmentation, Volume) {
    let (to, gathered) = channel();
    let sink = Box::new(Gathered { volume: None, to });
    let found = ensemble
        .segment(vec![volume.clone()], Some(sink), &mut onward)
        .expect("segmented");
    (found, gathered.recv().expect("finished"))
}

pub fn onward(_: Stage) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Path of ONNX Runtime's library in use.
pub fn library_path() -> PathBuf {
    runtime().path().to_path_buf()
}
