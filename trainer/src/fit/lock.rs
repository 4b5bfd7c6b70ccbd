//! The lock of a run directory.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::FitError;

/// Locked while a process trains in the directory.
const LOCK_FILE: &str = ".lock";

/// A process that only checks the lock holds it for a moment, so that locking is attempted several times.
const LOCK_ATTEMPTS: usize = 5;
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Locks a run directory for this process, until the returned file is closed.
///
/// **Errors**: [`FitError::Busy`] while another process trains in it; a directory that cannot be written.
pub fn occupy(run_dir: &Path) -> Result<File, FitError> {
    let path = run_dir.join(LOCK_FILE);
    let io = |source| FitError::Io {
        path: path.clone(),
        source,
    };
    std::fs::create_dir_all(run_dir).map_err(io)?;
    let mut options = File::options();
    let file = options.create(true).append(true).open(&path).map_err(io)?;
    for _ in 0..LOCK_ATTEMPTS {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => thread::sleep(LOCK_PAUSE),
            // Some network file systems do not support locks.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                return Ok(file);
            }
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
    }
    Err(FitError::Busy {
        run_dir: run_dir.to_owned(),
    })
}

/// Whether a process trains in a run directory.
pub fn is_occupied(run_dir: &Path) -> bool {
    let Ok(file) = File::open(run_dir.join(LOCK_FILE)) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}
