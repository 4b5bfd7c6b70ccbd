//! Probabilities to labels.

use ndarray::{Array2, Array3, ArrayView3, ArrayView4, ArrayViewMut2, Axis, Zip};
use rayon::prelude::*;
use thiserror::Error;

/// Probability above which a voxel belongs to a region.
///
/// **Source**: Auto3DSeg's SegResNet, `AsDiscrete(threshold=0.5)`.
pub(super) const REGION_THRESHOLD: f32 = 0.5;

/// Why probabilities give no labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LabelingError {
    /// A label table of the wrong length.
    #[error(
        "label table has {values} values for {classes} classes, expected one value per class and at least 1 class"
    )]
    Table {
        /// Label values given.
        values: usize,
        /// Classes of the probabilities.
        classes: usize,
    },
    /// A voxel whose class is undefined.
    #[error(
        "probability of class {class} at voxel {voxel:?} is not a number, expected a network that returns finite values"
    )]
    NotANumber {
        /// Class index of the first NaN.
        class: usize,
        /// Its position, `[X, Y, Z]`.
        voxel: [usize; 3],
    },
}

/// Picks the label of the most probable class of every voxel; of equals, the class of lowest index.
///
/// Logits serve as well: softmax keeps their order.
///
/// **Shapes**: `[K, X, Y, Z]` → `[X, Y, Z]`; `values[k]` is the label of class `k`.
///
/// **Errors**: a table that is not one value per class, or a NaN, which would otherwise pass for background.
///
/// **Source**: `torch.argmax` for ties; it lets NaN win, we refuse it.
pub fn argmax_labels(
    probabilities: ArrayView4<'_, f32>,
    values: &[u16],
) -> Result<Array3<u16>, LabelingError> {
    let first = values.first().copied().unwrap_or_default();
    label_slabs(probabilities, values, first, argmax_slab)
}

/// Gives every voxel the values of all regions that it belongs to, joined by `|`.
///
/// **Shapes**: `[K, X, Y, Z]` → `[X, Y, Z]`; `values[k]`, a bit of its own, marks region `k`.
///
/// **Definition**: a voxel belongs to a region whose probability is above 0.5.
///
/// **Errors**: a table that is not one value per region, or a NaN.
///
/// ```
/// use ndarray::array;
/// use vesal_volume::postprocess::region_labels;
///
/// let whole_and_core = array![[[[0.9f32, 0.8, 0.1]]], [[[0.7, 0.5, 0.2]]]];
/// let labels = region_labels(whole_and_core.view(), &[1, 2])?;
/// assert_eq!(labels, array![[[3, 1, 0]]]);
/// # Ok::<(), vesal_volume::postprocess::LabelingError>(())
/// ```
pub fn region_labels(
    probabilities: ArrayView4<'_, f32>,
    values: &[u16],
) -> Result<Array3<u16>, LabelingError> {
    label_slabs(probabilities, values, 0, region_slab)
}

/// Labels all X positions in parallel; `label` tells whether it met a NaN.
fn label_slabs(
    probabilities: ArrayView4<'_, f32>,
    values: &[u16],
    initial: u16,
    label: impl Fn(ArrayView3<'_, f32>, &[u16], ArrayViewMut2<'_, u16>) -> bool + Sync,
) -> Result<Array3<u16>, LabelingError> {
    let (classes, x, y, z) = probabilities.dim();
    if classes == 0 || values.len() != classes {
        return Err(LabelingError::Table {
            values: values.len(),
            classes,
        });
    }
    let mut labels = Array3::from_elem((x, y, z), initial);
    let slabs: Vec<_> = labels
        .axis_iter_mut(Axis(0))
        .zip(probabilities.axis_iter(Axis(1)))
        .collect();
    let nan = slabs
        .into_par_iter()
        .enumerate()
        .find_map_first(|(x, (labels, slab))| {
            label(slab, values, labels).then(|| first_nan(x, slab))
        })
        .flatten();
    nan.map_or(Ok(labels), Err)
}

/// Labels one X position, `[K, Y, Z]` → `[Y, Z]`, and tells whether any value is NaN.
fn argmax_slab(
    slab: ArrayView3<'_, f32>,
    values: &[u16],
    mut labels: ArrayViewMut2<'_, u16>,
) -> bool {
    let (_, rows, columns) = slab.dim();
    let mut best = Array2::from_elem((rows, columns), f32::NEG_INFINITY);
    let mut nan = false;
    for (class, &value) in slab.outer_iter().zip(values) {
        Zip::from(&mut best)
            .and(&mut labels)
            .and(class)
            .for_each(|best, label, &probability| {
                nan |= probability.is_nan();
                if probability > *best {
                    *best = probability;
                    *label = value;
                }
            });
    }
    nan
}

/// Marks the regions of one X position, `[K, Y, Z]` → `[Y, Z]`, and tells whether any value is NaN.
fn region_slab(
    slab: ArrayView3<'_, f32>,
    values: &[u16],
    mut labels: ArrayViewMut2<'_, u16>,
) -> bool {
    let mut nan = false;
    for (region, &value) in slab.outer_iter().zip(values) {
        Zip::from(&mut labels)
            .and(region)
            .for_each(|label, &probability| {
                nan |= probability.is_nan();
                if probability > REGION_THRESHOLD {
                    *label |= value;
                }
            });
    }
    nan
}

/// The first NaN in voxel order.
fn first_nan(x: usize, slab: ArrayView3<'_, f32>) -> Option<LabelingError> {
    slab.lanes(Axis(0))
        .into_iter()
        .zip(ndarray::indices((slab.dim().1, slab.dim().2)))
        .find_map(|(lane, (y, z))| {
            let class = lane.iter().position(|value| value.is_nan())?;
            Some(LabelingError::NotANumber {
                class,
                voxel: [x, y, z],
            })
        })
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, array};

    use super::*;

    #[test]
    fn maps_classes_to_label_values() {
        let probabilities = array![
            [[[0.2f32, 0.6, 0.1]]],
            [[[0.5, 0.3, 0.1]]],
            [[[0.3, 0.1, 0.8]]]
        ];
        assert_eq!(
            argmax_labels(probabilities.view(), &[0, 40, 300]),
            Ok(array![[[40, 0, 300]]])
        );
    }

    #[test]
    fn the_lowest_index_wins_ties() {
        let probabilities = array![[[[0.2f32, 0.5]]], [[[0.4, 0.5]]], [[[0.4, 0.0]]]];
        assert_eq!(
            argmax_labels(probabilities.view(), &[7, 8, 9]),
            Ok(array![[[8, 7]]])
        );
        let none = Array4::from_elem((2, 1, 1, 1), f32::NEG_INFINITY);
        assert_eq!(argmax_labels(none.view(), &[3, 4]), Ok(array![[[3]]]));
    }

    #[test]
    fn refuses_a_table_of_another_length() {
        let probabilities = Array4::zeros((2, 1, 1, 1));
        let expected = Err(LabelingError::Table {
            values: 3,
            classes: 2,
        });
        assert_eq!(argmax_labels(probabilities.view(), &[0, 1, 2]), expected);
        assert!(argmax_labels(Array4::zeros((0, 1, 1, 1)).view(), &[]).is_err());
    }

    #[test]
    fn refuses_nan_and_says_where() {
        let mut probabilities = Array4::zeros((2, 3, 2, 2));
        probabilities[[1, 2, 0, 0]] = f32::NAN;
        probabilities[[1, 1, 0, 1]] = f32::NAN;
        let expected = Err(LabelingError::NotANumber {
            class: 1,
            voxel: [1, 0, 1],
        });
        assert_eq!(argmax_labels(probabilities.view(), &[0, 1]), expected);
    }
}
