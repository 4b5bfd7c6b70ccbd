//! Records of the files that setup put into the cache, which identify a library as the fetched one.
//!
//! A record beside the library states the digest of each file, and the file's size, times and inode when the digest was
//! computed. As long as these are equal, the file was not written to; the digest is computed again only where they
//! differ.

use std::fs::{self, Metadata};
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use vesal_files::digest;

use super::error::LibraryError;

/// File name of the record.
const FILE_NAME: &str = "installed.json";
/// Largest record in bytes.
const MAX_RECORD_BYTES: u64 = 1 << 16;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InstalledFile {
    name: String,
    sha256: String,
    stamp: Stamp,
}

/// Size, times and inode of a file: they change with every write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stamp {
    bytes: u64,
    /// Time of the last write and, where available, of the last change of metadata; in nanoseconds since 1970.
    modified: i64,
    changed: i64,
    /// File system and inode, where the system has them.
    device: u64,
    inode: u64,
}

impl Stamp {
    #[cfg(unix)]
    fn of(file: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        let time = |seconds: i64, nanoseconds: i64| {
            seconds
                .saturating_mul(1_000_000_000)
                .saturating_add(nanoseconds)
        };
        Self {
            bytes: file.len(),
            modified: time(file.mtime(), file.mtime_nsec()),
            changed: time(file.ctime(), file.ctime_nsec()),
            device: file.dev(),
            inode: file.ino(),
        }
    }

    #[cfg(not(unix))]
    fn of(file: &Metadata) -> Self {
        let modified = file.modified().ok();
        let modified = modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        Self {
            bytes: file.len(),
            modified: modified.map_or(0, |time| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)),
            changed: 0,
            device: 0,
            inode: 0,
        }
    }
}

/// Whether a folder of the cache has a record.
///
/// **Errors**: it has a record that this user may not read.
pub(crate) fn has_record(folder: &Path) -> Result<bool, LibraryError> {
    Ok(read(folder)?.is_some())
}

/// Records all files of a folder that was just filled.
///
/// **Errors**: reading or writing fails.
pub fn record(folder: &Path) -> io::Result<()> {
    let mut entries = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name != FILE_NAME && entry.file_type()?.is_file() {
            let (_, sha256) = digest::sha256_file(&entry.path())?;
            let stamp = Stamp::of(&entry.metadata()?);
            entries.push(InstalledFile {
                name,
                sha256,
                stamp,
            });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    write(folder, &entries)
}

/// Checks that the files beside a library of the cache, and the library itself, are those that were fetched.
///
/// **Errors**: no record, an unreadable one, or a file that differs from it.
pub fn check(library: &Path) -> Result<(), LibraryError> {
    let changed = |path: &Path| LibraryError::Changed { path: path.into() };
    let folder = library.parent().ok_or_else(|| changed(library))?;
    let name = library.file_name().unwrap_or_default();
    let mut entries = read(folder)?.ok_or_else(|| changed(library))?;
    if !entries.iter().any(|entry| *entry.name == *name) {
        return Err(changed(library));
    }
    let mut again = false;
    for entry in &mut entries {
        let path = folder.join(&entry.name);
        let stamp = path.symlink_metadata().ok().filter(Metadata::is_file);
        let stamp = stamp
            .map(|file| Stamp::of(&file))
            .ok_or_else(|| changed(&path))?;
        if stamp != entry.stamp {
            let found = digest::sha256_file(&path).ok().map(|(_, sha256)| sha256);
            if found.as_ref() != Some(&entry.sha256) {
                return Err(changed(&path));
            }
            (entry.stamp, again) = (stamp, true);
        }
    }
    if again {
        // Where it cannot be written, the digest is computed every time.
        let _ = write(folder, &entries);
    }
    Ok(())
}

/// The record of a folder; `None` where it is absent or invalid.
fn read(folder: &Path) -> Result<Option<Vec<InstalledFile>>, LibraryError> {
    let path = folder.join(FILE_NAME);
    let read = || -> io::Result<Option<Vec<InstalledFile>>> {
        let file = path.symlink_metadata()?;
        if !file.is_file() || file.len() > MAX_RECORD_BYTES {
            return Ok(None);
        }
        Ok(serde_json::from_slice(&fs::read(&path)?).ok())
    };
    match read() {
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        // For example where the folder is a file.
        Err(source) if source.kind() == io::ErrorKind::NotADirectory => Ok(None),
        read => read.map_err(|source| LibraryError::Record { path, source }),
    }
}

/// Writes the record readable for every user who may read the libraries, because caches may be shared.
fn write(folder: &Path, entries: &[InstalledFile]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec_pretty(entries)?)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file()
            .set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.persist(folder.join(FILE_NAME))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_changed_is_not_the_one_that_was_fetched() {
        let folder = tempfile::tempdir().expect("temporary directory");
        let path = |name: &str| folder.path().join(name);
        let library = path("libonnxruntime.so");
        fs::write(&library, "library").expect("written");
        fs::write(path("provider.so"), "provider").expect("written");
        assert!(
            matches!(check(&library), Err(LibraryError::Changed { .. })),
            "no record"
        );
        record(folder.path()).expect("recorded");
        check(&library).expect("as fetched");

        // The same content, as after a backup: its digest is computed once.
        fs::write(&library, "library").expect("written");
        check(&library).expect("as fetched");
        let stamp = Stamp::of(&library.metadata().expect("there"));
        let entries = read(folder.path()).expect("readable").expect("a record");
        assert_eq!(
            entries
                .iter()
                .find(|entry| entry.name == "libonnxruntime.so")
                .expect("listed")
                .stamp,
            stamp
        );

        for (name, content) in [
            ("provider.so", "providex"),
            ("libonnxruntime.so", "libraries"),
        ] {
            let before = fs::read(path(name)).expect("read");
            fs::write(path(name), content).expect("written");
            let error = check(&library).expect_err("another one");
            assert!(
                matches!(&error, LibraryError::Changed { path: found } if *found == path(name)),
                "{error:?}"
            );
            assert_eq!(
                error.hint(),
                Some("`vesal setup --force` fetches ONNX Runtime again")
            );
            fs::write(path(name), before).expect("written");
            check(&library).expect("as fetched");
        }
        let other = path("libonnxruntime.so.2");
        fs::write(&other, "library").expect("written");
        assert!(check(&other).is_err(), "a file that was not fetched");
    }

    #[test]
    fn what_changed_is_fetched_into_the_folder_that_it_lies_in() {
        let cache = tempfile::tempdir().expect("temporary directory");
        let folder = cache.path().join(crate::release::Variant::Cuda.folder());
        fs::create_dir(&folder).expect("created");
        let error = check(&folder.join("libonnxruntime.so")).expect_err("no record");
        let hint = error.hint().expect("a remedy");
        assert!(hint.contains("--cuda --force"), "{hint}");
    }

    #[cfg(unix)]
    #[test]
    fn every_user_of_a_cache_may_read_its_record() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().expect("temporary directory");
        fs::write(folder.path().join("libonnxruntime.so"), "library").expect("written");
        assert!(!has_record(folder.path()).expect("none"));
        record(folder.path()).expect("recorded");
        let path = folder.path().join(FILE_NAME);
        let mode = path.metadata().expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("set");
        if fs::read(&path).is_ok() {
            println!("skipped: this user reads everything");
            return;
        }
        let error = has_record(folder.path()).expect_err("unreadable");
        assert!(matches!(error, LibraryError::Record { .. }), "{error:?}");
    }
}
