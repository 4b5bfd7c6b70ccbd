//! Writes files and directories beside their destination and renames them, so that none is ever half-written.
//!
//! Everything is written to a temporary sibling, flushed to the disk and renamed in one step. A process that dies
//! leaves the destination as it was; a value dropped without [`AtomicFile::commit`] removes its temporary.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempDir};

/// Why an output could not be put in its place.
#[derive(Debug, thiserror::Error)]
pub enum AtomicError {
    /// The destination exists and must not be replaced.
    #[error("output `{}` exists already", path.display())]
    Exists { path: PathBuf },
    /// The destination names no file, such as `/` or `..`.
    #[error("output `{}` names no file or directory", path.display())]
    NoName { path: PathBuf },
    /// The directory that should hold the destination is absent.
    #[error("cannot write `{}`: its directory `{}` does not exist", path.display(), directory.display())]
    NoDirectory { path: PathBuf, directory: PathBuf },
    /// A system call failed.
    #[error("cannot write `{}`: {reason}", path.display())]
    Io { path: PathBuf, reason: io::Error },
}

impl AtomicError {
    /// A remedy for the user.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Exists { .. } => Some("pass `--overwrite` to replace it"),
            Self::NoDirectory { .. } => Some("create the directory first"),
            Self::NoName { .. } | Self::Io { .. } => None,
        }
    }
}

/// Readers of a new file.
#[derive(Debug, Clone, Copy)]
enum Readers {
    /// The readers of other new files of this process (umask).
    AsMasked,
    /// Its owner alone, on systems with file permissions.
    Owner,
}

/// A file under construction: bytes go to a temporary sibling until [`commit`](Self::commit) renames it.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: BufWriter<NamedTempFile>,
    path: PathBuf,
    overwrite: bool,
}

impl AtomicFile {
    /// Opens a temporary file beside `path`.
    ///
    /// **Errors**: [`AtomicError::Exists`] at once, before any work, if `path` exists and `overwrite` is false.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, AtomicError> {
        Self::create_for(path, overwrite, Readers::AsMasked)
    }

    fn create_for(path: &Path, overwrite: bool, readers: Readers) -> Result<Self, AtomicError> {
        let (directory, name) = file_destination(path, overwrite)?;
        let mut builder = Builder::new();
        let prefix = temporary_prefix(name);
        builder.prefix(&prefix).suffix(".part");
        #[cfg(unix)]
        builder.permissions(unix_mode(match readers {
            Readers::AsMasked => 0o666,
            Readers::Owner => 0o600,
        }));
        #[cfg(not(unix))]
        let _ = readers;
        let temporary = builder.tempfile_in(directory).map_err(io_error(path))?;
        Ok(Self {
            temporary: BufWriter::with_capacity(1 << 18, temporary),
            path: path.to_owned(),
            overwrite,
        })
    }

    /// Flushes the bytes to the disk and renames the temporary to its destination.
    ///
    /// **Errors**: [`AtomicError::Exists`] also if the destination appeared meanwhile and `overwrite` is false.
    pub fn commit(self) -> Result<(), AtomicError> {
        let Self {
            temporary,
            path,
            overwrite,
        } = self;
        let temporary = temporary
            .into_inner()
            .map_err(|error| io_error(&path)(error.into_error()))?;
        temporary.as_file().sync_all().map_err(io_error(&path))?;
        let renamed = if overwrite {
            temporary.persist(&path)
        } else {
            temporary.persist_noclobber(&path)
        };
        match renamed {
            Ok(_) => sync_parent(&path),
            Err(refused) if refused.error.kind() == io::ErrorKind::AlreadyExists => {
                Err(AtomicError::Exists { path })
            }
            Err(refused) => Err(io_error(&path)(refused.error)),
        }
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.temporary.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// Writes `bytes` as the whole content of `path`.
///
/// **Errors**: as [`AtomicFile::create`] and [`AtomicFile::commit`].
///
/// **Examples**
/// ```
/// let directory = tempfile::tempdir().unwrap();
/// let path = directory.path().join("report.json");
/// vesal_files::atomic::write_file(&path, b"{}", false).unwrap();
/// assert_eq!(std::fs::read(&path).unwrap(), b"{}");
/// assert!(vesal_files::atomic::write_file(&path, b"[]", false).is_err());
/// assert_eq!(std::fs::read(&path).unwrap(), b"{}");
/// ```
pub fn write_file(path: &Path, bytes: &[u8], overwrite: bool) -> Result<(), AtomicError> {
    write_and_commit(AtomicFile::create(path, overwrite)?, bytes)
}

/// Writes `bytes` as the whole content of `path`, readable by its owner only; an existing file is replaced.
///
/// **Errors**: as [`write_file`].
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), AtomicError> {
    write_and_commit(AtomicFile::create_for(path, true, Readers::Owner)?, bytes)
}

fn write_and_commit(mut file: AtomicFile, bytes: &[u8]) -> Result<(), AtomicError> {
    file.write_all(bytes).map_err(io_error(&file.path))?;
    file.commit()
}

/// A directory under construction: files go to a temporary sibling until [`commit`](Self::commit) renames it.
#[derive(Debug)]
pub struct AtomicDirectory {
    temporary: TempDir,
    path: PathBuf,
    overwrite: bool,
}

impl AtomicDirectory {
    /// Creates an empty temporary directory beside `path`.
    ///
    /// With `overwrite`, committing replaces the **whole** previous content of `path`: a caller that takes the path
    /// from a user checks first that it holds what is meant to be replaced.
    ///
    /// **Errors**: [`AtomicError::Exists`] at once if `path` exists and `overwrite` is false.
    pub fn create(path: &Path, overwrite: bool) -> Result<Self, AtomicError> {
        let (directory, name) = destination(path, overwrite)?;
        let mut builder = Builder::new();
        let prefix = temporary_prefix(name);
        builder.prefix(&prefix).suffix(".part");
        #[cfg(unix)]
        builder.permissions(unix_mode(0o777));
        let temporary = builder.tempdir_in(directory).map_err(io_error(path))?;
        Ok(Self {
            temporary,
            path: path.to_owned(),
            overwrite,
        })
    }

    /// The temporary directory that takes the files.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Flushes every file to the disk and renames the directory to its destination.
    ///
    /// A previous directory is moved aside first, and moved back if the rename fails.
    ///
    /// **Errors**: [`AtomicError::Exists`] also if the destination appeared meanwhile and `overwrite` is false.
    pub fn commit(self) -> Result<(), AtomicError> {
        let Self {
            temporary,
            path,
            overwrite,
        } = self;
        sync_tree(temporary.path()).map_err(io_error(&path))?;
        if path.symlink_metadata().is_err() {
            fs::rename(temporary.path(), &path).map_err(io_error(&path))?;
            // The directory was renamed, so nothing is left to remove under the old name.
            let _ = temporary.keep();
            return sync_parent(&path);
        }
        let (directory, name) = destination(&path, overwrite)?;
        let aside = Builder::new()
            .prefix(&temporary_prefix(name))
            .suffix(".old")
            .tempdir_in(directory)
            .map_err(io_error(&path))?;
        let previous = aside.path().join(name);
        fs::rename(&path, &previous).map_err(io_error(&path))?;
        if let Err(reason) = fs::rename(temporary.path(), &path) {
            if fs::rename(&previous, &path).is_err() {
                // A leftover is better than the loss of the previous content.
                let _ = aside.keep();
            }
            return Err(io_error(&path)(reason));
        }
        let _ = temporary.keep();
        sync_parent(&path)
    }
}

/// Checks that a file may be written to `path`, as [`AtomicFile::create`] does; returns its directory.
///
/// **Errors**: as [`AtomicFile::create`].
pub fn check_destination(path: &Path, overwrite: bool) -> Result<&Path, AtomicError> {
    file_destination(path, overwrite).map(|(directory, _)| directory)
}

fn file_destination(path: &Path, overwrite: bool) -> Result<(&Path, &OsStr), AtomicError> {
    let destination = destination(path, overwrite)?;
    if path.is_dir() {
        return Err(io_error(path)(io::ErrorKind::IsADirectory.into()));
    }
    Ok(destination)
}

/// Checks that `path` may be written; returns its directory and its file name.
fn destination(path: &Path, overwrite: bool) -> Result<(&Path, &OsStr), AtomicError> {
    let Some(name) = path.file_name() else {
        return Err(AtomicError::NoName {
            path: path.to_owned(),
        });
    };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.is_dir() {
        return Err(AtomicError::NoDirectory {
            path: path.to_owned(),
            directory: directory.to_owned(),
        });
    }
    // A dangling link counts as existing: renaming over it would replace it.
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(AtomicError::Exists {
            path: path.to_owned(),
        });
    }
    Ok((directory, name))
}

/// `.name.`: hidden, and a leftover shows its intended name.
fn temporary_prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    // Names have at most 255 bytes on common file systems; the random part and the suffix need some of them.
    if name.len() <= 200 {
        prefix.push(name);
        prefix.push(".");
    }
    prefix
}

/// The permissions of a new output: the default ones under the process's umask.
#[cfg(unix)]
fn unix_mode(mode: u32) -> fs::Permissions {
    use std::os::unix::fs::PermissionsExt;
    fs::Permissions::from_mode(mode)
}

/// Flushes every file below `directory`, and on Unix the directories themselves.
fn sync_tree(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_tree(&entry.path())?;
        } else if kind.is_file() {
            File::options()
                .write(true)
                .open(entry.path())
                .or_else(|_| File::open(entry.path()))?
                .sync_all()?;
        }
    }
    sync_directory(directory)
}

/// Makes the rename itself durable.
fn sync_parent(path: &Path) -> Result<(), AtomicError> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
    .map_err(io_error(path))
}

/// Flushes the entries of a directory, on systems that support it.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(directory)?.sync_all() {
        // Some network file systems cannot flush directories; the rename is done nevertheless.
        Err(reason)
            if matches!(
                reason.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> AtomicError {
    let path = path.to_owned();
    move |reason| AtomicError::Io {
        path: path.clone(),
        reason,
    }
}
