//! Regular files: pipes and devices, which may block or never end, are refused before they are opened.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Opens a regular file, or a link to one.
///
/// **Errors**: those of the system; [`io::ErrorKind::InvalidInput`] for pipes, devices and the like. Folders fail when
/// they are read.
pub fn open(path: &Path) -> io::Result<File> {
    let kind = path.metadata()?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        let reason = "it is not a regular file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    File::open(path)
}

/// Reads a whole regular file.
///
/// **Errors**: as [`open`], and those of reading.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a regular file up to one byte beyond the limit, so that the caller can detect a larger one.
///
/// **Errors**: as [`read`].
pub fn read_up_to(path: &Path, limit_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?
        .take(limit_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_up_to_their_limit() {
        let directory = tempfile::tempdir().expect("temporary folder");
        let path = directory.path().join("file");
        std::fs::write(&path, [7; 10]).expect("written");
        assert_eq!(read(&path).expect("read"), [7; 10]);
        assert_eq!(read_up_to(&path, 4).expect("read"), [7; 5]);
        assert_eq!(read_up_to(&path, 10).expect("read"), [7; 10]);
        assert!(read(directory.path()).is_err());
        let absent = read(&directory.path().join("absent")).expect_err("absent");
        assert_eq!(absent.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_not_even_opened() {
        let directory = tempfile::tempdir().expect("temporary folder");
        let socket = directory.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
        // The device never ends.
        for path in [Path::new("/dev/zero"), &socket] {
            for error in [
                read(path).expect_err("no file"),
                read_up_to(path, 8).expect_err("no file"),
                crate::digest::sha256_file(path).expect_err("no file"),
            ] {
                assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
                assert_eq!(error.to_string(), "it is not a regular file");
            }
        }
    }
}
