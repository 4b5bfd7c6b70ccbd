//! Opens a queue and goes on where the last node was.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::clock::Time;
use crate::config::{Config, Service};
use crate::log;
use crate::queue::files::Files;
use crate::queue::folder::{NoteError, names};
use crate::queue::job::DIGITS;
use crate::queue::look::{self, Noted};
use crate::queue::secret::Secret;
use crate::queue::unit::Unit;
use crate::queue::units::Units;
use crate::queue::{Folder, Job, Key, Mutex, Queue, State, Undone, digest, hexadecimal};
use crate::reason::Reason;
use crate::work::orphan;

/// Predictions that end with the node before a job counts as what ends it.
const INTERRUPTED_MAX: u32 = 20;

/// Why a queue cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The system refuses.
    #[error("cannot use the storage folder `{}`: {reason}", path.display())]
    Io {
        /// The folder or a file in it.
        path: PathBuf,
        /// What the system answered.
        reason: io::Error,
    },
    /// The folder's jobs are named with a key that is gone.
    #[error("the storage folder `{}` has jobs, but not the key that they are named with", path.display())]
    NoKey {
        /// File of the key.
        path: PathBuf,
    },
    /// Its jobs are of another version.
    #[error(
        "the storage folder `{}` has jobs of version {found}, expected {expected}",
        path.display()
    )]
    Version {
        /// The folder.
        path: PathBuf,
        /// Version of a job.
        found: u32,
        /// Version that this program reads and writes.
        expected: u32,
    },
    /// Another node has it.
    #[error("the storage folder `{}` is in use by another node", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

impl OpenError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Io { .. } => {
                Some("`storage` in the settings names a folder that the node can write to")
            }
            Self::NoKey { .. } => Some(
                "put the file `key` back, or give the node another `storage` and move images from this one by hand",
            ),
            Self::Version { .. } => Some(
                "run the version of vesal that wrote it until its jobs are done, or give the node another `storage`",
            ),
            Self::InUse { .. } => {
                Some("stop the other node, or give this one a `storage` of its own")
            }
        }
    }

    pub(super) fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |reason| Self::Io {
            path: path.to_owned(),
            reason,
        }
    }
}

impl Queue {
    /// Opens the queue in the storage folder of these settings, which is made if it is not there.
    ///
    /// Half received files are removed; what was predicted when the last node ended is predicted again; what was sent
    /// is not sent again. A job that cannot be read is set aside, the others go on.
    ///
    /// **Errors**: [`OpenError`].
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        Self::open_with(config, Files::default())
    }

    pub(super) fn open_with(config: &Config, files: Files) -> Result<Self, OpenError> {
        let locks = lock(&config.storage)?;
        // What a prediction is told has to be found again by the next node.
        let storage = config
            .storage
            .canonicalize()
            .map_err(OpenError::io(&config.storage))?;
        orphan::end(&storage.join("jobs"));
        let noted = look::notes(&storage)?;
        let key = storage.join("key");
        let secret = Secret::open(&key, &files).map_err(OpenError::io(&key))?;
        let bundles: Vec<_> = config.services.iter().map(manifest).collect();
        let services = config.services.iter().zip(&bundles);
        let mut queue = Self {
            storage,
            services: config.services.clone(),
            settings: services
                .map(|(of, bundle)| settings(of, bundle.as_deref()))
                .collect(),
            bundles,
            retry: config.retry.clone(),
            retention: config.retention.clone(),
            jobs_max: config.limits.jobs,
            secret,
            files,
            blocked: Vec::new(),
            damaged: Vec::new(),
            units: Mutex::new(Units::new(&config.services, &config.retention)),
            _locks: locks,
        };
        queue
            .recover(noted)
            .map_err(OpenError::io(&config.storage))?;
        Ok(queue)
    }

    fn recover(&mut self, noted: Vec<Noted>) -> io::Result<()> {
        let jobs = self.storage.join("jobs");
        self.files.create_folder(&jobs)?;
        self.files.remove_folder(&self.incoming())?;
        self.files.create_folder(&self.incoming())?;
        for Noted { key, folder, job } in noted {
            match job.and_then(|job| Ok(self.take_over(&key, &folder, job)?)) {
                Ok(unit) => self.units().insert(key, unit),
                Err(NoteError::Io(reason))
                    if reason.kind() == io::ErrorKind::NotFound && !folder.has_note() =>
                {
                    self.clear_away(key, &folder);
                }
                Err(reason) => self.set_aside(key, &folder, &reason),
            }
        }
        let aside = names(&self.storage.join("damaged"))?;
        // Those of one name are numbered behind it.
        let keys = aside.keys().map(|name| name.chars().take(DIGITS).collect());
        self.damaged = keys.map(Key).collect();
        Ok(())
    }

    /// Removes the folder of a job without a note. A node that died before the first one left no image there; where
    /// there are some, the note was lost.
    fn clear_away(&mut self, key: Key, folder: &Folder) {
        match folder.has_files() {
            Ok(false) => {}
            Ok(true) => return self.set_aside(key, folder, &NoteError::Absent),
            Err(reason) => return self.set_aside(key, folder, &reason.into()),
        }
        if let Err(reason) = self.files.remove_folder(&folder.0) {
            log::error(format_args!("job {key}: cannot be removed: {reason}"));
            self.blocked.push(key);
        }
    }

    /// Moves a job that cannot be taken over to where somebody can look at it: rather that than the loss of its images.
    fn set_aside(&mut self, key: Key, folder: &Folder, reason: &NoteError) {
        log::error(format_args!(
            "job {key}: set aside, it cannot be taken over: {reason}"
        ));
        let aside = self.storage.join("damaged");
        let move_away = || {
            self.files.create_folder(&aside)?;
            let mut to = aside.join(&key.0);
            for number in 2.. {
                if to.symlink_metadata().is_err() {
                    break;
                }
                to = aside.join(format!("{}-{number}", key.0));
            }
            self.files.rename(&folder.0, &to)?;
            self.files.sync_folder(&aside)
        };
        if let Err(reason) = move_away() {
            log::error(format_args!("job {key}: cannot be moved: {reason}"));
            self.blocked.push(key);
        }
    }

    /// **Errors**: its instances cannot be listed. What cannot be written or removed is no reason to lose it.
    fn take_over(&self, key: &Key, folder: &Folder, job: Job) -> io::Result<Unit> {
        let mut services = self.services.iter();
        let service = services.position(|service| service.ae_title == job.service);
        let mut unit = Unit::new(folder.clone(), job, service);
        unit.arrived = folder.instances(&folder.arrived())?;
        let has_input = !folder.instances(&folder.input())?.is_empty();
        self.recover_unit(key, &mut unit, has_input);
        Ok(unit)
    }

    fn recover_unit(&self, key: &Key, unit: &mut Unit, has_input: bool) {
        unit.undone.clone_from(&unit.job.undone);
        // Whoever was sending, was cut off by our end.
        unit.undone.insert(Undone::Restart);
        let now = Time::now();
        if unit.job.state == State::Failed && unit.job.again_at_start && has_input {
            log::info(format_args!("job {key}: is tried again"));
            let job = unit.job.into_state(State::Queued, now);
            unit.turn_into_at_once(key, &self.files, job);
        }
        if unit.job.state == State::Running {
            let times = unit.job.interrupted + 1;
            let job = if times > INTERRUPTED_MAX {
                let reason = Reason::EndedWithNode { times };
                log::error(format_args!("job {key}: is given up: {reason}"));
                unit.job.failed(reason, now)
            } else {
                unit.job.into_state(State::Queued, now)
            };
            let attempts = unit.job.attempts;
            let job = Job {
                interrupted: times,
                attempts,
                ..job
            };
            unit.turn_into_at_once(key, &self.files, job);
        }
        let output = unit.job.output.as_deref();
        let cleared = unit.folder.remove_runs(&self.files, output);
        unit.tidied(key, &cleared);
        if unit.service.is_none() && !unit.job.state.is_final() {
            log::warning(format_args!(
                "job {key}: waits, the settings have no service {}",
                unit.job.service
            ));
        }
    }
}

/// Makes the folder, for its owner alone, and takes its locks: a file, and where the system lets a folder be locked the
/// folder itself, for the file can be removed.
fn lock(storage: &Path) -> Result<Vec<File>, OpenError> {
    let io = OpenError::io(storage);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(storage).map_err(&io)?;
    // One that was there may be open to others.
    #[cfg(unix)]
    fs::set_permissions(storage, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .map_err(&io)?;
    let path = storage.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(OpenError::io(&path))?;
    let in_use = || OpenError::InUse {
        path: storage.to_owned(),
    };
    let mut locks = vec![take(file).map_err(io)?.ok_or_else(in_use)?];
    // File systems are there that lock files alone.
    if let Some(folder) = look::lockable(storage)
        && let Ok(folder) = take(folder)
    {
        locks.push(folder.ok_or_else(in_use)?);
    }
    Ok(locks)
}

/// Takes the lock of a file; `None` where another process has it.
fn take(file: File) -> io::Result<Option<File>> {
    // A process that is just being started may share the lock for a moment.
    let end = Instant::now() + Duration::from_millis(500);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(reason)) => return Err(reason),
        }
    }
}

/// SHA-256 of the manifest of a service's bundle, which fixes the rest of it; `None` where it cannot be read.
pub(super) fn manifest(service: &Service) -> Option<String> {
    let manifest = fs::read(service.bundle.join("manifest.json")).ok()?;
    Some(hexadecimal(&Sha256::digest(manifest)))
}

/// Digest of what the results of a service depend on besides the images.
fn settings(service: &Service, bundle: Option<&str>) -> String {
    let rules = service
        .dicom_rules
        .as_ref()
        .and_then(|path| fs::read(path).ok())
        .unwrap_or_default();
    let texts = [&service.formats, &service.series, &service.options];
    let lists = texts.map(|list| list.join("\n"));
    let bundle = bundle.unwrap_or_default().as_bytes();
    digest(
        [bundle, &rules, service.geometry.as_bytes()]
            .into_iter()
            .chain(lists.iter().map(String::as_bytes)),
    )
}
