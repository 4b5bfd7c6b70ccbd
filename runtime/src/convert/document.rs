//! Results of `vesal convert`, as JSON and as text.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;
use vesal_cli::Text;
use vesal_files::VersionedDocument;
use vesal_volume::Affine;

use super::labels::ConvertedLabel;
use super::plan::StackConversion;
use crate::record::told_apart_by;

/// The document that `--json` prints.
#[derive(Debug, Serialize)]
pub struct Document {
    /// Every stack of slices.
    pub series: Vec<Series>,
    /// Files that are not slices, by reason.
    pub skipped: BTreeMap<String, usize>,
}

impl VersionedDocument for Document {
    const FORMAT: &str = "vesal-convert";
    const VERSION: u32 = 1;
}

impl Document {
    pub(super) fn new(skipped: BTreeMap<String, usize>) -> Self {
        Self {
            series: Vec::new(),
            skipped,
        }
    }
}

/// Result of one stack of slices.
#[derive(Debug, Serialize)]
pub struct Series {
    /// Base name of its files.
    pub name: String,
    series: String,
    pub study: String,
    modality: String,
    told_apart_by: BTreeMap<&'static str, String>,
    slices: usize,
    grade: String,
    findings: Vec<String>,
    /// The image, if it was written.
    pub image: Option<ConvertedImage>,
    /// Its labels, if they were written.
    pub label: Option<LabelFile>,
    /// Why the image or its labels were not written.
    pub error: Option<String>,
}

/// An image that was written.
#[derive(Debug, Serialize)]
pub struct ConvertedImage {
    pub path: PathBuf,
    /// Voxels along each axis.
    pub shape: [usize; 3],
    /// Voxel index to RAS mm.
    pub affine: Affine,
}

/// A label map that was written.
#[derive(Debug, Serialize)]
pub struct LabelFile {
    pub path: PathBuf,
    pub labels: Vec<ConvertedLabel>,
    /// Voxels that structures of several labels enclose.
    pub overlapping_voxels: usize,
    pub warnings: Vec<String>,
}

impl Series {
    /// A stack of which nothing is written yet.
    pub(super) fn of(job: &StackConversion) -> Self {
        let stack = job.stack;
        let (grade, findings) = match &job.assessed {
            Ok(assessment) => (assessment.grade().to_string(), assessment.findings()),
            Err(_) => ("refused".to_owned(), &[][..]),
        };
        Self {
            name: job.name.clone(),
            series: stack.series().to_owned(),
            study: stack.study().to_owned(),
            modality: stack.modality().to_owned(),
            told_apart_by: told_apart_by(stack),
            slices: stack.slices().len(),
            grade,
            findings: findings.iter().map(ToString::to_string).collect(),
            image: None,
            label: None,
            error: None,
        }
    }

    pub(super) fn note(&mut self, finding: &str) {
        self.findings.push(finding.to_owned());
    }

    /// Warnings about image and labels.
    pub fn warnings(&self) -> impl Iterator<Item = &String> {
        let labels = self.label.iter().flat_map(|label| &label.warnings);
        self.findings.iter().chain(labels)
    }

    /// The written files as text.
    pub fn text(&self) -> Text {
        let mut text = Text::new();
        if let Some(image) = &self.image {
            let [x, y, z] = image.shape;
            let (path, modality, grade) = (image.path.display(), &self.modality, &self.grade);
            text.line(format!("{path}: {modality}, {x}×{y}×{z} voxels, {grade}"));
        }
        if let Some(label) = &self.label {
            let labels: Vec<String> = label.labels.iter().map(ConvertedLabel::text).collect();
            let path = label.path.display();
            text.line(format!("{path}: labels {}", labels.join(", ")));
        }
        text
    }
}
