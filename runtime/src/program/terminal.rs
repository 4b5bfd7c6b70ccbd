//! Reports the progress of a command on the terminal.

use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

use vesal::convert::document::Series;
use vesal::record::{LabelRecord, PROBABILITIES, Segmented};
use vesal::{Error, Observer};
use vesal_cli::{Failure, Text, stderr, stdout};
use vesal_engine::Stage;

use crate::interrupt;
use crate::progress::BatchProgressBar;

/// The terminal of a run: results go to stdout, everything else to stderr.
pub struct Terminal {
    /// Whether results are printed as text as they come; else one JSON document follows at the end.
    tells_results: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    progress: Option<BatchProgressBar>,
    /// Why stdout cannot be written.
    failure: Option<Failure>,
}

impl Terminal {
    /// A terminal; `json` says that results are printed at the end.
    pub fn new(json: bool) -> Self {
        Self {
            tells_results: !json,
            state: Mutex::default(),
        }
    }

    /// Result of a command, or the error of printing.
    ///
    /// **Errors**: that of stdout, else that of the command.
    pub fn conclude<T>(&self, result: Result<T, Error>) -> Result<T, Failure> {
        match self.state().failure.take() {
            Some(failure) => Err(failure),
            None => Ok(result?),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints without being disturbed by the progress bar.
    fn beside<T>(&self, action: impl FnOnce() -> T) -> T {
        match &self.state().progress {
            Some(progress) => progress.suspend(action),
            None => action(),
        }
    }

    fn print(&self, text: &Text) {
        if let Err(failure) = self.beside(|| stdout::print(text)) {
            self.state().failure.get_or_insert(failure);
        }
    }
}

impl Observer for Terminal {
    fn proceed(&self) -> ControlFlow<()> {
        if interrupt::requested() || self.state().failure.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn note(&self, text: &str) {
        self.beside(|| stderr::note(text));
    }

    fn warning(&self, text: &str) {
        self.beside(|| stderr::warning(text));
    }

    fn works(&self, text: &str) {
        let mut lines = Text::new();
        lines.line(text);
        self.print(&lines);
    }

    fn progress(&self, text: &str) {
        self.beside(|| stderr::say(text));
    }

    fn begin(&self, cases: usize) {
        self.state().progress = Some(BatchProgressBar::new(cases));
    }

    fn case(&self, name: &str) {
        if let Some(progress) = &self.state().progress {
            progress.case(name);
        }
    }

    fn stage(&self, stage: Stage) {
        if let Some(progress) = &self.state().progress {
            progress.stage(stage);
        }
    }

    fn segmented(&self, case: &str, segmented: &Segmented) {
        if self.tells_results {
            self.print(&segmented_text(case, segmented));
        }
    }

    fn converted(&self, series: &Series) {
        if self.tells_results {
            self.print(&series.text());
        }
    }

    fn failed(&self, error: &Error) {
        self.beside(|| stderr::message(&error.message()));
    }

    fn end(&self) {
        self.state().progress = None;
    }
}

/// The result of a case as text: its first file, and the volume of every label.
fn segmented_text(case: &str, segmented: &Segmented) -> Text {
    let row =
        |label: &LabelRecord| vec![format!("  {}", label.name), format!("{:.2} ml", label.ml)];
    let rows: Vec<_> = segmented.labels.iter().map(row).collect();
    let mut found = segmented
        .outputs
        .iter()
        .filter(|output| output.format != PROBABILITIES);
    let first = found.next().map_or("", |output| &output.path);
    let others: Vec<_> = found.map(|output| output.format).collect();
    let also = if others.is_empty() {
        String::new()
    } else {
        format!(" (also {})", others.join(", "))
    };
    let mut text = Text::new();
    text.line(format!("{case}: {first}{also}")).table(&rows);
    text
}
