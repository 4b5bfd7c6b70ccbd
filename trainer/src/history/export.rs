//! Writing a history.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use vesal_bundle::manifest::FileEntry;
use vesal_bundle::{path as names, run_record};
use vesal_files::{AtomicFile, digest, document};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{History, HistoryError, LIST};
use crate::fit::{CHECKPOINT_FILE, occupy};
use crate::work_dir::WorkDir;

/// Endings of the work directory's own files; other files belong to the user.
const OWN_ENDINGS: [&str; 2] = [".json", ".yaml"];
/// Maximum depth of folders below a run directory.
const MAX_DEPTH: usize = 4;

#[derive(Debug, Clone, Copy, Default)]
pub struct ExportOptions {
    pub only_trained: bool,
    /// Includes checkpoints, from which unfinished runs can be resumed.
    pub with_checkpoints: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    pub trained: Vec<String>,
    pub unfinished: Vec<String>,
    pub files: usize,
    /// Total size of the files in bytes.
    pub bytes: u64,
}

/// Writes plans, data stats and runs of a work directory into one file, completely or not at all.
///
/// **Errors**: [`HistoryError`]; a run that another process trains is an error.
pub fn export(
    work: &WorkDir,
    output: &Path,
    options: ExportOptions,
) -> Result<Exported, HistoryError> {
    let file = AtomicFile::create(output, false)?;
    let mut exported = Exported {
        trained: Vec::new(),
        unfinished: Vec::new(),
        files: 0,
        bytes: 0,
    };
    let mut paths = Vec::new();
    let mut occupied = Vec::new();
    for (name, is_dir) in listing(work.path(), "")? {
        if !is_dir && OWN_ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            paths.push(name);
            continue;
        }
        if !(is_dir && WorkDir::is_own(&name)) {
            continue;
        }
        if !WorkDir::is_run(&name) {
            walk(work.path(), &name, MAX_DEPTH, &mut paths)?;
            continue;
        }
        let finished = work
            .path()
            .join(&name)
            .join(run_record::FILE_NAME)
            .is_file();
        if options.only_trained && !finished {
            continue;
        }
        // Kept until the end, so that no training changes files while they are read.
        occupied.push(occupy(&work.path().join(&name))?);
        walk(work.path(), &name, MAX_DEPTH, &mut paths)?;
        if finished {
            exported.trained.push(name);
        } else {
            exported.unfinished.push(name);
        }
    }
    if !options.with_checkpoints {
        paths.retain(|path| !path.ends_with(&format!("/{CHECKPOINT_FILE}")));
    }
    if options.only_trained && exported.trained.is_empty() {
        return Err(HistoryError::NothingTrained {
            path: work.path().to_owned(),
        });
    }
    let mut archive = ZipWriter::new_stream(file);
    let mut files = BTreeMap::new();
    for path in paths {
        names::check(&path)?;
        let full = work.path().join(&path);
        let unreadable = |source| HistoryError::Read {
            path: full.clone(),
            source,
        };
        let mut source = File::open(&full).map_err(unreadable)?;
        start(&mut archive, &path)?;
        let (bytes, sha256) = digest::copy(&mut source, &mut archive).map_err(unreadable)?;
        exported.bytes += bytes;
        files.insert(path, FileEntry { bytes, sha256 });
    }
    drop(occupied);
    exported.files = files.len();
    let list = document::to_json(&History { files }, LIST)?;
    start(&mut archive, LIST)?;
    let pack = |source| HistoryError::Pack {
        file: LIST.into(),
        source,
    };
    digest::copy(&mut list.as_slice(), &mut archive).map_err(|error| pack(error.into()))?;
    archive.finish().map_err(pack)?.into_inner().commit()?;
    Ok(exported)
}

fn start<W: std::io::Write + std::io::Seek>(
    archive: &mut ZipWriter<W>,
    file: &str,
) -> Result<(), HistoryError> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Stored)
        .large_file(true);
    archive
        .start_file(file, options)
        .map_err(|source| HistoryError::Pack {
            file: file.into(),
            source,
        })
}

/// Lists the files below a folder of the work directory.
fn walk(
    root: &Path,
    folder: &str,
    depth: usize,
    files: &mut Vec<String>,
) -> Result<(), HistoryError> {
    for (name, is_dir) in listing(root, folder)? {
        match (is_dir, depth) {
            (false, _) => files.push(name),
            (true, 0) => {}
            (true, depth) => walk(root, &name, depth - 1, files)?,
        }
    }
    Ok(())
}

/// Entries of a folder as sorted paths from the root, with a flag for folders; hidden ones are skipped.
fn listing(root: &Path, folder: &str) -> Result<Vec<(String, bool)>, HistoryError> {
    let full = root.join(folder);
    let unreadable = |source| HistoryError::Read {
        path: full.clone(),
        source,
    };
    let mut found = Vec::new();
    for entry in full.read_dir().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let path = match folder {
            "" => name,
            folder => format!("{folder}/{name}"),
        };
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_file() || kind.is_dir() {
            found.push((path, kind.is_dir()));
        } else if !folder.is_empty() {
            return Err(HistoryError::NotPlain { file: path });
        }
    }
    found.sort();
    Ok(found)
}
