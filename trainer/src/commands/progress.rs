//! Progress on stderr, shown on terminals only.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use vesal_cli::{shown, stderr};
use vesal_trainer::fit::{FitObserver, Start, StepReport, ValidationReport};

/// Progress bar of an analysis.
#[derive(Debug)]
pub struct AnalysisProgress(ProgressBar);

impl AnalysisProgress {
    pub fn new(cases: usize) -> Self {
        Self(bar(
            cases,
            "analyzing [{bar:30}] {pos}/{len} {eta} left {msg}",
        ))
    }

    pub fn case_done(&self, case: &str) {
        self.0.set_message(shown(case).into_owned());
        self.0.inc(1);
    }
}

impl Drop for AnalysisProgress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Progress bar of a training, below those of concurrent trainings.
#[derive(Debug)]
pub struct FitProgress {
    /// Name of the training.
    name: String,
    bars: MultiProgress,
    bar: ProgressBar,
    start: Option<Start>,
    best: Option<f64>,
    loss: f32,
    pace: StepRate,
}

/// Step rate, smoothed over some tens of steps.
#[derive(Debug, Default)]
struct StepRate {
    seconds: f64,
    waiting: f64,
}

impl StepRate {
    fn step(&mut self, report: &StepReport) {
        let (seconds, waiting) = (
            report.duration.as_secs_f64(),
            report.data_wait.as_secs_f64(),
        );
        let share = if self.seconds == 0.0 { 1.0 } else { 0.05 };
        self.seconds += share * (seconds - self.seconds);
        self.waiting += share * (waiting - self.waiting);
    }
}

impl std::fmt::Display for StepRate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.seconds <= 0.0 {
            return Ok(());
        }
        let rate = 1.0 / self.seconds;
        let digits = if rate < 10.0 { 2 } else { 0 };
        let share = 100.0 * (self.waiting / self.seconds).min(1.0);
        write!(f, " {rate:.digits$} steps/s, {share:.0} % waiting for data")
    }
}

impl FitProgress {
    pub fn new(name: String, bars: MultiProgress) -> Self {
        Self {
            name,
            bars,
            bar: ProgressBar::hidden(),
            start: None,
            best: None,
            loss: f32::NAN,
            pace: StepRate::default(),
        }
    }

    fn show(&self, epoch: usize, doing: &str) {
        let best = self
            .best
            .map(|dice| format!(" best Dice {dice:.4}"))
            .unwrap_or_default();
        let epochs = self.start.as_ref().map_or(0, |start| start.num_epochs);
        self.bar.set_message(format!(
            "epoch {epoch}/{epochs} loss {:.4}{best}{}{doing}",
            self.loss, self.pace
        ));
    }

    /// Prints a line to stderr without disturbing the bars.
    fn print(&self, text: &str) {
        self.bars.suspend(|| stderr::say(text));
    }

    /// Replaces the current bar.
    fn replace(&mut self, length: usize, template: &str) {
        self.bar.finish_and_clear();
        self.bars.remove(&self.bar);
        self.bar = self.bars.add(bar(length, template));
        self.bar.set_prefix(self.name.clone());
    }
}

impl FitObserver for FitProgress {
    fn loading(&mut self, done: usize, total: usize) {
        if self.bar.is_hidden() && done <= 1 {
            self.replace(total, "{prefix}: reading cases [{bar:30}] {pos}/{len}");
        }
        self.bar.set_position(done as u64);
    }

    fn started(&mut self, start: &Start) {
        let (epochs, steps) = start.resumed_after.unwrap_or((0, 0));
        let Start {
            num_epochs,
            steps_per_epoch,
            training_cases,
            validation_cases,
            parameters,
            kept_cases,
            kept_bytes,
            ..
        } = *start;
        self.replace(
            num_epochs * steps_per_epoch,
            "{prefix} [{bar:30}] {msg} {eta} left",
        );
        self.bar
            .set_position((epochs * steps_per_epoch + steps) as u64);
        // Steps of an earlier call would distort the estimate.
        self.bar.reset_eta();
        self.start = Some(start.clone());
        let resumed = match start.resumed_after {
            Some((epochs, steps)) => format!(", going on after {epochs} epochs and {steps} steps"),
            None => String::new(),
        };
        self.print(&format!(
            "{}: {training_cases} cases to train, {validation_cases} to validate, {num_epochs} epochs of \
             {steps_per_epoch} steps, {parameters} parameters{resumed}",
            self.name
        ));
        let cases = training_cases + validation_cases;
        if kept_cases < cases {
            self.print(&format!(
                "{}: memory holds {kept_cases} of {cases} cases ({:.2} GiB), the others are read again in every \
                 epoch; `--max-ram` allows more",
                self.name,
                kept_bytes as f64 / (1u64 << 30) as f64
            ));
        }
    }

    fn step(&mut self, report: &StepReport) {
        self.loss = report.loss;
        self.pace.step(report);
        let steps = self.start.as_ref().map_or(0, |start| start.steps_per_epoch);
        self.bar
            .set_position(((report.epoch - 1) * steps + report.step) as u64);
        self.show(report.epoch, "");
    }

    fn validating(&mut self, epoch: usize, done: usize, total: usize) {
        self.show(epoch, &format!(", validating {done}/{total}"));
    }

    fn validated(&mut self, report: &ValidationReport) {
        let dice = report.score.mean_dice;
        if report.best {
            self.best = Some(dice);
        }
        let mark = if report.best { ", the best so far" } else { "" };
        self.print(&format!(
            "{}: Dice {dice:.4} after epoch {}{mark}",
            self.name, report.score.epoch
        ));
    }

    fn warning(&mut self, message: &str) {
        self.bars.suspend(|| stderr::warning(message));
    }
}

impl Drop for FitProgress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
        self.bars.remove(&self.bar);
    }
}

/// A bar that shows on a terminal only.
fn bar(length: usize, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length as u64);
    // The templates are constant and valid; otherwise the default style is used.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_pace_tells_steps_per_second_and_the_share_of_waiting() {
        let mut pace = StepRate::default();
        assert_eq!(pace.to_string(), "");
        pace.step(&StepReport {
            epoch: 1,
            step: 1,
            loss: 1.0,
            learning_rate: 1e-4,
            duration: Duration::from_millis(20),
            data_wait: Duration::from_millis(1),
        });
        assert_eq!(pace.to_string(), " 50 steps/s, 5 % waiting for data");
    }
}
