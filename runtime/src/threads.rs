//! The thread pool of everything except the networks, whose threads belong to the engine.

use std::num::NonZeroUsize;

use crate::error::Error;

/// Limits the threads for the rest of the process; without a number, one per core.
///
/// **Errors**: they cannot be started, or work has begun with another number.
pub(crate) fn limit(threads: Option<NonZeroUsize>) -> Result<(), Error> {
    let Some(threads) = threads else {
        return Ok(());
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .build_global()
        .map_err(|error| {
            Error::Threads(error).attempting(format!("cannot start {threads} threads"))
        })
}
