//! Results of `vesal tune`, as JSON and as a table.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use serde::Serialize;
use vesal_bundle::Bundle;
use vesal_cli::Text;
use vesal_files::VersionedDocument;

use super::search::{Attempt, Tried};
use crate::machine::Machine;
use crate::profile::Profile;

/// The trials, and the stored profile.
#[derive(Debug, Serialize)]
pub struct Tuning {
    pub bundle: String,
    pub machine: Machine,
    /// All trials, in order.
    pub tried: Vec<Tried>,
    /// Index of the best trial, from 0.
    pub best: Option<usize>,
    pub profile: Profile,
    pub profile_file: String,
}

impl VersionedDocument for Tuning {
    const FORMAT: &str = "vesal-tune";
    const VERSION: u32 = 1;
}

impl Tuning {
    /// The results as lines of text.
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

/// Profiles that were removed.
#[derive(Debug, Serialize)]
pub struct Forgotten {
    pub bundle: String,
    /// Files of the profiles.
    pub removed: Vec<String>,
}

impl VersionedDocument for Forgotten {
    const FORMAT: &str = "vesal-tune-forget";
    const VERSION: u32 = 1;
}

impl Forgotten {
    pub(super) fn new(bundle: &Bundle, removed: &[PathBuf]) -> Self {
        let file = |path: &PathBuf| path.display().to_string();
        Self {
            bundle: bundle.manifest().name.clone(),
            removed: removed.iter().map(file).collect(),
        }
    }

    /// The results as lines of text.
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
