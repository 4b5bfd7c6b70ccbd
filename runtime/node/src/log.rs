//! Lines of a log: time, level, message. They name jobs by digests, and no patient or instance.
//!
//! Lines are events of `tracing` with targets of this program; [`install`] writes these and no others, because messages
//! of dependencies may contain anything.

mod lines;
mod rate_limited;
mod settings;

use std::fmt;
use std::io;

use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;

pub use lines::LogLines;
pub use rate_limited::RateLimitedLog;
pub use settings::{LogFormat, LogLevel, LogSettings, NoLevel};

/// Prefix of the targets of this program's events.
const TARGET: &str = "vesal";

/// Installs the log of this process. Later calls change nothing.
pub fn install(settings: LogSettings, writer: Box<dyn io::Write + Send>) {
    let own = Targets::new().with_target(TARGET, settings.level.filter());
    let lines = LogLines::new(settings.format, writer).with_filter(own);
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}

/// Logs a single step.
pub fn debug(what: impl fmt::Display) {
    tracing::debug!(target: TARGET, "{what}");
}

/// Logs a normal event.
pub fn info(what: impl fmt::Display) {
    tracing::info!(target: TARGET, "{what}");
}

/// Logs an event that may need attention.
pub fn warning(what: impl fmt::Display) {
    tracing::warn!(target: TARGET, "{what}");
}

/// Logs a failure that needs attention.
pub fn error(what: impl fmt::Display) {
    tracing::error!(target: TARGET, "{what}");
}
