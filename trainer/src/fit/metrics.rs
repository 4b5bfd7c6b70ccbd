//! Metrics as comma-separated values.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use vesal_bundle::run_record::Score;
use vesal_files::atomic;

use super::checkpoint::Position;
use super::error::FitError;
use super::{StepReport, ValidationReport};

/// Loss and learning rate of every step.
pub const METRICS_FILE: &str = "metrics.csv";
/// Dice of every validation.
pub const VALIDATION_FILE: &str = "validation.csv";

/// Bytes at the end of a table from which the recent pace is read.
const TAIL: u64 = 4096;

/// The metrics files of a run.
#[derive(Debug)]
pub struct Metrics {
    steps: Table,
    validations: Table,
    labels: Vec<String>,
}

impl Metrics {
    /// Opens the files and removes the rows of steps and validations after `position`, which will be repeated.
    ///
    /// **Errors**: [`FitError::Io`] and [`FitError::Write`].
    pub fn open(run_dir: &Path, labels: Vec<String>, position: Position) -> Result<Self, FitError> {
        let epoch_of = |row: &str| row.split(',').next()?.parse::<usize>().ok();
        let steps = Table::open(
            run_dir.join(METRICS_FILE),
            "epoch,step,loss,learning_rate,seconds,data_wait_seconds",
            |row| {
                let step = row.split(',').nth(1)?.parse().ok()?;
                Some((epoch_of(row)?, step) <= (position.epochs + 1, position.steps))
            },
        )?;
        let mut header = "epoch,mean_dice".to_owned();
        for label in &labels {
            header.push(',');
            header.push_str(&quoted(label));
        }
        header.push_str(",seconds");
        let validations = Table::open(run_dir.join(VALIDATION_FILE), &header, |row| {
            Some(epoch_of(row)? <= position.epochs)
        })?;
        Ok(Self {
            steps,
            validations,
            labels,
        })
    }

    /// Adds a step.
    ///
    /// **Errors**: [`FitError::Io`].
    pub fn step(&mut self, report: &StepReport) -> Result<(), FitError> {
        let StepReport {
            epoch,
            step,
            loss,
            learning_rate,
            duration,
            data_wait,
        } = report;
        self.steps.append(&format!(
            "{epoch},{step},{loss},{learning_rate:e},{:.4},{:.4}",
            duration.as_secs_f64(),
            data_wait.as_secs_f64()
        ))
    }

    /// Adds a validation; a field is empty where Dice is undefined.
    ///
    /// **Errors**: [`FitError::Io`].
    pub fn validation(&mut self, report: &ValidationReport) -> Result<(), FitError> {
        let Score {
            epoch,
            mean_dice,
            dice_by_label,
            ..
        } = &report.score;
        let mut row = format!("{epoch},{mean_dice:.6}");
        for label in &self.labels {
            row.push(',');
            if let Some(Some(dice)) = dice_by_label.get(label) {
                row.push_str(&format!("{dice:.6}"));
            }
        }
        row.push_str(&format!(",{:.3}", report.duration.as_secs_f64()));
        self.validations.append(&row)
    }
}

/// Recent pace of a run, and its last step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// Epoch of the last step, from 1.
    pub epoch: usize,
    /// Step in the epoch, from 1.
    pub step: usize,
    /// Median duration of a step over the last rows.
    pub step_seconds: f64,
}

/// Reads the pace of a run from its metrics; `None` before the first step.
pub fn pace(run_dir: &Path) -> Option<Pace> {
    let tail = tail(&run_dir.join(METRICS_FILE))?;
    let rows: Vec<Vec<f64>> = tail
        .lines()
        .filter_map(numbers)
        .filter(|row| row.len() == 6)
        .collect();
    let last = rows.last()?;
    let mut seconds: Vec<f64> = rows.iter().map(|row| row[4]).collect();
    seconds.sort_unstable_by(f64::total_cmp);
    Some(Pace {
        epoch: last[0] as usize,
        step: last[1] as usize,
        step_seconds: seconds[seconds.len() / 2],
    })
}

/// Mean duration of the last validations of a run, in seconds.
pub fn validation_seconds(run_dir: &Path) -> Option<f64> {
    let tail = tail(&run_dir.join(VALIDATION_FILE))?;
    let rows = tail
        .lines()
        .filter_map(|row| row.rsplit(',').next()?.parse::<f64>().ok());
    let seconds: Vec<f64> = rows.collect();
    (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
}

/// The last complete rows of a table.
fn tail(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))
        .ok()?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let (_, rows) = text.split_once('\n')?;
    let (rows, _) = rows.rsplit_once('\n')?;
    Some(rows.to_owned())
}

fn numbers(row: &str) -> Option<Vec<f64>> {
    row.split(',').map(|field| field.parse().ok()).collect()
}

/// One file of rows under a header.
#[derive(Debug)]
struct Table {
    path: PathBuf,
    file: File,
}

impl Table {
    /// Opens a table for appending and keeps the rows that `keep` accepts; an incomplete last row is removed.
    fn open(
        path: PathBuf,
        header: &str,
        keep: impl Fn(&str) -> Option<bool>,
    ) -> Result<Self, FitError> {
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(FitError::Io { path, source }),
        };
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let kept = complete
            .lines()
            .skip(1)
            .filter(|row| keep(row) == Some(true));
        let mut content = format!("{header}\n");
        for row in kept {
            content.push_str(row);
            content.push('\n');
        }
        if content != text {
            atomic::write_file(&path, content.as_bytes(), true)?;
        }
        match File::options().append(true).open(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(source) => Err(FitError::Io { path, source }),
        }
    }

    fn append(&mut self, row: &str) -> Result<(), FitError> {
        self.file
            .write_all(format!("{row}\n").as_bytes())
            .map_err(|source| FitError::Io {
                path: self.path.clone(),
                source,
            })
    }
}

/// A name as one field, quoted if needed.
fn quoted(name: &str) -> String {
    if name.contains([',', '"']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;

    fn step(epoch: usize, step: usize) -> StepReport {
        StepReport {
            epoch,
            step,
            loss: 0.5,
            learning_rate: 2e-4,
            duration: Duration::from_millis(1500),
            data_wait: Duration::ZERO,
        }
    }

    #[test]
    fn rows_after_the_checkpoint_are_dropped_and_the_rest_stays() {
        let directory = tempfile::tempdir().unwrap();
        let labels = || vec!["left, upper".to_owned(), "right".to_owned()];
        let mut metrics = Metrics::open(directory.path(), labels(), Position::default()).unwrap();
        for report in [step(1, 1), step(1, 2), step(2, 1), step(2, 2)] {
            metrics.step(&report).unwrap();
        }
        for epoch in [1, 2] {
            let dice_by_label = BTreeMap::from([
                ("left, upper".to_owned(), Some(0.75)),
                ("right".to_owned(), None),
            ]);
            let score = Score {
                epoch,
                mean_dice: 0.75,
                dice_by_label,
                cases: 3,
            };
            let report = ValidationReport {
                score,
                cases: Vec::new(),
                best: true,
                duration: Duration::from_secs(2),
            };
            metrics.validation(&report).unwrap();
        }
        let path = directory.path().join(METRICS_FILE);
        let mut cut_off = std::fs::read_to_string(&path).unwrap();
        cut_off.push_str("1,1");
        std::fs::write(&path, cut_off).unwrap();

        Metrics::open(
            directory.path(),
            labels(),
            Position {
                epochs: 1,
                steps: 1,
            },
        )
        .unwrap();
        let found = std::fs::read_to_string(&path).unwrap();
        let expected = "epoch,step,loss,learning_rate,seconds,data_wait_seconds\n\
            1,1,0.5,2e-4,1.5000,0.0000\n1,2,0.5,2e-4,1.5000,0.0000\n2,1,0.5,2e-4,1.5000,0.0000\n";
        assert_eq!(found, expected);
        let found = std::fs::read_to_string(directory.path().join(VALIDATION_FILE)).unwrap();
        assert_eq!(
            found,
            "epoch,mean_dice,\"left, upper\",right,seconds\n1,0.750000,0.750000,,2.000\n"
        );
    }
}
