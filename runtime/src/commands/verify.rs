//! `vesal verify`: replays the probe of a bundle.

use std::path::PathBuf;

use serde::Serialize;
use vesal_bundle::Bundle;
use vesal_bundle::manifest::Member;
use vesal_cli::{Exit, Failure, Text, stderr};
use vesal_engine::VerifyReport;
use vesal_engine::verify::{VerifyError, replay};

use crate::cli::VerifyArguments;
use crate::commands::use_threads;
use crate::record::seconds;
use crate::{failure, memory, profile, trust};
use vesal_cli::stdout;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document {
    format: &'static str,
    format_version: u32,
    bundle: String,
    digest: String,
    /// Whether a signature verified by the key that was given.
    signed: bool,
    device: String,
    profile: Option<String>,
    passed: bool,
    members: Vec<MemberDocument>,
    max_logit_difference: f64,
    identical_labels: f64,
    min_identical_labels: f64,
    network_seconds: f64,
}

#[derive(Debug, Serialize)]
struct MemberDocument {
    file: String,
    logit_difference: f64,
}

/// A bundle that is whole and computes something else here.
#[derive(Debug, thiserror::Error)]
#[error("its networks answer the probe on `{device}` with other values than were recorded")]
struct Deviation {
    device: String,
    #[source]
    worst: Worst,
}

/// By how much.
#[derive(Debug, thiserror::Error)]
#[error(
    "logits differ by up to {difference:.3e} where {tolerated:.3e} is tolerated, {identical:.4} of the labels are \
     identical where {required:.4} are required"
)]
struct Worst {
    difference: f64,
    tolerated: f64,
    identical: f64,
    required: f64,
}

/// Opens the bundle, which checks that it is whole, replays the probe and prints how far the answers are apart.
pub fn run(arguments: &VerifyArguments) -> Result<Exit, Failure> {
    use_threads(arguments.compute.threads)?;
    let bundle = trust::open(&arguments.bundle, &arguments.trust)?;
    if let Some(note) = trust::note(&bundle, &arguments.trust) {
        stderr::note(&note);
    }
    let attempt = format!("cannot verify `{}`", bundle.manifest().name);
    let mut opened = profile::open(&bundle, &arguments.compute, None)
        .map_err(|error| failure::engine(error).attempting(&attempt))?;
    memory::check(opened.ensemble.network_bytes(), None)
        .map_err(|failure| failure.attempting(&attempt))?;
    let report = replay(&bundle, &mut opened.ensemble)
        .map_err(|error| replay_failure(error).attempting(&attempt))?;
    if arguments.json {
        stdout::print_json(&document(&bundle, &report, opened.profile))?;
    } else {
        stdout::print(&text(&bundle, &report))?;
    }
    if report.passed() {
        return Ok(Exit::Success);
    }
    let worst = Worst {
        difference: report.logit_differences.iter().copied().fold(0.0, f64::max),
        tolerated: report.tolerance.max_logit_difference,
        identical: report.identical_labels,
        required: report.tolerance.min_identical_labels,
    };
    let deviation = Deviation {
        device: report.device.to_string(),
        worst,
    };
    Err(Failure::new(Exit::Device, deviation)
        .attempting(format!("`{}` does not pass", bundle.manifest().name))
        .hint("do not use this bundle on this device; see whether another passes, such as `--device cpu`".to_owned()))
}

/// A probe that cannot be replayed, as a failure.
pub fn replay_failure(error: VerifyError) -> Failure {
    match error {
        VerifyError::Engine(error) => failure::engine(error),
        error => {
            let hint = error.hint().map(str::to_owned);
            Failure::new(Exit::Bundle, error).hint(hint)
        }
    }
}

fn document(bundle: &Bundle, report: &VerifyReport, profile: Option<PathBuf>) -> Document {
    let each = bundle
        .manifest()
        .members
        .iter()
        .zip(&report.logit_differences);
    let member = |(member, &logit_difference): (&Member, &f64)| MemberDocument {
        file: member.file.clone(),
        logit_difference,
    };
    Document {
        format: "vesal-verify",
        format_version: 1,
        bundle: bundle.manifest().name.clone(),
        digest: bundle.digest().to_owned(),
        signed: bundle.is_signed(),
        device: report.device.to_string(),
        profile: profile.map(|path| path.display().to_string()),
        passed: report.passed(),
        members: each.map(member).collect(),
        max_logit_difference: report.tolerance.max_logit_difference,
        identical_labels: report.identical_labels,
        min_identical_labels: report.tolerance.min_identical_labels,
        network_seconds: seconds(report.time),
    }
}

fn text(bundle: &Bundle, report: &VerifyReport) -> Text {
    let tolerance = report.tolerance;
    let mut rows = vec![["", "found", "tolerated"].map(str::to_owned).to_vec()];
    for (member, difference) in bundle
        .manifest()
        .members
        .iter()
        .zip(&report.logit_differences)
    {
        rows.push(vec![
            format!("{}: largest logit difference", member.file),
            format!("{difference:.3e}"),
            format!("{:.3e}", tolerance.max_logit_difference),
        ]);
    }
    rows.push(vec![
        "identical labels".into(),
        format!("{:.2} %", 100.0 * report.identical_labels),
        format!("{:.2} %", 100.0 * tolerance.min_identical_labels),
    ]);
    let verdict = if report.passed() {
        "passes"
    } else {
        "does not pass"
    };
    let signed = if bundle.is_signed() {
        "; its signature is by the key"
    } else {
        ""
    };
    let mut text = Text::new();
    text.table(&rows).blank();
    text.line(format!(
        "`{}` {verdict} on {}{signed}",
        bundle.manifest().name,
        report.device
    ));
    text
}
