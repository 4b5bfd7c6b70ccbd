//! A small bundle whose networks are arbitrary bytes, because this crate does not parse them.

#![allow(dead_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use vesal_bundle::case_scores::MeanScore;
use vesal_bundle::deploy_plan::{Activation, Channel, DeployPlan, Label, Modality};
use vesal_bundle::manifest::{
    EnsembleRecord, Manifest, Member, MemberProvenance, NetworkInterface, Provenance, Selection,
    SelectionRule,
};
use vesal_bundle::probe::{
    ExpectedLabels, LogitSample, MemberProbe, Probe, ProbeGroup, ProbeInput, Tolerance,
};
use vesal_bundle::run_record::Score;
use vesal_bundle::{Bundle, BundleWriteError, BundleWriter, DicomRules};
use vesal_files::VersionedDocument;
use vesal_volume::postprocess::Combine;
use vesal_volume::preprocess::{Normalization, Step};
use vesal_volume::window::{Blend, Padding, WindowPlan};

pub const WINDOW: [usize; 3] = [4, 3, 2];

pub fn plan() -> DeployPlan {
    let label = |name: &str, value, class_index| Label::new(name, value, class_index);
    DeployPlan {
        restore: Default::default(),
        name: "two tissues".into(),
        channels: vec![
            Channel::new("ct", Modality::Ct),
            Channel::new("t1", Modality::Mri),
        ],
        labels: vec![
            label("background", 0, 0),
            label("soft", 7, 1),
            label("hard", 3, 2),
        ],
        activation: Activation::Softmax,
        preprocessing: vec![
            Step::OrientRas,
            Step::CropForeground {
                threshold: 0.5,
                margin: 10,
            },
            Step::Resample {
                spacing: [1., 1.5, 2.],
                keep: [0.75, 1.25],
            },
            Step::Normalize {
                channels: vec![
                    Normalization::SigmoidRange {
                        low: -200.,
                        high: 300.,
                    },
                    Normalization::ZScoreNonzero,
                ],
            },
        ],
        window: WindowPlan {
            size: WINDOW,
            overlap: [0.625, 0.5, 0.],
            blend: Blend::Gaussian { sigma_scale: 0.125 },
            padding: Padding::Constant(0.),
        },
    }
}

/// Rules of DICOM for the plan, as they stand in a file.
pub fn rules_document() -> Value {
    let concept =
        |value: &str, meaning: &str| json!({"value": value, "scheme": "SCT", "meaning": meaning});
    json!({
        "format": DicomRules::FORMAT,
        "format_version": DicomRules::VERSION,
        "channels": {"t1": {"series_descriptions": ["*t1*", "mprage"]}},
        "labels": {
            "soft": {
                "category": concept("91723000", "Anatomical Structure"),
                "type": concept("64033007", "Kidney"),
                "modifier": concept("7771000", "Left"),
                "color": [200, 100, 0]
            },
            "hard": {
                "category": concept("49755003", "Morphologically Altered Structure"),
                "type": concept("108369006", "Neoplasm")
            }
        }
    })
}

pub fn rules() -> DicomRules {
    let bytes = serde_json::to_vec(&rules_document()).expect("JSON");
    DicomRules::from_json(&bytes, "rules.json").expect("valid")
}

pub fn probe(members: usize) -> Probe {
    let labels: Vec<u16> = (0..24).map(|index| [0, 7, 3][index / 8]).collect();
    let group = ProbeGroup {
        input: ProbeInput::new(11, 2, WINDOW),
        members: (0..members)
            .map(|member| MemberProbe {
                logits: vec![LogitSample {
                    index: 71,
                    value: member as f32 - 0.5,
                }],
            })
            .collect(),
        labels: ExpectedLabels::encode(&labels),
    };
    Probe {
        groups: vec![group],
        tolerance: Tolerance {
            max_logit_difference: 1e-3,
            min_identical_labels: 0.999,
        },
    }
}

pub fn score() -> Score {
    Score {
        epoch: 40,
        mean_dice: 0.875,
        dice_by_label: BTreeMap::from([("hard".into(), None), ("soft".into(), Some(0.875))]),
        cases: 4,
    }
}

pub fn manifest() -> Manifest {
    let versions = BTreeMap::from([("vesal".to_owned(), "0.1.0".to_owned())]);
    Manifest {
        name: "two tissues".into(),
        version: Some("1.2.0".into()),
        probe: "probe.json".into(),
        network: NetworkInterface {
            opset: 20,
            input: "image".into(),
            output: "logits".into(),
        },
        members: vec![
            Member {
                file: "members/fold-0.onnx".into(),
                deploy_plan: "deploy_plan.json".into(),
                weight: 1.,
                provenance: MemberProvenance::Trained {
                    algorithm: "segresnet".into(),
                    fold: 0,
                    score: score(),
                    weights_sha256: "ab".repeat(32),
                    versions: versions.clone(),
                },
            },
            Member {
                file: "members/model.onnx".into(),
                deploy_plan: "deploy_plan.json".into(),
                weight: 0.5,
                provenance: MemberProvenance::ImportedMonai {
                    checkpoint: "model.pt".into(),
                    checkpoint_sha256: "cd".repeat(32),
                    epoch: Some(12),
                    best_metric: None,
                },
            },
        ],
        ensemble: EnsembleRecord {
            combine: Combine::Vote,
            selection: Selection {
                rule: SelectionRule::BestByFold,
                reason: "the best run of each fold by mean Dice, of 4 runs".into(),
                missing_folds: vec![2],
            },
            out_of_fold: Some(MeanScore {
                mean_dice: 0.875,
                dice_by_label: score().dice_by_label,
                cases: 4,
            }),
        },
        provenance: Provenance {
            versions,
            data_stats_sha256: Some("ef".repeat(32)),
        },
        files: BTreeMap::new(),
    }
}

pub fn network(member: usize) -> Vec<u8> {
    format!("network {member}").repeat(100).into_bytes()
}

pub fn write(destination: &Path, overwrite: bool) -> Result<Bundle, BundleWriteError> {
    let mut writer = BundleWriter::create(destination, overwrite)?;
    let manifest = manifest();
    writer.add(
        manifest.deploy_plans()[0],
        &plan().to_json().expect("valid plan"),
    )?;
    writer.add(
        &manifest.probe,
        &probe(2).to_json().expect("serializable probe"),
    )?;
    for (index, member) in manifest.members.iter().enumerate() {
        writer.add(&member.file, &network(index))?;
    }
    writer.finish(manifest)
}

/// A written bundle in a temporary directory.
pub fn written() -> (TempDir, PathBuf) {
    let parent = TempDir::new().expect("temporary directory");
    let path = parent.path().join("two-tissues-1");
    write(&path, false).expect("written");
    (parent, path)
}

/// Names below a directory, sorted.
pub fn listing(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = directory
        .read_dir()
        .expect("readable")
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
