//! What is settled before any work: which series there are, what they make, and where that goes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::current_num_threads;
use vesal_cli::Failure;
use vesal_io::dicom::{Assessment, DicomError, Policy, Stack};

use super::error::{self, ConvertError};
use crate::cli::ConvertArguments;
use crate::memory;
use crate::outputs::Claims;

/// Characters of a UID at most (PS3.5 9.1).
const UID_LENGTH_MAX: usize = 64;

/// One stack of slices on its way to files.
#[derive(Debug)]
pub struct Job<'a> {
    /// What it is called: the UID of its series, numbered from the second stack of a series on.
    pub name: String,
    /// The slices.
    pub stack: &'a Stack,
    /// What volume they make, or why they make none.
    pub assessed: Result<Assessment, Failure>,
    /// Where the image goes.
    pub image: PathBuf,
    /// Where its labels go, if there are structure sets for it.
    pub label: PathBuf,
    /// The structure sets that were drawn on it.
    pub sets: Vec<PathBuf>,
}

/// Grades the stacks and names their files; takes the structure sets of each.
pub fn jobs<'a>(
    stacks: &'a [Stack],
    arguments: &ConvertArguments,
    mut sets: Vec<Vec<PathBuf>>,
) -> Vec<Job<'a>> {
    sets.resize(stacks.len(), Vec::new());
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let job = |(stack, sets): (&'a Stack, Vec<PathBuf>)| {
        let series = stack.series();
        let count = counts.entry(series).or_default();
        *count += 1;
        let name = match *count {
            1 => series.to_owned(),
            count => format!("{series}_{count}"),
        };
        let assessed = if names_a_file(series) {
            assess(stack, arguments)
        } else {
            Err(ConvertError::Name.into())
        };
        Job {
            assessed,
            image: arguments.output.join(format!("{name}.nii.gz")),
            label: arguments.output.join(format!("{name}_label.nii.gz")),
            name,
            stack,
            sets,
        }
    };
    stacks.iter().zip(sets).map(job).collect()
}

/// Whether a series UID, which is no more than a text of a foreign file, leads nowhere else than to a file's name.
fn names_a_file(series: &str) -> bool {
    let is_safe = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    series.len() <= UID_LENGTH_MAX && !series.starts_with('.') && series.bytes().all(is_safe)
}

fn assess(stack: &Stack, arguments: &ConvertArguments) -> Result<Assessment, Failure> {
    let assessment = stack
        .assess(Policy::from(arguments.geometry))
        .map_err(error::dicom)?;
    if let Some(reason) = assessment.refusal() {
        return Err(error::dicom(DicomError::Refused {
            series: stack.series().to_owned(),
            reason: reason.clone(),
        }));
    }
    // A label map and what else labels need take less than the image did.
    memory::check(
        assessment.peak_bytes(current_num_threads()),
        arguments.max_ram,
    )?;
    Ok(assessment)
}

/// Checks that files harm nothing.
///
/// **Errors**: two results want one file, an input would be written over, or a file exists that may not be replaced.
pub fn claim(jobs: &[Job], arguments: &ConvertArguments) -> Result<(), Failure> {
    let mut claims = Claims::default();
    let mut inputs: Vec<&Path> = Vec::new();
    for job in jobs {
        inputs.extend(job.sets.iter().map(PathBuf::as_path));
        let Ok(assessment) = &job.assessed else {
            continue;
        };
        inputs.extend(assessment.slices().iter().map(|slice| slice.path()));
        claims.claim_file(&job.image, format!("the image of series `{}`", job.name))?;
        if !job.sets.is_empty() {
            claims.claim_file(&job.label, format!("the labels of series `{}`", job.name))?;
        }
    }
    if let Some(datalist) = &arguments.datalist {
        claims.claim_file(datalist, "the datalist".into())?;
    }
    inputs.dedup();
    Ok(claims.check(inputs.into_iter(), arguments.overwrite)?)
}
