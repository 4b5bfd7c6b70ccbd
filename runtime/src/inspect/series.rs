//! The stacks of slices in DICOM files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use vesal_cases::skipped;
use vesal_cli::Text;
use vesal_io::dicom::{self, Assessment, DicomScan, Grade, Policy, Stack};
use vesal_volume::Affine;
use vesal_volume::orientation::Orientation;

use crate::error::Error;
use crate::record::told_apart_by;

/// Facts about DICOM files.
#[derive(Debug, Serialize)]
pub struct DicomFacts {
    path: String,
    stacks: Vec<StackFacts>,
    skipped: Vec<SkippedFacts>,
}

#[derive(Debug, Serialize)]
struct StackFacts {
    study: String,
    series: String,
    frame_of_reference: Option<String>,
    series_number: Option<i64>,
    modality: String,
    description: Option<String>,
    told_apart_by: BTreeMap<&'static str, String>,
    slices: usize,
    grade: String,
    /// Why the stack is refused.
    refusal: Option<String>,
    /// Why it would be resampled, and other findings.
    findings: Vec<String>,
    grid: Option<GridFacts>,
}

#[derive(Debug, Serialize)]
struct GridFacts {
    shape: [usize; 3],
    spacing_mm: [f64; 3],
    orientation: String,
    affine: Affine,
}

#[derive(Debug, Serialize)]
struct SkippedFacts {
    path: String,
    reason: String,
}

impl DicomFacts {
    /// Scans a folder, a file or the files of a DICOMDIR, and grades the stacks with resampling allowed.
    ///
    /// **Errors**: the path cannot be read.
    pub(super) fn of(path: &Path, scan: &DicomScan) -> Result<Self, Error> {
        Ok(Self {
            path: path.display().to_string(),
            stacks: scan
                .stacks
                .iter()
                .map(StackFacts::of)
                .collect::<Result<_, _>>()?,
            skipped: scan
                .skipped
                .iter()
                .map(|file| SkippedFacts {
                    path: file.path.display().to_string(),
                    reason: file.reason.to_string(),
                })
                .collect(),
        })
    }

    /// The facts as lines of text.
    pub fn text(&self) -> Text {
        let head = [
            "  series",
            "modality",
            "description",
            "slices",
            "shape",
            "spacing (mm)",
            "axes",
            "grade",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        rows.extend(self.stacks.iter().map(StackFacts::row));
        let mut text = Text::new();
        text.line(&self.path);
        if !self.stacks.is_empty() {
            text.table(&rows);
        }
        for stack in &self.stacks {
            for remark in stack.refusal.iter().chain(&stack.findings) {
                text.line(format!("  {}: {remark}", stack.name()));
            }
        }
        let skipped = self.skipped.iter();
        for line in skipped::lines(skipped.map(|file| (&*file.path, &*file.reason))) {
            text.line(format!("  {line}"));
        }
        text
    }
}

/// Scans a path.
///
/// **Errors**: it cannot be read.
pub(super) fn scan(path: &Path) -> Result<DicomScan, Error> {
    dicom::scan(&[path]).map_err(|error| {
        Error::Dicom(error).attempting(format!("cannot inspect `{}`", path.display()))
    })
}

impl StackFacts {
    fn of(stack: &Stack) -> Result<Self, Error> {
        // A copy of a slice that cannot be decoded refuses its stack, but no other.
        let assessed = stack.assess(Policy::Resample);
        let refusal = match &assessed {
            Ok(assessment) => assessment.refusal().map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        };
        let assessment = assessed.as_ref().ok();
        let grade = assessment.map_or(Grade::Refused, Assessment::grade);
        Ok(Self {
            study: stack.study().to_owned(),
            series: stack.series().to_owned(),
            frame_of_reference: stack.frame_of_reference().map(str::to_owned),
            series_number: stack.series_number(),
            modality: stack.modality().to_owned(),
            description: stack.description().map(str::to_owned),
            told_apart_by: told_apart_by(stack),
            slices: stack.slices().len(),
            grade: grade.to_string(),
            refusal,
            findings: assessment
                .iter()
                .flat_map(|assessment| assessment.findings())
                .map(ToString::to_string)
                .collect(),
            grid: match assessment {
                Some(assessment) => GridFacts::of(assessment)?,
                None => None,
            },
        })
    }

    /// Name of the stack in remarks.
    fn name(&self) -> String {
        let number = self
            .series_number
            .map_or("-".to_owned(), |number| number.to_string());
        let parts = self
            .told_apart_by
            .iter()
            .map(|(key, value)| format!(" {key} {value}"));
        format!("{number}{}", parts.collect::<Vec<_>>().join(","))
    }

    fn row(&self) -> Vec<String> {
        let (shape, spacing, axes) = match &self.grid {
            Some(grid) => (
                format!("{:?}", grid.shape),
                format!("{:.3?}", grid.spacing_mm),
                grid.orientation.clone(),
            ),
            None => ("-".into(), "-".into(), "-".into()),
        };
        vec![
            format!("  {}", self.name()),
            self.modality.clone(),
            self.description.clone().unwrap_or_default(),
            self.slices.to_string(),
            shape,
            spacing,
            axes,
            self.grade.clone(),
        ]
    }
}

impl GridFacts {
    fn of(assessment: &Assessment) -> Result<Option<Self>, Error> {
        let Some(geometry) = assessment.geometry() else {
            return Ok(None);
        };
        let orientation = Orientation::of(&geometry.affine)?;
        Ok(Some(Self {
            shape: geometry.shape,
            spacing_mm: geometry.affine.spacing(),
            orientation: orientation.to_string(),
            affine: geometry.affine,
        }))
    }
}
