//! Opens a queue and recovers the jobs of the last node.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use crate::clock::Time;
use crate::config::Config;
use crate::log;
use crate::queue::digest::{DIGITS, JobKey};
use crate::queue::digest_key::DigestKey;
use crate::queue::durable_files::DurableFiles;
use crate::queue::job::{IncompleteReason, JobRecord, JobState};
use crate::queue::job_entry::JobEntry;
use crate::queue::job_folder::{JobFolder, NoteError, names};
use crate::queue::job_index::JobIndex;
use crate::queue::job_queue::JobQueue;
use crate::queue::look::{self, NotedJob};
use crate::queue::open_error::OpenError;
use crate::queue::orphan;
use crate::queue::service_digest::{manifest_digest, settings_digest};
use crate::reason::Reason;

/// Predictions interrupted by the end of the node after which a job fails as its likely cause.
const INTERRUPTED_MAX: u32 = 20;

impl JobQueue {
    /// Opens the queue in the storage folder of these settings, which is created if absent.
    ///
    /// Incomplete files are removed; jobs that were being predicted when the last node ended are predicted again;
    /// results that were sent are not sent again. A job that cannot be read is moved to `damaged`.
    ///
    /// **Errors**: [`OpenError`].
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        Self::open_with(config, DurableFiles::default())
    }

    pub(super) fn open_with(config: &Config, files: DurableFiles) -> Result<Self, OpenError> {
        let locks = lock(&config.storage)?;
        // The paths in arguments of predictions must be the same for the next node.
        let storage = config
            .storage
            .canonicalize()
            .map_err(OpenError::io(&config.storage))?;
        orphan::end(&storage.join("jobs"));
        let noted = look::notes(&storage)?;
        let key = storage.join("key");
        let secret = DigestKey::open(&key, &files).map_err(OpenError::io(&key))?;
        let bundles: Vec<_> = config.services.iter().map(manifest_digest).collect();
        let services = config.services.iter().zip(&bundles);
        let mut queue = Self {
            storage,
            services: config.services.clone(),
            settings: services
                .map(|(of, bundle)| settings_digest(of, bundle.as_deref()))
                .collect(),
            bundles,
            retry: config.retry.clone(),
            retention: config.retention.clone(),
            jobs_max: config.limits.jobs,
            secret,
            files,
            blocked: Vec::new(),
            damaged: Vec::new(),
            jobs: Mutex::new(JobIndex::new(&config.services, &config.retention)),
            _locks: locks,
        };
        queue
            .recover(noted)
            .map_err(OpenError::io(&config.storage))?;
        Ok(queue)
    }

    fn recover(&mut self, noted: Vec<NotedJob>) -> io::Result<()> {
        let jobs = self.storage.join("jobs");
        self.files.create_folder(&jobs)?;
        self.files.remove_folder(&self.incoming())?;
        self.files.create_folder(&self.incoming())?;
        for NotedJob { key, folder, job } in noted {
            match job.and_then(|job| Ok(self.take_over(&key, &folder, job)?)) {
                Ok(entry) => self.lock_jobs().insert(key, entry),
                Err(NoteError::Io(reason))
                    if reason.kind() == io::ErrorKind::NotFound && !folder.has_note() =>
                {
                    self.clear_away(key, &folder);
                }
                Err(reason) => self.set_aside(key, &folder, &reason),
            }
        }
        let aside = names(&self.storage.join("damaged"))?;
        // Duplicates have a number after the name.
        let keys = aside.keys().map(|name| name.chars().take(DIGITS).collect());
        self.damaged = keys.map(JobKey).collect();
        Ok(())
    }

    /// Removes the folder of a job without a record, in which a node that died before the first record left no image;
    /// where there are images, the record was lost and the job is set aside.
    fn clear_away(&mut self, key: JobKey, folder: &JobFolder) {
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

    /// Moves a job that cannot be recovered to `damaged`, so that its images are not lost.
    fn set_aside(&mut self, key: JobKey, folder: &JobFolder, reason: &NoteError) {
        log::error(format_args!(
            "job {key}: set aside, because it cannot be resumed: {reason}"
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

    /// **Errors**: its instances cannot be listed. Failures to write or remove files are logged only.
    fn take_over(&self, key: &JobKey, folder: &JobFolder, job: JobRecord) -> io::Result<JobEntry> {
        let mut services = self.services.iter();
        let service = services.position(|service| service.ae_title == job.service);
        let mut entry = JobEntry::new(folder.clone(), job, service);
        entry.arrived = folder.instances(&folder.arrived())?;
        let has_input = !folder.instances(&folder.input())?.is_empty();
        self.recover_entry(key, &mut entry, has_input);
        Ok(entry)
    }

    fn recover_entry(&self, key: &JobKey, entry: &mut JobEntry, has_input: bool) {
        entry.undone.clone_from(&entry.job.undone);
        // The end of the node cut off open associations.
        entry.undone.insert(IncompleteReason::Restart);
        let now = Time::now();
        if entry.job.state == JobState::Failed && entry.job.again_at_start && has_input {
            log::info(format_args!("job {key}: is tried again"));
            let job = entry.job.into_state(JobState::Queued, now);
            entry.turn_into_at_once(key, &self.files, job);
        }
        if entry.job.state == JobState::Running {
            let times = entry.job.interrupted + 1;
            let job = if times > INTERRUPTED_MAX {
                let reason = Reason::EndedWithNode { times };
                log::error(format_args!("job {key}: is given up: {reason}"));
                entry.job.failed(reason, now)
            } else {
                entry.job.into_state(JobState::Queued, now)
            };
            let attempts = entry.job.attempts;
            let job = JobRecord {
                interrupted: times,
                attempts,
                ..job
            };
            entry.turn_into_at_once(key, &self.files, job);
        }
        let output = entry.job.output.as_deref();
        let cleared = entry.folder.remove_runs(&self.files, output);
        entry.tidied(key, &cleared);
        if entry.service.is_none() && !entry.job.state.is_final() {
            log::warning(format_args!(
                "job {key}: waits, because the settings have no service {}",
                entry.job.service
            ));
        }
    }
}

/// Creates the folder, for its owner alone, and takes its locks: a file and, where the system can lock folders, the
/// folder itself, because the file can be removed.
fn lock(storage: &Path) -> Result<Vec<File>, OpenError> {
    let io = OpenError::io(storage);
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(storage).map_err(&io)?;
    // An existing folder may be readable by others.
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
    // Some file systems can lock files only.
    if let Some(folder) = look::lockable(storage)
        && let Ok(folder) = take(folder)
    {
        locks.push(folder.ok_or_else(in_use)?);
    }
    Ok(locks)
}

/// Takes the lock of a file; `None` where another process holds it.
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
