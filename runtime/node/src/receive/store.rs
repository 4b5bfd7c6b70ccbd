//! Writes instances to the disk as they are received.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use sha2::{Digest, Sha256};
use vesal_io::dicom::{Instance, meta_information};

use crate::network::command::status;
use crate::node_state::NodeState;
use crate::queue::{Admission, AdmissionError, JobKey};
use crate::space::NoSpace;

/// Bytes between checks of free space.
const LOOK: u64 = 8 << 20;

/// Why an instance is refused.
#[derive(Debug, thiserror::Error)]
pub enum StoreRefusal {
    /// There is no space.
    #[error("no space: {0}")]
    Space(#[from] NoSpace),
    /// It is too large.
    #[error("it is larger than {limit} bytes")]
    Large {
        /// Limit in bytes.
        limit: u64,
    },
    /// The system cannot write it.
    #[error("it cannot be written: {0}")]
    Io(#[from] io::Error),
    /// The queue is full.
    #[error("no room in the queue: {0}")]
    Jobs(AdmissionError),
    /// Another caller has sent the instance with other content.
    #[error("{0}")]
    Conflict(AdmissionError),
    /// Its class is not that of its presentation context.
    #[error("its class is not that of the presentation context")]
    Class,
    /// Its UID is invalid.
    #[error("its UID is invalid")]
    Uid,
    /// Its data set is of another instance than the command states.
    #[error("its data set contradicts the command")]
    Mismatch,
    /// It is an image without pixels.
    #[error("it has no pixels")]
    NoPixels,
    /// Its data set cannot be read.
    #[error("its data set cannot be read: {0}")]
    Unreadable(vesal_io::dicom::DicomHeaderError),
}

impl StoreRefusal {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Space(_) | Self::Large { .. } | Self::Io(_) | Self::Jobs(_) => status::RESOURCES,
            Self::Conflict(_) => status::DUPLICATE,
            Self::Class => status::CLASS,
            Self::Uid => status::INSTANCE,
            Self::Mismatch => status::MISMATCH,
            Self::NoPixels | Self::Unreadable(_) => status::UNREADABLE,
        }
    }

    /// Label for metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Space(_) => "space",
            Self::Large { .. } => "size",
            Self::Io(_) => "io",
            Self::Jobs(_) => "jobs",
            Self::Conflict(_) => "conflict",
            Self::Class => "class",
            Self::Uid => "uid",
            Self::Mismatch => "mismatch",
            Self::NoPixels => "pixels",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl From<AdmissionError> for StoreRefusal {
    fn from(reason: AdmissionError) -> Self {
        match reason {
            AdmissionError::Io(reason) => Self::Io(reason),
            reason @ AdmissionError::Jobs { .. } => Self::Jobs(reason),
            reason @ AdmissionError::Conflict => Self::Conflict(reason),
        }
    }
}

/// A file that is being received, and removed if dropped before [`Incoming::keep`].
pub struct Incoming {
    file: File,
    path: PathBuf,
    class: String,
    instance: String,
    hash: Sha256,
    bytes: u64,
    looked: u64,
    limit: u64,
}

/// Counter for the names of this process's files.
static NUMBER: AtomicU64 = AtomicU64::new(0);

impl Incoming {
    /// Creates the file with its meta information.
    ///
    /// **Errors**: no room, or the system cannot write.
    pub fn begin(
        shared: &NodeState,
        class: &str,
        instance: &str,
        syntax: &str,
    ) -> Result<Self, StoreRefusal> {
        shared.space.check(shared.queue.storage())?;
        let head = meta_information(class, instance, syntax).ok_or(StoreRefusal::Uid)?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = shared.queue.incoming().join(format!("{number}.part"));
        let mut incoming = Self {
            file: File::options().write(true).create_new(true).open(&path)?,
            path,
            class: class.to_owned(),
            instance: instance.to_owned(),
            hash: Sha256::new(),
            bytes: head.len() as u64,
            looked: 0,
            limit: shared.config.limits.instance_bytes,
        };
        incoming.hash.update(syntax);
        incoming.file.write_all(&head)?;
        Ok(incoming)
    }

    /// Appends bytes of the data set.
    ///
    /// **Errors**: no room, too large, or the system cannot write.
    pub fn write(&mut self, shared: &NodeState, bytes: &[u8]) -> Result<(), StoreRefusal> {
        self.bytes += bytes.len() as u64;
        if self.bytes > self.limit {
            return Err(StoreRefusal::Large { limit: self.limit });
        }
        if self.bytes - self.looked > LOOK {
            self.looked = self.bytes;
            shared.space.check(shared.queue.storage())?;
        }
        self.hash.update(bytes);
        Ok(self.file.write_all(bytes)?)
    }

    /// Adds the whole file to the queue; returns its size in bytes. It is from `caller`, whose AE title is `calling`.
    ///
    /// **Errors**: the system cannot write; the data set cannot be read, or contradicts the command.
    pub fn keep(
        mut self,
        shared: &NodeState,
        service: usize,
        (caller, calling): (&str, &str),
        touched: &mut HashSet<JobKey>,
    ) -> Result<(u64, Admission), StoreRefusal> {
        self.file.sync_all()?;
        let (end, stop) = (Instant::now() + shared.config.limits.idle, &shared.stop);
        let goes_on = || !stop.is_over() && Instant::now() < end;
        let found =
            Instance::read_within(&self.path, &goes_on).map_err(StoreRefusal::Unreadable)?;
        if found.class != self.class || found.instance != self.instance {
            return Err(StoreRefusal::Mismatch);
        }
        if !found.has_pixels {
            return Err(StoreRefusal::NoPixels);
        }
        let queue = &shared.queue;
        let key = queue.key(service, &found.study, &found.series);
        let arrival = queue.arrival(&found.instance, &self.hash.finalize_reset(), caller);
        let admitted = queue.admit(service, &key, &arrival, &self.path, caller, touched)?;
        if !shared.config.sources.is_empty() {
            shared.sources.note_caller(&key, calling);
        }
        if admitted == Admission::New {
            self.path = PathBuf::new();
            shared.space.add(self.bytes);
        }
        Ok((self.bytes, admitted))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.path != Path::new("") {
            let _ = fs::remove_file(&self.path);
        }
    }
}
