//! Checks that other users cannot have written a library, because loaded code runs with all rights of its user.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a library is not loaded.
#[derive(Debug, Error)]
pub enum GuardError {
    /// A relative path, which would depend on the current folder.
    #[error("`{}` is not an absolute path, expected one", path.display())]
    Relative { path: PathBuf },
    #[error("`{}` is not loaded: `{}` belongs to user {owner} or can be written by everybody, expected this user or root alone", path.display(), place.display())]
    Exposed {
        path: PathBuf,
        /// The file, or the folder above it, that others can write.
        place: PathBuf,
        /// Number of the user that it belongs to.
        owner: u32,
    },
}

impl GuardError {
    /// A remedy for the user.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Relative { .. } => "write the path from the root of the file system",
            Self::Exposed { .. } => {
                "remove the write permission of others (`chmod o-w`), or move the library where only you can write"
            }
        }
    }
}

/// Returns the real path of a library that is about to be loaded.
///
/// **Definition**: the path is absolute. On Unix the file, its folder, the libraries beside it and all folders above
/// them belong to this user or root and are not writable by everybody. A folder above the library's own may be a sticky
/// directory such as `/tmp`; the library's own may not, because libraries load their neighbors by name. Group
/// permissions are left to the administrator. On other systems owners are not checked.
///
/// **Errors**: a rule is broken, or the file does not exist.
pub fn check(path: &Path) -> Result<PathBuf, GuardError> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if !real.is_absolute() {
        return Err(GuardError::Relative { path: path.into() });
    }
    for place in std::iter::once(real.clone()).chain(companions(&real)) {
        check_owners(&place, &real)?;
    }
    Ok(real)
}

/// Real paths of the libraries beside one, which may be loaded with it.
fn companions(library: &Path) -> Vec<PathBuf> {
    let entries = library.parent().and_then(|folder| folder.read_dir().ok());
    let names = entries.into_iter().flatten().flatten();
    names
        .filter(|entry| is_library(&entry.file_name().to_string_lossy()))
        // A broken link loads nothing.
        .filter_map(|entry| entry.path().canonicalize().ok())
        .collect()
}

/// Whether a file name is that of a library on some system: `libcudart.so.13`, `cudart64_13.dll`,
/// `libonnxruntime.dylib`.
fn is_library(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".so", ".dll", ".dylib"]
        .iter()
        .any(|end| name.ends_with(end))
        || name.contains(".so.")
}

/// Checks a library and the folders above it; `library` is the one that is loaded.
#[cfg(unix)]
fn check_owners(path: &Path, library: &Path) -> Result<(), GuardError> {
    use std::os::unix::fs::MetadataExt;

    const EVERYBODY: u32 = 0o002;
    const STICKY: u32 = 0o1000;

    let user = rustix::process::geteuid().as_raw();
    for (above, place) in path.ancestors().enumerate() {
        // A missing file is reported when it is loaded.
        let Ok(found) = place.symlink_metadata() else {
            continue;
        };
        let (mode, owner) = (found.mode(), found.uid());
        let kept = above > 1 && mode & STICKY != 0;
        let open = mode & EVERYBODY != 0 && !kept;
        if open || (owner != 0 && owner != user) {
            return Err(GuardError::Exposed {
                path: library.into(),
                place: place.into(),
                owner,
            });
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owners(_: &Path, _: &Path) -> Result<(), GuardError> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_everybody_may_write_is_not_loaded() {
        let root = tempfile::tempdir().expect("temporary directory");
        let folder = root.path().join("open");
        fs::create_dir(&folder).expect("created");
        let library = folder.join("library.so");
        fs::write(&library, "").expect("written");
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("set");
        };
        mode(&folder, 0o775);
        mode(&library, 0o664);
        assert_eq!(
            check(&library).expect("only a group's"),
            library.canonicalize().expect("there")
        );

        mode(&folder, 0o777);
        let error = check(&library).expect_err("everybody's folder");
        assert!(
            matches!(&error, GuardError::Exposed { place, .. } if place.ends_with("open")),
            "{error:?}"
        );
        // A sticky directory such as `/tmp`: users cannot remove files of others, but can add files beside them.
        mode(&folder, 0o1777);
        assert!(matches!(check(&library), Err(GuardError::Exposed { .. })));
        mode(&folder, 0o755);
        mode(root.path(), 0o1777);
        check(&library).expect("a folder above");
        mode(root.path(), 0o700);
        mode(&library, 0o666);
        let error = check(&library).expect_err("everybody's file");
        assert!(
            matches!(&error, GuardError::Exposed { place, .. } if place.ends_with("library.so")),
            "{error:?}"
        );
        mode(&library, 0o644);

        // A link from elsewhere does not bypass the check of the folder.
        mode(&folder, 0o777);
        let link = root.path().join("link.so");
        std::os::unix::fs::symlink(&library, &link).expect("linked");
        assert!(matches!(check(&link), Err(GuardError::Exposed { .. })));
    }

    #[test]
    fn what_a_library_loads_is_checked_with_it() {
        let root = tempfile::tempdir().expect("temporary directory");
        let at = |name: &str| root.path().join(name);
        let library = at("libonnxruntime.so.1.31.1");
        fs::write(&library, "").expect("written");
        for name in ["libonnxruntime_providers_shared.so", "libcudart.so.13.4.36"] {
            let companion = at(name);
            fs::write(&companion, "").expect("written");
            check(&library).expect("nobody else's");
            let mode = |mode| {
                fs::set_permissions(&companion, Permissions::from_mode(mode)).expect("set");
            };
            mode(0o666);
            let error = check(&library).expect_err("everybody's companion");
            assert!(
                matches!(&error, GuardError::Exposed { place, path, .. }
                    if place.ends_with(name) && path.ends_with("libonnxruntime.so.1.31.1")),
                "{error:?}"
            );
            mode(0o644);
        }
        // Other files and broken links are not loaded.
        fs::write(at("notes.txt"), "").expect("written");
        fs::set_permissions(at("notes.txt"), Permissions::from_mode(0o666)).expect("set");
        std::os::unix::fs::symlink(at("nowhere"), at("libgone.so")).expect("linked");
        check(&library).expect("nobody else's");
    }

    #[test]
    fn what_belongs_to_another_user_is_not_loaded() {
        let root = tempfile::tempdir().expect("temporary directory");
        let library = root.path().join("library.so");
        fs::write(&library, "").expect("written");
        if std::os::unix::fs::chown(&library, Some(12_345), None).is_err() {
            println!("skipped: only root gives files away");
            return;
        }
        let error = check(&library).expect_err("another's");
        assert!(
            matches!(error, GuardError::Exposed { owner: 12_345, .. }),
            "{error:?}"
        );
    }
}
