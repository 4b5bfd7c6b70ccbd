//! Decisions before any work: cases, names of outputs, headers.

use std::path::PathBuf;

use vesal_bundle::dicom_rules::DicomRules;
use vesal_bundle::{Bundle, DeployPlan};
use vesal_cases::datalist::listed::is_datalist;
use vesal_cases::{Assessed, Candidate, CaseInput, CheckedCase, Choosing};
use vesal_io::dicom::Slice;
use vesal_io::image::OpenOptions;

use super::formats::{self, FormatError};
use super::options::PredictOptions;
use crate::error::Error;
use crate::options::OutputFormat;
use crate::outputs::{Claims, Outputs};
use crate::record::SeriesRecord;

/// One case to segment.
#[derive(Debug)]
pub(crate) struct PlannedCase {
    pub name: String,
    /// Names of its files, or UIDs of its series, one per channel.
    pub input: Vec<String>,
    /// Facts about its series.
    pub series: Vec<SeriesRecord>,
    /// Its headers, or why it cannot be segmented.
    pub checked: Result<CheckedCase, Error>,
    pub outputs: Outputs,
}

/// The planned cases.
#[derive(Debug)]
pub(crate) struct Jobs {
    pub jobs: Vec<PlannedCase>,
    /// Files that are part of no case, with reasons.
    pub notes: Vec<String>,
}

/// The plan of a bundle, with the user's rules in place of its own.
///
/// **Errors**: the rules cannot be used, or the command line chooses a series for an unknown channel or formats that
/// do not go together.
pub(crate) fn plan(options: &PredictOptions, bundle: &Bundle) -> Result<DeployPlan, Error> {
    let mut plan = bundle.plan().clone();
    if let Some(path) = &options.dicom.dicom_rules {
        DicomRules::read(path)
            .and_then(|rules| rules.apply(&mut plan))
            .map_err(|error| Error::rules(path, error))?;
    }
    for chosen in &options.dicom.series {
        let mut channels = plan.channels.iter().map(|channel| &channel.name);
        if !channels.any(|channel| *channel == chosen.channel) {
            let expected = plan.channels.into_iter().map(|channel| channel.name);
            return Err(Error::NoSuchChannel {
                found: chosen.channel.clone(),
                expected: expected.collect(),
            });
        }
    }
    formats::check(&options.format, &plan)?;
    Ok(plan)
}

/// Finds the cases and reads their headers.
///
/// **Errors**: a datalist cannot be used; results would overwrite each other, inputs or existing files. An unusable
/// case is not an error but has no headers.
pub(crate) fn jobs(options: &PredictOptions, plan: &DeployPlan) -> Result<Jobs, Error> {
    let choosing = Choosing {
        series: &options.dicom.series,
        any_frame_of_reference: options.dicom.any_frame_of_reference,
    };
    let mut candidates = Vec::new();
    let mut notes = Vec::new();
    // DICOM files are grouped across all given paths.
    for paths in options
        .input
        .chunk_by(|a, b| !is_datalist(a) && !is_datalist(b))
    {
        if is_datalist(&paths[0]) {
            let dataroot = options.datalist.dataroot.as_deref();
            let list = options.datalist.list.into();
            let listed = vesal_cases::find_listed(&paths[0], list, dataroot, options.fold, plan);
            candidates.extend(listed?);
        } else {
            let found = vesal_cases::find(paths, &plan.channels, choosing);
            candidates.extend(found.candidates);
            notes.extend(found.notes);
        }
    }
    let mut claims = Claims::default();
    let mut inputs: Vec<PathBuf> = Vec::new();
    for candidate in &candidates {
        if let Ok(input) = &candidate.input {
            let files = files(input);
            if let Some(first) = files.first() {
                claims.claim(first, &outputs(options, candidate))?;
            }
            inputs.extend(files);
        }
    }
    if let Some(report) = &options.report {
        claims.claim_file(report, "the report".into())?;
    }
    claims.check(inputs.iter().map(PathBuf::as_path), options.overwrite)?;
    let job = |candidate: Candidate| job(options, plan, candidate);
    Ok(Jobs {
        jobs: candidates.into_iter().map(job).collect(),
        notes,
    })
}

/// Output files of a case; by default in the format of its input.
fn outputs(options: &PredictOptions, candidate: &Candidate) -> Outputs {
    let mut formats = options.format.clone();
    if formats.is_empty() {
        formats.push(match &candidate.input {
            Ok(CaseInput::Stacks(_)) => OutputFormat::Seg,
            Ok(CaseInput::Files(_)) | Err(_) => OutputFormat::Nifti,
        });
    }
    // In this order, later formats refer to earlier ones.
    formats.sort();
    formats.dedup();
    Outputs::new(
        &options.output,
        &candidate.name,
        &options.names.suffix,
        &formats,
        options.probabilities,
    )
}

/// All files of a case.
fn files(input: &CaseInput) -> Vec<PathBuf> {
    match input {
        CaseInput::Files(files) => files.clone(),
        CaseInput::Stacks(stacks) => {
            let slices = stacks.iter().flat_map(|stack| stack.slices());
            slices.map(Slice::path).map(PathBuf::from).collect()
        }
    }
}

fn job(options: &PredictOptions, plan: &DeployPlan, candidate: Candidate) -> PlannedCase {
    let outputs = outputs(options, &candidate);
    let mut names = Vec::new();
    let mut series = Vec::new();
    let checked = match candidate.input {
        Err(error) => Err(error.into()),
        Ok(CaseInput::Files(files)) => {
            let name = |file: &PathBuf| Some(file.file_name()?.to_string_lossy().into_owned());
            names = files.iter().filter_map(name).collect();
            let first = files.first().cloned();
            let mut formats = outputs.found.iter().map(|(format, _)| *format);
            let open = OpenOptions {
                believe: options.nifti.believe(),
            };
            match formats.find(|format| *format != OutputFormat::Nifti) {
                Some(format) => Err(FormatError::NoSource { format }.into()),
                None => CheckedCase::files(files, plan, open)
                    .map_err(|error| Error::read(error, first.as_deref())),
            }
        }
        Ok(CaseInput::Stacks(stacks)) => {
            names.extend(stacks.iter().map(|stack| stack.series().to_owned()));
            Assessed::of(stacks, options.dicom.slices.geometry.into())
                .map_err(Error::from)
                .and_then(|assessed| {
                    series = SeriesRecord::of(&assessed, plan);
                    CheckedCase::stacks(assessed, plan).map_err(|error| Error::read(error, None))
                })
        }
    };
    let checked = if options.mark_incomplete {
        checked.map(CheckedCase::marked)
    } else {
        checked
    };
    PlannedCase {
        name: candidate.name,
        input: names,
        series,
        checked,
        outputs,
    }
}
