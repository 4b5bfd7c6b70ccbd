//! What is settled before any work: which cases there are, what they will be called, what their headers say.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use vesal_bundle::dicom_rules::DicomRules;
use vesal_bundle::{Bundle, DeployPlan};
use vesal_cli::{Exit, Failure};
use vesal_io::dicom::Slice;
use vesal_io::dicom::write::{KEY_BYTES_MIN, UidKey};

use super::write::{check_formats, no_source};
use crate::case::{self, Assessed, Candidate, Checked, Choosing, Input};
use crate::cli::{OutputFormat, PredictArguments};
use crate::datalist::is_datalist;
use crate::failure;
use crate::outputs::{Claims, Outputs};
use crate::record::SeriesRecord;

/// One case to segment.
#[derive(Debug)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// Names of its files, or UIDs of its series, one per channel.
    pub input: Vec<String>,
    /// What is known of its series.
    pub series: Vec<SeriesRecord>,
    /// Its headers, or why it cannot be segmented.
    pub checked: Result<Checked, Failure>,
    /// Where its results go.
    pub outputs: Outputs,
}

/// What there is to do.
#[derive(Debug)]
pub struct Jobs {
    /// The cases.
    pub jobs: Vec<Job>,
    /// What was found and is part of no case.
    pub notes: Vec<String>,
}

/// A series was chosen for a channel that the bundle does not have.
#[derive(Debug, thiserror::Error)]
#[error("the bundle has no channel `{found}`, expected one of {}", expected.join(", "))]
struct NoSuchChannel {
    found: String,
    expected: Vec<String>,
}

/// The plan of a bundle, with the user's rules in place of its own.
///
/// **Errors**: the rules cannot be used, or the command line chooses a series for an unknown channel or formats that
/// do not go together.
pub fn plan(arguments: &PredictArguments, bundle: &Bundle) -> Result<DeployPlan, Failure> {
    let mut plan = bundle.plan().clone();
    if let Some(path) = &arguments.dicom.dicom_rules {
        DicomRules::read(path)
            .and_then(|rules| rules.apply(&mut plan))
            .map_err(|error| failure::rules(path, error))?;
    }
    for chosen in &arguments.dicom.series {
        let mut channels = plan.channels.iter().map(|channel| &channel.name);
        if !channels.any(|channel| *channel == chosen.channel) {
            let error = NoSuchChannel {
                found: chosen.channel.clone(),
                expected: plan
                    .channels
                    .into_iter()
                    .map(|channel| channel.name)
                    .collect(),
            };
            return Err(Failure::new(Exit::Usage, error));
        }
    }
    check_formats(&arguments.format, &plan)?;
    Ok(plan)
}

/// A key for UIDs that is none.
#[derive(Debug, thiserror::Error)]
#[error("it holds {found} bytes, expected {KEY_BYTES_MIN} to {KEY_BYTES_MAX}")]
struct KeyLength {
    found: usize,
}

/// Most bytes of a key: whoever names a scan in its place is told so.
const KEY_BYTES_MAX: usize = 1 << 16;

/// The key under which UIDs are made, if there is to be one.
///
/// **Errors**: its file cannot be read, or holds no key.
pub fn uid_key(arguments: &PredictArguments) -> Result<Option<UidKey>, Failure> {
    let Some(path) = &arguments.uid_key else {
        return Ok(None);
    };
    let attempt = || format!("cannot use the key `{}`", path.display());
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(KEY_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Failure::new(Exit::Usage, error).attempting(attempt()))?;
    let key = UidKey::new(&bytes).filter(|_| bytes.len() <= KEY_BYTES_MAX);
    match key {
        Some(key) => Ok(Some(key)),
        None => Err(Failure::new(Exit::Usage, KeyLength { found: bytes.len() })
            .attempting(attempt())
            .hint("`head --bytes=32 /dev/urandom` makes one; keep it secret".to_owned())),
    }
}

/// Finds the cases and reads their headers.
///
/// **Errors**: a datalist cannot be used; results would be written over each other, over inputs or over what is there. A case that is unusable is
/// no error but a job without headers.
pub fn jobs(arguments: &PredictArguments, plan: &DeployPlan) -> Result<Jobs, Failure> {
    let choosing = Choosing {
        series: &arguments.dicom.series,
        any_frame_of_reference: arguments.dicom.any_frame_of_reference,
    };
    let mut candidates = Vec::new();
    let mut notes = Vec::new();
    // What is DICOM belongs together, whichever paths it is given by.
    for paths in arguments
        .input
        .chunk_by(|a, b| !is_datalist(a) && !is_datalist(b))
    {
        if is_datalist(&paths[0]) {
            let dataroot = arguments.dataroot.as_deref();
            let listed = case::find_listed(&paths[0], arguments.list, dataroot, plan);
            candidates.extend(listed.map_err(failure::datalist)?);
        } else {
            let found = case::find(paths, &plan.channels, choosing);
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
                claims.claim(first, &outputs(arguments, candidate))?;
            }
            inputs.extend(files);
        }
    }
    if let Some(report) = &arguments.report {
        claims.claim_file(report, "the report".into())?;
    }
    claims.check(inputs.iter().map(PathBuf::as_path), arguments.overwrite)?;
    let job = |candidate: Candidate| job(arguments, plan, candidate);
    Ok(Jobs {
        jobs: candidates.into_iter().map(job).collect(),
        notes,
    })
}

/// Where the results of a case go; by default they are of the kind of its input.
fn outputs(arguments: &PredictArguments, candidate: &Candidate) -> Outputs {
    let mut formats = arguments.format.clone();
    if formats.is_empty() {
        formats.push(match &candidate.input {
            Ok(Input::Stacks(_)) => OutputFormat::Seg,
            Ok(Input::Files(_)) | Err(_) => OutputFormat::Nifti,
        });
    }
    // In this order they refer to each other.
    formats.sort();
    formats.dedup();
    Outputs::new(
        &arguments.output,
        &candidate.name,
        &arguments.suffix,
        &formats,
        arguments.probabilities,
    )
}

/// All files of a case.
fn files(input: &Input) -> Vec<PathBuf> {
    match input {
        Input::Files(files) => files.clone(),
        Input::Stacks(stacks) => {
            let slices = stacks.iter().flat_map(|stack| stack.slices());
            slices.map(Slice::path).map(PathBuf::from).collect()
        }
    }
}

fn job(arguments: &PredictArguments, plan: &DeployPlan, candidate: Candidate) -> Job {
    let outputs = outputs(arguments, &candidate);
    let mut names = Vec::new();
    let mut series = Vec::new();
    let checked = match candidate.input {
        Err(error) => Err(failure::find(error)),
        Ok(Input::Files(files)) => {
            let name = |file: &PathBuf| Some(file.file_name()?.to_string_lossy().into_owned());
            names = files.iter().filter_map(name).collect();
            let first = files.first().cloned();
            let mut formats = outputs.found.iter().map(|(format, _)| *format);
            match formats.find(|format| *format != OutputFormat::Nifti) {
                Some(format) => Err(no_source(format)),
                None => Checked::files(files, plan, arguments.nifti_form.map(Into::into))
                    .map_err(|error| failure::read(error, first.as_deref())),
            }
        }
        Ok(Input::Stacks(stacks)) => {
            names.extend(stacks.iter().map(|stack| stack.series().to_owned()));
            Assessed::of(stacks, arguments.dicom.geometry.into())
                .map_err(failure::dicom)
                .and_then(|assessed| {
                    series = SeriesRecord::of(&assessed, plan);
                    Checked::stacks(assessed, plan).map_err(|error| failure::read(error, None))
                })
        }
    };
    let checked = if arguments.mark_incomplete {
        checked.map(Checked::marked)
    } else {
        checked
    };
    Job {
        name: candidate.name,
        input: names,
        series,
        checked,
        outputs,
    }
}
