//! A bundle of two algorithms on one CT, against the reference's: prepared images, probabilities and labels on the input's
//! grid, which streaming gives bit for bit as whole probabilities do.

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::mpsc::{Sender, channel};

use burn_flex::Flex;
use ndarray::{Array3, Array4, ArrayD, ArrayView4, Axis, Ix2, Ix3, s};
use ndarray_npy::{NpzReader, ReadableElement};
use serde_json::Value;
use tempfile::TempDir;
use vesal_bundle::Bundle;
use vesal_bundle::deploy_plan::{Activation, Channel, DeployPlan, Label, Modality};
use vesal_bundle::manifest::{EnsembleRecord, MemberProvenance};
use vesal_engine::{
    Device, Ensemble, OnnxPredictor, ProbabilitySink, Segmentation, SinkError, verify,
};
use vesal_exporter::assemble::{self, BundleMetadata, MemberCandidate, PlanFile, assemble};
use vesal_exporter::import::Checkpoint;
use vesal_exporter::{parity, weights};
use vesal_models::Network;
use vesal_network::NetworkConfig;
use vesal_volume::postprocess::ProbabilityMean;
use vesal_volume::preprocess::{Normalization, Step, execute};
use vesal_volume::window::{Blend, Blending, Padding, SlidingWindowInferer, WindowPlan};
use vesal_volume::{Affine, Geometry, Volume};

use crate::support::{engine_options, golden, largest_difference, largest_difference_at, runtime};
use crate::work_dir::destination;

const LABELS: [u16; 3] = [0, 1, 2];
/// How far prepared intensities and probabilities may be from the reference's.
const PREPARED: f32 = 1e-5;
const PROBABILITIES: f32 = 2e-4;
/// Share of the labels that may differ.
const LABELS_APART: f64 = 1e-4;
/// The algorithms that this program has, as the golden file calls them, with their checkpoints.
const ALGORITHMS: [(&str, &str); 2] = [
    ("segresnet", "segresnet_ds/iso4.pt"),
    ("segresnet2d", "algorithms/segresnet2d/saved_by_template.pt"),
];

struct Golden {
    facts: Value,
    arrays: NpzReader<File>,
}

impl Golden {
    fn open() -> Option<Self> {
        let file = golden::find("algorithms/ensemble/ensemble.json")?;
        Some(Self {
            facts: serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap(),
            arrays: NpzReader::new(File::open(file.with_extension("npz")).unwrap()).unwrap(),
        })
    }

    fn array<T: ReadableElement>(&mut self, name: &str) -> ArrayD<T> {
        self.arrays.by_name(name).unwrap()
    }

    fn labels(&mut self, name: &str) -> Array3<u16> {
        let labels = self.array::<u8>(&format!("{name}_labels"));
        labels.into_dimensionality::<Ix3>().unwrap().mapv(u16::from)
    }

    fn image(&mut self) -> Volume {
        let image = self.array::<i16>("image").into_dimensionality::<Ix3>();
        let affine = self.array::<f64>("affine").into_dimensionality::<Ix2>();
        let affine = affine.unwrap();
        let axes = std::array::from_fn(|row| std::array::from_fn(|column| affine[[row, column]]));
        let origin = std::array::from_fn(|row| affine[[row, 3]]);
        Volume {
            data: image.unwrap().mapv(f32::from).insert_axis(Axis(0)),
            affine: Affine::from_parts(axes, origin),
        }
    }

    /// What the template decided for inference.
    fn plan(&self, algorithm: &str) -> DeployPlan {
        let settings = &self.facts["algorithms"][algorithm];
        let planar = algorithm == "segresnet2d";
        let bounds = &self.facts["stats"]["image_foreground_stats"]["intensity"];
        let bound = |name: &str| bounds[name].as_f64().unwrap() as f32;
        let crop = Step::CropForeground {
            threshold: 0.,
            margin: 10,
        };
        let resample = (settings["resample"] == true).then(|| Step::Resample {
            spacing: serde_json::from_value(settings["resample_resolution"].clone()).unwrap(),
            keep: [0.75, 1.25],
        });
        let normalize = Step::Normalize {
            channels: vec![Normalization::SigmoidRange {
                low: bound("percentile_00_5"),
                high: bound("percentile_99_5"),
            }],
        };
        let orient = (!planar).then_some(Step::OrientRas);
        let label = |class: u16| Label::new(format!("class {class}"), class, class.into());
        DeployPlan {
            restore: Default::default(),
            name: "golden".into(),
            channels: vec![Channel::new("image", Modality::Ct)],
            labels: LABELS.map(label).to_vec(),
            activation: Activation::Softmax,
            preprocessing: orient
                .into_iter()
                .chain([crop])
                .chain(resample)
                .chain([normalize])
                .collect(),
            window: WindowPlan {
                size: serde_json::from_value(settings["window"].clone()).unwrap(),
                overlap: [0.625, 0.625, if planar { 0. } else { 0.625 }],
                blend: Blend::Gaussian { sigma_scale: 0.125 },
                padding: Padding::Constant(0.),
            },
        }
    }

    /// A bundle of these algorithms.
    fn bundle(&self, algorithms: &[(&str, &str)]) -> (TempDir, Bundle) {
        let place = TempDir::new().unwrap();
        let destination = destination(place.path().join("bundle"));
        let plans = algorithms.iter().map(|(algorithm, _)| {
            let plan = self.plan(algorithm);
            PlanFile {
                file: format!("plans/{algorithm}.json"),
                bytes: plan.to_json().unwrap(),
                plan,
            }
        });
        let candidates = algorithms.iter().enumerate().map(|(plan, member)| {
            let (algorithm, checkpoint) = member;
            let (config, network) = network(checkpoint);
            MemberCandidate {
                file: format!("members/{algorithm}.onnx"),
                plan,
                weight: 1.,
                config,
                network,
                provenance: MemberProvenance::ImportedMonai {
                    checkpoint: "model.pt".into(),
                    checkpoint_sha256: "0".repeat(64),
                    epoch: None,
                    best_metric: None,
                },
            }
        });
        let metadata = BundleMetadata {
            name: "golden".into(),
            version: None,
            plans: plans.collect(),
            ensemble: EnsembleRecord::default(),
            data_stats_sha256: None,
        };
        let prepared = assemble::prepare(&destination).unwrap();
        assemble(prepared, metadata, candidates.collect(), &mut |_| {}).unwrap();
        (place, Bundle::open(&destination.output).unwrap())
    }
}

fn network(checkpoint: &str) -> (NetworkConfig, Network<Flex>) {
    let checkpoint = Checkpoint::read(&golden::find(checkpoint).unwrap()).unwrap();
    let config = golden::network_config(&checkpoint);
    let network = weights::load(&config, checkpoint.tensors, &Default::default()).unwrap();
    (config, network)
}

/// Gathers all probabilities, and gives them away once all are there.
struct Gathered {
    probabilities: Array4<f32>,
    to: Sender<Array4<f32>>,
}

impl ProbabilitySink for Gathered {
    fn begin(&mut self, classes: usize, grid: &Geometry, _: usize) -> Result<(), SinkError> {
        let [x, y, z] = grid.shape;
        self.probabilities = Array4::zeros((classes, x, y, z));
        Ok(())
    }

    fn write(
        &mut self,
        [i, j, k]: [usize; 3],
        block: ArrayView4<'_, f32>,
    ) -> Result<(), SinkError> {
        let (_, x, y, z) = block.dim();
        let place = s![.., i..i + x, j..j + y, k..k + z];
        self.probabilities.slice_mut(place).assign(&block);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        Ok(self.to.send(std::mem::take(&mut self.probabilities))?)
    }
}

fn segment(bundle: &Bundle, image: &Volume) -> (Segmentation, Array4<f32>) {
    let (to, gathered) = channel();
    let sink = Gathered {
        probabilities: Array4::zeros((0, 0, 0, 0)),
        to,
    };
    let mut ensemble = Ensemble::open(bundle, &engine_options()).unwrap();
    let found = ensemble
        .segment(vec![image.clone()], Some(Box::new(sink)), &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
    (found, gathered.recv().unwrap())
}

/// What a bundle of one member per plan predicts, from probabilities of whole volumes.
fn whole(bundle: &Bundle, algorithms: &[DeployPlan], image: &Volume) -> Array4<f32> {
    let (_, first) = execute(vec![image.clone()], &algorithms[0].preprocessing).unwrap();
    let order = first.orientation();
    let mut mean = ProbabilityMean::new(Activation::Softmax);
    for (index, plan) in algorithms.iter().enumerate() {
        let (volume, transforms) = execute(vec![image.clone()], &plan.preprocessing).unwrap();
        let traversal = transforms.traversal(order.source[0], order.flip[0]);
        let transforms = transforms.traversed(traversal);
        let (_, x, y, z) = volume.data.dim();
        let blending = Blending::traversed([x, y, z], &plan.window, traversal).unwrap();
        let mut predictor = OnnxPredictor::new(
            runtime(),
            bundle.member_bytes(index).unwrap(),
            &parity::interface(),
            plan,
            Device::Cpu,
            &engine_options(),
        )
        .unwrap();
        let view = volume.data.view();
        let mut inferer =
            SlidingWindowInferer::new(view, &plan.window, &blending, &predictor).unwrap();
        let mut planes = Vec::new();
        while inferer.progress().done < inferer.progress().total {
            inferer.step(&mut predictor).unwrap();
            planes.extend(std::iter::from_fn(|| inferer.pop()));
        }
        let views: Vec<_> = planes.iter().map(|plane| plane.view()).collect();
        let mut prepared = ProbabilityMean::new(Activation::Softmax);
        prepared
            .add(ndarray::stack(Axis(1), &views).unwrap(), 1.)
            .unwrap();
        let inverted = transforms
            .invert_probabilities(prepared.finish().unwrap())
            .unwrap();
        mean.add_probabilities(inverted.data, 1.).unwrap();
    }
    mean.finish().unwrap()
}

/// Share of the labels that differ.
fn apart(found: &Array3<u16>, expected: &Array3<u16>) -> f64 {
    assert_eq!(found.dim(), expected.dim());
    let differ = found.iter().zip(expected).filter(|(a, b)| a != b).count();
    differ as f64 / expected.len() as f64
}

#[test]
fn golden_images_are_prepared_by_each_plan() {
    let Some(mut golden) = Golden::open() else {
        return;
    };
    let image = golden.image();
    for (algorithm, _) in ALGORITHMS {
        let plan = golden.plan(algorithm);
        let (prepared, _) = execute(vec![image.clone()], &plan.preprocessing).unwrap();
        let shape = &golden.facts["algorithms"][algorithm]["prepared"]["shape"];
        assert_eq!(&serde_json::json!(prepared.data.shape()), shape);
        let samples = golden::stored(&mut golden.arrays, &format!("{algorithm}_prepared"));
        let found = largest_difference_at(&prepared.data, &samples);
        assert!(found <= PREPARED, "{algorithm}: {found}");
    }
}

#[test]
fn golden_members_of_two_algorithms_meet_on_the_grid_of_the_input() {
    let Some(mut golden) = Golden::open() else {
        return;
    };
    let image = golden.image();
    let mut members = Vec::new();
    for algorithm in ALGORITHMS {
        let (_place, bundle) = golden.bundle(&[algorithm]);
        let (found, probabilities) = segment(&bundle, &image);
        let name = format!("{}_probabilities", algorithm.0);
        let samples = golden::stored(&mut golden.arrays, &name);
        let away = largest_difference_at(&probabilities, &samples);
        println!("{}: probabilities differ by {away:e}", algorithm.0);
        assert!(away <= PROBABILITIES, "{}: {away}", algorithm.0);
        let labels = golden.labels(algorithm.0);
        let away = apart(&found.labels.data, &labels);
        println!("{}: share of labels that differ: {away:e}", algorithm.0);
        assert!(away <= LABELS_APART, "{}: {away}", algorithm.0);
        members.push((samples, probabilities));
    }

    let (_place, bundle) = golden.bundle(&ALGORITHMS);
    assert_eq!(bundle.groups().len(), ALGORITHMS.len());
    assert!(verify(&bundle, &engine_options()).unwrap().passed());
    let (found, probabilities) = segment(&bundle, &image);
    let [(first, own_first), (second, own_second)] = members.as_slice() else {
        panic!("two algorithms")
    };
    // Both are sampled at the same places.
    let pairs = first.iter().zip(second);
    let mean = pairs.map(|(&(place, a), &(other, b))| {
        assert_eq!(place, other);
        (place, (a + b) / 2.)
    });
    let mean: Vec<_> = mean.collect();
    let away = largest_difference_at(&probabilities, &mean);
    assert!(away <= PROBABILITIES, "{away}");
    let own = (own_first + own_second) / 2.;
    let away = largest_difference(&probabilities, &own);
    assert!(away <= 1e-6, "{away}");

    let plans = ALGORITHMS.map(|(algorithm, _)| golden.plan(algorithm));
    let expected = whole(&bundle, &plans, &image);
    assert_eq!(probabilities, expected, "streamed and whole");
    let labels = Activation::Softmax.labels(expected.view(), &LABELS);
    assert_eq!(found.labels.data, labels.unwrap());
    assert_eq!(found.labels.affine, image.affine);
}
