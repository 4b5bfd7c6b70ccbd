//! Results of a command, as text and as JSON.

use std::path::PathBuf;

use serde::Serialize;
use vesal_bundle::manifest::{EnsembleRecord, MemberProvenance};
use vesal_cli::Text;
use vesal_files::VersionedDocument;
use vesal_volume::postprocess::Combine;

use crate::assemble::Assembled;

/// The object that `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct ExportSummary {
    bundle: PathBuf,
    /// SHA-256 of the manifest: the bundle's identity.
    digest: String,
    name: String,
    opset: i64,
    members: Vec<MemberSummary>,
    ensemble: EnsembleRecord,
    assumptions: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MemberSummary {
    file: String,
    /// Of a member that was trained here.
    algorithm: Option<String>,
    fold: Option<usize>,
    weight: f64,
    mean_dice: Option<f64>,
    bytes: u64,
    parity: ParitySummary,
}

/// Agreement of Burn and ONNX Runtime.
#[derive(Debug, Serialize)]
struct ParitySummary {
    max_difference: f64,
    limit: f64,
    max_logit: f64,
    window: [usize; 3],
}

impl VersionedDocument for ExportSummary {
    const FORMAT: &str = "vesal-export-summary";
    const VERSION: u32 = 1;
}

impl ExportSummary {
    pub fn new(assembled: &Assembled, assumptions: Vec<String>) -> Self {
        let manifest = assembled.bundle.manifest();
        let members = manifest
            .members
            .iter()
            .zip(&assembled.parities)
            .map(|(member, parity)| MemberSummary {
                file: member.file.clone(),
                algorithm: match &member.provenance {
                    MemberProvenance::Trained { algorithm, .. } => Some(algorithm.clone()),
                    MemberProvenance::ImportedMonai { .. } => None,
                },
                fold: member.provenance.fold(),
                weight: member.weight,
                mean_dice: match &member.provenance {
                    MemberProvenance::Trained { score, .. } => Some(score.mean_dice),
                    MemberProvenance::ImportedMonai { .. } => None,
                },
                bytes: manifest
                    .files
                    .get(&member.file)
                    .map_or(0, |entry| entry.bytes),
                parity: ParitySummary {
                    max_difference: parity.max_difference,
                    limit: parity.limit(),
                    max_logit: parity.max_logit,
                    window: parity.window,
                },
            });
        Self {
            bundle: assembled.bundle.directory().to_path_buf(),
            digest: assembled.bundle.digest().to_owned(),
            name: manifest.name.clone(),
            opset: manifest.network.opset,
            members: members.collect(),
            ensemble: manifest.ensemble.clone(),
            assumptions,
        }
    }

    /// The results as lines of text.
    pub fn text(&self) -> Text {
        let mut lines: Vec<String> = self
            .assumptions
            .iter()
            .map(|assumption| format!("assumed: {assumption}"))
            .collect();
        for member in &self.members {
            let ParitySummary {
                max_difference,
                limit,
                ..
            } = &member.parity;
            let algorithm = member.algorithm.as_ref().map(|name| format!("{name}, "));
            let dice = member.mean_dice.map(|dice| format!("Dice {dice:.4}, "));
            lines.push(format!(
                "{}: {}{}weight {}, {:.1} MB, differs from Burn by {max_difference:.1e} at most (limit {limit:.1e})",
                member.file,
                algorithm.unwrap_or_default(),
                dice.unwrap_or_default(),
                member.weight,
                member.bytes as f64 / 1e6,
            ));
        }
        let EnsembleRecord {
            combine,
            selection,
            out_of_fold,
        } = &self.ensemble;
        let combine = match combine {
            Combine::Mean => "the mean of probabilities",
            Combine::Vote => "a vote",
        };
        lines.push(format!(
            "ensemble: {}; combined by {combine}",
            selection.reason
        ));
        if !selection.missing_folds.is_empty() {
            lines.push(format!("without the folds {:?}", selection.missing_folds));
        }
        if let Some(score) = out_of_fold {
            lines.push(format!(
                "out-of-fold Dice {:.4} over {} cases",
                score.mean_dice, score.cases
            ));
        }
        lines.push(format!(
            "bundle `{}` written to {}",
            self.name,
            self.bundle.display()
        ));
        lines.push(format!("SHA-256 {}", self.digest));
        let mut text = Text::new();
        for line in lines {
            text.line(line);
        }
        text
    }
}
