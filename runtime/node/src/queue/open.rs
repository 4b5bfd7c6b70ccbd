//! Opens a queue and goes on where the last node was.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::Time;
use crate::config::{Config, Service};
use crate::log;
use crate::queue::files::Files;
use crate::queue::folder::names;
use crate::queue::{Folder, HashMap, Key, Mutex, Queue, State, Unit, digest};
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
            Self::InUse { .. } => {
                Some("stop the other node, or give this one a `storage` of its own")
            }
        }
    }

    fn io(path: &Path) -> impl Fn(io::Error) -> Self {
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
    /// is not sent again.
    ///
    /// **Errors**: [`OpenError`].
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        Self::open_with(config, Files::default())
    }

    pub(super) fn open_with(config: &Config, files: Files) -> Result<Self, OpenError> {
        let storage = &config.storage;
        let lock = lock(storage)?;
        let queue = Self {
            // What a prediction is told has to be found again by the next node.
            storage: storage.canonicalize().map_err(OpenError::io(storage))?,
            services: config.services.clone(),
            settings: config.services.iter().map(settings).collect(),
            retry: config.retry.clone(),
            retention: config.retention.clone(),
            files,
            units: Mutex::new(HashMap::new()),
            _lock: lock,
        };
        queue.recover().map_err(OpenError::io(storage))?;
        Ok(queue)
    }

    fn recover(&self) -> io::Result<()> {
        let jobs = self.storage.join("jobs");
        orphan::end(&jobs);
        self.files.create_folder(&jobs)?;
        self.files.remove_folder(&self.incoming())?;
        self.files.create_folder(&self.incoming())?;
        let mut units = self.units();
        for (name, path) in names(&jobs)? {
            let Some(key) = Key::from_name(&name) else {
                continue;
            };
            let folder = Folder(path);
            match folder.job() {
                Ok(job) => {
                    let service = self
                        .services
                        .iter()
                        .position(|service| service.ae_title == job.service);
                    let mut unit = Unit::new(folder, job, service);
                    self.recover_unit(&key, &mut unit)?;
                    units.insert(key, unit);
                }
                // It died before its first note: there can be no instance.
                Err(reason) if reason.kind() == io::ErrorKind::NotFound => {
                    self.files.remove_folder(&folder.0)?;
                }
                Err(reason) => {
                    // Rather a job that somebody has to look at than the loss of its images.
                    log::error(format_args!(
                        "job {key}: set aside, its note is damaged: {reason}"
                    ));
                    let aside = self.storage.join("damaged");
                    self.files.create_folder(&aside)?;
                    self.files.remove_folder(&aside.join(&name))?;
                    self.files.rename(&folder.0, &aside.join(&name))?;
                }
            }
        }
        Ok(())
    }

    fn recover_unit(&self, key: &Key, unit: &mut Unit) -> io::Result<()> {
        unit.arrived = unit.folder.instances(&unit.folder.arrived())?;
        // Whoever was sending, was cut off by our end.
        unit.cut = Some(String::new());
        let now = Time::now();
        if unit.job.state == State::Failed
            && unit.job.again_at_start
            && !unit.folder.instances(&unit.folder.input())?.is_empty()
        {
            log::info(format_args!("job {key}: is tried again"));
            let job = unit.job.into_state(State::Queued, now);
            unit.turn_into(&self.files, job)?;
        }
        if unit.job.state == State::Running {
            let interrupted = unit.job.interrupted + 1;
            let mut job = if interrupted > INTERRUPTED_MAX {
                log::error(format_args!(
                    "job {key}: the node ended {interrupted} times in it, it is given up"
                ));
                let mut job = unit.job.into_state(State::Failed, now);
                job.reason = Some(format!(
                    "the node ended {interrupted} times during its prediction"
                ));
                job
            } else {
                unit.job.into_state(State::Queued, now)
            };
            job.interrupted = interrupted;
            job.attempts = unit.job.attempts;
            unit.turn_into(&self.files, job)?;
        }
        unit.folder
            .remove_runs(&self.files, unit.job.output.as_deref())?;
        if unit.service.is_none() && !unit.job.state.is_final() {
            log::warning(format_args!(
                "job {key}: waits, the settings have no service {}",
                unit.job.service
            ));
        }
        Ok(())
    }
}

/// Makes the folder, for its owner alone, and takes its lock.
fn lock(storage: &Path) -> Result<File, OpenError> {
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
    // A process that is just being started may share the lock for a moment.
    let end = Instant::now() + Duration::from_millis(500);
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(OpenError::InUse {
                    path: storage.to_owned(),
                });
            }
            Err(TryLockError::Error(reason)) => return Err(io(reason)),
        }
    }
}

/// Digest of what the results of a service depend on besides the images.
fn settings(service: &Service) -> String {
    let manifest = fs::read(service.bundle.join("manifest.json")).unwrap_or_default();
    let rules = service
        .dicom_rules
        .as_ref()
        .and_then(|path| fs::read(path).ok())
        .unwrap_or_default();
    let texts = [&service.formats, &service.series, &service.options];
    let lists = texts.map(|list| list.join("\n"));
    digest(
        [manifest.as_slice(), &rules, service.geometry.as_bytes()]
            .into_iter()
            .chain(lists.iter().map(String::as_bytes)),
    )
}
