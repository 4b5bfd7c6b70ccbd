//! `vesal bench`: how long every stage of a prediction takes, and how much memory.

mod document;
mod figures;

use std::path::Path;
use std::time::{Duration, Instant};

use vesal_bundle::{Bundle, DeployPlan};
use vesal_cli::{Exit, Failure, stdout};
use vesal_engine::{Device, Ensemble};
use vesal_files::digest;

use self::document::{
    BatchDocument, CaseDocument, ColdDocument, Document, InputDocument, MemoryDocument,
};
use self::figures::{Sample, Stages};
use crate::cli::{BenchArguments, DatalistPart, OutputFormat, PredictArguments, TrustArguments};
use crate::commands::predict::batch::{Batch, attempted};
use crate::commands::predict::prepare::{self, Job};
use crate::commands::predict::{new_record, open};
use crate::commands::use_threads;
use crate::machine::{Machine, gpu_memory_in_use};
use crate::record::{CaseRecord, Outcome, RunRecord, seconds};
use crate::{failure, interrupt, outputs, peak_memory, process_age};

/// Segments the scans from a cold start, then one by one, then all together, and prints how long that took.
///
/// All of it goes through the pipeline of `predict`. A case that fails ends it: there is nothing to measure.
pub fn run(arguments: &BenchArguments) -> Result<Exit, Failure> {
    interrupt::listen()?;
    use_threads(arguments.compute.threads)?;
    if let Some(report) = &arguments.report {
        outputs::check_folder_of(report)?;
    }
    let folder = tempfile::tempdir().map_err(|error| {
        Failure::new(Exit::Output, error).attempting("cannot make a temporary folder")
    })?;
    let predict = as_predict(arguments, folder.path());
    let bundle = Bundle::open_for_use(&arguments.bundle)
        .map_err(|error| failure::bundle(&arguments.bundle, error))?;
    let mut bench = Bench {
        arguments: &predict,
        bundle: &bundle,
        plan: prepare::plan(&predict, &bundle)?,
        record: new_record(&predict, &bundle),
    };
    let document = bench.measure(arguments.rounds.get())?;
    if let Some(path) = &arguments.report {
        outputs::write_json(path, &document, true)?;
    }
    if arguments.json {
        stdout::print_json(&document)?;
    } else {
        stdout::print(&document.text())?;
    }
    Ok(Exit::Success)
}

/// What `predict` would be told to do the same.
fn as_predict(arguments: &BenchArguments, output: &Path) -> PredictArguments {
    PredictArguments {
        bundle: arguments.bundle.clone(),
        input: arguments.input.clone(),
        list: DatalistPart::Testing,
        dataroot: None,
        output: output.to_owned(),
        // Those of DICOM hold the time.
        format: vec![OutputFormat::Nifti],
        probabilities: false,
        overwrite: true,
        mark_incomplete: false,
        uid_key: None,
        suffix: "_seg".into(),
        json: true,
        report: None,
        trust: TrustArguments::default(),
        failure: None,
        nifti_form: arguments.nifti_form,
        dicom: arguments.dicom.clone(),
        limits: arguments.limits.clone(),
        compute: arguments.compute.clone(),
    }
}

/// A measurement on its way.
struct Bench<'a> {
    arguments: &'a PredictArguments,
    bundle: &'a Bundle,
    plan: DeployPlan,
    record: RunRecord,
}

impl Bench<'_> {
    fn measure(&mut self, rounds: usize) -> Result<Document, Failure> {
        let gpu = match self.arguments.compute.device {
            Device::Cpu => None,
            Device::Auto => Some(0),
            Device::Cuda(index) => Some(index),
        };
        // Asking the driver is no part of a start.
        let asking = Instant::now();
        let used_before = gpu.and_then(gpu_memory_in_use);
        let asking = asking.elapsed();
        let age = || process_age::age().saturating_sub(asking);

        let cases = self.jobs()?;
        let mut ensemble = open(self.arguments, self.bundle, &cases, &mut self.record)?;
        let ready = age();
        let first = cases.into_iter().take(1).collect();
        let (first, _) = self.segment(first, &mut ensemble)?;
        let cold = ColdDocument {
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
        let batch = BatchDocument {
            cases: all.len(),
            seconds: seconds(total),
            seconds_per_case: total.as_secs_f64() / all.len().max(1) as f64,
        };
        let memory = MemoryDocument {
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

    /// The cases, with headers read and every one usable.
    fn jobs(&self) -> Result<Vec<Job>, Failure> {
        let mut jobs = prepare::jobs(self.arguments, &self.plan)?.jobs;
        match jobs.iter().position(|job| job.checked.is_err()) {
            None => Ok(jobs),
            Some(unusable) => {
                let Job { name, checked, .. } = jobs.swap_remove(unusable);
                match checked {
                    Ok(_) => Ok(jobs),
                    Err(failure) => Err(attempted(failure, self.bundle, &name)),
                }
            }
        }
    }

    /// Segments cases as `predict` does; gives their records and the time of all.
    fn segment(
        &mut self,
        jobs: Vec<Job>,
        ensemble: &mut Ensemble,
    ) -> Result<(Vec<CaseRecord>, Duration), Failure> {
        let start = Instant::now();
        let batch = Batch {
            arguments: self.arguments,
            bundle: self.bundle,
            plan: &self.plan,
            key: None,
            tell: false,
            ensemble: Some(ensemble),
        };
        let failures = batch.run(jobs, &mut self.record)?;
        let total = start.elapsed();
        match failures.into_iter().next() {
            Some((_, failure)) => Err(failure),
            None => Ok((std::mem::take(&mut self.record.cases), total)),
        }
    }

    fn document(
        &mut self,
        rounds: usize,
        cold: ColdDocument,
        found: Vec<(CaseRecord, Vec<Sample>)>,
        batch: BatchDocument,
        memory: MemoryDocument,
    ) -> Result<Document, Failure> {
        let members = self.record.bundle.members;
        let pooled: Vec<Sample> = found
            .iter()
            .flat_map(|(_, samples)| samples.iter().copied())
            .collect();
        let mut cases = Vec::new();
        for (job, (record, samples)) in self.jobs()?.into_iter().zip(found) {
            let (windows, outputs) = match record.outcome {
                Outcome::Segmented(segmented) => (segmented.windows, segmented.outputs),
                Outcome::Failed { .. } => continue,
            };
            let label_map = outputs.into_iter().next();
            cases.push(CaseDocument {
                input: inputs(&job)?,
                case: record.case,
                windows,
                label_map_sha256: label_map.map(|output| output.sha256).unwrap_or_default(),
                stages: Stages::of(&samples, members),
            });
        }
        Ok(Document {
            format: document::FORMAT,
            format_version: document::FORMAT_VERSION,
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
fn inputs(job: &Job) -> Result<Vec<InputDocument>, Failure> {
    let Ok(checked) = &job.checked else {
        return Ok(Vec::new());
    };
    let document = |file: &Path| {
        let (bytes, sha256) = digest::sha256_file(file).map_err(|error| {
            Failure::new(Exit::Input, error)
                .attempting(format!("cannot read `{}` again", file.display()))
        })?;
        let name = file.file_name().unwrap_or_default();
        Ok(InputDocument {
            file: name.to_string_lossy().into_owned(),
            bytes,
            sha256,
        })
    };
    checked.paths().into_iter().map(document).collect()
}
