//! The command line of `vesal-export`.

mod bundle;
mod import_monai;
mod parse;
mod sign;
mod summary;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use vesal_bundle::manifest::{ManifestError, check_version};
use vesal_cli::{Exit, Failure, stderr, stdout};

use crate::assemble::{AssembleError, Assembled, Destination};
use summary::Summary;

/// Turns trained networks into bundles that `vesal` runs.
#[derive(Debug, Parser)]
#[command(name = "vesal-export", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Bundle(bundle::Bundle),
    ImportMonai(import_monai::ImportMonai),
    Keygen(sign::Keygen),
    Sign(sign::Sign),
}

/// Flags that all commands share.
#[derive(Debug, Args)]
struct Common {
    /// Directory of the bundle
    #[arg(long, value_name = "BUNDLE")]
    output: PathBuf,
    /// Name of the task in the bundle
    #[arg(long)]
    name: Option<String>,
    /// Version of the bundle, as in `1.2.0`; DICOM results name it
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    bundle_version: Option<String>,
    /// Replace a bundle that is there
    #[arg(long)]
    overwrite: bool,
    /// ONNX Runtime library to load, instead of the one that is found [env: ORT_DYLIB_PATH]
    #[arg(long, value_name = "FILE")]
    ort_lib: Option<PathBuf>,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
}

impl Common {
    fn destination(&self) -> Destination {
        Destination {
            output: self.output.clone(),
            version: self.bundle_version.clone(),
            overwrite: self.overwrite,
            library: self.ort_lib.clone(),
        }
    }

    /// Prints what was made.
    fn report(&self, assembled: &Assembled, assumptions: Vec<String>) -> Result<Exit, Failure> {
        let summary = Summary::new(assembled, assumptions);
        stderr::print(&summary.text());
        if self.json {
            stdout::print_json(&summary)?;
        }
        Ok(Exit::Success)
    }
}

fn parse_version(text: &str) -> Result<String, ManifestError> {
    check_version(text).map(|()| text.to_owned())
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

/// Says on stderr what is going on.
fn progress(step: &str) {
    stderr::say(step);
}

/// How to exit when a bundle cannot be put together.
fn assemble_exit(error: &AssembleError) -> Exit {
    match error {
        AssembleError::Library(_) => Exit::Device,
        AssembleError::Parity { source, .. } => match &**source {
            crate::parity::ParityError::Predictor(_) => Exit::Device,
            _ => Exit::Bug,
        },
        AssembleError::Interface { .. } => Exit::Bundle,
        AssembleError::Lower { source, .. } => match &**source {
            crate::lower::LowerError::Window { .. }
            | crate::lower::LowerError::NotFinite { .. } => Exit::Input,
            _ => Exit::Bug,
        },
        AssembleError::Probe(_) => Exit::Bug,
        AssembleError::Write(_) => Exit::Output,
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
