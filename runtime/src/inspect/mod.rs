//! `vesal inspect`: facts about an image, DICOM files or a bundle.

mod bundle;
pub mod options;
mod series;
mod volume;

use std::path::Path;

use serde::Serialize;
use vesal_bundle::manifest;
use vesal_cli::Text;
use vesal_files::VersionedDocument;
use vesal_io::image::Believe;
use vesal_io::sniff::{self, Content};

use crate::error::Error;

pub use self::bundle::BundleFacts;
pub use self::options::InspectOptions;
pub use self::series::DicomFacts;
pub use self::volume::VolumeFacts;

/// Facts about all paths.
#[derive(Debug, Serialize)]
pub struct Inspection {
    pub items: Vec<InspectedPath>,
}

impl VersionedDocument for Inspection {
    const FORMAT: &str = "vesal-inspect";
    const VERSION: u32 = 1;
}

/// Facts about one path.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InspectedPath {
    Volume(Box<VolumeFacts>),
    Dicom(Box<DicomFacts>),
    Bundle(Box<BundleFacts>),
}

impl InspectedPath {
    fn of(path: &Path, believe: Option<Believe>) -> Result<Self, Error> {
        if path.is_dir() {
            if !path.join(manifest::FILE_NAME).exists() {
                let scan = series::scan(path)?;
                if scan.has_dicom() {
                    return Ok(Self::Dicom(Box::new(DicomFacts::of(path, &scan)?)));
                }
                let path = path.to_owned();
                return Err(Error::NothingThere { path });
            }
            Ok(Self::Bundle(Box::new(BundleFacts::of(path)?)))
        } else if sniff::sniff(path).is_ok_and(|found| found.content == Content::Dicom) {
            let scan = series::scan(path)?;
            Ok(Self::Dicom(Box::new(DicomFacts::of(path, &scan)?)))
        } else {
            Ok(Self::Volume(Box::new(VolumeFacts::of(path, believe)?)))
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

impl Inspection {
    /// The facts as lines of text.
    pub fn text(&self) -> Text {
        let mut text = Text::new();
        for (index, item) in self.items.iter().enumerate() {
            if index > 0 {
                text.blank();
            }
            text.append(item.text());
        }
        text
    }
}

/// Inspects every path.
///
/// **Errors**: of the first path that is unusable.
pub fn inspect(options: &InspectOptions) -> Result<Inspection, Error> {
    let believe = options.nifti.believe();
    let items = options
        .paths
        .iter()
        .map(|path| InspectedPath::of(path, believe));
    Ok(Inspection {
        items: items.collect::<Result<_, _>>()?,
    })
}
