//! The fields of a header as text.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};

use super::error::MetaImageError;

/// Largest header in bytes; a list of data files can take most of it.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Fields that are read; others are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MetaImageField {
    BinaryData,
    ByteOrder,
    CompressedData,
    DimSize,
    DistanceUnits,
    ElementDataFile,
    ElementNumberOfChannels,
    ElementSize,
    ElementSpacing,
    ElementType,
    HeaderSize,
    NDims,
    ObjectType,
    Offset,
    TransformMatrix,
}

/// Names of the fields in the format; the first of a field is the one that messages use.
const FIELDS: &[(&str, MetaImageField)] = &[
    ("BinaryData", MetaImageField::BinaryData),
    ("BinaryDataByteOrderMSB", MetaImageField::ByteOrder),
    ("ElementByteOrderMSB", MetaImageField::ByteOrder),
    ("CompressedData", MetaImageField::CompressedData),
    ("DimSize", MetaImageField::DimSize),
    ("DistanceUnits", MetaImageField::DistanceUnits),
    ("ElementDataFile", MetaImageField::ElementDataFile),
    (
        "ElementNumberOfChannels",
        MetaImageField::ElementNumberOfChannels,
    ),
    ("ElementSize", MetaImageField::ElementSize),
    ("ElementSpacing", MetaImageField::ElementSpacing),
    ("ElementType", MetaImageField::ElementType),
    ("HeaderSize", MetaImageField::HeaderSize),
    ("NDims", MetaImageField::NDims),
    ("ObjectType", MetaImageField::ObjectType),
    ("Offset", MetaImageField::Offset),
    ("Position", MetaImageField::Offset),
    ("Origin", MetaImageField::Offset),
    ("TransformMatrix", MetaImageField::TransformMatrix),
    ("Rotation", MetaImageField::TransformMatrix),
    ("Orientation", MetaImageField::TransformMatrix),
];

/// Names with which a header may begin.
const FIRST: [&str; 3] = ["ObjectType", "NDims", "Comment"];

impl MetaImageField {
    /// Its name in the format.
    pub fn name(self) -> &'static str {
        let mut fields = FIELDS.iter();
        fields
            .find(|(_, field)| *field == self)
            .map_or("", |(name, _)| *name)
    }

    /// Whether a header may state it under several of its names.
    fn is_repeatable(self) -> bool {
        matches!(self, Self::ByteOrder | Self::Offset | Self::TransformMatrix)
    }
}

/// Whether the first bytes of a file begin a header.
pub(super) fn is_header(head: &[u8]) -> bool {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(at) = line.iter().position(|byte| *byte == b'=') else {
        return false;
    };
    let name = line[..at].trim_ascii();
    FIRST.iter().any(|first| name == first.as_bytes())
}

/// A header, split into fields.
#[derive(Debug, Default)]
pub(super) struct MetaImageLines {
    fields: BTreeMap<MetaImageField, String>,
    /// Lines after `ElementDataFile = LIST`.
    pub files: Vec<String>,
    /// Bytes up to the first of the data, where these follow in the same file.
    pub bytes: u64,
}

/// Why the lines cannot be read.
pub(super) enum MetaImageLinesError {
    Io(io::Error),
    Rule(MetaImageError),
}

impl From<MetaImageError> for MetaImageLinesError {
    fn from(rule: MetaImageError) -> Self {
        Self::Rule(rule)
    }
}

impl MetaImageLines {
    /// Reads up to `ElementDataFile`, which is the last field, and the list of files that may follow it.
    pub fn read(file: &mut BufReader<File>) -> Result<Self, MetaImageLinesError> {
        let start = file.fill_buf().map_err(MetaImageLinesError::Io)?;
        if !is_header(start) {
            return Err(MetaImageError::Start.into());
        }
        let mut lines = Self::default();
        let mut number = 0;
        while lines.get(MetaImageField::ElementDataFile).is_none() {
            number += 1;
            match lines.next(file)? {
                Some(line) if line.is_empty() => {}
                Some(line) => lines.add(&line, number)?,
                None => {
                    let field = MetaImageField::ElementDataFile.name();
                    return Err(MetaImageError::Missing { field }.into());
                }
            }
        }
        let is_list = lines
            .get(MetaImageField::ElementDataFile)
            .and_then(|value| value.split_whitespace().next())
            == Some("LIST");
        if is_list {
            while let Some(line) = lines.next(file)? {
                if !line.is_empty() {
                    lines.files.push(line);
                }
            }
        }
        Ok(lines)
    }

    /// What a header states in a field; empty counts as not stated.
    pub fn get(&self, field: MetaImageField) -> Option<&str> {
        let value = self.fields.get(&field).map(String::as_str);
        value.filter(|value| !value.is_empty())
    }

    pub fn required(&self, field: MetaImageField) -> Result<&str, MetaImageError> {
        self.get(field).ok_or(MetaImageError::Missing {
            field: field.name(),
        })
    }

    /// The next line without its end; `None` at the end of the file.
    fn next(&mut self, file: &mut BufReader<File>) -> Result<Option<String>, MetaImageLinesError> {
        let mut line = Vec::new();
        let left = HEADER_BYTES_MAX.saturating_sub(self.bytes);
        let count = file
            .by_ref()
            .take(left)
            .read_until(b'\n', &mut line)
            .map_err(MetaImageLinesError::Io)?;
        self.bytes += count as u64;
        if line.last() != Some(&b'\n') && self.bytes == HEADER_BYTES_MAX {
            let limit = HEADER_BYTES_MAX;
            return Err(MetaImageError::Long { limit }.into());
        }
        let text = String::from_utf8_lossy(&line);
        Ok((count > 0).then(|| text.trim().to_owned()))
    }

    fn add(&mut self, line: &str, number: usize) -> Result<(), MetaImageError> {
        let Some((name, value)) = line.split_once('=') else {
            return Err(MetaImageError::Line { line: number });
        };
        let (name, value) = (name.trim(), value.trim());
        let Some((_, field)) = FIELDS.iter().find(|(known, _)| *known == name) else {
            return Ok(());
        };
        match self.fields.insert(*field, value.to_owned()) {
            Some(before) if before != value || !field.is_repeatable() => {
                let field = field.name();
                Err(MetaImageError::Twice { field })
            }
            _ => Ok(()),
        }
    }
}
