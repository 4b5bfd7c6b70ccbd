//! A bundle of four algorithms on one CT, against the reference's: prepared images, probabilities and labels on the input's
//! grid, which streaming gives bit for bit as whole probabilities do.

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::mpsc::{Sender, channel};

use burn_flex::Flex;
use ndarray::{Array3, Array4, ArrayD, ArrayView4, Axis, Ix2, Ix3, s};
use ndarray_npy::{NpzReader, ReadableElement};
use serde_json::{Value, json};
use tempfile::TempDir;
use vesal_bundle::Bundle;
use vesal_bundle::deploy_plan::{Activation, Channel, DeployPlan, Label, Modality};
use vesal_bundle::manifest::{EnsembleRecord, MemberProvenance};
use vesal_engine::{
    Device, Ensemble, OnnxPredictor, ProbabilitySink, Segmentation, SinkError, verify,
};
use vesal_exporter::assemble::{self, BundleMetadata, MemberCandidate, PlanFile, assemble};
use vesal_exporter::import::{Checkpoint, ImportOverrides, import};
use vesal_exporter::{parity, weights};
use vesal_models::Network;
use vesal_network::{NetworkConfig, PatchMerging};
use vesal_onnx::OnnxModel;
use vesal_volume::postprocess::{Combine, ProbabilityMean, map_features};
use vesal_volume::preprocess::{Normalization, Restore, Step, execute};
use vesal_volume::window::{Blend, Blending, Padding, SlidingWindowInferer, WindowPlan};
use vesal_volume::{Affine, Geometry, Volume};

use crate::support::folders::{configs, models, template_transforms};
use crate::support::{engine_options, golden, largest_difference, largest_difference_at, runtime};
use crate::work_dir::destination;

const LABELS: [u16; 3] = [0, 1, 2];
/// How far prepared intensities and probabilities may be from the reference's.
const PREPARED: f32 = 1e-5;
const PROBABILITIES: f32 = 2e-4;
/// Share of the labels that may differ.
const LABELS_APART: f64 = 1e-4;
/// The algorithms as the golden file calls them, in its order, with their checkpoints.
const ALGORITHMS: [(&str, &str); 4] = [
    ("segresnet", "segresnet_ds/iso4.pt"),
    ("swinunetr", "algorithms/swinunetr/softmax.pt.gz"),
    ("dints", "algorithms/dints/default.pt.gz"),
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
        let uniform = ["swinunetr", "dints"].contains(&algorithm);
        let bounds = &self.facts["stats"]["image_foreground_stats"]["intensity"];
        let bound = |name: &str| bounds[name].as_f64().unwrap() as f32;
        let (low, high) = (bound("percentile_00_5"), bound("percentile_99_5"));
        let crop = Step::CropForeground {
            threshold: 0.,
            margin: if uniform { 0 } else { 10 },
        };
        let resample = (uniform || settings["resample"] == true).then(|| Step::Resample {
            spacing: serde_json::from_value(settings["resample_resolution"].clone()).unwrap(),
            keep: if uniform { [1.; 2] } else { [0.75, 1.25] },
        });
        let range = match uniform {
            true => Normalization::ClippedRange { low, high },
            false => Normalization::SigmoidRange { low, high },
        };
        let normalize = Step::Normalize {
            channels: vec![range],
        };
        let orient = (!planar).then_some(Step::OrientRas);
        let preprocessing = if uniform {
            let first = [normalize, crop].into_iter();
            first.chain(orient).chain(resample).collect()
        } else {
            let first = orient.into_iter().chain([crop]);
            first.chain(resample).chain([normalize]).collect()
        };
        let window = if uniform { "roi_size" } else { "window" };
        let label = |class: u16| Label::new(format!("class {class}"), class, class.into());
        DeployPlan {
            restore: match algorithm {
                "dints" => Restore::Logits,
                _ => Restore::Probabilities,
            },
            name: "golden".into(),
            channels: vec![Channel::new("image", Modality::Ct)],
            labels: LABELS.map(label).to_vec(),
            activation: Activation::Softmax,
            preprocessing,
            window: WindowPlan {
                size: serde_json::from_value(settings[window].clone()).unwrap(),
                overlap: [0.625, 0.625, if planar { 0. } else { 0.625 }],
                blend: Blend::Gaussian { sigma_scale: 0.125 },
                padding: Padding::Constant(0.),
            },
        }
    }

    /// Compares a segmentation with stored probabilities and labels.
    fn compare(
        &mut self,
        labels: &str,
        samples: &[(usize, f32)],
        (found, probabilities): (&Segmentation, &Array4<f32>),
    ) {
        let away = largest_difference_at(probabilities, samples);
        println!("{labels}: probabilities differ by {away:e}");
        assert!(away <= PROBABILITIES, "{labels}: {away}");
        self.compare_labels(labels, found);
    }

    fn compare_labels(&mut self, name: &str, found: &Segmentation) {
        let labels = self.array::<u8>(name).into_dimensionality::<Ix3>();
        let away = apart(&found.labels.data, &labels.unwrap().mapv(u16::from));
        println!("{name}: share of labels that differ: {away:e}");
        assert!(away <= LABELS_APART, "{name}: {away}");
    }

    /// A bundle of these algorithms.
    fn bundle(&self, algorithms: &[(&str, &str)], combine: Combine) -> (TempDir, Bundle) {
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
            ensemble: EnsembleRecord {
                combine,
                ..EnsembleRecord::default()
            },
            data_stats_sha256: None,
        };
        let prepared = assemble::prepare(&destination).unwrap();
        assemble(prepared, metadata, candidates.collect(), &mut |_| {}).unwrap();
        (place, Bundle::open(&destination.output).unwrap())
    }
}

fn network(checkpoint: &str) -> (NetworkConfig, Network<Flex>) {
    let place = TempDir::new().unwrap();
    let checkpoint = Checkpoint::read(&golden::unpacked(checkpoint, place.path())).unwrap();
    let config = match &checkpoint.config {
        Some(_) => golden::network_config(&checkpoint),
        None => {
            let shapes = checkpoint.tensors.iter();
            let shapes = shapes.map(|(name, data)| (name.as_str(), data.shape.to_vec()));
            NetworkConfig::infer(&shapes.collect()).unwrap()
        }
    };
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
        // A network of fewer features than classes is run without its last layer.
        let bytes = bundle.member_bytes(index).unwrap();
        let head = OnnxModel::decode(bytes.to_vec()).unwrap().split_head();
        if let Ok((_, head)) = head {
            for plane in &mut planes {
                *plane = map_features(plane.view(), &head.weight, &head.bias);
            }
        }
        let views: Vec<_> = planes.iter().map(|plane| plane.view()).collect();
        let outputs = ndarray::stack(Axis(1), &views).unwrap();
        let inverted = match plan.restore {
            Restore::Logits => {
                let mut restored = transforms.invert_probabilities(outputs).unwrap();
                Activation::Softmax.probabilities_in_place(restored.data.view_mut());
                restored
            }
            Restore::Probabilities => {
                let mut prepared = ProbabilityMean::new(Activation::Softmax);
                prepared.add(outputs, 1.).unwrap();
                transforms
                    .invert_probabilities(prepared.finish().unwrap())
                    .unwrap()
            }
        };
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
fn golden_members_of_four_algorithms_meet_on_the_grid_of_the_input() {
    let Some(mut golden) = Golden::open() else {
        return;
    };
    let image = golden.image();
    let members = ALGORITHMS.map(|algorithm| {
        let (_place, bundle) = golden.bundle(&[algorithm], Combine::Mean);
        let (found, probabilities) = segment(&bundle, &image);
        let name = algorithm.0;
        let samples = golden::stored(&mut golden.arrays, &format!("{name}_probabilities"));
        golden.compare(
            &format!("{name}_labels"),
            &samples,
            (&found, &probabilities),
        );
        (samples, probabilities)
    });

    let (_place, bundle) = golden.bundle(&ALGORITHMS, Combine::Mean);
    assert_eq!(bundle.groups().len(), ALGORITHMS.len());
    assert!(verify(&bundle, &engine_options()).unwrap().passed());
    let (found, probabilities) = segment(&bundle, &image);
    // All are sampled at the same places.
    let count = members.len() as f32;
    let mean = members[0]
        .0
        .iter()
        .enumerate()
        .map(|(sample, &(place, _))| {
            let values = members.iter().map(|(samples, _)| {
                assert_eq!(samples[sample].0, place);
                samples[sample].1
            });
            (place, values.sum::<f32>() / count)
        });
    let mean: Vec<_> = mean.collect();
    golden.compare("ensemble_mean", &mean, (&found, &probabilities));
    let first = Array4::zeros(probabilities.dim());
    let own = members.iter().fold(first, |sum, (_, own)| sum + own) / count;
    let away = largest_difference(&probabilities, &own);
    assert!(away <= 1e-6, "{away}");

    let plans = ALGORITHMS.map(|(algorithm, _)| golden.plan(algorithm));
    let expected = whole(&bundle, &plans, &image);
    assert_eq!(probabilities, expected, "streamed and whole");
    let labels = Activation::Softmax.labels(expected.view(), &LABELS);
    assert_eq!(found.labels.data, labels.unwrap());
    assert_eq!(found.labels.affine, image.affine);
}

#[test]
fn golden_members_of_four_algorithms_vote() {
    let Some(mut golden) = Golden::open() else {
        return;
    };
    let image = golden.image();
    let (_place, bundle) = golden.bundle(&ALGORITHMS, Combine::Vote);
    let (found, _) = segment(&bundle, &image);
    golden.compare_labels("ensemble_vote", &found);
}

/// Auto3DSeg's folders of the algorithms whose checkpoints have no settings give the same plans.
#[test]
fn golden_folders_of_templates_become_their_plans() {
    let Some(golden) = Golden::open() else {
        return;
    };
    let place = TempDir::new().unwrap();
    let bounds = &golden.facts["stats"]["image_foreground_stats"]["intensity"];
    let bounds = ["percentile_00_5", "percentile_99_5"].map(|name| bounds[name].as_f64().unwrap());
    let mut paths = Vec::new();
    for (algorithm, checkpoint) in &ALGORITHMS[1..3] {
        let root = place.path().join(format!("{algorithm}_0"));
        let settings = &golden.facts["algorithms"][algorithm];
        let own = json!({
            "roi_size": settings["roi_size"], "roi_size_valid": settings["roi_size"], "softmax": true,
            "resample_resolution": settings["resample_resolution"], "overlap_ratio": 0.625,
        });
        let common = json!({
            "bundle_root": "/elsewhere", "ckpt_path": "$@bundle_root + '/model_fold' + str(@fold)", "fold": 0,
            "class_names": ["a", "b"],
        });
        let (hyper, network, spacing) = match *algorithm {
            "swinunetr" => {
                let mut all = merged(common, own);
                all["overlap_ratio"] = json!(0.125);
                all["overlap_ratio_final"] = json!(0.625);
                all["transforms"] = json!({"resample_resolution": "$@resample_resolution"});
                let network = json!({"network": {"_target_": "SwinUNETR", "feature_size": 12, "in_channels": 1,
                    "out_channels": 3, "spatial_dims": 3, "use_checkpoint": false, "use_v2": false}});
                (all, network, "$@transforms#resample_resolution")
            }
            _ => {
                let mut all = common;
                all["training"] = own;
                all["training"]["transforms"] =
                    json!({"resample_resolution": "@training#resample_resolution"});
                let network = json!({"training_network": {
                    "arch_ckpt": "$torch.load(@training_network#arch_ckpt_path)",
                    "dints_space": {"_target_": "TopologyInstance", "channel_mul": 0.0625, "num_blocks": 12,
                        "num_depths": 4, "use_downsample": true, "device": "$torch.device('cuda')",
                        "arch_code": ["$@training_network#arch_ckpt['code_a']", "$@training_network#arch_ckpt['code_c']"]},
                    "network": {"_target_": "DiNTS", "dints_space": "$@training_network#dints_space", "in_channels": 1,
                        "num_classes": 3, "use_downsample": true, "node_a": "$@training_network#arch_ckpt['node_a']"},
                }});
                (all, network, "@training#transforms#resample_resolution")
            }
        };
        let transforms = template_transforms(bounds, spacing);
        let files = [
            ("hyper_parameters.yaml", &hyper),
            ("network.yaml", &network),
            ("transforms_infer.yaml", &transforms),
        ];
        configs(&root, &files);
        let model = models(&root, "model_fold0", "best_metric_model.pt");
        std::fs::copy(golden::unpacked(checkpoint, place.path()), &model).unwrap();
        paths.push(model);
    }
    paths.push(golden::find(ALGORITHMS[3].1).unwrap());
    let destination = destination(place.path().join("bundle"));
    let flags = ImportOverrides::default();
    let error = import(&paths, &flags, &destination, &mut |_| {}).unwrap_err();
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("--patch-merging monai-1.5"),
        "{error}: {hint}"
    );
    let flags = ImportOverrides {
        patch_merging: Some(PatchMerging::Monai15),
        ..flags
    };
    let imported = import(&paths, &flags, &destination, &mut |_| {}).unwrap();
    assert_eq!(imported.assumptions, Vec::<String>::new());
    let bundle = Bundle::open(&destination.output).unwrap();
    for (group, (algorithm, _)) in bundle.groups().iter().zip(&ALGORITHMS[1..]) {
        let expected = golden.plan(algorithm);
        assert_eq!(group.plan.window, expected.window, "{algorithm}");
        assert_eq!(group.plan.restore, expected.restore, "{algorithm}");
        // The template of segresnet2d states bounds of its own.
        if *algorithm != "segresnet2d" {
            assert_eq!(
                group.plan.preprocessing, expected.preprocessing,
                "{algorithm}"
            );
        }
    }
    assert!(verify(&bundle, &engine_options()).unwrap().passed());
}

fn merged(mut first: Value, second: Value) -> Value {
    let second: serde_json::Map<String, Value> = serde_json::from_value(second).unwrap();
    first.as_object_mut().unwrap().extend(second);
    first
}
