//! `vesal predict`: cases in, label maps out.

pub mod formats;
pub(crate) mod item;
pub mod key;
pub mod options;
pub(crate) mod pipeline;
pub(crate) mod prepare;
mod publish;
mod write;

use std::num::NonZeroUsize;
use std::time::Instant;

use vesal_bundle::Bundle;
use vesal_engine::Ensemble;

use self::pipeline::BatchContext;
use self::prepare::{Jobs, PlannedCase};
use crate::document::write_result;
use crate::error::{Error, one_line};
use crate::observe::{Observer, stops};
use crate::record::{BundleRecord, DeviceRecord, PredictionRecord, seconds};
use crate::{outputs, peak_memory, profile, threads, trust};

pub use self::options::PredictOptions;

/// Result of a batch.
#[derive(Debug)]
pub struct BatchPrediction {
    /// The started cases and their outcomes.
    pub record: PredictionRecord,
    /// Why cases failed, by their names.
    pub errors: Vec<(String, Error)>,
    /// Requested cases.
    pub total: usize,
    /// Whether the observer stopped it before the end.
    pub is_interrupted: bool,
}

impl BatchPrediction {
    /// The record of a batch in which no case failed.
    ///
    /// **Errors**: [`Error::Interrupted`]; the error of a case that is the only one; [`Error::FailedCases`].
    pub fn into_result(mut self) -> Result<PredictionRecord, Error> {
        let total = self.total;
        if self.is_interrupted {
            let done = self.record.cases.len();
            return Err(Error::Interrupted { done, total });
        }
        if total == 1
            && let Some((_, error)) = self.errors.pop()
        {
            return Err(error);
        }
        if self.errors.is_empty() {
            return Ok(self.record);
        }
        let failed = self.errors.into_iter().map(|(case, _)| case).collect();
        Err(Error::FailedCases { failed, total })
    }
}

/// Segments every case, writes the results, and records what happened.
///
/// Bundle, names of outputs and headers are checked before any work. A case that fails does not stop the others; its
/// error is part of the result.
///
/// **Errors**: those that prevent all cases, such as an unusable bundle or existing outputs.
pub fn predict(
    options: &PredictOptions,
    observer: &dyn Observer,
) -> Result<BatchPrediction, Error> {
    let start = Instant::now();
    threads::limit(options.compute.threads)?;
    let bundle = trust::open(&options.bundle, &options.trust)?;
    let total_members = bundle.manifest().members.len();
    let bundle = match options.fold {
        Some(fold) => of_fold(bundle, fold)?,
        None => bundle,
    };
    let plan = prepare::plan(options, &bundle)?;
    let key = match &options.uid_key {
        Some(path) => Some(key::read(path).map_err(|error| {
            Error::UidKey(error).attempting(format!("cannot use the key `{}`", path.display()))
        })?),
        None => None,
    };
    let Jobs { jobs, notes } = prepare::jobs(options, &plan)?;
    outputs::create_folder(&options.output)?;
    if let Some(report) = &options.report {
        outputs::check_folder_of(report)?;
    }

    let mut record = new_record(options, &bundle);
    let marked = options.mark_incomplete;
    let mark = marked.then(|| "results are marked: images may be missing".to_owned());
    let trusted = trust::note(&bundle, &options.trust);
    let fold = options.fold.map(|fold| {
        let members = bundle.manifest().members.len();
        format!("{members} of {total_members} members predict: those that held out fold {fold}")
    });
    for note in trusted.into_iter().chain(fold).chain(notes).chain(mark) {
        observer.note(&note);
        record.warnings.push(note);
    }
    let mut ensemble = if jobs.iter().any(|job| job.checked.is_ok()) {
        Some(open(options, &bundle, &jobs, &mut record, observer)?)
    } else {
        None
    };
    record.load_seconds = seconds(start.elapsed());
    let total = jobs.len();
    let errors = BatchContext {
        options,
        bundle: &bundle,
        plan: &plan,
        key,
        ensemble: ensemble.as_mut(),
        observer,
        tells_results: true,
    }
    .run(jobs, &mut record)?;
    record.total_seconds = seconds(start.elapsed());
    record.peak_memory_bytes = peak_memory::bytes();
    // Results from before the stop are kept.
    if let Some(path) = &options.report {
        write_result(path, &record, options.overwrite)?;
    }
    Ok(BatchPrediction {
        record,
        errors,
        total,
        is_interrupted: stops(observer),
    })
}

/// The bundle with the members that held out this fold.
///
/// **Errors**: there is none.
fn of_fold(bundle: Bundle, fold: usize) -> Result<Bundle, Error> {
    let expected: Vec<usize> = bundle.held_out_folds().into_iter().collect();
    let found = fold;
    bundle
        .of_fold(fold)
        .ok_or(Error::NoSuchFold { found, expected })
}

/// A record without cases.
pub(crate) fn new_record(options: &PredictOptions, bundle: &Bundle) -> PredictionRecord {
    let bundle = BundleRecord {
        name: bundle.manifest().name.clone(),
        version: bundle.manifest().version.clone(),
        digest: bundle.digest().to_owned(),
        members: bundle.manifest().members.len(),
    };
    PredictionRecord::new(
        bundle,
        DeviceRecord::new(options.compute.device),
        options.mark_incomplete,
    )
}

/// Loads the networks for these cases and records their device.
///
/// **Errors**: they cannot be loaded.
pub(crate) fn open(
    options: &PredictOptions,
    bundle: &Bundle,
    jobs: &[PlannedCase],
    record: &mut PredictionRecord,
    observer: &dyn Observer,
) -> Result<Ensemble, Error> {
    let load = |batch| {
        profile::open(bundle, &options.compute, batch).map_err(|error| {
            Error::Engine(error).attempting(format!(
                "cannot load the networks of `{}`",
                bundle.manifest().name
            ))
        })
    };
    let mut opened = load(options.limits.batch)?;
    if let (Some(limit), None) = (options.compute.max_vram, options.limits.batch) {
        // The batch of a profile or default was chosen without knowing the cases.
        while let Some(half) = NonZeroUsize::new(opened.ensemble.batch() / 2)
            && !fit(&opened.ensemble, jobs, limit)
        {
            drop(opened);
            opened = load(Some(half))?;
        }
    }
    record.device.note(&opened);
    if let Some(reason) = &opened.unusable {
        let warning = format!("the profile is not used: {}", one_line(reason));
        observer.note(&warning);
        record.warnings.push(warning);
    }
    let ensemble = opened.ensemble;
    record
        .versions
        .insert("onnxruntime", ensemble.runtime().version().to_owned());
    if let Some(reason) = ensemble.fallback() {
        let warning = format!("running on `{}`: {}", ensemble.device(), one_line(reason));
        observer.note(&warning);
        record.warnings.push(warning);
    }
    Ok(ensemble)
}

/// Whether the networks together with any usable case take at most this many bytes of a GPU.
fn fit(ensemble: &Ensemble, jobs: &[PlannedCase], limit: u64) -> bool {
    let networks = ensemble.device_network_bytes();
    let mut usable = jobs.iter().filter_map(|job| job.checked.as_ref().ok());
    usable.all(|case| {
        let case = ensemble.device_memory(case.grids()).unwrap_or(0);
        networks.saturating_add(case) <= limit
    })
}
