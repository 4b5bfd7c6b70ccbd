//! `vesal predict`: cases in, label maps out.

pub mod batch;
pub mod prepare;
mod write;

use std::num::NonZeroUsize;
use std::time::Instant;

use vesal_bundle::Bundle;
use vesal_cli::{Exit, Failure, stderr};
use vesal_engine::Ensemble;

use self::batch::Batch;
use self::prepare::{Job, Jobs};
use crate::cli::PredictArguments;
use crate::commands::use_threads;
use crate::reason::reason;
use crate::record::{BundleRecord, DeviceRecord, RunRecord, seconds};
use crate::{failure, interrupt, outputs, peak_memory, profile, trust};
use vesal_cli::stdout;

/// A batch that ran to its end and in which cases failed.
#[derive(Debug, thiserror::Error)]
#[error("{} of {total} cases failed: {}", failed.len(), failed.join(", "))]
pub struct FailedCases {
    /// Names of the cases that failed.
    pub failed: Vec<String>,
    /// Cases in all.
    pub total: usize,
}

/// Segments every case and records what happened; where it fails, leaves the reason as a code.
pub fn run(arguments: &PredictArguments) -> Result<Exit, Failure> {
    let result = predict(arguments);
    if let (Some(path), Err(failure)) = (&arguments.failure, &result) {
        // Where it cannot be written, the exit code has to do.
        let _ = outputs::write_json(path, &reason(failure), true);
    }
    result
}

/// Segments every case and records what happened.
///
/// Everything that can be known before is settled before: bundle, names of outputs, headers. A case that fails does
/// not stop the others; if it is the only one, its exit code is the program's.
fn predict(arguments: &PredictArguments) -> Result<Exit, Failure> {
    let start = Instant::now();
    interrupt::listen()?;
    use_threads(arguments.compute.threads)?;
    let bundle = trust::open(&arguments.bundle, &arguments.trust)?;
    let plan = prepare::plan(arguments, &bundle)?;
    let key = prepare::uid_key(arguments)?;
    let Jobs { jobs, notes } = prepare::jobs(arguments, &plan)?;
    outputs::create_folder(&arguments.output)?;
    if let Some(report) = &arguments.report {
        outputs::check_folder_of(report)?;
    }

    let mut record = new_record(arguments, &bundle);
    let marked = arguments.mark_incomplete;
    let mark = marked.then(|| "results are marked: images may be missing".to_owned());
    let trusted = trust::note(&bundle, &arguments.trust);
    for note in trusted.into_iter().chain(notes).chain(mark) {
        stderr::note(&note);
        record.warnings.push(note);
    }
    let mut ensemble = if jobs.iter().any(|job| job.checked.is_ok()) {
        Some(open(arguments, &bundle, &jobs, &mut record)?)
    } else {
        None
    };
    record.load_seconds = seconds(start.elapsed());
    let total = jobs.len();
    let failures = Batch {
        arguments,
        bundle: &bundle,
        plan: &plan,
        key,
        tell: true,
        ensemble: ensemble.as_mut(),
    }
    .run(jobs, &mut record);
    record.total_seconds = seconds(start.elapsed());
    record.peak_memory_bytes = peak_memory::bytes();
    // What was done before the user stopped it is done.
    if failures.is_ok() || interrupt::requested() {
        publish(arguments, &record)?;
    }
    conclude(failures?, total)
}

/// A record without cases.
pub fn new_record(arguments: &PredictArguments, bundle: &Bundle) -> RunRecord {
    let bundle = BundleRecord {
        name: bundle.manifest().name.clone(),
        version: bundle.manifest().version.clone(),
        digest: bundle.digest().to_owned(),
        members: bundle.manifest().members.len(),
    };
    RunRecord::new(
        bundle,
        DeviceRecord::new(arguments.compute.device),
        arguments.mark_incomplete,
    )
}

/// Loads the networks for these cases and notes what they run on.
///
/// **Errors**: they cannot be loaded.
pub fn open(
    arguments: &PredictArguments,
    bundle: &Bundle,
    jobs: &[Job],
    record: &mut RunRecord,
) -> Result<Ensemble, Failure> {
    let load = |batch| {
        profile::open(bundle, &arguments.compute, batch).map_err(|error| {
            failure::engine(error).attempting(format!(
                "cannot load the networks of `{}`",
                bundle.manifest().name
            ))
        })
    };
    let mut opened = load(arguments.limits.batch)?;
    if let (Some(limit), None) = (arguments.compute.max_vram, arguments.limits.batch) {
        // Who chose the batch did not know the cases.
        while let Some(half) = NonZeroUsize::new(opened.ensemble.batch() / 2)
            && !fit(&opened.ensemble, jobs, limit)
        {
            drop(opened);
            opened = load(Some(half))?;
        }
    }
    record.device.note(&opened);
    if let Some(reason) = &opened.unusable {
        let warning = format!("the profile is not used: {}", failure::one_line(reason));
        stderr::note(&warning);
        record.warnings.push(warning);
    }
    let ensemble = opened.ensemble;
    record
        .versions
        .insert("onnxruntime", ensemble.runtime().version().to_owned());
    if let Some(reason) = ensemble.fallback() {
        let warning = format!(
            "running on `{}`: {}",
            ensemble.device(),
            failure::one_line(reason)
        );
        stderr::note(&warning);
        record.warnings.push(warning);
    }
    Ok(ensemble)
}

/// Whether the networks and every usable case beside them take at most so many bytes of a GPU.
fn fit(ensemble: &Ensemble, jobs: &[Job], limit: u64) -> bool {
    let networks = ensemble.device_network_bytes();
    let mut usable = jobs.iter().filter_map(|job| job.checked.as_ref().ok());
    usable.all(|case| {
        let case = ensemble.device_memory(case.grids()).unwrap_or(0);
        networks.saturating_add(case) <= limit
    })
}

/// Puts the record where it was asked for.
fn publish(arguments: &PredictArguments, record: &RunRecord) -> Result<(), Failure> {
    if let Some(path) = &arguments.report {
        outputs::write_json(path, record, arguments.overwrite)?;
    }
    if arguments.json {
        stdout::print_json(record)
    } else {
        Ok(())
    }
}

/// The end of the run by what failed, with the names of the cases.
fn conclude(failures: Vec<(String, Failure)>, total: usize) -> Result<Exit, Failure> {
    if total == 1 {
        // Its message is still to be printed; it is the message of the whole run.
        return failures
            .into_iter()
            .next()
            .map_or(Ok(Exit::Success), |(_, failure)| Err(failure));
    }
    if failures.is_empty() {
        return Ok(Exit::Success);
    }
    Err(Failure::new(
        Exit::FailedCases,
        FailedCases {
            failed: failures.into_iter().map(|(case, _)| case).collect(),
            total,
        },
    ))
}
