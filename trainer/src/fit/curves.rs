//! Reads the metrics of a run.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use super::error::FitError;
use super::metrics::{METRICS_FILE, VALIDATION_FILE};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRow {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step in the epoch, from 1.
    pub step: usize,
    pub loss: f64,
    pub learning_rate: f64,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ValidationRow {
    /// Epoch, from 1.
    pub epoch: usize,
    pub mean_dice: f64,
    /// Dice of each label; `None` where it is undefined.
    pub dice: Vec<Option<f64>>,
}

/// Metrics of a run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Curves {
    pub steps: Vec<StepRow>,
    /// Names of the labels in the validations.
    pub labels: Vec<String>,
    pub validations: Vec<ValidationRow>,
}

/// Reads the metrics of a run. Absent files give no rows; incomplete rows are skipped.
///
/// **Errors**: [`FitError::Io`].
pub fn curves(run_dir: &Path) -> Result<Curves, FitError> {
    let mut curves = Curves::default();
    read(&run_dir.join(METRICS_FILE), |_, row| {
        if let [epoch, step, loss, learning_rate, ..] = row
            && let (Ok(epoch), Ok(step)) = (epoch.parse(), step.parse())
            && let (Ok(loss), Ok(learning_rate)) = (loss.parse(), learning_rate.parse())
        {
            curves.steps.push(StepRow {
                epoch,
                step,
                loss,
                learning_rate,
            });
        }
    })?;
    let (labels, validations) = (&mut curves.labels, &mut curves.validations);
    read(&run_dir.join(VALIDATION_FILE), |header, row| {
        if labels.is_empty() {
            *labels = header[2..header.len() - 1].to_vec();
        }
        if row.len() == header.len()
            && let (Ok(epoch), Ok(mean_dice)) = (row[0].parse(), row[1].parse())
        {
            let dice = row[2..row.len() - 1].iter();
            validations.push(ValidationRow {
                epoch,
                mean_dice,
                dice: dice.map(|field| field.parse().ok()).collect(),
            });
        }
    })?;
    Ok(curves)
}

/// Duration of all steps and validations of a run, in seconds; files that are absent or unreadable count nothing.
pub fn trained_seconds(run_dir: &Path) -> f64 {
    let mut seconds = 0.0;
    let mut add = |field: Option<&String>| {
        let found = field.and_then(|field| field.parse::<f64>().ok());
        seconds += found.filter(|found| found.is_finite()).unwrap_or(0.0);
    };
    for (file, from_end) in [(METRICS_FILE, 2), (VALIDATION_FILE, 1)] {
        let rows = read(&run_dir.join(file), |header, row| {
            if row.len() == header.len() {
                add(row.iter().nth_back(from_end - 1));
            }
        });
        // What was read until then counts.
        let _ = rows;
    }
    seconds
}

/// Reads a table of at least three columns, row by row.
fn read(path: &Path, mut take: impl FnMut(&[String], &[String])) -> Result<(), FitError> {
    let refused = |source| FitError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(refused)?,
    };
    let mut header: Option<Vec<String>> = None;
    for line in BufReader::new(file).lines() {
        let row = fields(&line.map_err(refused)?);
        match &header {
            Some(header) => take(header, &row),
            None if row.len() < 3 => return Ok(()),
            None => header = Some(row),
        }
    }
    Ok(())
}

/// Fields of a row; quoted ones may contain commas and doubled quotes.
fn fields(row: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let (mut quoted, mut characters) = (false, row.chars().peekable());
    while let Some(character) = characters.next() {
        let last = fields.len() - 1;
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                fields[last].push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => fields[last].push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_come_back_without_broken_rows() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        assert_eq!(curves(directory.path()).unwrap(), Curves::default());
        write(
            METRICS_FILE,
            "epoch,step,loss,learning_rate,seconds,data_wait_seconds\n1,1,0.5,2e-4,1.5,0\n1,x\n",
        );
        write(
            VALIDATION_FILE,
            "epoch,mean_dice,\"left, \"\"upper\"\"\",right,seconds\n1,0.75,0.75,,2.0\n2,0.8",
        );
        let found = curves(directory.path()).unwrap();
        let step = StepRow {
            epoch: 1,
            step: 1,
            loss: 0.5,
            learning_rate: 2e-4,
        };
        assert_eq!(found.steps, [step]);
        assert_eq!(found.labels, ["left, \"upper\"", "right"]);
        let validation = ValidationRow {
            epoch: 1,
            mean_dice: 0.75,
            dice: vec![Some(0.75), None],
        };
        assert_eq!(found.validations, [validation]);
        assert_eq!(trained_seconds(directory.path()), 3.5);
    }
}
