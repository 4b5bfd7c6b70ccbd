//! Lines of a log: time, level, what. They name jobs by digests, and nobody else.
//!
//! Lines are events of `tracing` with targets of this program; [`install`] writes these, and no others, to stderr: what
//! dependencies have to say may hold anything.

mod lines;
mod often;

use std::fmt;
use std::io;
use std::str::FromStr;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

pub use lines::Lines;
pub use often::Often;

/// What the targets of this program's own events begin with.
const TARGET: &str = "vesal";

/// Which lines are written: those of this level and above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// What does not work until somebody looks at it.
    Error,
    /// What somebody may have to look at.
    Warning,
    /// What happens as it should.
    #[default]
    Info,
    /// Single steps, for whoever looks for a fault.
    Debug,
}

/// A word that is no level.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no level of a log, expected one of error, warning, info, debug")]
pub struct NoLevel {
    /// The word.
    pub found: String,
}

impl FromStr for Level {
    type Err = NoLevel;

    fn from_str(word: &str) -> Result<Self, NoLevel> {
        match word {
            "error" => Ok(Self::Error),
            "warning" => Ok(Self::Warning),
            "info" => Ok(Self::Info),
            "debug" => Ok(Self::Debug),
            _ => Err(NoLevel {
                found: word.to_owned(),
            }),
        }
    }
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warning => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
        }
    }
}

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For readers: time, level, what.
    #[default]
    Text,
    /// One JSON object a line: `time`, `level`, `message`.
    Json,
}

/// Which lines are written, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The lowest level.
    pub level: Level,
    /// How.
    pub format: Format,
}

/// Has the lines of this process written from now on. A process has one log: later calls change nothing.
pub fn install(settings: Settings, writer: Box<dyn io::Write + Send>) {
    let own = Targets::new().with_target(TARGET, settings.level.filter());
    let lines = Lines::new(settings.format, writer).with_filter(own);
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}

/// Writes a line about a single step.
pub fn debug(what: impl fmt::Display) {
    tracing::debug!(target: TARGET, "{what}");
}

/// Writes a line about what happens as it should.
pub fn info(what: impl fmt::Display) {
    tracing::info!(target: TARGET, "{what}");
}

/// Writes a line about what somebody may have to look at.
pub fn warning(what: impl fmt::Display) {
    tracing::warn!(target: TARGET, "{what}");
}

/// Writes a line about what does not work until somebody looks at it.
pub fn error(what: impl fmt::Display) {
    tracing::error!(target: TARGET, "{what}");
}
