//! `vesal-train` trains networks that segment 3-D medical images.

// Text from outside is printed by `vesal_cli` alone, which escapes it.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;
mod commands;
mod settings_help;
mod wrap;

use std::panic;
use std::process::ExitCode;

use clap::Parser;
use vesal_cli::{Exit, Failure, stderr};

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    panic::catch_unwind(|| vesal_cli::run(|| run(cli))).unwrap_or_else(|_| {
        stderr::say(
            "error: vesal-train stopped because of a mistake in its own code, described above",
        );
        Exit::Bug.into()
    })
}

fn run(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Datalist(arguments) => commands::datalist::run(&arguments),
        Command::Auto(arguments) => commands::auto::run(&arguments),
        Command::Analyze(arguments) => commands::analyze::run(&arguments),
        Command::Plan(arguments) => commands::plan::run(&arguments),
        Command::Settings(arguments) => commands::settings::run(&arguments),
        Command::Fit(arguments) => commands::fit::run(&arguments),
        Command::Status(arguments) => commands::status::run(&arguments),
        Command::Scores(arguments) => commands::scores::run(&arguments),
        Command::Report(arguments) => commands::report::run(&arguments),
        Command::ExportHistory(arguments) => commands::history::export(&arguments),
        Command::ImportHistory(arguments) => commands::history::import(&arguments),
        Command::Bench(arguments) => commands::bench::run(&arguments),
    }
}
