//! The command line of `vesal serve`.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `serve`.
#[derive(Debug, Args)]
#[command(after_help = "\
A node takes DICOM series from scanners and archives (C-STORE), segments each with the bundle of the AE title that was
called, and sends the results to an archive. What it acknowledged is on the disk, and done also if it is killed
meanwhile. Ctrl-C or SIGTERM ends it well; a second one ends it at once. docs/node.md says the rest.

Examples:
  vesal serve --example > node.toml                      Begin with settings that are commented
  vesal serve --config node.toml --check
  vesal serve --config node.toml")]
pub struct ServeArguments {
    /// File of settings (TOML)
    #[arg(
        long,
        value_name = "FILE",
        env = "VESAL_NODE",
        hide_env_values = true,
        required_unless_present = "example"
    )]
    pub config: Option<PathBuf>,
    /// Try bundles, folders, TLS files, destinations and sources, and end
    #[arg(long)]
    pub check: bool,
    /// Print every setting with its meaning and default, and end
    #[arg(long, conflicts_with_all = ["config", "check"])]
    pub example: bool,
}
