//! `vesal verify`: replays the probe of a bundle.

pub mod deviation;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use vesal_bundle::manifest::Member;
use vesal_cli::Text;
use vesal_engine::verify::{largest, replay};
use vesal_files::VersionedDocument;

use self::deviation::{Deviation, Worst};
use crate::error::Error;
use crate::observe::Observer;
use crate::options::{ComputeOptions, TrustOptions};
use crate::record::seconds;
use crate::{memory, profile, threads, trust};

/// Options of a verification.
#[derive(Debug, Clone, Args)]
pub struct VerifyOptions {
    /// Folder of the bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    #[command(flatten)]
    pub trust: TrustOptions,
    #[command(flatten)]
    pub compute: ComputeOptions,
}

impl VerifyOptions {
    /// Verifies a bundle on the best device; other options have the defaults of the command line.
    pub fn new(bundle: impl Into<PathBuf>) -> Self {
        Self {
            bundle: bundle.into(),
            trust: TrustOptions::default(),
            compute: ComputeOptions::default(),
        }
    }
}

/// Deviations of a bundle's answers from the recorded ones.
#[derive(Debug, Serialize)]
pub struct Verification {
    pub bundle: String,
    pub digest: String,
    /// Whether a signature was verified with the given key.
    pub signed: bool,
    pub device: String,
    /// File of the profile in use.
    pub profile: Option<String>,
    pub passed: bool,
    pub members: Vec<VerifiedMember>,
    /// Largest difference of a logit that the probe tolerates.
    pub max_logit_difference: f64,
    /// Fraction of labels that are identical.
    pub identical_labels: f64,
    /// Smallest such fraction that the probe tolerates.
    pub min_identical_labels: f64,
    pub network_seconds: f64,
}

#[derive(Debug, Serialize)]
pub struct VerifiedMember {
    /// Its ONNX file in the bundle.
    pub file: String,
    /// Largest difference of a logit.
    pub logit_difference: f64,
}

impl VersionedDocument for Verification {
    const FORMAT: &str = "vesal-verify";
    const VERSION: u32 = 1;
}

/// Opens a bundle, which checks that it is intact, and replays its probe.
///
/// **Errors**: the bundle is damaged or does not meet the requirements, or its networks do not run. Deviating answers
/// are part of the result.
pub fn verify(options: &VerifyOptions, observer: &dyn Observer) -> Result<Verification, Error> {
    threads::limit(options.compute.threads)?;
    let bundle = trust::open(&options.bundle, &options.trust)?;
    if let Some(note) = trust::note(&bundle, &options.trust) {
        observer.note(&note);
    }
    let name = bundle.manifest().name.clone();
    let attempted = |error: Error| error.attempting(format!("cannot verify `{name}`"));
    let mut opened =
        profile::open(&bundle, &options.compute, None).map_err(|error| attempted(error.into()))?;
    memory::check(opened.ensemble.network_bytes(), None)
        .map_err(|error| attempted(error.into()))?;
    let report =
        replay(&bundle, &mut opened.ensemble).map_err(|error| attempted(Error::replay(error)))?;
    let each = bundle
        .manifest()
        .members
        .iter()
        .zip(&report.logit_differences);
    let member = |(member, &logit_difference): (&Member, &f64)| VerifiedMember {
        file: member.file.clone(),
        logit_difference,
    };
    let members = each.map(member).collect();
    Ok(Verification {
        bundle: name,
        digest: bundle.digest().to_owned(),
        signed: bundle.is_signed(),
        device: report.device.to_string(),
        profile: opened.profile.map(|path| path.display().to_string()),
        passed: report.passed(),
        members,
        max_logit_difference: report.tolerance.max_logit_difference,
        identical_labels: report.identical_labels,
        min_identical_labels: report.tolerance.min_identical_labels,
        network_seconds: seconds(report.time),
    })
}

impl Verification {
    /// The verification of a bundle that passes.
    ///
    /// **Errors**: [`Error::Deviation`].
    pub fn into_result(self) -> Result<Self, Error> {
        if self.passed {
            return Ok(self);
        }
        let differences = self.members.iter().map(|member| member.logit_difference);
        let deviation = Deviation {
            worst: Worst {
                difference: largest(differences),
                tolerated: self.max_logit_difference,
                identical: self.identical_labels,
                required: self.min_identical_labels,
            },
            device: self.device,
        };
        let attempt = format!("`{}` does not pass", self.bundle);
        Err(Error::Deviation(deviation).attempting(attempt))
    }

    /// The differences and the verdict as text.
    pub fn text(&self) -> Text {
        let mut rows = vec![["", "found", "tolerated"].map(str::to_owned).to_vec()];
        for member in &self.members {
            rows.push(vec![
                format!("{}: largest logit difference", member.file),
                format!("{:.3e}", member.logit_difference),
                format!("{:.3e}", self.max_logit_difference),
            ]);
        }
        rows.push(vec![
            "identical labels".into(),
            format!("{:.2} %", 100.0 * self.identical_labels),
            format!("{:.2} %", 100.0 * self.min_identical_labels),
        ]);
        let verdict = if self.passed {
            "passes"
        } else {
            "does not pass"
        };
        let signed = if self.signed {
            "; its signature is by the key"
        } else {
            ""
        };
        let mut text = Text::new();
        text.table(&rows).blank();
        text.line(format!(
            "`{}` {verdict} on {}{signed}",
            self.bundle, self.device
        ));
        text
    }
}
