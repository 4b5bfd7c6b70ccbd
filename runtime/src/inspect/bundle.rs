//! The facts of a bundle.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use vesal_bundle::Bundle;
use vesal_bundle::case_scores::MeanScore;
use vesal_bundle::deploy_plan::{
    Activation, Channel, Concept, DeployPlan, Label, LabelCode, Modality, Restore,
};
use vesal_bundle::manifest::{
    EnsembleRecord, Member, MemberProvenance, NetworkInterface, Provenance,
};
use vesal_cli::Text;
use vesal_engine::check_networks;
use vesal_volume::postprocess::Combine;
use vesal_volume::preprocess::{Normalization, Step};
use vesal_volume::window::{Blend, Padding, WindowPlan};

use crate::error::Error;

/// Facts about a bundle.
#[derive(Debug, Serialize)]
pub struct BundleFacts {
    path: String,
    name: String,
    version: Option<String>,
    digest: String,
    bytes: u64,
    task: String,
    channels: Vec<Channel>,
    labels: Vec<Label>,
    activation: Activation,
    #[serde(flatten)]
    plan: PlanFacts,
    /// The deploy plans of further members, by their files.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    further_plans: BTreeMap<String, PlanFacts>,
    network: NetworkInterface,
    members: Vec<Member>,
    ensemble: EnsembleRecord,
    provenance: Provenance,
}

/// The parts in which deploy plans of a bundle may differ.
#[derive(Debug, Serialize)]
struct PlanFacts {
    preprocessing: Vec<Step>,
    window: WindowPlan,
    #[serde(skip_serializing_if = "Restore::is_default")]
    restore: Restore,
}

impl From<&DeployPlan> for PlanFacts {
    fn from(plan: &DeployPlan) -> Self {
        Self {
            preprocessing: plan.preprocessing.clone(),
            window: plan.window.clone(),
            restore: plan.restore,
        }
    }
}

impl BundleFacts {
    /// Opens the bundle and checks all of it, its networks included.
    ///
    /// **Errors**: it is damaged, not a bundle, or has networks that would not be run.
    pub(super) fn of(path: &Path) -> Result<Self, Error> {
        let bundle = Bundle::open_for_use(path).map_err(|error| Error::bundle(path, error))?;
        check_networks(&bundle).map_err(|error| {
            let attempt = format!("cannot use the bundle `{}`", path.display());
            Error::Engine(error).attempting(attempt)
        })?;
        let digest = bundle.digest().to_owned();
        let manifest = bundle.manifest().clone();
        let DeployPlan {
            name: task,
            channels,
            labels,
            activation,
            ..
        } = bundle.plan().clone();
        let groups = bundle.groups().iter().skip(1);
        let further_plans = groups.map(|group| {
            let file = &manifest.members[group.members[0]].deploy_plan;
            (file.clone(), PlanFacts::from(group.plan.as_ref()))
        });
        Ok(Self {
            path: path.display().to_string(),
            name: manifest.name,
            version: manifest.version,
            digest,
            bytes: manifest.files.values().map(|file| file.bytes).sum(),
            task,
            channels,
            labels,
            activation,
            plan: bundle.plan().into(),
            further_plans: further_plans.collect(),
            network: manifest.network,
            members: manifest.members,
            ensemble: manifest.ensemble,
            provenance: manifest.provenance,
        })
    }

    /// The facts as lines of text.
    pub fn text(&self) -> Text {
        let mut rows = Vec::new();
        let mut group = |name: &str, values: Vec<String>| {
            for (index, value) in values.into_iter().enumerate() {
                let name = if index == 0 { name } else { "" };
                rows.push(vec![format!("  {name}"), value]);
            }
        };
        let version = self.version.as_deref().unwrap_or_default();
        group(
            "bundle",
            vec![format!("{} {version}", self.name).trim_end().to_owned()],
        );
        group("task", vec![self.task.clone()]);
        group("digest", vec![format!("sha256 {}", self.digest)]);
        group("size", vec![size_text(self.bytes)]);
        group("channels", self.channels.iter().map(channel_text).collect());
        let (labels, each): (_, Vec<_>) = match self.activation {
            Activation::Softmax => {
                let lines =
                    |label: &Label| label_text(format!("{} {}", label.value, label.name), label);
                ("labels", self.labels.iter().flat_map(lines).collect())
            }
            Activation::Sigmoid => {
                let text = |region: &Label| format!("mask {}: {}", region.class_index, region.name);
                let lines = |region: &Label| label_text(text(region), region);
                ("regions", self.labels.iter().flat_map(lines).collect())
            }
        };
        group(labels, each);
        let first = &self.members[0].deploy_plan;
        let further = self.further_plans.iter();
        let plans = std::iter::once((first, &self.plan)).chain(further);
        for (file, plan) in plans {
            if !self.further_plans.is_empty() {
                group("plan", vec![file.clone()]);
            }
            let steps = plan.preprocessing.iter();
            group(
                "preprocessing",
                steps.map(|step| self.step_text(step)).collect(),
            );
            group("window", vec![window_text(&plan.window)]);
            if plan.restore == Restore::Logits {
                group(
                    "restore",
                    vec!["logits, which become probabilities then".into()],
                );
            }
        }
        let NetworkInterface {
            opset,
            input,
            output,
        } = &self.network;
        group(
            "network",
            vec![format!(
                "ONNX opset {opset}, input `{input}`, output `{output}`"
            )],
        );
        group(
            "members",
            self.members
                .iter()
                .flat_map(|member| member_text(member, !self.further_plans.is_empty()))
                .collect(),
        );
        group("ensemble", ensemble_text(&self.ensemble));
        if let Some(digest) = &self.provenance.data_stats_sha256 {
            group("data stats", vec![format!("sha256 {digest}")]);
        }
        let versions = self
            .provenance
            .versions
            .iter()
            .map(|(of, version)| format!("{of} {version}"));
        group("written by", versions.collect());
        let mut text = Text::new();
        text.line(&self.path);
        text.table(&rows);
        text
    }

    fn step_text(&self, step: &Step) -> String {
        match step {
            Step::OrientRas => "orient to RAS".into(),
            Step::CropForeground { threshold, margin } => {
                format!("crop to voxels above {threshold}, with a margin of {margin} voxels")
            }
            Step::Resample {
                spacing,
                keep: [low, high],
            } => {
                format!("resample to {spacing:.3?} mm; axes of {low} to {high} times that stay")
            }
            Step::ResampleToMatch { first_channels } => {
                let names = self.channels.iter().skip(*first_channels);
                let names: Vec<_> = names.map(|channel| channel.name.as_str()).collect();
                format!(
                    "resample {} onto the grid of the first image",
                    names.join(", ")
                )
            }
            Step::Normalize { channels } => {
                let each = self.channels.iter().zip(channels);
                let texts = each.map(|(channel, normalization)| {
                    let how = match normalization {
                        Normalization::SigmoidRange { low, high } => {
                            format!("sigmoid over {low} to {high}")
                        }
                        Normalization::ClippedRange { low, high } => {
                            format!("{low} to {high} as 0 to 1, clipped")
                        }
                        Normalization::ZScoreNonzero => {
                            "mean 0 and deviation 1 where not zero".into()
                        }
                        Normalization::ZScoreNonzeroTanh => {
                            "mean 0 and deviation 1 where not zero, outliers pressed".into()
                        }
                        Normalization::SigmoidDeviation => {
                            "sigmoid of deviations from the smallest".into()
                        }
                        Normalization::Identity => "as it is".into(),
                    };
                    format!("{}: {how}", channel.name)
                });
                format!("normalize {}", texts.collect::<Vec<_>>().join("; "))
            }
        }
    }
}

fn window_text(window: &WindowPlan) -> String {
    let WindowPlan {
        size,
        overlap,
        blend,
        padding,
    } = window;
    let blend = match blend {
        Blend::Gaussian { sigma_scale } => {
            format!("Gaussian blending (sigma {sigma_scale} of a side)")
        }
        Blend::Constant => "constant blending".into(),
    };
    let padding = match padding {
        Padding::Constant(value) => format!("padded with {value}"),
        Padding::Replicate => "padded with the nearest voxel".into(),
    };
    format!("{size:?} voxels, overlap {overlap:?}, {blend}, {padding}")
}

fn channel_text(channel: &Channel) -> String {
    let modality = match channel.modality {
        Modality::Ct => "CT",
        Modality::Mri => "MR",
        Modality::Pet => "PET",
    };
    let patterns = channel.series_descriptions.iter();
    let patterns: Vec<_> = patterns.map(|pattern| format!("`{pattern}`")).collect();
    let series = match patterns.as_slice() {
        [] => String::new(),
        patterns => format!(", series described as {}", patterns.join(" or ")),
    };
    format!("{} ({modality}){series}", channel.name)
}

/// A label, and below it its codes.
fn label_text(label: String, Label { code, .. }: &Label) -> Vec<String> {
    let mut lines = vec![label];
    if let Some(LabelCode {
        category,
        kind,
        modifier,
        color,
    }) = code
    {
        let concepts = [category, kind].into_iter().chain(modifier);
        let mut parts: Vec<_> = concepts.map(concept_text).collect();
        if let Some([red, green, blue]) = color {
            parts.push(format!("#{red:02x}{green:02x}{blue:02x}"));
        }
        lines.push(format!("  {}", parts.join(", ")));
    }
    lines
}

fn concept_text(concept: &Concept) -> String {
    let Concept {
        value,
        scheme,
        meaning,
    } = concept;
    format!("{meaning} ({scheme} {value})")
}

/// A member, with its plan where there are several.
fn member_text(member: &Member, with_plan: bool) -> Vec<String> {
    let Member {
        file,
        weight,
        provenance,
        deploy_plan,
    } = member;
    let mut lines = match provenance {
        MemberProvenance::Trained {
            algorithm,
            fold,
            score,
            ..
        } => {
            vec![
                format!(
                    "{file}: weight {weight}, {algorithm}, fold {fold}, epoch {}",
                    score.epoch
                ),
                format!(
                    "  Dice {:.3} over {} cases ({})",
                    score.mean_dice,
                    score.cases,
                    labels_text(&score.dice_by_label)
                ),
            ]
        }
        MemberProvenance::ImportedMonai {
            checkpoint,
            epoch,
            best_metric,
            ..
        } => {
            let epoch = epoch
                .map(|epoch| format!(", epoch {epoch}"))
                .unwrap_or_default();
            let metric = best_metric
                .map(|metric| format!(", best metric {metric:.3}"))
                .unwrap_or_default();
            vec![format!(
                "{file}: weight {weight}, imported from MONAI checkpoint `{checkpoint}`{epoch}{metric}"
            )]
        }
    };
    if with_plan {
        lines.push(format!("  plan {deploy_plan}"));
    }
    lines
}

fn ensemble_text(ensemble: &EnsembleRecord) -> Vec<String> {
    let EnsembleRecord {
        combine,
        selection,
        out_of_fold,
    } = ensemble;
    let combine = match combine {
        Combine::Mean => "weighted mean of probabilities",
        Combine::Vote => "weighted vote",
    };
    let mut lines = vec![format!("{combine}; {}", selection.reason)];
    if !selection.missing_folds.is_empty() {
        lines.push(format!("without the folds {:?}", selection.missing_folds));
    }
    if let Some(score) = out_of_fold {
        let MeanScore {
            mean_dice,
            dice_by_label,
            cases,
        } = score;
        lines.push(format!(
            "Dice {mean_dice:.3} out of fold over {cases} cases ({})",
            labels_text(dice_by_label)
        ));
    }
    lines
}

fn labels_text(dice_by_label: &BTreeMap<String, Option<f64>>) -> String {
    let labels = dice_by_label.iter().map(|(label, dice)| match dice {
        Some(dice) => format!("{label} {dice:.3}"),
        None => format!("{label} absent"),
    });
    labels.collect::<Vec<_>>().join(", ")
}

fn size_text(bytes: u64) -> String {
    if bytes < 1_000_000 {
        format!("{:.1} kB", bytes as f64 / 1e3)
    } else {
        format!("{:.1} MB", bytes as f64 / 1e6)
    }
}
