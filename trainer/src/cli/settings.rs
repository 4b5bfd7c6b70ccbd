//! Arguments of the explanation of settings.

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vesal-train settings                           What can be set, with ranges and defaults
  vesal-train settings learning_rate roi_size    The same of two settings
  vesal-train settings --json                    All of it for programs")]
pub struct SettingsArguments {
    /// Settings to explain [default: all]
    #[arg(value_name = "NAME", conflicts_with = "form")]
    pub names: Vec<String>,
    /// Print one JSON object
    #[arg(long, group = "form")]
    pub json: bool,
    /// Print a JSON schema of the settings in task.yaml
    #[arg(long, group = "form")]
    pub schema: bool,
    /// Print what a search for better settings may try, as one JSON object
    #[arg(long, group = "form")]
    pub search_space: bool,
    /// Print the page docs/settings.md
    #[arg(long, group = "form")]
    pub markdown: bool,
}
