//! The archive that PyTorch saves: a pickle and one entry of raw bytes per storage.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::Crc;
use flate2::read::DeflateDecoder;
use thiserror::Error;
use vesal_files::regular;

use crate::directory::{Directory, DirectoryError, Entry, EntryMethod};

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
    Zip(#[from] DirectoryError),
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
    /// Bytes that are not those that were stored.
    #[error(
        "entry `{entry}` is damaged: its bytes do not have the size and checksum that the archive states"
    )]
    Damaged { entry: String },
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
            Self::Zip(_) | Self::Damaged { .. } => Some(
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
    file: BufReader<File>,
    directory: Directory,
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
        let mut file = BufReader::new(file);
        let directory = Directory::read(&mut file, size)?;
        let names = directory.entries.keys();
        let pickles: Vec<String> = names
            .filter(|name| {
                let folder = name.strip_suffix(PICKLE);
                folder.is_some_and(|folder| folder.is_empty() || folder.ends_with('/'))
            })
            .map(|name| name.to_string())
            .collect();
        let [pickle] = pickles.as_slice() else {
            return Err(ArchiveError::Pickles {
                found: pickles.len(),
            });
        };
        let folder = pickle[..pickle.len() - PICKLE.len()].to_owned();
        let mut archive = Self {
            file,
            directory,
            folder,
            budget: size,
            size,
        };
        let order = format!("{}byteorder", archive.folder);
        if archive.directory.entries.contains_key(&*order) {
            archive.charge(&order)?;
            let found = archive.read(&order)?;
            if found.trim_ascii() != b"little" {
                let found = String::from_utf8_lossy(&found).chars().take(64).collect();
                return Err(ArchiveError::ByteOrder { found });
            }
        }
        if archive.charge(pickle)? > MAX_PICKLE_BYTES {
            return Err(ArchiveError::PickleSize);
        }
        let bytes = archive.read(pickle)?;
        Ok((archive, bytes))
    }

    /// The size of a storage, which it takes from the budget: to be asked once, before the storage is read.
    pub fn reserve(&mut self, key: &str) -> Result<usize, ArchiveError> {
        let size = self.charge(&self.storage_name(key))?;
        // No more than the file's size, which is in the budget.
        Ok(size as usize)
    }

    pub fn storage(&mut self, key: &str) -> Result<Vec<u8>, ArchiveError> {
        self.read(&self.storage_name(key))
    }

    fn storage_name(&self, key: &str) -> String {
        format!("{}data/{key}", self.folder)
    }

    fn entry(&self, name: &str) -> Result<Entry, ArchiveError> {
        let entry = self.directory.entries.get(name).copied();
        entry.ok_or_else(|| ArchiveError::Missing { entry: name.into() })
    }

    fn charge(&mut self, name: &str) -> Result<u64, ArchiveError> {
        let size = self.entry(name)?.size;
        self.budget = self
            .budget
            .checked_sub(size)
            .ok_or(ArchiveError::Overlap { limit: self.size })?;
        Ok(size)
    }

    /// Reads an entry whose size has been charged.
    fn read(&mut self, name: &str) -> Result<Vec<u8>, ArchiveError> {
        let entry = self.entry(name)?;
        let unsupported = |problem| DirectoryError::Unsupported {
            entry: name.into(),
            problem,
        };
        if entry.encrypted {
            return Err(unsupported("it is encrypted").into());
        }
        let place = self.directory.place(&mut self.file, &entry)?;
        self.file.seek(SeekFrom::Start(place))?;
        let raw = (&mut self.file).take(entry.compressed);
        let mut bytes = Vec::with_capacity(entry.size as usize);
        match entry.method {
            EntryMethod::Stored => raw.take(entry.size).read_to_end(&mut bytes),
            // One byte more tells that there are too many.
            EntryMethod::Deflated => DeflateDecoder::new(raw)
                .take(entry.size + 1)
                .read_to_end(&mut bytes),
            EntryMethod::Unknown => {
                return Err(unsupported("neither plain nor deflated").into());
            }
        }?;
        let mut crc = Crc::new();
        crc.update(&bytes);
        if bytes.len() as u64 != entry.size || crc.sum() != entry.crc {
            return Err(ArchiveError::Damaged { entry: name.into() });
        }
        Ok(bytes)
    }
}
