//! The archive that PyTorch saves: a pickle and one entry of raw bytes per storage.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use thiserror::Error;
use vesal_files::regular;
use zip::ZipArchive;
use zip::result::ZipError;

/// Largest pickle in bytes; that of a network with hundreds of layers has less than one MiB.
const MAX_PICKLE_BYTES: u64 = 64 << 20;
/// Name of the pickle below the archive's one folder.
const PICKLE: &str = "data.pkl";

/// Why an archive cannot be read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Read(#[from] io::Error),
    /// Not a ZIP archive, or a damaged one.
    #[error("the file is not an intact ZIP archive, expected one as PyTorch 1.6 or later saves it")]
    Zip(#[from] ZipError),
    /// No pickle, or more than one.
    #[error("the archive has {found} entries `{PICKLE}`, expected 1")]
    Pickles { found: usize },
    /// A pickle larger than the limit.
    #[error("the archive's pickle is larger than {MAX_PICKLE_BYTES} bytes")]
    PickleSize,
    /// Saved with the other byte order.
    #[error("the archive has byte order {found:?}, expected \"little\"")]
    ByteOrder { found: String },
    #[error("the archive has no entry `{entry}`")]
    Missing { entry: String },
    /// The entries are together larger than the file.
    #[error("the archive's entries are together larger than its {limit} bytes")]
    Overlap {
        /// Size of the file in bytes.
        limit: u64,
    },
}

impl ArchiveError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Zip(_) => Some(
                "if PyTorch reads the file, load it there and save it again with `torch.save`, which has written ZIP archives since version 1.6",
            ),
            Self::ByteOrder { .. } => {
                Some("load the file in PyTorch on a common machine and save it again")
            }
            _ => None,
        }
    }
}

pub(crate) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    folder: String,
    /// Bytes that may still be read, so that overlapping entries yield no more than the file's size.
    budget: u64,
    size: u64,
}

impl Archive {
    /// Opens an archive and reads its pickle.
    pub fn open(path: &Path) -> Result<(Self, Vec<u8>), ArchiveError> {
        let file = regular::open(path)?;
        let size = file.metadata()?.len();
        let zip = ZipArchive::new(BufReader::new(file))?;
        let pickles: Vec<String> = zip
            .file_names()
            .filter(|name| *name == PICKLE || name.ends_with(&format!("/{PICKLE}")))
            .map(str::to_owned)
            .collect();
        let [pickle] = pickles.as_slice() else {
            return Err(ArchiveError::Pickles {
                found: pickles.len(),
            });
        };
        let folder = pickle[..pickle.len() - PICKLE.len()].to_owned();
        let mut archive = Self {
            zip,
            folder,
            budget: size,
            size,
        };
        let order = format!("{}byteorder", archive.folder);
        if archive.zip.index_for_name(&order).is_some() {
            let found = archive.read(&order, 64)?;
            if found.trim_ascii() != b"little" {
                let found = String::from_utf8_lossy(&found).into_owned();
                return Err(ArchiveError::ByteOrder { found });
            }
        }
        let bytes = archive.read(pickle, MAX_PICKLE_BYTES + 1)?;
        if bytes.len() as u64 > MAX_PICKLE_BYTES {
            return Err(ArchiveError::PickleSize);
        }
        Ok((archive, bytes))
    }

    pub fn storage(&mut self, key: &str) -> Result<Vec<u8>, ArchiveError> {
        self.read(&format!("{}data/{key}", self.folder), u64::MAX)
    }

    /// Reads an entry, up to a limit.
    fn read(&mut self, entry: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let file = match self.zip.by_name(entry) {
            Ok(file) => file,
            Err(ZipError::FileNotFound) => {
                return Err(ArchiveError::Missing {
                    entry: entry.into(),
                });
            }
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        file.take(limit.min(self.budget.saturating_add(1)))
            .read_to_end(&mut bytes)?;
        self.budget = self
            .budget
            .checked_sub(bytes.len() as u64)
            .ok_or(ArchiveError::Overlap { limit: self.size })?;
        Ok(bytes)
    }
}
