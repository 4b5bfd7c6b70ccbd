//! `vesal evaluate`: how well predictions match the truth.

mod document;
mod pairs;

use std::collections::BTreeMap;
use std::path::Path;

use vesal_bundle::Bundle;
use vesal_cli::{Exit, Failure, stdout};
use vesal_io::nifti::{NiftiError, read_label_map};
use vesal_volume::measure::{LabelMeasures, MeasureError, measure_labels};

use crate::cli::EvaluateArguments;
use crate::failure;
use document::{CaseDocument, Document, FailedCase};

/// Corners of both grids may lie this fraction of the smallest spacing apart.
const TOLERANCE_VOXELS: f64 = 0.01;

/// Why a case cannot be compared.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    /// A file is unusable.
    #[error(transparent)]
    Nifti(#[from] NiftiError),
    /// Other shapes, or a spacing that is no length.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// Grids at different places.
    #[error(
        "prediction and truth lie up to {found_mm:.2} mm apart, expected at most {limit_mm:.2} mm"
    )]
    Place { found_mm: f64, limit_mm: f64 },
}

/// Names and values of the labels to compare; without a bundle, the values themselves.
type Labels = Option<Vec<(String, u16)>>;

/// Compares every case and prints the measures.
pub fn run(arguments: &EvaluateArguments) -> Result<Exit, Failure> {
    let labels = arguments.bundle.as_deref().map(labels_of).transpose()?;
    let pairs = pairs::find(
        &arguments.truth,
        arguments.list,
        arguments.dataroot.as_deref(),
        &arguments.prediction,
        &arguments.suffix,
    )
    .map_err(|error| {
        let hint = error.hint();
        Failure::new(Exit::Input, error)
            .attempting(format!(
                "cannot evaluate `{}`",
                arguments.prediction.display()
            ))
            .hint(hint)
    })?;
    let (mut cases, mut missing, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for pair in pairs {
        let Some(prediction) = pair.prediction else {
            missing.push(pair.case);
            continue;
        };
        match compare(&pair.truth, &prediction, &labels, arguments.tolerance_mm) {
            Ok(labels) => cases.push(CaseDocument {
                case: pair.case,
                labels,
            }),
            Err(error) => failed.push(FailedCase {
                case: pair.case,
                reason: failure::one_line(&error),
            }),
        }
    }
    let document = Document::new(arguments.tolerance_mm, cases, missing, failed);
    if arguments.json {
        stdout::print_json(&document)?;
    } else {
        stdout::print(&document.text())?;
    }
    for complaint in document.complaints() {
        eprintln!("warning: {complaint}");
    }
    Ok(if document.is_complete() {
        Exit::Success
    } else {
        Exit::FailedCases
    })
}

/// Labels of a bundle without background.
fn labels_of(path: &Path) -> Result<Vec<(String, u16)>, Failure> {
    let bundle = Bundle::open(path).map_err(|error| failure::bundle(path, error))?;
    let labels = bundle.plan().labels.iter();
    Ok(labels
        .filter(|label| label.value > 0)
        .map(|label| (label.name.clone(), label.value))
        .collect())
}

fn compare(
    truth: &Path,
    prediction: &Path,
    labels: &Labels,
    tolerance_mm: f64,
) -> Result<BTreeMap<String, LabelMeasures>, CompareError> {
    let (truth, prediction) = (read_label_map(truth)?, read_label_map(prediction)?);
    let spacing = truth.affine.spacing();
    if let Some(found_mm) = prediction.geometry().distance_mm(&truth.geometry()) {
        let limit_mm = TOLERANCE_VOXELS * spacing.into_iter().fold(f64::INFINITY, f64::min);
        if found_mm > limit_mm {
            return Err(CompareError::Place { found_mm, limit_mm });
        }
    }
    let labels = labels.clone().unwrap_or_else(|| {
        let mut values: Vec<u16> = Vec::new();
        for &value in truth.data.iter().chain(&prediction.data) {
            if value > 0 && values.last() != Some(&value) && !values.contains(&value) {
                values.push(value);
            }
        }
        let named = values.into_iter().map(|value| (value.to_string(), value));
        named.collect()
    });
    let values: Vec<u16> = labels.iter().map(|(_, value)| *value).collect();
    let measures = measure_labels(
        truth.data.view(),
        prediction.data.view(),
        &values,
        spacing,
        tolerance_mm,
    )?;
    let named = labels.into_iter().zip(measures);
    Ok(named
        .map(|((name, _), measures)| (name, measures))
        .collect())
}
