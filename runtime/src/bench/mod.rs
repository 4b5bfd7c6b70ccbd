//! `vesal bench`: time and memory of every stage of a prediction.

pub mod document;
pub mod figures;
pub mod options;

use std::path::Path;
use std::time::{Duration, Instant};

use vesal_bundle::{Bundle, DeployPlan};
use vesal_engine::{Device, Ensemble};
use vesal_files::digest;

use self::document::{BatchTimes, CaseTimes, ColdStart, InputFile, Memory};
use self::figures::{Sample, Stages};
use crate::document::write_result;
use crate::error::Error;
use crate::machine::{Machine, gpu_memory_in_use};
use crate::observe::{Observer, stops};
use crate::options::OutputFormat;
use crate::predict::item::attempted;
use crate::predict::pipeline::BatchContext;
use crate::predict::prepare::{self, PlannedCase};
use crate::predict::{PredictOptions, new_record, open};
use crate::record::{CaseOutcome, CaseRecord, PredictionRecord, seconds};
use crate::{outputs, peak_memory, process_age, threads};

pub use self::document::Benchmark;
pub use self::options::BenchOptions;

/// Segments the scans from a cold start, then one by one, then all together, and returns the times.
///
/// All of it uses the pipeline of `predict`.
///
/// **Errors**: those of `predict`; that of the first case that fails, because then nothing can be measured.
pub fn bench(options: &BenchOptions, observer: &dyn Observer) -> Result<Benchmark, Error> {
    threads::limit(options.compute.threads)?;
    if let Some(report) = &options.report {
        outputs::check_folder_of(report)?;
    }
    let folder = tempfile::tempdir()
        .map_err(|error| Error::OutputFile(error).attempting("cannot make a temporary folder"))?;
    let predict = as_predict(options, folder.path());
    let bundle = Bundle::open_for_use(&options.bundle)
        .map_err(|error| Error::bundle(&options.bundle, error))?;
    let mut measurement = Measurement {
        options: &predict,
        bundle: &bundle,
        plan: prepare::plan(&predict, &bundle)?,
        record: new_record(&predict, &bundle),
        observer,
    };
    let benchmark = measurement.measure(options.rounds.get())?;
    if let Some(path) = &options.report {
        write_result(path, &benchmark, true)?;
    }
    Ok(benchmark)
}

/// The equivalent options of `predict`.
fn as_predict(options: &BenchOptions, output: &Path) -> PredictOptions {
    PredictOptions {
        // DICOM results contain the time.
        format: vec![OutputFormat::Nifti],
        overwrite: true,
        nifti: options.nifti,
        dicom: options.dicom.clone(),
        limits: options.limits.clone(),
        compute: options.compute.clone(),
        ..PredictOptions::new(&options.bundle, &options.input, output)
    }
}

/// A running measurement.
struct Measurement<'a> {
    options: &'a PredictOptions,
    bundle: &'a Bundle,
    plan: DeployPlan,
    record: PredictionRecord,
    observer: &'a dyn Observer,
}

impl Measurement<'_> {
    fn measure(&mut self, rounds: usize) -> Result<Benchmark, Error> {
        let gpu = match self.options.compute.device {
            Device::Cpu => None,
            Device::Auto => Some(0),
            Device::Cuda(index) => Some(index),
        };
        // Querying the driver is not part of the start.
        let asking = Instant::now();
        let used_before = gpu.and_then(gpu_memory_in_use);
        let asking = asking.elapsed();
        let age = || process_age::age().saturating_sub(asking);

        let cases = self.jobs()?;
        let mut ensemble = open(
            self.options,
            self.bundle,
            &cases,
            &mut self.record,
            self.observer,
        )?;
        let ready = age();
        let first = cases.into_iter().take(1).collect();
        let (first, _) = self.segment(first, &mut ensemble)?;
        let cold = ColdStart {
            case: first.into_iter().map(|case| case.case).collect(),
            ready_seconds: seconds(ready),
            first_label_map_seconds: seconds(age()),
        };

        let mut found: Vec<(CaseRecord, Vec<Sample>)> = Vec::new();
        for round in 0..rounds {
            for (index, job) in self.jobs()?.into_iter().enumerate() {
                let (records, total) = self.segment(vec![job], &mut ensemble)?;
                for record in records {
                    let sample = Sample::new(&record, total);
                    match found.get_mut(index) {
                        Some((_, samples)) if round > 0 => samples.extend(sample),
                        _ => found.push((record, sample.into_iter().collect())),
                    }
                }
            }
        }
        let one_by_one = peak_memory::bytes();

        let mut jobs = Vec::new();
        for _ in 0..rounds {
            jobs.extend(self.jobs()?);
        }
        let (all, total) = self.segment(jobs, &mut ensemble)?;
        let batch = BatchTimes {
            cases: all.len(),
            seconds: seconds(total),
            seconds_per_case: total.as_secs_f64() / all.len().max(1) as f64,
        };
        let memory = Memory {
            one_by_one_bytes: one_by_one,
            batch_bytes: peak_memory::bytes(),
            device_bytes: match ensemble.device() {
                Device::Cuda(index) => gpu_memory_in_use(index)
                    .zip(used_before)
                    .map(|(now, before)| now.saturating_sub(before)),
                _ => None,
            },
        };
        self.document(rounds, cold, found, batch, memory)
    }

    /// The cases, with headers read and all of them usable.
    fn jobs(&self) -> Result<Vec<PlannedCase>, Error> {
        let mut jobs = prepare::jobs(self.options, &self.plan)?.jobs;
        match jobs.iter().position(|job| job.checked.is_err()) {
            None => Ok(jobs),
            Some(unusable) => {
                let PlannedCase { name, checked, .. } = jobs.swap_remove(unusable);
                match checked {
                    Ok(_) => Ok(jobs),
                    Err(error) => Err(attempted(error, self.bundle, &name)),
                }
            }
        }
    }

    /// Segments cases as `predict` does; returns their records and the total time.
    fn segment(
        &mut self,
        jobs: Vec<PlannedCase>,
        ensemble: &mut Ensemble,
    ) -> Result<(Vec<CaseRecord>, Duration), Error> {
        let start = Instant::now();
        let total = jobs.len();
        let batch = BatchContext {
            options: self.options,
            bundle: self.bundle,
            plan: &self.plan,
            key: None,
            ensemble: Some(ensemble),
            observer: self.observer,
            tells_results: false,
        };
        let errors = batch.run(jobs, &mut self.record)?;
        if stops(self.observer) {
            let done = self.record.cases.len();
            return Err(Error::Interrupted { done, total });
        }
        let total = start.elapsed();
        match errors.into_iter().next() {
            Some((_, error)) => Err(error),
            None => Ok((std::mem::take(&mut self.record.cases), total)),
        }
    }

    fn document(
        &mut self,
        rounds: usize,
        cold: ColdStart,
        found: Vec<(CaseRecord, Vec<Sample>)>,
        batch: BatchTimes,
        memory: Memory,
    ) -> Result<Benchmark, Error> {
        let members = self.record.bundle.members;
        let pooled: Vec<Sample> = found
            .iter()
            .flat_map(|(_, samples)| samples.iter().copied())
            .collect();
        let mut cases = Vec::new();
        for (job, (record, samples)) in self.jobs()?.into_iter().zip(found) {
            let (windows, outputs) = match record.outcome {
                CaseOutcome::Segmented(segmented) => (segmented.windows, segmented.outputs),
                CaseOutcome::Failed { .. } => continue,
            };
            let label_map = outputs.into_iter().next();
            cases.push(CaseTimes {
                input: inputs(&job)?,
                case: record.case,
                windows,
                label_map_sha256: label_map.map(|output| output.sha256).unwrap_or_default(),
                stages: Stages::of(&samples, members),
            });
        }
        Ok(Benchmark {
            versions: self.record.versions.clone(),
            machine: Machine::here(),
            bundle: self.record.bundle.clone(),
            device: self.record.device.clone(),
            rounds,
            cold,
            warm: Stages::of(&pooled, members),
            batch,
            memory,
            cases,
        })
    }
}

/// The files of a case with their digests.
fn inputs(job: &PlannedCase) -> Result<Vec<InputFile>, Error> {
    let Ok(checked) = &job.checked else {
        return Ok(Vec::new());
    };
    let document = |file: &Path| {
        let (bytes, sha256) = digest::sha256_file(file).map_err(|error| {
            Error::InputFile(error).attempting(format!("cannot read `{}` again", file.display()))
        })?;
        let name = file.file_name().unwrap_or_default();
        Ok(InputFile {
            file: name.to_string_lossy().into_owned(),
            bytes,
            sha256,
        })
    };
    checked.paths().into_iter().map(document).collect()
}
