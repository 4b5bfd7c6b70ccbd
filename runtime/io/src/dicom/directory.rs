//! The files that a DICOMDIR names.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::dicom::dataset::{self, Encoding, Visitor, text};
use crate::dicom::error::{DicomError, HeaderError};
use crate::dicom::syntax::TransferSyntax;
use crate::dicom::tag::{self, Tag};

/// The files that a DICOMDIR names; `None` where the file is none.
pub(super) fn named(path: &Path) -> Result<Option<Vec<PathBuf>>, DicomError> {
    let file = File::open(path).map_err(DicomError::io(path))?;
    let Ok((mut stream, meta)) = dataset::open(file) else {
        return Ok(None);
    };
    // A DICOMDIR is explicit and little endian (PS3.10 8.6), and its class stands in the file meta information alone.
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
    let mut files = Vec::new();
    for id in records.files {
        match plain_path(&id) {
            Some(below) => files.push(existing(folder, &below)),
            None => {
                return Err(DicomError::header(path)(HeaderError::Malformed {
                    tag: tag::REFERENCED_FILE_ID,
                    expected: "names of folders and a file below its own",
                }));
            }
        }
    }
    Ok(Some(files))
}

/// Where a file lies: each part as it is named, or in lower case, as some systems copy it.
fn existing(folder: &Path, below: &str) -> PathBuf {
    below.split('/').fold(folder.to_owned(), |folder, part| {
        let (named, lower) = (folder.join(part), folder.join(part.to_lowercase()));
        if !named.exists() && lower.exists() {
            lower
        } else {
            named
        }
    })
}

/// A file ID as a path; `None` where it leads anywhere else than below the folder of its DICOMDIR.
fn plain_path(id: &str) -> Option<String> {
    let parts: Vec<&str> = id.split('\\').map(str::trim).collect();
    parts
        .iter()
        .all(|part| !matches!(*part, "" | "." | "..") && !part.contains(['/', ':', '\0']))
        .then(|| parts.join("/"))
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

    fn begins(&mut self, path: &[Tag]) {
        self.is_directory |= path == [tag::DIRECTORY_RECORD_SEQUENCE];
    }

    fn wants(&self, path: &[Tag], tag: Tag) -> bool {
        path == [tag::DIRECTORY_RECORD_SEQUENCE] && tag == tag::REFERENCED_FILE_ID
    }

    fn value(&mut self, _: &[Tag], _: Tag, value: Vec<u8>) {
        self.files.push(text(&value));
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
