//! Messages on stderr. Errors of writing are ignored.

use std::io::{self, Write};

use crate::Text;
use crate::failure::Failure;
use crate::shown::{line, lines};

/// Prints a note for the reader of the results.
pub fn note(text: impl AsRef<str>) {
    write(&format!("note: {}\n", line(text.as_ref())));
}

/// Prints a warning for the reader of the results.
pub fn warning(text: impl AsRef<str>) {
    write(&format!("warning: {}\n", line(text.as_ref())));
}

/// Prints a message about progress.
pub fn say(text: impl AsRef<str>) {
    write(&format!("{}\n", line(text.as_ref())));
}

pub fn print(text: &Text) {
    write(text.as_str());
}

/// Prints a message of [`crate::message`].
pub fn message(message: &str) {
    write(message);
}

pub fn failure(failure: &Failure) {
    write(&failure.render());
}

fn write(text: &str) {
    // An error of stderr cannot be reported anywhere.
    let _ = io::stderr().lock().write_all(lines(text).as_bytes());
}
