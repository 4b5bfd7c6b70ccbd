//! Reads the files that a DICOMDIR names.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::dicom::dataset::{self, Encoding, Visitor};
use crate::dicom::error::{DicomError, DicomHeaderError};
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::{self, Tag};
use crate::dicom::text::text;

/// Folders and file of a file ID: twice what is allowed (PS3.10 8.2).
const PARTS_MAX: usize = 16;

/// Limit of the bytes of all paths of a DICOMDIR: a base, and per byte of the file; real ones have some hundred bytes
/// per file.
const PATHS_BASE: u64 = 4 << 20;
const PATHS_PER_BYTE: u64 = 2;

/// The files that a DICOMDIR names; `None` where the file is not a DICOMDIR.
pub(super) fn named(path: &Path) -> Result<Option<BTreeSet<Arc<Path>>>, DicomError> {
    let file = File::open(path).map_err(DicomError::io(path))?;
    let bytes = file.metadata().map_err(DicomError::io(path))?.len();
    let Ok((mut stream, meta)) = dataset::open(file) else {
        return Ok(None);
    };
    // A DICOMDIR is explicit and little endian (PS3.10 8.6), and its class is stated in the file meta information
    // alone.
    if TransferSyntax::of(&meta.syntax) != Some(TransferSyntax::ExplicitLittle) {
        return Ok(None);
    }
    let mut records = Records::default();
    let encoding = Encoding::of(TransferSyntax::ExplicitLittle);
    if let Err(reason) = dataset::walk(&mut stream, encoding, &mut records)
        && records.is_directory
    {
        return Err(DicomError::header(path)(reason));
    }
    if !records.is_directory {
        return Ok(None);
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let malformed = |expected| {
        DicomError::header(path)(DicomHeaderError::Malformed {
            tag: tag::REFERENCED_FILE_ID,
            expected,
        })
    };
    let mut left = PATHS_BASE.saturating_add(PATHS_PER_BYTE.saturating_mul(bytes));
    let mut files = BTreeSet::new();
    for id in records.files {
        let Some(below) = plain_path(&id) else {
            return Err(malformed("names of folders and a file below its own"));
        };
        // The path of every file includes the folder.
        let length = folder.as_os_str().len() + below.len();
        left = left
            .checked_sub(length as u64)
            .ok_or_else(|| malformed("no more files than one of its size can describe"))?;
        files.insert(existing(folder, &below).into());
    }
    Ok(Some(files))
}

/// The path of a file; each component as named or, where that does not exist, in lower case, because some systems copy
/// names so.
fn existing(folder: &Path, below: &str) -> PathBuf {
    let (mut path, mut exists) = (folder.to_owned(), true);
    for part in below.split('/') {
        path.push(part);
        // An absent folder has no content.
        if exists && !path.exists() {
            path.pop();
            path.push(part.to_lowercase());
            exists = path.exists();
            if !exists {
                path.pop();
                path.push(part);
            }
        }
    }
    path
}

/// A file ID as a path; `None` where it leads outside of the folder of its DICOMDIR.
fn plain_path(id: &str) -> Option<String> {
    let parts: Vec<&str> = id.split('\\').map(str::trim).collect();
    let is_plain =
        |part: &&str| !matches!(*part, "" | "." | "..") && !part.contains(['/', ':', '\0']);
    (parts.len() <= PARTS_MAX && parts.iter().all(is_plain)).then(|| parts.join("/"))
}

/// The file IDs of a DICOMDIR.
#[derive(Default)]
struct Records {
    is_directory: bool,
    files: Vec<String>,
}

impl Visitor for Records {
    fn enters(&self, path: &[Tag], sequence: Tag) -> bool {
        path.is_empty() && sequence == tag::DIRECTORY_RECORD_SEQUENCE
    }

    fn begins(&mut self, path: &[Tag]) -> Result<(), DicomHeaderError> {
        self.is_directory |= path == [tag::DIRECTORY_RECORD_SEQUENCE];
        Ok(())
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        path == [tag::DIRECTORY_RECORD_SEQUENCE] && tag == tag::REFERENCED_FILE_ID
    }

    fn value(&mut self, _: &[Tag], _: Tag, value: Vec<u8>) -> Result<(), DicomHeaderError> {
        self.files.push(text(&value));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_ids_lead_below_their_folder_only() {
        assert_eq!(plain_path("DICOM\\A1").as_deref(), Some("DICOM/A1"));
        for id in ["", "..\\A", "A\\..\\B", "/etc\\x", "C:\\x", "A\\\\B", "."] {
            assert_eq!(plain_path(id), None, "{id}");
        }
    }
}
