//! The fields of a header as text.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use super::error::NrrdError;
use crate::image::data_files::shown;

/// Largest header in bytes; those of diffusion images have some ten thousand.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Fields that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    ByteSkip,
    DataFile,
    Dimension,
    Encoding,
    Endian,
    Kinds,
    LineSkip,
    Sizes,
    Space,
    SpaceDirections,
    SpaceOrigin,
    SpaceUnits,
    Spacings,
    Type,
}

/// All fields of the format by name; those without a [`Field`] are not needed for scalar images.
const FIELDS: &[(&str, Option<Field>)] = &[
    ("axis maxs", None),
    ("axis mins", None),
    ("block size", None),
    ("byte skip", Some(Field::ByteSkip)),
    ("centerings", None),
    ("centers", None),
    ("content", None),
    ("data file", Some(Field::DataFile)),
    ("dimension", Some(Field::Dimension)),
    ("encoding", Some(Field::Encoding)),
    ("endian", Some(Field::Endian)),
    ("kinds", Some(Field::Kinds)),
    ("labels", None),
    ("line skip", Some(Field::LineSkip)),
    ("max", None),
    ("measurement frame", None),
    ("min", None),
    ("number", None),
    ("old max", None),
    ("old min", None),
    ("sample units", None),
    ("sizes", Some(Field::Sizes)),
    ("space", Some(Field::Space)),
    ("space dimension", None),
    ("space directions", Some(Field::SpaceDirections)),
    ("space origin", Some(Field::SpaceOrigin)),
    ("space units", Some(Field::SpaceUnits)),
    ("spacings", Some(Field::Spacings)),
    ("thicknesses", None),
    ("type", Some(Field::Type)),
    ("units", None),
];

impl Field {
    /// Its name in the format.
    pub fn name(self) -> &'static str {
        let mut fields = FIELDS.iter();
        fields
            .find(|(_, field)| *field == Some(self))
            .map_or("", |(name, _)| *name)
    }
}

/// A header, split into fields.
#[derive(Debug, Default)]
pub(super) struct HeaderLines {
    fields: BTreeMap<Field, String>,
    /// Lines after `data file: LIST`.
    pub files: Vec<String>,
    /// Bytes up to the first of the data, where these follow in the same file.
    pub bytes: u64,
}

/// Why the lines cannot be read.
pub(super) enum LinesError {
    Io(io::Error),
    Rule(NrrdError),
}

impl From<NrrdError> for LinesError {
    fn from(rule: NrrdError) -> Self {
        Self::Rule(rule)
    }
}

impl HeaderLines {
    /// Reads up to the empty line that ends a header, or to the end of the file.
    pub fn read(file: &mut BufReader<File>) -> Result<Self, LinesError> {
        let mut lines = Self::default();
        let mut is_list = false;
        for number in 1.. {
            let Some(line) = lines.next(file)? else {
                return if number == 1 {
                    Err(NrrdError::Magic.into())
                } else {
                    Ok(lines)
                };
            };
            if number == 1 {
                check_magic(&line)?;
            } else if line.is_empty() {
                return Ok(lines);
            } else if is_list {
                lines.files.push(line);
            } else if !line.starts_with('#') {
                lines.add(&line, number)?;
                is_list = lines.is_list();
            }
        }
        Ok(lines)
    }

    /// What a header states in a field; empty counts as not stated.
    pub fn get(&self, field: Field) -> Option<&str> {
        let value = self.fields.get(&field).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    pub fn required(&self, field: Field) -> Result<&str, NrrdError> {
        self.get(field).ok_or(NrrdError::Missing {
            field: field.name(),
        })
    }

    /// The next line without its end; `None` at the end of the file.
    fn next(&mut self, file: &mut BufReader<File>) -> Result<Option<String>, LinesError> {
        let mut line = Vec::new();
        let left = HEADER_BYTES_MAX.saturating_sub(self.bytes);
        let count = file
            .by_ref()
            .take(left)
            .read_until(b'\n', &mut line)
            .map_err(LinesError::Io)?;
        self.bytes += count as u64;
        if line.last() != Some(&b'\n') && self.bytes == HEADER_BYTES_MAX {
            return Err(NrrdError::Long {
                limit: HEADER_BYTES_MAX,
            }
            .into());
        }
        let text = String::from_utf8_lossy(&line);
        Ok((count > 0).then(|| text.trim_end().to_owned()))
    }

    fn add(&mut self, line: &str, number: usize) -> Result<(), NrrdError> {
        let malformed = NrrdError::Line { line: number };
        let Some((name, rest)) = line.split_once(':') else {
            return Err(malformed);
        };
        if rest.starts_with('=') {
            return Ok(());
        }
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            // A key may have colons.
            return if rest.contains(":=") {
                Ok(())
            } else {
                Err(malformed)
            };
        }
        let squeezed = |name: &str| name.replace(' ', "").to_ascii_lowercase();
        let wanted = squeezed(name);
        let Some((known, field)) = FIELDS.iter().find(|(known, _)| squeezed(known) == wanted)
        else {
            let field = shown(name);
            return Err(NrrdError::UnknownField {
                line: number,
                field,
            });
        };
        let Some(field) = field else {
            return Ok(());
        };
        match self.fields.insert(*field, rest.trim().to_owned()) {
            None => Ok(()),
            Some(_) => Err(NrrdError::Twice { field: known }),
        }
    }

    /// Whether the last field announces a list of file names.
    fn is_list(&self) -> bool {
        self.get(Field::DataFile)
            .is_some_and(|value| value == "LIST" || value.starts_with("LIST "))
    }
}

fn check_magic(line: &str) -> Result<(), NrrdError> {
    match line.strip_prefix("NRRD000") {
        Some("1" | "2" | "3" | "4" | "5" | "6") => Ok(()),
        _ if line == "NRRD00.01" => Ok(()),
        _ => Err(NrrdError::Magic),
    }
}
