//! What `vesal tune` tells: one object for programs, and a table for people.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Serialize;
use vesal_bundle::Bundle;
use vesal_cli::Text;

use super::search::{Attempt, Tried};
use crate::machine::Machine;
use crate::profile::Profile;

/// Version of the formats.
const FORMAT_VERSION: u32 = 1;

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    format: &'static str,
    format_version: u32,
    bundle: String,
    machine: Machine,
    /// All that was tried, in order.
    tried: &'a [Tried],
    /// Which of it was best, from 0.
    best: Option<usize>,
    profile: &'a Profile,
    /// Its file.
    profile_file: String,
}

impl<'a> Document<'a> {
    /// What was tried, and the profile that is kept.
    pub fn new(
        bundle: &Bundle,
        machine: Machine,
        profile: &'a Profile,
        tried: &'a [Tried],
        best: Option<usize>,
        file: &Path,
    ) -> Self {
        Self {
            format: "vesal-tune",
            format_version: FORMAT_VERSION,
            bundle: bundle.manifest().name.clone(),
            machine,
            tried,
            best,
            profile,
            profile_file: file.display().to_string(),
        }
    }

    /// The same for people.
    pub fn text(&self) -> Text {
        let titles = [
            "",
            "device",
            "provider",
            "precision",
            "search",
            "threads",
            "batch",
            "per window",
            "largest difference",
        ];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        let mut reasons = Vec::new();
        for (index, tried) in self.tried.iter().enumerate() {
            let best = self.best == Some(index);
            rows.push(row(tried, if best { "*" } else { "" }));
            if let Attempt::Refused(reason) = &tried.attempt {
                let settings = &tried.settings;
                let who = format!("{} {}", settings.device, settings.provider);
                reasons.push(format!("{who} does not run: {reason}"));
            }
        }
        reasons.dedup();
        let mut text = Text::new();
        text.table(&rows).blank();
        for reason in reasons {
            text.line(reason);
        }
        text.line(format!(
            "The settings marked with * are kept for `{}` in {}",
            self.bundle, self.profile_file
        ));
        text
    }
}

fn row(tried: &Tried, mark: &str) -> Vec<String> {
    let settings = &tried.settings;
    let or_default = |number: Option<NonZeroUsize>| {
        number.map_or_else(|| "default".to_owned(), |number| number.to_string())
    };
    let figures = match &tried.attempt {
        Attempt::Measured(measured) => {
            let verdict = if measured.passed {
                ""
            } else {
                ", not tolerated"
            };
            [
                measured.batch.to_string(),
                format!("{:.2} ms", measured.window_ms),
                format!("{:.1e}{verdict}", measured.logit_difference),
            ]
        }
        Attempt::Refused(_) => [or_default(settings.batch), "-".into(), "-".into()],
    };
    let choices = [
        mark.to_owned(),
        settings.device.to_string(),
        settings.provider.to_string(),
        settings.precision.to_string(),
        settings.search.to_string(),
        or_default(settings.threads),
    ];
    choices.into_iter().chain(figures).collect()
}

/// What `--forget --json` prints.
#[derive(Debug, Serialize)]
pub struct Forgotten {
    format: &'static str,
    format_version: u32,
    bundle: String,
    removed: Vec<String>,
}

impl Forgotten {
    /// The files that were removed.
    pub fn new(bundle: &Bundle, removed: &[PathBuf]) -> Self {
        let file = |path: &PathBuf| path.display().to_string();
        Self {
            format: "vesal-tune-forget",
            format_version: FORMAT_VERSION,
            bundle: bundle.manifest().name.clone(),
            removed: removed.iter().map(file).collect(),
        }
    }

    /// The same for people.
    pub fn text(&self) -> Text {
        let mut text = Text::new();
        if self.removed.is_empty() {
            text.line(format!("there is no profile of `{}`", self.bundle));
        }
        for file in &self.removed {
            text.line(format!("removed {file}"));
        }
        text
    }
}
