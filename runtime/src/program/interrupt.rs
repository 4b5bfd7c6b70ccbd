//! Ctrl-C: the first one requests a stop at the next complete step, the second one stops at once.

use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use vesal_cli::{Exit, Failure};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Installs the handler.
///
/// **Errors**: the system refuses; Ctrl-C then ends the program at once.
pub fn listen() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        if REQUESTED.swap(true, Ordering::Relaxed) {
            process::exit(Exit::Interrupted as i32);
        }
    })
    .map_err(|error| Failure::new(Exit::Bug, error).attempting("cannot listen for Ctrl-C"))
}

/// Whether the user requested a stop.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
