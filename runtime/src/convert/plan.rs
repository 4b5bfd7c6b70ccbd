//! Decisions before any work: series, their volumes, and output files.

use std::path::{Path, PathBuf};

use rayon::current_num_threads;
use vesal_io::dicom::{Assessment, Policy, Stack};

use super::options::ConvertOptions;
use crate::error::Error;
use crate::memory;
use crate::outputs::Claims;

/// One stack of slices to be converted.
#[derive(Debug)]
pub struct StackConversion<'a> {
    /// Its name: the UID of its series, numbered from the second stack of a series on.
    pub name: String,
    pub stack: &'a Stack,
    /// Their assessment, or why there is none.
    pub assessed: Result<Assessment, Error>,
    pub image: PathBuf,
    /// File of its labels, if there are structure sets for it.
    pub label: PathBuf,
    /// The structure sets that were drawn on it.
    pub sets: Vec<PathBuf>,
}

/// Grades the stacks and names their files; takes the structure sets of each.
pub fn jobs<'a>(
    stacks: &'a [Stack],
    options: &ConvertOptions,
    mut sets: Vec<Vec<PathBuf>>,
) -> Vec<StackConversion<'a>> {
    sets.resize(stacks.len(), Vec::new());
    let job = |((stack, name), sets): ((&'a Stack, String), Vec<PathBuf>)| {
        let assessed = assess(stack, options);
        StackConversion {
            assessed,
            image: options.output.join(format!("{name}.nii.gz")),
            label: options.output.join(format!("{name}_label.nii.gz")),
            name,
            stack,
            sets,
        }
    };
    let names = vesal_cases::stack_names(stacks);
    stacks.iter().zip(names).zip(sets).map(job).collect()
}

fn assess(stack: &Stack, options: &ConvertOptions) -> Result<Assessment, Error> {
    let assessment = stack.assess(Policy::from(options.slices.geometry))?;
    assessment.grid()?;
    // A label map and its working memory take less than the image did.
    memory::check(
        assessment.peak_bytes(current_num_threads()),
        options.memory.max_ram,
    )?;
    Ok(assessment)
}

/// Checks the output files against inputs and existing files.
///
/// **Errors**: two results have one file, an input would be overwritten, or a file exists that must not be replaced.
pub fn claim(jobs: &[StackConversion], options: &ConvertOptions) -> Result<(), Error> {
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
    if let Some(datalist) = &options.datalist {
        claims.claim_file(datalist, "the datalist".into())?;
    }
    inputs.dedup();
    Ok(claims.check(inputs.into_iter(), options.overwrite)?)
}
