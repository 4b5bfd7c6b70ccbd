//! One module per command.

pub mod bench;
pub mod completions;
pub mod convert;
pub mod devices;
pub mod evaluate;
pub mod inspect;
pub mod predict;
pub mod serve;
pub mod setup;
pub mod tune;
pub mod verify;

use std::num::NonZeroUsize;

use vesal_cli::{Exit, Failure};

/// Limits the threads of everything but the networks, which are told separately.
fn use_threads(threads: Option<NonZeroUsize>) -> Result<(), Failure> {
    let Some(threads) = threads else {
        return Ok(());
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .build_global()
        .map_err(|error| {
            Failure::new(Exit::Device, error).attempting(format!("cannot start {threads} threads"))
        })
}
