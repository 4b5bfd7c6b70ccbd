//! The command line of `vesal-export`.

mod bundle;
mod exit;
mod import_monai;
mod output;
mod parse;
mod sign;
mod summary;

use clap::{Parser, Subcommand};
use vesal_cli::{Exit, Failure};

/// Turns trained networks into bundles that `vesal` runs.
#[derive(Debug, Parser)]
#[command(name = "vesal-export", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bundle(bundle::BundleArguments),
    ImportMonai(import_monai::ImportMonai),
    Keygen(sign::Keygen),
    Sign(sign::Sign),
}

/// Runs the program on its command line.
///
/// **Errors**: what was attempted, why it failed, and what to do.
pub fn run() -> Result<Exit, Failure> {
    match Cli::parse().command {
        Command::Bundle(command) => command.run(),
        Command::ImportMonai(command) => command.run(),
        Command::Keygen(command) => command.run(),
        Command::Sign(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
