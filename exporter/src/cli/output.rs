//! Common to all commands that make a bundle: destination, name, and output.

use std::path::PathBuf;

use clap::Args;
use vesal_bundle::manifest::{ManifestError, check_version};
use vesal_cli::{Exit, Failure, stderr, stdout};
use vesal_files::document::with_header;

use super::summary::ExportSummary;
use crate::assemble::{Assembled, Destination};

/// Flags for the new bundle.
#[derive(Debug, Args)]
pub(super) struct OutputFlags {
    /// Directory of the bundle
    #[arg(long, value_name = "BUNDLE")]
    output: PathBuf,
    /// Name of the task in the bundle
    #[arg(long)]
    pub name: Option<String>,
    /// Version of the bundle, as in `1.2.0`; it is written into DICOM results
    #[arg(long, value_name = "VERSION", value_parser = parse_version)]
    bundle_version: Option<String>,
    /// Replace an existing bundle
    #[arg(long)]
    overwrite: bool,
    /// ONNX Runtime library to load, instead of the one that is found [env: ORT_DYLIB_PATH]
    #[arg(long, value_name = "FILE")]
    ort_lib: Option<PathBuf>,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
}

impl OutputFlags {
    pub fn destination(&self) -> Destination {
        Destination {
            output: self.output.clone(),
            version: self.bundle_version.clone(),
            overwrite: self.overwrite,
            library: self.ort_lib.clone(),
        }
    }

    /// Prints the new bundle.
    pub fn report(&self, assembled: &Assembled, assumptions: Vec<String>) -> Result<Exit, Failure> {
        let summary = ExportSummary::new(assembled, assumptions);
        stderr::print(&summary.text());
        if self.json {
            stdout::print_json(&with_header(&summary))?;
        }
        Ok(Exit::Success)
    }
}

fn parse_version(text: &str) -> Result<String, ManifestError> {
    check_version(text).map(|()| text.to_owned())
}

/// Prints progress on stderr.
pub(super) fn progress(step: &str) {
    stderr::say(step);
}
