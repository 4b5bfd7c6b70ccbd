//! Ctrl-C: the first one asks to stop where nothing is left half done, the second one stops at once.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use vesal_cli::{Exit, Failure};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Begins to listen.
///
/// **Errors**: the system refuses; the program would then stop at once on Ctrl-C, as others do.
pub fn listen() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            process::exit(Exit::Interrupted as i32);
        }
    })
    .map_err(|error| Failure::new(Exit::Bug, error).attempting("cannot listen for Ctrl-C"))
}

/// Whether the user asked to stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
