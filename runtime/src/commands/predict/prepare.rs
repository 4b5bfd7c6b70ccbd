//! What is settled before any work: which cases there are, what they will be called, what their headers say.

use std::path::PathBuf;

use vesal_bundle::Bundle;
use vesal_cli::Failure;

use crate::case::{self, Checked};
use crate::cli::PredictArguments;
use crate::datalist::is_datalist;
use crate::failure;
use crate::outputs::{Claims, Outputs};

/// One case to segment.
#[derive(Debug)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// Names of its files, one per channel.
    pub input: Vec<String>,
    /// Its headers, or why it cannot be segmented.
    pub checked: Result<Checked, Failure>,
    /// Where its results go.
    pub outputs: Outputs,
}

/// Finds the cases and reads their headers.
///
/// **Errors**: a datalist cannot be used; results would be written over each other, over inputs or over what is there. A case that is unusable is
/// no error but a job without headers.
pub fn jobs(arguments: &PredictArguments, bundle: &Bundle) -> Result<Vec<Job>, Failure> {
    let channels: Vec<String> = bundle
        .plan()
        .channels
        .iter()
        .map(|channel| channel.name.clone())
        .collect();
    let mut candidates = Vec::new();
    for path in &arguments.input {
        if is_datalist(path) {
            let dataroot = arguments.dataroot.as_deref();
            let listed = case::find_listed(path, arguments.list, dataroot, bundle.plan());
            candidates.extend(listed.map_err(failure::datalist)?);
        } else {
            candidates.extend(case::find(std::slice::from_ref(path), &channels));
        }
    }
    let outputs_of = |name: &str| {
        Outputs::new(
            &arguments.output,
            name,
            &arguments.suffix,
            arguments.probabilities,
        )
    };
    let mut claims = Claims::default();
    let mut inputs: Vec<PathBuf> = Vec::new();
    for candidate in &candidates {
        if let Ok(files) = &candidate.files {
            if let Some(first) = files.first() {
                claims.claim(first, &outputs_of(&candidate.name))?;
            }
            inputs.extend(files.iter().cloned());
        }
    }
    if let Some(report) = &arguments.report {
        claims.claim_file(report, "the report".into())?;
    }
    claims.check(inputs.iter().map(PathBuf::as_path), arguments.overwrite)?;

    let job = |case::Candidate { name, files }| {
        let names = |files: &Vec<PathBuf>| -> Vec<String> {
            files
                .iter()
                .filter_map(|file| Some(file.file_name()?.to_string_lossy().into_owned()))
                .collect()
        };
        let input = files.as_ref().map(names).unwrap_or_default();
        let checked = files
            .map_err(failure::find)
            .and_then(|files: Vec<PathBuf>| {
                let first = files.first().cloned();
                Checked::headers(files, bundle.plan())
                    .map_err(|error| failure::read(error, first.as_deref()))
            });
        Job {
            outputs: outputs_of(&name),
            name,
            input,
            checked,
        }
    };
    Ok(candidates.into_iter().map(job).collect())
}
