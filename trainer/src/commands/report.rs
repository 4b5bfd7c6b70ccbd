//! `vesal-train report`.

use vesal_cli::{Exit, Failure, stderr};
use vesal_files::atomic;
use vesal_trainer::report::{self, ReportError, ReportOptions};
use vesal_trainer::work_dir::WorkDir;

use super::failure::{failure, fit_failure};
use crate::cli::ReportArguments;

/// File name in the work directory.
const FILE: &str = "report.html";

pub fn run(arguments: &ReportArguments) -> Result<Exit, Failure> {
    let directory = &arguments.work.work_dir;
    let attempt = || format!("cannot report on `{}`", directory.display());
    let work = WorkDir::open(directory, arguments.work.dataroot.as_deref())
        .map_err(|error| failure(error).attempting(attempt()))?;
    let options = ReportOptions {
        worst: arguments.worst,
        devices: arguments.device.clone(),
    };
    let report = report::report(&work, &options).map_err(|error| {
        let failure = match error {
            ReportError::Work(error) => failure(error),
            ReportError::Fit(error) => fit_failure(error),
        };
        failure.attempting(attempt())
    })?;
    let default = directory.join(FILE);
    let path = arguments.output.as_ref().unwrap_or(&default);
    atomic::write_file(path, report.html.as_bytes(), true).map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        Failure::new(Exit::Output, error)
            .attempting(attempt())
            .hint(hint)
    })?;
    for note in &report.left_out {
        stderr::note(note);
    }
    stderr::say(format!("wrote `{}`", path.display()));
    Ok(Exit::Success)
}
