//! `vesal inspect`: what an image, DICOM files or a bundle hold.

mod bundle;
mod series;
mod volume;

use std::path::{Path, PathBuf};

use serde::Serialize;
use vesal_bundle::manifest;
use vesal_cli::{Exit, Failure, Text};
use vesal_io::nifti::Believe;
use vesal_io::sniff::{self, Content};

use crate::cli::InspectArguments;
use vesal_cli::stdout;

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Document {
    format: &'static str,
    format_version: u32,
    items: Vec<Item>,
}

/// What one path leads to.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Item {
    Volume(Box<volume::Facts>),
    Dicom(Box<series::Facts>),
    Bundle(Box<bundle::Facts>),
}

/// A folder of which nothing is known.
#[derive(Debug, thiserror::Error)]
#[error("folder `{}` is no bundle and holds no DICOM files", path.display())]
struct NothingThere {
    path: PathBuf,
}

impl Item {
    fn of(path: &Path, believe: Option<Believe>) -> Result<Self, Failure> {
        if path.is_dir() {
            if !path.join(manifest::FILE_NAME).exists() {
                let scan = series::scan(path)?;
                if scan.has_dicom() {
                    return Ok(Self::Dicom(Box::new(series::Facts::of(path, &scan)?)));
                }
                let path = path.to_owned();
                return Err(Failure::new(Exit::Input, NothingThere { path })
                    .hint("NIfTI files are named one by one, as in `scans/*.nii.gz`".to_owned()));
            }
            Ok(Self::Bundle(Box::new(bundle::Facts::of(path)?)))
        } else if sniff::sniff(path).is_ok_and(|found| found.content == Content::Dicom) {
            let scan = series::scan(path)?;
            Ok(Self::Dicom(Box::new(series::Facts::of(path, &scan)?)))
        } else {
            Ok(Self::Volume(Box::new(volume::Facts::of(path, believe)?)))
        }
    }

    fn text(&self) -> Text {
        match self {
            Self::Volume(facts) => facts.text(),
            Self::Dicom(facts) => facts.text(),
            Self::Bundle(facts) => facts.text(),
        }
    }
}

/// Prints the facts of every path; the first one that is unusable ends it.
pub fn run(arguments: &InspectArguments) -> Result<Exit, Failure> {
    let items = arguments
        .paths
        .iter()
        .map(|path| Item::of(path, arguments.nifti_form.map(Into::into)))
        .collect::<Result<Vec<_>, _>>()?;
    if arguments.json {
        stdout::print_json(&Document {
            format: "vesal-inspect",
            format_version: 1,
            items,
        })?;
    } else {
        let mut text = Text::new();
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                text.blank();
            }
            text.append(item.text());
        }
        stdout::print(&text)?;
    }
    Ok(Exit::Success)
}
