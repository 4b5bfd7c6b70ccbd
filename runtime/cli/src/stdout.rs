//! Printing data. A reader that has had enough (`vesal ... | head`) is no failure.

use std::io::{self, Write};

use crate::{Exit, Failure};
use serde::Serialize;

/// Prints text.
///
/// **Errors**: stdout cannot be written.
pub fn print(text: &str) -> Result<(), Failure> {
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

/// Prints one JSON document.
///
/// **Errors**: stdout cannot be written.
pub fn print_json(document: &impl Serialize) -> Result<(), Failure> {
    print(&to_json(document)?)
}

/// Gives the indented text of a JSON document.
///
/// **Errors**: none for the documents of this program, which have text for keys.
pub fn to_json(document: &impl Serialize) -> Result<String, Failure> {
    let mut text = serde_json::to_string_pretty(document).map_err(|error| {
        Failure::new(Exit::Bug, error).attempting("cannot put the result into JSON")
    })?;
    text.push('\n');
    Ok(text)
}
