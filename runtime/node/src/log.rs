//! Lines on stderr: time, level, what. They name jobs by digests, and nobody else.

use std::fmt;
use std::io::{self, Write};

use crate::clock::Time;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What happens as it should.
    Info,
    /// What somebody may have to look at.
    Warning,
    /// What does not work until somebody does.
    Error,
}

/// Writes a line. A stderr that is closed or full is no failure.
pub fn line(level: Level, what: impl fmt::Display) {
    let level = match level {
        Level::Info => "info ",
        Level::Warning => "warn ",
        Level::Error => "error",
    };
    let line = format!("{} {level} {what}\n", Time::now().text());
    let _ = io::stderr().lock().write_all(line.as_bytes());
}

/// Writes a line about what happens as it should.
pub fn info(what: impl fmt::Display) {
    line(Level::Info, what);
}

/// Writes a line about what somebody may have to look at.
pub fn warning(what: impl fmt::Display) {
    line(Level::Warning, what);
}

/// Writes a line about what does not work until somebody looks at it.
pub fn error(what: impl fmt::Display) {
    line(Level::Error, what);
}
