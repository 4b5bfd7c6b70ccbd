//! Progress on stderr, only on a terminal.

use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use vesal_cli::shown;
use vesal_engine::Stage;

/// The progress bar of a batch.
#[derive(Debug)]
pub struct BatchProgressBar {
    bar: ProgressBar,
    total: usize,
    begun: AtomicUsize,
}

impl BatchProgressBar {
    /// A bar for this many cases.
    pub fn new(total: usize) -> Self {
        let bar = ProgressBar::no_length();
        bar.set_prefix(format!("[1/{total}]"));
        let progress = Self {
            bar,
            total,
            begun: AtomicUsize::new(0),
        };
        progress.step("reading");
        progress
    }

    /// Advances to the next case.
    pub fn case(&self, name: &str) {
        let number = 1 + self.begun.fetch_add(1, Ordering::Relaxed);
        self.bar
            .set_prefix(format!("[{number}/{}] {}", self.total, shown(name)));
    }

    /// Shows a step that has no length.
    fn step(&self, what: &'static str) {
        // Both templates are constant and valid, so the default style is never used.
        if let Ok(style) = ProgressStyle::with_template("{prefix} {msg}") {
            self.bar.set_style(style);
        }
        self.bar.set_message(what);
    }

    /// Shows the progress of the engine.
    pub fn stage(&self, stage: Stage) {
        match stage {
            Stage::Prepare => self.step("preparing"),
            Stage::Network {
                windows,
                total_windows,
            } => {
                if windows == 0 {
                    self.begin(total_windows);
                }
                self.bar.set_position(windows as u64);
            }
        }
    }

    /// Begins to count steps, so that the remaining time can be estimated.
    fn begin(&self, steps: usize) {
        if let Ok(style) = ProgressStyle::with_template("{prefix} {msg} [{bar:30}] {eta} left") {
            self.bar.set_style(style.progress_chars("=> "));
        }
        self.bar.set_message("segmenting");
        self.bar.set_length(steps as u64);
        self.bar.reset();
    }

    /// Prints without being disturbed by the bar.
    pub fn suspend<T>(&self, action: impl FnOnce() -> T) -> T {
        self.bar.suspend(action)
    }
}

impl Drop for BatchProgressBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
