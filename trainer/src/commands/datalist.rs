//! `vesal-train datalist`.

use std::fs;
use std::path::{Path, PathBuf};

use thiserror::Error;
use vesal_cli::stdout::print;
use vesal_cli::{Exit, Failure, Text, stderr};
use vesal_trainer::layouts::{FoundDataset, LayoutError, LayoutOptions, Oddity, TaskFiles, find};

use super::findings::count;
use crate::cli::DatalistArguments;

/// Number of files of one kind that are named.
const TOLD_OF_A_KIND: usize = 5;

/// Writes a task and a datalist for a folder.
pub fn run(arguments: &DatalistArguments) -> Result<Exit, Failure> {
    let folder = arguments.folder.as_path();
    let inner = |name: &String| name.trim_matches('/').to_owned();
    let options = LayoutOptions {
        name: arguments.name.clone(),
        modality: arguments.modality,
        channels: arguments.channels.clone(),
        class_names: arguments.class_names.clone(),
        labels: arguments.labels.clone(),
        folders: arguments
            .images_dir
            .as_ref()
            .map(inner)
            .zip(arguments.labels_dir.as_ref().map(inner)),
        splits: arguments.splits.clone(),
        ignored_as_background: arguments.ignored_as_background,
    };
    let failed = |error: LayoutError| failure(error, folder);
    let mut found = find(folder, &options).map_err(failed)?;
    let output = arguments.output.as_path();
    fs::create_dir_all(output).map_err(|source| {
        failed(LayoutError::Output {
            path: output.to_owned(),
            source,
        })
    })?;
    if found.classes.is_none() {
        let maps = count(found.training.len(), "label map");
        stderr::say(format!("reading the labels of {maps}"));
    }
    let draft = TaskFiles::new(folder, output, &mut found, &options);
    // What is odd may be the cause of an error.
    stderr::print(&oddities(&found.oddities));
    let draft = draft.map_err(failed)?;
    draft.write(output, arguments.overwrite).map_err(failed)?;
    print(&summary(&found, &draft))?;
    let task = output.join("task.yaml");
    stderr::say(format!(
        "wrote `{}` and `{}`; next: vesal-train analyze --input {} --work-dir work",
        task.display(),
        output.join("datalist.json").display(),
        task.display()
    ));
    let is_short = found.oddities.iter().any(|oddity| oddity.kind.leaves_out());
    Ok(if is_short {
        Exit::FailedCases
    } else {
        Exit::Success
    })
}

fn failure(error: LayoutError, folder: &Path) -> Failure {
    let exit = match error.is_output() {
        true => Exit::Output,
        false => Exit::Input,
    };
    let hint = error.hint();
    Failure::new(exit, error)
        .attempting(format!("cannot make a task of `{}`", folder.display()))
        .hint(hint)
}

/// A folder was given where a task is needed.
#[derive(Debug, Error)]
#[error("`{}` is a folder, expected a task such as `task.yaml`", path.display())]
struct InputIsFolder {
    path: PathBuf,
}

/// The failure of a command that was given a folder as its task.
pub(super) fn input_is_folder(folder: &Path) -> Failure {
    let path = folder.to_owned();
    let hint = format!(
        "`vesal-train datalist {}` makes one of the images and label maps in it",
        folder.display()
    );
    Failure::new(Exit::Input, InputIsFolder { path }).hint(hint)
}

fn oddities(oddities: &[Oddity]) -> Text {
    let mut text = Text::new();
    for Oddity { kind, about } in oddities {
        text.line(format!("warning: {} ({})", kind.title(), about.len()));
        for line in about.iter().take(TOLD_OF_A_KIND) {
            text.line(format!("  {line}"));
        }
        if about.len() > TOLD_OF_A_KIND {
            text.line(format!("  and {} more", about.len() - TOLD_OF_A_KIND));
        }
    }
    if !oddities.is_empty() {
        text.blank();
    }
    text
}

fn summary(found: &FoundDataset, draft: &TaskFiles) -> Text {
    let folds = found.training.iter().filter_map(|case| case.fold).max();
    let folds = match (folds, &found.splits) {
        (Some(last), Some(path)) => format!("{} of `{path}`", last + 1),
        _ => "none; the cases will be split at random".to_owned(),
    };
    let cases = format!(
        "{} with a label map, {} without or to test on",
        found.training.len(),
        found.testing.len()
    );
    let several = found.channels.len() > 1 && found.in_one_file;
    let channels = draft.channels().join(", ");
    let channels = match several {
        true => format!(
            "{channels}; {} in each file",
            count(found.channels.len(), "channel")
        ),
        false => channels,
    };
    let rows = [
        ("task", draft.name.clone()),
        ("layout", found.layout.to_string()),
        ("cases", cases),
        ("channels", channels),
        ("classes", draft.classes.described().join(", ")),
        ("folds", folds),
    ];
    let rows = rows.map(|(name, value)| vec![name.to_owned(), value]);
    let mut text = Text::new();
    text.table(&rows);
    text
}
