//! Saying what goes on, beside the data. Whoever listens or not is no failure.

use std::io::{self, Write};

use crate::shown::{line, lines};
use crate::{Failure, Text};

/// Says something that a reader of the results should know.
pub fn note(text: impl AsRef<str>) {
    write(&format!("note: {}\n", line(text.as_ref())));
}

/// Says something that a reader of the results should look at.
pub fn warning(text: impl AsRef<str>) {
    write(&format!("warning: {}\n", line(text.as_ref())));
}

/// Says what is done.
pub fn say(text: impl AsRef<str>) {
    write(&format!("{}\n", line(text.as_ref())));
}

/// Prints lines.
pub fn print(text: &Text) {
    write(text.as_str());
}

/// Prints a failure.
pub fn failure(failure: &Failure) {
    write(&failure.render());
}

fn write(text: &str) {
    // Where nobody can be told, nobody can be told of that either.
    let _ = io::stderr().lock().write_all(lines(text).as_bytes());
}
