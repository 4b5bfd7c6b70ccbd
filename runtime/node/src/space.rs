//! Free space: instances are refused before the disk is full.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::config::NodeLimits;

/// How long the state of the file system is cached.
const FRESH: Duration = Duration::from_secs(1);

/// How long the size of the storage folder is cached.
const COUNTED: Duration = Duration::from_secs(60);

/// Why instances are refused.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum NoSpace {
    /// The used share of the file system has reached its limit.
    #[error("{:.1} % of the file system are used, the limit is {:.1} %", 100.0 * used, 100.0 * limit)]
    Disk {
        /// Used share, 0 to 1.
        used: f64,
        /// Limit of the used share, 0 to 1.
        limit: f64,
    },
    /// The storage folder has reached its size limit.
    #[error("the storage folder holds {used} bytes, the limit is {limit} bytes")]
    Storage {
        /// Bytes of its files.
        used: u64,
        /// Limit in bytes.
        limit: u64,
    },
}

/// Watches a storage folder and its file system.
#[derive(Debug)]
pub struct StorageSpace {
    share: f64,
    bytes: Option<u64>,
    /// Bytes that came since the folder was counted.
    added: AtomicU64,
    disk: Mutex<Option<(Instant, Option<Usage>)>>,
    counted: Mutex<Option<(Instant, u64)>>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// All bytes that this user could use.
    pub total: u64,
    /// Bytes that this user can still use.
    pub free: u64,
}

impl Usage {
    /// Used share, 0 to 1.
    pub fn share(self) -> f64 {
        1.0 - self.free as f64 / self.total.max(1) as f64
    }
}

impl StorageSpace {
    /// Watches with these limits.
    pub fn new(limits: &NodeLimits) -> Self {
        Self {
            share: limits.disk_share,
            bytes: limits.storage_bytes,
            added: AtomicU64::new(0),
            disk: Mutex::new(None),
            counted: Mutex::new(None),
        }
    }

    pub fn add(&self, bytes: u64) {
        self.added.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Whether there is room.
    ///
    /// **Errors**: [`NoSpace`]. A file system that cannot be asked counts as having room: writing will show it.
    pub fn check(&self, storage: &Path) -> Result<(), NoSpace> {
        if let Some(used) = self.disk(storage).map(Usage::share)
            && used > self.share
        {
            let limit = self.share;
            return Err(NoSpace::Disk { used, limit });
        }
        match self.bytes {
            Some(limit) => {
                let used = self.storage(storage);
                if used >= limit {
                    Err(NoSpace::Storage { used, limit })
                } else {
                    Ok(())
                }
            }
            None => Ok(()),
        }
    }

    /// Bytes of the storage folder, and of its file system.
    pub fn figures(&self, storage: &Path) -> (u64, Option<Usage>) {
        (self.storage(storage), self.disk(storage))
    }

    fn disk(&self, storage: &Path) -> Option<Usage> {
        let mut seen = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        match *seen {
            Some((at, usage)) if at.elapsed() < FRESH => usage,
            _ => {
                let usage = usage(storage);
                *seen = Some((Instant::now(), usage));
                usage
            }
        }
    }

    fn storage(&self, storage: &Path) -> u64 {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let added = self.added.load(Ordering::Relaxed);
        if let Some((at, bytes)) = *counted {
            let full = self.bytes.is_some_and(|limit| bytes + added >= limit);
            // If it seems full, removed files should be noticed soon.
            if at.elapsed() < if full { FRESH } else { COUNTED } {
                return bytes + added;
            }
        }
        self.added.store(0, Ordering::Relaxed);
        let bytes = size(storage).unwrap_or(0);
        *counted = Some((Instant::now(), bytes));
        bytes
    }
}

/// Bytes of all files below a folder.
fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // A file may be removed meanwhile.
        match entry.metadata() {
            Ok(data) if data.is_dir() => bytes += size(&entry.path()).unwrap_or(0),
            Ok(data) => bytes += data.len(),
            Err(_) => {}
        }
    }
    Ok(bytes)
}

#[cfg(unix)]
fn usage(path: &Path) -> Option<Usage> {
    let found = rustix::fs::statvfs(path).ok()?;
    let used = found.f_blocks.saturating_sub(found.f_bfree);
    Some(Usage {
        // Space reserved for root counts neither as used nor as free.
        total: used
            .saturating_add(found.f_bavail)
            .saturating_mul(found.f_frsize),
        free: found.f_bavail.saturating_mul(found.f_frsize),
    })
}

#[cfg(not(unix))]
fn usage(_: &Path) -> Option<Usage> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(disk_share: f64, storage_bytes: Option<u64>) -> NodeLimits {
        let example = crate::config::Config::parse(crate::config::EXAMPLE, Path::new("x"));
        NodeLimits {
            disk_share,
            storage_bytes,
            ..example.unwrap().limits
        }
    }

    #[test]
    fn a_folder_is_full_at_its_limit() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a/b"), [0; 600]).unwrap();
        let space = StorageSpace::new(&limits(1.0, Some(1000)));
        assert_eq!(space.check(folder.path()), Ok(()));
        space.add(400);
        let (used, limit) = (1000, 1000);
        assert_eq!(
            space.check(folder.path()),
            Err(NoSpace::Storage { used, limit })
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_disk_is_full_at_its_watermark() {
        let folder = tempfile::tempdir().unwrap();
        let usage = usage(folder.path()).unwrap();
        assert!(usage.free <= usage.total && (0.0..=1.0).contains(&usage.share()));
        let space = StorageSpace::new(&limits(1e-12, None));
        let is_full = matches!(space.check(folder.path()), Err(NoSpace::Disk { .. }));
        assert_eq!(is_full, usage.share() > 1e-12);
    }
}
