//! `vesal-train export-history` and `import-history`.

use vesal_cli::{Exit, Failure, stderr};
use vesal_trainer::history::{self, ExportOptions, HistoryError};
use vesal_trainer::work_dir::WorkDir;

use super::failure::{failure, fit_failure};
use crate::cli::{ExportHistoryArguments, ImportHistoryArguments};

/// Writes a work directory into one file.
pub fn export(arguments: &ExportHistoryArguments) -> Result<Exit, Failure> {
    let attempt = || format!("cannot export `{}`", arguments.work_dir.display());
    let work = WorkDir::open(&arguments.work_dir, None)
        .map_err(|error| failure(error).attempting(attempt()))?;
    let options = ExportOptions {
        only_trained: arguments.only_trained,
        with_checkpoints: arguments.with_checkpoints,
    };
    let exported = history::export(&work, &arguments.out, options)
        .map_err(|error| refused(error, Exit::Output).attempting(attempt()))?;
    for run in &exported.unfinished {
        if !arguments.with_checkpoints {
            stderr::note(format!(
                "`{run}` is not finished, and starts again where it is imported; `--with-checkpoints` takes its state along"
            ));
        }
    }
    stderr::say(format!(
        "exported {} files, {:.1} MB, with {} trained and {} unfinished runs, to {}",
        exported.files,
        exported.bytes as f64 / 1e6,
        exported.trained.len(),
        exported.unfinished.len(),
        arguments.out.display()
    ));
    Ok(Exit::Success)
}

/// Creates a work directory from such a file.
pub fn import(arguments: &ImportHistoryArguments) -> Result<Exit, Failure> {
    let dataroot = arguments.work.dataroot.as_deref();
    let work = history::import(&arguments.archive, &arguments.work.work_dir, dataroot).map_err(
        |error| {
            let attempt = format!("cannot import `{}`", arguments.archive.display());
            refused(error, Exit::Input).attempting(attempt)
        },
    )?;
    stderr::say(format!(
        "imported {} cases and {} folds into {}",
        work.cases(),
        work.folds().len(),
        arguments.work.work_dir.display()
    ));
    if !work.has_data() {
        stderr::note("to train, tell where the data are with `--dataroot DIR` or VESAL_DATAROOT");
    }
    Ok(Exit::Success)
}

/// Translates an error; errors of the archive have the exit code `archive`.
fn refused(error: HistoryError, archive: Exit) -> Failure {
    let exit = match error {
        HistoryError::Work(error) => return failure(error),
        HistoryError::Run(error) => return fit_failure(error),
        HistoryError::NothingTrained { .. } => Exit::Usage,
        HistoryError::Read { .. } | HistoryError::NotPlain { .. } | HistoryError::Path(_) => {
            Exit::Input
        }
        HistoryError::Write { .. } | HistoryError::Destination(_) => Exit::Output,
        _ => archive,
    };
    let hint = error.hint();
    Failure::new(exit, error).hint(hint)
}
