//! Prints data. A closed pipe (`vesal ... | head`) is not a failure.

use std::io::{self, Write};

use serde::Serialize;

use crate::Text;
use crate::failure::{Exit, Failure};
use crate::shown::{json, lines};

/// Prints text.
///
/// **Errors**: stdout cannot be written.
pub fn print(text: &Text) -> Result<(), Failure> {
    write(&lines(text.as_str()))
}

/// Prints a text of the program itself, such as a script, without escaping.
///
/// **Errors**: stdout cannot be written.
pub fn print_own(text: &str) -> Result<(), Failure> {
    write(text)
}

/// Prints one JSON document.
///
/// **Errors**: stdout cannot be written.
pub fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    let text = to_json(document).map_err(|error| {
        Failure::new(Exit::Bug, error).attempting("cannot put the result into JSON")
    })?;
    write(&text)
}

/// The indented text of a JSON document, with control characters escaped.
///
/// **Errors**: none for the documents of these programs, which have text for keys.
pub fn to_json(document: &impl Serialize) -> serde_json::Result<String> {
    let mut text = serde_json::to_string_pretty(document)?;
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
