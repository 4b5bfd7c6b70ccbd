//! Shared by the command lines of all Vesal programs: exit codes, the form of errors, and printing.
//!
//! Everything that is printed goes through [`stdout`], [`stderr`] and [`Failure`], which escape the control characters
//! of foreign texts, so that callers cannot forget it.
//!
//! A message is complete when a radiographer can tell which file, an engineer which rule, and both what to do next:
//!
//! ```text
//! error: cannot segment `case_012.nii.gz`
//!   caused by: channel count is 1, the bundle expects 3
//!
//! hint: `vesal inspect BUNDLE` lists the channels
//! ```

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod failure;
pub mod host_memory;
mod shown;
pub mod stderr;
pub mod stdout;
mod text;

use std::process::ExitCode;

pub use failure::{Exit, Failure, message};
pub use shown::shown;
pub use text::{Columns, Text};

/// Runs a program: prints a failure to stderr and turns the outcome into an exit code.
pub fn run(program: impl FnOnce() -> Result<Exit, Failure>) -> ExitCode {
    match program() {
        Ok(exit) => exit.into(),
        Err(failure) => {
            stderr::failure(&failure);
            failure.exit().into()
        }
    }
}
