//! Reads a settings file.

use std::fs;
use std::path::Path;

use crate::config::tables::ConfigTables;
use crate::config::{Config, NodeConfigError};

/// Every setting with its meaning and default.
pub const EXAMPLE: &str = include_str!("example.toml");

impl Config {
    /// Reads a file.
    ///
    /// **Errors**: it cannot be read, has a key that no setting has, or a value that breaks a rule.
    pub fn read(path: &Path) -> Result<Self, NodeConfigError> {
        let text = fs::read_to_string(path).map_err(|reason| NodeConfigError::Io {
            path: path.to_owned(),
            reason,
        })?;
        Self::parse(&text, path)
    }

    /// Parses the text of a file; relative paths start at the folder of `path`, which errors name.
    ///
    /// **Errors**: as [`Config::read`].
    pub fn parse(text: &str, path: &Path) -> Result<Self, NodeConfigError> {
        let document: ConfigTables = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let (line, column) = place(text, start);
            NodeConfigError::Syntax {
                path: path.to_owned(),
                line,
                column,
                message: error.message().trim().replace('\n', ", "),
            }
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        document
            .check(folder)
            .map_err(|(key, fault)| NodeConfigError::Value {
                path: path.to_owned(),
                key,
                fault,
            })
    }
}

/// Line and column of a byte of a text, each from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before: String = text
        .char_indices()
        .take_while(|(at, _)| *at < byte)
        .map(|(_, character)| character)
        .collect();
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

#[cfg(test)]
mod tests;
