//! `vesal evaluate`: compares predictions with the truth.

pub mod document;
pub mod options;
pub mod pairs;

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::{Array3, ArrayView3, Zip};
use vesal_bundle::deploy_plan::{Activation, UnknownLabel};
use vesal_bundle::{Bundle, DeployPlan};
use vesal_io::image::{Believe, ImageError, ImageFile, OpenOptions, ReadLimits};
use vesal_volume::measure::{LabelMeasures, MeasureError, measure_labels};
use vesal_volume::{GridDifference, LabelMap};

use crate::error::{Error, one_line};

pub use self::document::{ComparedCase, Evaluation, FailedCase, LabelMeans};
pub use self::options::EvaluateOptions;

/// Why a case cannot be compared.
#[derive(Debug, thiserror::Error)]
enum CompareError {
    /// A file is unusable.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Different shapes, or an invalid spacing.
    #[error(transparent)]
    Measure(#[from] MeasureError),
    /// A truth with labels that the bundle does not have.
    #[error(transparent)]
    Label(#[from] UnknownLabel),
    /// The number of masks differs from that of regions.
    #[error("prediction has {found} masks, expected {expected}, one for each region of the bundle")]
    Masks { found: usize, expected: usize },
    /// The grids differ.
    #[error(
        "prediction and truth lie up to {found_mm:.2} mm apart, expected at most {limit_mm:.2} mm"
    )]
    Place { found_mm: f64, limit_mm: f64 },
}

/// Compares every case. One that has no prediction or cannot be compared is part of the result.
///
/// **Errors**: the bundle, the truth or the folder of predictions cannot be used.
pub fn evaluate(options: &EvaluateOptions) -> Result<Evaluation, Error> {
    let plan = options.bundle.as_deref().map(plan_of).transpose()?;
    let pairs = pairs::find(
        &options.truth,
        options.datalist.list.into(),
        options.datalist.dataroot.as_deref(),
        &options.prediction,
        &options.names.suffix,
    )
    .map_err(|error| {
        let prediction = options.prediction.display();
        Error::Evaluate(error).attempting(format!("cannot evaluate `{prediction}`"))
    })?;
    let (mut cases, mut missing, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for pair in pairs {
        let Some(prediction) = pair.prediction else {
            missing.push(pair.case);
            continue;
        };
        match compare(
            &pair.truth,
            &prediction,
            plan.as_ref(),
            options.nifti.believe(),
            options.tolerance_mm,
        ) {
            Ok(labels) => cases.push(ComparedCase {
                case: pair.case,
                labels,
            }),
            Err(error) => failed.push(FailedCase {
                case: pair.case,
                reason: one_line(&error),
            }),
        }
    }
    Ok(Evaluation::new(
        options.tolerance_mm,
        cases,
        missing,
        failed,
    ))
}

/// The plan of a bundle, which names the labels and their values.
fn plan_of(path: &Path) -> Result<DeployPlan, Error> {
    let bundle = Bundle::open(path).map_err(|error| Error::bundle(path, error))?;
    Ok(bundle.plan().clone())
}

fn compare(
    truth: &Path,
    prediction: &Path,
    plan: Option<&DeployPlan>,
    believe: Option<Believe>,
    tolerance_mm: f64,
) -> Result<BTreeMap<String, LabelMeasures>, CompareError> {
    let open = |path: &Path| ImageFile::open(path, OpenOptions { believe });
    let mut truth = open(truth)?.label_map(&ReadLimits::default())?;
    let prediction = match plan {
        Some(plan) if plan.activation == Activation::Sigmoid => {
            read_regions(open(prediction)?, plan)?
        }
        _ => open(prediction)?.label_map(&ReadLimits::default())?,
    };
    let spacing = truth.affine.spacing();
    // Different shapes are refused by the measures.
    if let Err(GridDifference::Place { found_mm, limit_mm }) =
        prediction.geometry().check_same_grid(&truth.geometry())
    {
        return Err(CompareError::Place { found_mm, limit_mm });
    }
    let labels: Vec<(String, u16)> = match plan {
        Some(plan) => {
            plan.translate(&mut truth)?;
            let labels = plan.foreground();
            labels
                .map(|label| (label.name.clone(), label.value))
                .collect()
        }
        None => named_by_value(&truth, &prediction),
    };
    let measure = |truth: ArrayView3<'_, u16>, prediction: ArrayView3<'_, u16>, values: &[u16]| {
        measure_labels(truth, prediction, values, spacing, tolerance_mm)
    };
    let measures = match plan.map(|plan| plan.activation) {
        Some(Activation::Sigmoid) => {
            let mut measures = Vec::new();
            for &(_, region) in &labels {
                // Measured one by one, because regions overlap.
                let own = |map: &LabelMap| map.data.mapv(|bits| bits & region);
                let (truth, prediction) = (own(&truth), own(&prediction));
                measures.extend(measure(truth.view(), prediction.view(), &[region])?);
            }
            measures
        }
        _ => {
            let values: Vec<u16> = labels.iter().map(|(_, value)| *value).collect();
            measure(truth.data.view(), prediction.data.view(), &values)?
        }
    };
    let named = labels.into_iter().zip(measures);
    Ok(named
        .map(|((name, _), measures)| (name, measures))
        .collect())
}

/// Every value of either map except 0, named by its number.
fn named_by_value(truth: &LabelMap, prediction: &LabelMap) -> Vec<(String, u16)> {
    let mut values: Vec<u16> = Vec::new();
    for &value in truth.data.iter().chain(&prediction.data) {
        if value > 0 && values.last() != Some(&value) && !values.contains(&value) {
            values.push(value);
        }
    }
    let named = values.into_iter().map(|value| (value.to_string(), value));
    named.collect()
}

/// Reads one mask per region into a map of bits.
fn read_regions(file: ImageFile, plan: &DeployPlan) -> Result<LabelMap, CompareError> {
    let masks = file.channels(&ReadLimits::default())?;
    let regions = plan.label_values();
    if masks.channels() != regions.len() {
        return Err(CompareError::Masks {
            found: masks.channels(),
            expected: regions.len(),
        });
    }
    let [x, y, z] = masks.geometry().shape;
    let mut data = Array3::zeros((x, y, z));
    for (mask, region) in masks.data.outer_iter().zip(regions) {
        Zip::from(&mut data).and(mask).for_each(|bits, &inside| {
            if inside != 0.0 {
                *bits |= region;
            }
        });
    }
    Ok(LabelMap {
        data,
        affine: masks.affine,
    })
}
