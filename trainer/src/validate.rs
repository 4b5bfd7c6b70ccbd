//! Scores a network on held-out cases, with the sliding window inference and inversion that deployment uses.

use std::convert::Infallible;
use std::ops::ControlFlow;

use burn::tensor::FloatDType;
use burn::tensor::backend::Backend;
use ndarray::{Array3, Array5, ArrayView5, Axis, CowArray, Ix5};
use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_bundle::case_scores::{CaseScore, LabelScore, MeanScore};
use vesal_kernels::DifferentiableOps;
use vesal_models::SegmentationNetwork;
use vesal_volume::LabelMap;
use vesal_volume::measure::{EmptyTruth, MeasureError, label_overlaps, region_overlaps, voxel_ml};
use vesal_volume::postprocess::Activation;
use vesal_volume::preprocess::{Inverter, PreprocessError};
use vesal_volume::window::{PatchPredictor, StitchError, stitch_planes};

use crate::dataset::ValidationVolume;
use crate::precision::Precision;
use crate::upload;

/// Why a case cannot be scored.
#[derive(Debug, Error)]
pub enum ValidateError {
    #[error("cannot predict the volume")]
    Stitch(#[from] StitchError<Infallible>),
    /// The prediction cannot be inverted to the label map's grid, or contains NaN.
    #[error("cannot bring the prediction back to the grid of the label map")]
    Invert(#[from] PreprocessError),
    #[error("cannot compare prediction and label map")]
    Measure(#[from] MeasureError),
}

/// Predicts patches with a Burn network.
#[derive(Debug)]
pub struct BurnPredictor<'a, N, B: Backend> {
    network: &'a N,
    classes: usize,
    device: &'a B::Device,
    precision: Precision,
    max_batch: usize,
}

impl<'a, N: SegmentationNetwork<B>, B: Backend> BurnPredictor<'a, N, B> {
    /// A predictor for this many classes, with at most this many windows per call.
    pub fn new(
        network: &'a N,
        classes: usize,
        device: &'a B::Device,
        precision: Precision,
        max_batch: usize,
    ) -> Self {
        Self {
            network,
            classes,
            device,
            precision,
            max_batch,
        }
    }
}

impl<N: SegmentationNetwork<B>, B: DifferentiableOps> PatchPredictor for BurnPredictor<'_, N, B> {
    type Error = Infallible;

    fn output_channels(&self) -> usize {
        self.classes
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn predict(
        &mut self,
        patches: ArrayView5<'_, f32>,
    ) -> Result<CowArray<'_, f32, Ix5>, Infallible> {
        let (n, c, x, y, z) = patches.dim();
        let values: Vec<f32> = patches.iter().copied().collect();
        let images = upload::patches(values, [n, c, x, y, z], self.precision, self.device);
        let logits = self.network.forward(images).cast(FloatDType::F32);
        let dims = logits.dims();
        let mut values = logits
            .into_data()
            .iter::<f32>()
            .collect::<Vec<_>>()
            .into_iter();
        Ok(Array5::from_shape_simple_fn(dims, || values.next().unwrap_or(f32::NAN)).into())
    }
}

/// Segments a case: the result equals the labels that a deployed ensemble of this one network would write.
///
/// Returns `Ok(None)` as soon as `proceed` returns false.
///
/// **Errors**: [`ValidateError`].
pub fn segment<P: PatchPredictor<Error = Infallible>>(
    case: &ValidationVolume,
    plan: &DeployPlan,
    predictor: &mut P,
    proceed: &dyn Fn() -> bool,
) -> Result<Option<LabelMap>, ValidateError> {
    let values = plan.label_values();
    let mut inverter = Inverter::new(&case.transforms, plan.activation, &values)?;
    let progress = |_| match proceed() {
        true => ControlFlow::Continue(()),
        false => ControlFlow::Break(Ok(())),
    };
    let restore = |logits: Array3<f32>| {
        // The rows are treated as planes, whose number determines the parallelism.
        let mut plane = logits.insert_axis(Axis(2));
        plan.activation.probabilities_in_place(plane.view_mut());
        match inverter.push(plane.remove_axis(Axis(2)), None) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    };
    match stitch_planes(
        case.image.view(),
        &plan.window,
        predictor,
        progress,
        restore,
    )? {
        ControlFlow::Continue(()) => Ok(Some(inverter.finish(None)?)),
        ControlFlow::Break(Ok(())) => Ok(None),
        ControlFlow::Break(Err(error)) => Err(error.into()),
    }
}

/// Collects the scores of every label of every case.
#[derive(Debug, Clone)]
pub struct Scores {
    names: Vec<String>,
    values: Vec<u16>,
    activation: Activation,
    cases: Vec<CaseScore>,
}

impl Scores {
    /// Starts without cases, for the plan's labels without background, or for its regions.
    pub fn new(plan: &DeployPlan) -> Self {
        let (names, values): (Vec<_>, Vec<_>) = plan
            .foreground()
            .map(|label| (label.name.clone(), label.value))
            .unzip();
        Self {
            names,
            values,
            activation: plan.activation,
            cases: Vec::new(),
        }
    }

    /// Adds a case; `truth` and `prediction` are on one grid.
    ///
    /// **Errors**: they have different shapes.
    pub fn add(
        &mut self,
        case: &str,
        truth: &LabelMap,
        prediction: &LabelMap,
    ) -> Result<(), MeasureError> {
        let voxel_ml = voxel_ml(truth.affine.spacing())?;
        let overlaps = match self.activation {
            Activation::Softmax => label_overlaps,
            Activation::Sigmoid => region_overlaps,
        };
        let overlaps = overlaps(truth.data.view(), prediction.data.view(), &self.values)?;
        let labels = self.names.iter().zip(overlaps).map(|(name, overlap)| {
            let score = LabelScore {
                dice: overlap.dice(EmptyTruth::Undefined),
                truth_ml: overlap.truth as f64 * voxel_ml,
                prediction_ml: overlap.prediction as f64 * voxel_ml,
            };
            (name.clone(), score)
        });
        self.cases.push(CaseScore {
            case: case.to_owned(),
            labels: labels.collect(),
        });
        Ok(())
    }

    /// The mean over the cases, and the scores of each case.
    pub fn finish(self) -> (MeanScore, Vec<CaseScore>) {
        (MeanScore::over(&self.cases), self.cases)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::aview1;
    use vesal_bundle::deploy_plan::{Channel, Label, Modality};
    use vesal_volume::Affine;
    use vesal_volume::window::{Blend, Padding, WindowPlan};

    use super::*;

    fn plan() -> DeployPlan {
        let label = |class_index, name: &str, value| Label::new(name, value, class_index);
        DeployPlan {
            restore: Default::default(),
            name: "test".into(),
            channels: vec![Channel::new("image", Modality::Mri)],
            labels: vec![
                label(0, "background", 0),
                label(1, "a", 3),
                label(2, "b", 7),
                label(3, "c", 9),
            ],
            activation: Activation::Softmax,
            preprocessing: Vec::new(),
            window: WindowPlan {
                size: [4; 3],
                overlap: [0.5; 3],
                blend: Blend::Constant,
                padding: Padding::Constant(0.0),
            },
        }
    }

    fn map(labels: [u16; 4]) -> LabelMap {
        LabelMap {
            data: aview1(&labels).to_shape((1, 1, 4)).unwrap().into_owned(),
            affine: Affine::IDENTITY,
        }
    }

    #[test]
    fn a_score_is_the_mean_over_labels_of_means_over_cases() {
        let mut scores = Scores::new(&plan());
        let cases = [
            ("x", [3, 3, 0, 7], [3, 0, 0, 7]),
            ("y", [3, 0, 0, 0], [0, 0, 7, 0]),
        ];
        for (case, truth, prediction) in cases {
            scores.add(case, &map(truth), &map(prediction)).unwrap();
        }
        let (score, cases) = scores.finish();
        assert_eq!(score.dice_by_label["a"], Some((2.0 / 3.0 + 0.0) / 2.0));
        assert_eq!(score.dice_by_label["b"], Some(1.0));
        assert_eq!(score.dice_by_label["c"], None);
        assert!((score.mean_dice - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(score.cases, 2);
        let of_y = LabelScore {
            dice: None,
            truth_ml: 0.0,
            prediction_ml: 0.001,
        };
        assert_eq!((cases[1].case.as_str(), cases[1].labels["b"]), ("y", of_y));
    }

    #[test]
    fn regions_are_scored_where_they_overlap() {
        let region = |class_index, name: &str, index| Label {
            index: Some(index),
            ..Label::new(name, 1u16 << class_index, class_index)
        };
        let plan = DeployPlan {
            restore: Default::default(),
            labels: vec![region(0, "whole", vec![1, 2]), region(1, "core", vec![2])],
            activation: Activation::Sigmoid,
            ..plan()
        };
        let mut scores = Scores::new(&plan);
        let (truth, prediction) = (map([3, 3, 1, 0]), map([3, 1, 2, 0]));
        scores.add("x", &truth, &prediction).unwrap();
        let (score, _) = scores.finish();
        assert_eq!(score.dice_by_label["whole"], Some(0.8));
        assert_eq!(score.dice_by_label["core"], Some(0.5));
    }

    #[test]
    fn without_any_label_the_score_is_zero() {
        let mut scores = Scores::new(&plan());
        scores.add("x", &map([0; 4]), &map([3; 4])).unwrap();
        assert_eq!(scores.finish().0.mean_dice, 0.0);
    }
}
