//! Event files, which TensorBoard shows during a training.
//!
//! Every start of a training adds a file. Events of steps that are repeated after a resume are cut off the older files,
//! so that no step occurs twice.

mod message;
mod record;

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;

use super::error::FitError;
use super::{StepReport, ValidationReport};
use message::{Event, SessionLog, Summary, Value};

/// Prefix of the names of event files; TensorBoard looks for `tfevents`.
pub const EVENTS_PREFIX: &str = "events.out.tfevents.";
/// Version that TensorBoard expects in the first record.
const FILE_VERSION: &str = "brain.Event:2";
/// Prefix of the tags of validations.
const VALIDATION: &str = "val";

/// Progress of a training, in steps as events count them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Finished steps over all epochs.
    pub steps: usize,
    /// Number of finished steps up to the last finished validation.
    pub validated_steps: usize,
}

/// The event file of one start of a training.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
    steps_per_epoch: usize,
}

impl Events {
    /// Removes events after `progress` from earlier files, and starts a new file.
    ///
    /// **Errors**: [`FitError::Io`].
    pub fn open(
        run_dir: &Path,
        steps_per_epoch: usize,
        progress: Progress,
    ) -> Result<Self, FitError> {
        let io = |path: &Path| {
            let path = path.to_owned();
            move |source| FitError::Io { path, source }
        };
        let earlier = files(run_dir).map_err(io(run_dir))?;
        for path in &earlier {
            cut(path, progress).map_err(io(path))?;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since.unwrap_or_default().as_secs();
        // TensorBoard reads files in the order of their names.
        let number = earlier.iter().filter_map(|path| number(path)).max();
        let number = number.map_or(0, |last| last + 1);
        let path = run_dir.join(format!("{EVENTS_PREFIX}{number:010}.{seconds}.vesal"));
        let mut options = File::options();
        let file = options
            .create_new(true)
            .append(true)
            .open(&path)
            .map_err(io(&path))?;
        let mut events = Self {
            path,
            file,
            steps_per_epoch,
        };
        events.write(Event {
            file_version: Some(FILE_VERSION.to_owned()),
            ..Event::now(0)
        })?;
        events.write(Event {
            // Makes an open TensorBoard discard these steps.
            session_log: Some(SessionLog::start()),
            ..Event::now(progress.steps + 1)
        })?;
        Ok(events)
    }

    /// Adds the values of a step.
    ///
    /// **Errors**: [`FitError::Io`].
    pub fn step(&mut self, report: &StepReport) -> Result<(), FitError> {
        let step = (report.epoch - 1) * self.steps_per_epoch + report.step;
        let values = vec![
            Value::new("train/loss", report.loss),
            Value::new("train/learning_rate", report.learning_rate as f32),
            Value::new("train/seconds_per_step", report.duration.as_secs_f32()),
        ];
        self.summary(step, values)
    }

    /// Adds the values of a validation; labels with undefined Dice are left out.
    ///
    /// **Errors**: [`FitError::Io`].
    pub fn validation(&mut self, report: &ValidationReport) -> Result<(), FitError> {
        let score = &report.score;
        let mut values = vec![Value::new("val/acc", score.mean_dice as f32)];
        for (name, dice) in &score.dice_by_label {
            values.extend(dice.map(|dice| Value::new(&format!("val_class/{name}"), dice as f32)));
        }
        self.summary(score.epoch * self.steps_per_epoch, values)
    }

    fn summary(&mut self, step: usize, value: Vec<Value>) -> Result<(), FitError> {
        self.write(Event {
            summary: Some(Summary { value }),
            ..Event::now(step)
        })
    }

    fn write(&mut self, event: Event) -> Result<(), FitError> {
        let record = record::encode(&event.encode_to_vec());
        self.file.write_all(&record).map_err(|source| FitError::Io {
            path: self.path.clone(),
            source,
        })
    }
}

/// Removes all event files of a run directory.
///
/// **Errors**: of the file system.
pub fn remove(run_dir: &Path) -> io::Result<()> {
    files(run_dir)?.iter().try_for_each(std::fs::remove_file)
}

/// The event files of a run directory, in the order of their names.
fn files(run_dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(run_dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(EVENTS_PREFIX) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The number of the start that wrote a file.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.strip_prefix(EVENTS_PREFIX)?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Truncates a file at its first event after `progress`, or at a record that a killed process left incomplete.
fn cut(path: &Path, progress: Progress) -> io::Result<()> {
    let bytes = std::fs::read(path)?;
    let mut kept = 0;
    while let Some((data, length)) = record::decode(&bytes[kept..]) {
        if Event::decode(data).is_ok_and(|event| is_after(&event, progress)) {
            break;
        }
        kept += length;
    }
    if kept < bytes.len() {
        File::options()
            .write(true)
            .open(path)?
            .set_len(kept as u64)?;
    }
    Ok(())
}

fn is_after(event: &Event, progress: Progress) -> bool {
    let Some(summary) = &event.summary else {
        return false;
    };
    let validates = summary
        .value
        .iter()
        .any(|value| value.tag.starts_with(VALIDATION));
    let done = match validates {
        true => progress.validated_steps,
        false => progress.steps,
    };
    usize::try_from(event.step).is_ok_and(|step| step > done)
}

#[cfg(test)]
mod tests;
