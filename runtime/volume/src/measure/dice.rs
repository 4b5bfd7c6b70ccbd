//! Overlap of masks.

use std::collections::HashMap;

use ndarray::{ArrayView3, Zip};

use super::error::{MeasureError, check_shapes};

/// The value of Dice where the truth is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyTruth {
    /// Undefined: such cases are left out of means (MONAI: `ignore_empty=True`).
    Undefined,
    /// 1 where the prediction is empty as well, else 0 (MONAI: `ignore_empty=False`).
    Score,
}

/// Voxel counts of a truth, a prediction and their intersection; adds up over parts of a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overlap {
    /// Voxels of the truth.
    pub truth: u64,
    /// Voxels of the prediction.
    pub prediction: u64,
    pub both: u64,
}

impl Overlap {
    /// Dice, `2 |T and P| / (|T| + |P|)`; `None` where the truth is empty and [`EmptyTruth::Undefined`] is chosen.
    ///
    /// **Source**: MONAI 1.6.1 `DiceHelper.compute_channel`.
    ///
    /// ```
    /// use vesal_volume::measure::{EmptyTruth, Overlap};
    ///
    /// let overlap = Overlap { truth: 4, prediction: 6, both: 3 };
    /// assert_eq!(overlap.dice(EmptyTruth::Undefined), Some(0.6));
    /// assert_eq!(Overlap::default().dice(EmptyTruth::Undefined), None);
    /// assert_eq!(Overlap::default().dice(EmptyTruth::Score), Some(1.0));
    /// ```
    pub fn dice(&self, empty: EmptyTruth) -> Option<f64> {
        match (self.truth, self.prediction, empty) {
            (0, _, EmptyTruth::Undefined) => None,
            (0, 0, EmptyTruth::Score) => Some(1.0),
            (truth, prediction, _) => {
                Some(2.0 * self.both as f64 / (truth as f64 + prediction as f64))
            }
        }
    }
}

/// Counts the voxels of two masks, `[X, Y, Z]`.
///
/// **Errors**: different shapes.
pub fn mask_overlap(
    truth: ArrayView3<'_, bool>,
    prediction: ArrayView3<'_, bool>,
) -> Result<Overlap, MeasureError> {
    check_shapes(&truth, &prediction)?;
    let mut overlap = Overlap::default();
    Zip::from(truth)
        .and(prediction)
        .for_each(|&truth, &prediction| {
            overlap.truth += u64::from(truth);
            overlap.prediction += u64::from(prediction);
            overlap.both += u64::from(truth && prediction);
        });
    Ok(overlap)
}

/// Counts the voxels of each of these labels in two label maps, `[X, Y, Z]`, in one pass.
///
/// **Errors**: different shapes.
pub fn label_overlaps(
    truth: ArrayView3<'_, u16>,
    prediction: ArrayView3<'_, u16>,
    labels: &[u16],
) -> Result<Vec<Overlap>, MeasureError> {
    overlaps(truth, prediction, labels, |voxel, label| voxel == label)
}

/// Counts the voxels of each of these regions, one bit each, in two maps `[X, Y, Z]` of regions joined by `|`, in one
/// pass.
///
/// **Errors**: different shapes.
pub fn region_overlaps(
    truth: ArrayView3<'_, u16>,
    prediction: ArrayView3<'_, u16>,
    regions: &[u16],
) -> Result<Vec<Overlap>, MeasureError> {
    overlaps(truth, prediction, regions, |voxel, region| {
        voxel & region != 0
    })
}

fn overlaps(
    truth: ArrayView3<'_, u16>,
    prediction: ArrayView3<'_, u16>,
    labels: &[u16],
    belongs: impl Fn(u16, u16) -> bool,
) -> Result<Vec<Overlap>, MeasureError> {
    check_shapes(&truth, &prediction)?;
    // Label maps are mostly runs of equal pairs: a map lookup per run, not per voxel.
    let mut pairs = HashMap::new();
    let mut run = ((0, 0), 0u64);
    Zip::from(truth)
        .and(prediction)
        .for_each(|&truth, &prediction| {
            if run.0 == (truth, prediction) {
                run.1 += 1;
            } else {
                *pairs.entry(run.0).or_insert(0) += run.1;
                run = ((truth, prediction), 1);
            }
        });
    *pairs.entry(run.0).or_insert(0) += run.1;
    let count = |label: u16| {
        let mut overlap = Overlap::default();
        for (&(truth, prediction), &voxels) in &pairs {
            let (truth, prediction) = (belongs(truth, label), belongs(prediction, label));
            overlap.truth += if truth { voxels } else { 0 };
            overlap.prediction += if prediction { voxels } else { 0 };
            overlap.both += if truth && prediction { voxels } else { 0 };
        }
        overlap
    };
    Ok(labels.iter().map(|&label| count(label)).collect())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_truth_is_undefined_or_scored() {
        let found = Overlap {
            truth: 0,
            prediction: 3,
            both: 0,
        };
        assert_eq!(found.dice(EmptyTruth::Undefined), None);
        assert_eq!(found.dice(EmptyTruth::Score), Some(0.0));
        let missed = Overlap {
            truth: 3,
            prediction: 0,
            both: 0,
        };
        assert_eq!(missed.dice(EmptyTruth::Undefined), Some(0.0));
    }

    #[test]
    fn counts_labels_in_their_order() {
        let truth = array![[[0u16, 1, 1, 2]]];
        let prediction = array![[[0u16, 1, 2, 2]]];
        let overlaps = label_overlaps(truth.view(), prediction.view(), &[2, 1, 5]).unwrap();
        let expected = [(1, 2, 1), (2, 1, 1), (0, 0, 0)].map(|(truth, prediction, both)| Overlap {
            truth,
            prediction,
            both,
        });
        assert_eq!(overlaps, expected);
    }

    #[test]
    fn regions_may_overlap() {
        let truth = array![[[0u16, 1, 3, 3]]];
        let prediction = array![[[0u16, 3, 1, 3]]];
        let overlaps = region_overlaps(truth.view(), prediction.view(), &[1, 2]).unwrap();
        let expected = [(3, 3, 3), (2, 2, 1)].map(|(truth, prediction, both)| Overlap {
            truth,
            prediction,
            both,
        });
        assert_eq!(overlaps, expected);
    }

    proptest! {
        #[test]
        fn labels_and_masks_agree(values in prop::collection::vec((0u16..4, 0u16..4), 60)) {
            let truth = Array3::from_shape_vec((3, 4, 5), values.iter().map(|v| v.0).collect()).unwrap();
            let prediction = Array3::from_shape_vec((3, 4, 5), values.iter().map(|v| v.1).collect()).unwrap();
            let overlaps = label_overlaps(truth.view(), prediction.view(), &[0, 1, 2, 3]).unwrap();
            for (label, overlap) in overlaps.into_iter().enumerate() {
                let [a, b] = [&truth, &prediction].map(|map| map.mapv(|value| usize::from(value) == label));
                prop_assert_eq!(mask_overlap(a.view(), b.view()).unwrap(), overlap);
            }
        }
    }
}
