//! The `vesal-export` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    vesal_cli::run(vesal_exporter::cli::run)
}
