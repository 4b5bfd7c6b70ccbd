//! Progress on stderr, only where a person watches: on a terminal.

use std::fmt::Display;

use indicatif::{ProgressBar, ProgressStyle};
use vesal_engine::Stage;

/// The bar of one case.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar for the case `name`, the `number`-th (from 1) of `total`.
    pub fn new(name: &str, number: usize, total: usize) -> Self {
        let bar = ProgressBar::no_length();
        // Both templates are constant and valid; the default style would do as well.
        if let Ok(style) = ProgressStyle::with_template("{prefix} {msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(format!("[{number}/{total}] {name}"));
        Self { bar }
    }

    /// Shows a step that has no length.
    pub fn step(&self, what: &'static str) {
        self.bar.set_message(what);
    }

    /// Shows where the engine is.
    pub fn stage(&self, stage: Stage) {
        match stage {
            Stage::Prepare => self.step("preparing"),
            Stage::Network {
                member,
                members,
                windows,
                total_windows,
            } => {
                self.bar
                    .set_message(format!("network {}/{members}", member + 1));
                if member == 0 && windows == 0 {
                    self.begin(members * total_windows);
                }
                self.bar
                    .set_position((member * total_windows + windows) as u64);
            }
            Stage::Restore => self.step("back to the grid of the scan"),
        }
    }

    /// Begins to count steps, so that the remaining time can be told.
    fn begin(&self, steps: usize) {
        if let Ok(style) = ProgressStyle::with_template("{prefix} {msg} [{bar:30}] {eta} left") {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_length(steps as u64);
        self.bar.reset();
    }

    /// Prints a line to stderr without disturbing the bar.
    pub fn print(&self, text: impl Display) {
        self.bar.suspend(|| eprint!("{text}"));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
