//! Whether others could have put a file where it lies: what is loaded runs with all rights of its user.

use std::path::{Path, PathBuf};

use super::LibraryError;

/// Gives the real path of a library that is about to be loaded.
///
/// **Definition**: the path is absolute; on Unix neither the file nor any folder above it belongs to another user than this
/// one or root, nor may everybody write to it, unless a folder is one (such as `/tmp`) in which nobody removes what is
/// another's. Groups are the administrator's choice.
///
/// **Errors**: it does not, or is not there.
pub(crate) fn check(path: &Path) -> Result<PathBuf, LibraryError> {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    if !real.is_absolute() {
        return Err(LibraryError::Relative { path: path.into() });
    }
    check_owners(&real)?;
    Ok(real)
}

#[cfg(unix)]
fn check_owners(path: &Path) -> Result<(), LibraryError> {
    use std::os::unix::fs::MetadataExt;

    const EVERYBODY: u32 = 0o002;
    const STICKY: u32 = 0o1000;

    let user = rustix::process::geteuid().as_raw();
    for place in path.ancestors() {
        // What is not there is reported by who loads it.
        let Ok(found) = place.symlink_metadata() else {
            continue;
        };
        let (mode, owner) = (found.mode(), found.uid());
        let open = mode & EVERYBODY != 0 && (found.is_file() || mode & STICKY == 0);
        if open || (owner != 0 && owner != user) {
            return Err(LibraryError::Exposed {
                path: path.into(),
                place: place.into(),
                owner,
            });
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owners(_: &Path) -> Result<(), LibraryError> {
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
            matches!(&error, LibraryError::Exposed { place, .. } if place.ends_with("open")),
            "{error:?}"
        );
        // As `/tmp` is.
        mode(&folder, 0o1777);
        check(&library).expect("nobody removes another's");
        mode(&library, 0o666);
        let error = check(&library).expect_err("everybody's file");
        assert!(
            matches!(&error, LibraryError::Exposed { place, .. } if place.ends_with("library.so")),
            "{error:?}"
        );
        mode(&library, 0o644);

        // A link from elsewhere does not hide the folder.
        mode(&folder, 0o777);
        let link = root.path().join("link.so");
        std::os::unix::fs::symlink(&library, &link).expect("linked");
        assert!(matches!(check(&link), Err(LibraryError::Exposed { .. })));
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
            matches!(error, LibraryError::Exposed { owner: 12_345, .. }),
            "{error:?}"
        );
    }
}
