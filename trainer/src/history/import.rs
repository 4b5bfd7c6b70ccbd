//! Reading a history, which may come from an untrusted source.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use vesal_bundle::manifest::FileEntry;
use vesal_bundle::path as names;
use vesal_files::{AtomicDirectory, VersionedDocument, digest, document, regular};
use zip::ZipArchive;
use zip::result::ZipError;
use zip::{CompressionMethod, read::ZipFile};

use super::{History, HistoryError, LIST, MAX_FILES};
use crate::work_dir::{Request, WorkDir, WorkError};

/// Unpacks a history into a new work directory, completely or not at all; `dataroot` is the folder of the data on this
/// machine.
///
/// **Errors**: [`HistoryError`]; the destination must not exist, and is not created.
pub fn import(
    archive: &Path,
    work_dir: &Path,
    dataroot: Option<&Path>,
) -> Result<WorkDir, HistoryError> {
    if let Some(path) = dataroot.filter(|path| !path.is_dir()) {
        let path = path.to_owned();
        return Err(WorkError::NoDataroot { path }.into());
    }
    let staged = AtomicDirectory::create(work_dir, false)?;
    unpack(archive, staged.path())?;
    // Checks that it is a work directory before it gets its name.
    WorkDir::open(staged.path(), None)?;
    staged.commit()?;
    let request = Request {
        dataroot,
        ..Request::default()
    };
    Ok(match dataroot {
        Some(_) => WorkDir::prepare(work_dir, &request)?,
        None => WorkDir::open(work_dir, None)?,
    })
}

fn unpack(archive: &Path, folder: &Path) -> Result<(), HistoryError> {
    let unreadable = |source| HistoryError::Read {
        path: archive.to_owned(),
        source,
    };
    let file = regular::open(archive).map_err(unreadable)?;
    // Entries are not compressed, so that the entries of a valid archive are together smaller than it.
    let size = file.metadata().map_err(unreadable)?.len();
    let mut zip = ZipArchive::new(BufReader::new(file))?;
    let mut list = Vec::new();
    entry(&mut zip, LIST)?
        .take(History::MAX_BYTES.min(size) + 1)
        .read_to_end(&mut list)
        .map_err(unreadable)?;
    let found = list.len() as u64;
    if found > History::MAX_BYTES.min(size) {
        return Err(HistoryError::TooMany {
            of: "bytes of a list",
            found,
            most: History::MAX_BYTES.min(size),
        });
    }
    let History { files } = document::parse(&list, LIST)?;
    check_names(&zip, &files)?;
    let total = files
        .values()
        .fold(0u64, |sum, file| sum.saturating_add(file.bytes));
    if total > size {
        return Err(HistoryError::TooMany {
            of: "bytes in its list",
            found: total,
            most: size,
        });
    }
    for (name, expected) in &files {
        let path = names::join(folder, name)?;
        let failed = |source| HistoryError::Write {
            path: path.clone(),
            source,
        };
        let source = entry(&mut zip, name)?;
        if source.size() != expected.bytes {
            return Err(HistoryError::Size {
                file: name.clone(),
                found: source.size(),
                expected: expected.bytes,
            });
        }
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let mut target = File::create_new(&path).map_err(failed)?;
        let (bytes, sha256) = digest::copy(
            &mut source.take(expected.bytes.saturating_add(1)),
            &mut target,
        )
        .map_err(|source| match source.kind() {
            // A mismatch with the archive's own checksums.
            io::ErrorKind::InvalidData => ZipError::Io(source).into(),
            _ => failed(source),
        })?;
        if bytes != expected.bytes {
            return Err(HistoryError::Size {
                file: name.clone(),
                found: bytes,
                expected: expected.bytes,
            });
        }
        if sha256 != expected.sha256 {
            return Err(HistoryError::Digest {
                file: name.clone(),
                found: sha256,
                expected: expected.sha256.clone(),
            });
        }
    }
    Ok(())
}

/// Checks that the archive contains exactly the files of its list, under names that stay inside of a folder.
fn check_names<R: Read + io::Seek>(
    zip: &ZipArchive<R>,
    files: &BTreeMap<String, FileEntry>,
) -> Result<(), HistoryError> {
    if files.len() > MAX_FILES {
        return Err(HistoryError::TooMany {
            of: "files",
            found: files.len() as u64,
            most: MAX_FILES as u64,
        });
    }
    let mut lowercase: BTreeMap<String, &String> = BTreeMap::new();
    for name in files.keys() {
        names::check(name)?;
        if let Some(first) = lowercase.insert(name.to_ascii_lowercase(), name) {
            return Err(HistoryError::SameIgnoringCase {
                first: first.clone(),
                second: name.clone(),
            });
        }
    }
    let unlisted = |name: &&str| *name != LIST && !files.contains_key(*name);
    match zip.file_names().find(unlisted) {
        Some(name) => Err(HistoryError::Unlisted {
            file: name.chars().take(names::MAX_BYTES).collect(),
        }),
        None => Ok(()),
    }
}

/// An entry that is a plain file without compression.
fn entry<'a, R: Read + io::Seek>(
    zip: &'a mut ZipArchive<R>,
    name: &str,
) -> Result<ZipFile<'a, R>, HistoryError> {
    let file = match zip.by_name(name) {
        Err(ZipError::FileNotFound) => return Err(HistoryError::Missing { file: name.into() }),
        other => other?,
    };
    if file.is_symlink() || !file.is_file() {
        return Err(HistoryError::NotPlain { file: name.into() });
    }
    if file.compression() != CompressionMethod::Stored || file.encrypted() {
        return Err(HistoryError::Stored { file: name.into() });
    }
    Ok(file)
}
