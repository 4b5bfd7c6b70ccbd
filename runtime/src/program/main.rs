//! `vesal` segments 3-D medical images with a deployed bundle: the command line of the library.

// Foreign texts are printed through `vesal_cli` only.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod interrupt;
mod node;
mod progress;
mod run;
mod terminal;

use std::panic;
use std::process::ExitCode;

use clap::Parser;
use vesal::process_age;
use vesal_cli::{Exit, stderr};

use crate::cli::Cli;

fn main() -> ExitCode {
    process_age::begin();
    // Only the command line is parsed before this: `--version` and `--help` end here.
    let cli = Cli::parse();
    panic::catch_unwind(|| vesal_cli::run(|| run::run(&cli.command))).unwrap_or_else(|_| {
        stderr::say("error: vesal stopped because of a mistake in its own code, described above");
        Exit::Bug.into()
    })
}
