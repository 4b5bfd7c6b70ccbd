//! `vesal` segments 3-D medical images with a deployed bundle.

// Foreign texts reach a terminal through `vesal_cli` alone.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod case;
mod cli;
mod commands;
mod datalist;
mod failure;
mod interrupt;
mod machine;
mod memory;
mod outputs;
mod peak_memory;
mod process_age;
mod profile;
mod progress;
mod reason;
mod record;
mod skipped;
mod trust;

use std::panic;
use std::process::ExitCode;

use clap::Parser;
use vesal_cli::{Exit, Failure, stderr};

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    process_age::begin();
    // Only the command line is looked at before this: `--version` and `--help` end here.
    let cli = Cli::parse();
    panic::catch_unwind(|| vesal_cli::run(|| run(cli))).unwrap_or_else(|_| {
        stderr::say("error: vesal stopped because of a mistake in its own code, described above");
        Exit::Bug.into()
    })
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Predict(arguments) => commands::predict::run(&arguments),
        Command::Serve(arguments) => commands::serve::run(&arguments),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments),
        Command::Inspect(arguments) => commands::inspect::run(&arguments),
        Command::Convert(arguments) => commands::convert::run(&arguments),
        Command::Verify(arguments) => commands::verify::run(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
        Command::Tune(arguments) => commands::tune::run(&arguments),
        Command::Devices(arguments) => commands::devices::run(&arguments),
        Command::Setup(arguments) => commands::setup::run(&arguments),
        Command::Completions(arguments) => commands::completions::run(&arguments),
    }
}
