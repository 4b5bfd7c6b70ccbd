//! Files in memory, on systems with such a folder.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A folder that is removed on drop.
pub struct ScratchFolder(TempDir);

impl ScratchFolder {
    pub fn new() -> Self {
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            TempDir::new_in(memory)
        } else {
            TempDir::new()
        };
        Self(folder.expect("a folder for files of a fuzzer"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, bytes).expect("a file of a fuzzer");
        path
    }
}

/// Separator of the files of one input.
pub const FILE_MARK: &[u8] = b"--FILE--";

/// Most files of one input.
const FILES_MAX: usize = 32;

/// The files of an input, separated by [`FILE_MARK`].
pub fn files(bytes: &[u8]) -> Vec<&[u8]> {
    let mut files = Vec::new();
    let mut rest = bytes;
    while files.len() + 1 < FILES_MAX {
        let Some(at) = rest
            .windows(FILE_MARK.len())
            .position(|window| window == FILE_MARK)
        else {
            break;
        };
        files.push(&rest[..at]);
        rest = &rest[at + FILE_MARK.len()..];
    }
    files.push(rest);
    files
}

/// An input of these files.
pub fn joined(files: &[Vec<u8>]) -> Vec<u8> {
    files.join(FILE_MARK)
}
