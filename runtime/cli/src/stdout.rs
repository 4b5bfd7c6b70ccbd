//! Printing data. A reader that has had enough (`vesal ... | head`) is no failure.

use std::io::{self, Write};

use crate::shown::{json, lines};
use crate::{Exit, Failure, Text};
use serde::Serialize;

/// Prints text.
///
/// **Errors**: stdout cannot be written.
pub fn print(text: &Text) -> Result<(), Failure> {
    write(&lines(text.as_str()))
}

/// Prints a text of the program's own, such as a script, as it is.
///
/// **Errors**: stdout cannot be written.
pub fn print_own(text: &str) -> Result<(), Failure> {
    write(text)
}

/// Prints one JSON document.
///
/// **Errors**: stdout cannot be written.
pub fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    write(&to_json(document)?)
}

/// Gives the indented text of a JSON document; what a terminal obeys is written by its number.
///
/// **Errors**: none for the documents of this program, which have text for keys.
pub fn to_json(document: &impl Serialize) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(document).map_err(|error| {
        Failure::new(Exit::Bug, error).attempting("cannot put the result into JSON")
    })?;
    text.push('\n');
    Ok(json(text))
}

fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Output, error).attempting("cannot write to stdout"))
        }
        _ => Ok(()),
    }
}
