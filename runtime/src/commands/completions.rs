//! `vesal completions`.

use clap::CommandFactory;
use vesal_cli::{Exit, Failure};

use crate::cli::{Cli, CompletionsArguments};
use vesal_cli::stdout;

/// Prints the completions of a shell.
pub fn run(arguments: &CompletionsArguments) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "vesal", &mut script);
    stdout::print_own(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}
