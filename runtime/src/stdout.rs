//! Printing data. A reader that has had enough (`vesal ... | head`) is no failure.

use std::io::{self, Write};

use serde::Serialize;
use vesal_cli::{Exit, Failure};

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

/// Lays rows out in columns that are two spaces apart.
///
/// **Examples**: `[["a", "bc"], ["def", "g"]]` becomes `a    bc\ndef  g\n`.
pub fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, &width)| format!("{cell:<width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a", "bc"], ["def", "g"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "a    bc\ndef  g\n");
        assert_eq!(table(&[]), "");
    }
}
