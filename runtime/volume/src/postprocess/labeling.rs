//! From probabilities to labels.

use ndarray::{Array3, ArrayView2, ArrayView3, ArrayView4, Axis, CowArray, Ix2};
use rayon::prelude::*;
use thiserror::Error;

/// Probability above which a voxel belongs to a region.
///
/// **Source**: Auto3DSeg's SegResNet, `AsDiscrete(threshold=0.5)`.
pub(super) const REGION_THRESHOLD: f32 = 0.5;

/// Why probabilities cannot be labeled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LabelingError {
    /// A label table of the wrong length.
    #[error(
        "label table has {values} values for {classes} classes, expected one value per class and at least 1 class"
    )]
    Table {
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
/// **Source**: `torch.argmax` for ties; there NaN wins; here it is refused.
pub fn argmax_labels(
    probabilities: ArrayView4<'_, f32>,
    values: &[u16],
) -> Result<Array3<u16>, LabelingError> {
    label_slabs(probabilities, values, argmax)
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
    label_slabs(probabilities, values, mark_regions)
}

/// Labels some voxels and returns whether any value is NaN. Takes one slice of voxels per class and the value of each
/// class, of which there is at least one.
type Label = fn(&[&[f32]], &[u16], &mut [u16]) -> bool;

/// Labels all X positions in parallel.
fn label_slabs(
    probabilities: ArrayView4<'_, f32>,
    values: &[u16],
    label: Label,
) -> Result<Array3<u16>, LabelingError> {
    let (classes, x, y, z) = probabilities.dim();
    if classes == 0 || values.len() != classes {
        return Err(LabelingError::Table {
            values: values.len(),
            classes,
        });
    }
    let mut labels = Array3::zeros((x, y, z));
    let slabs: Vec<_> = labels
        .axis_iter_mut(Axis(0))
        .zip(probabilities.axis_iter(Axis(1)))
        .collect();
    let nan = slabs
        .into_par_iter()
        .enumerate()
        .find_map_first(|(x, (labels, slab))| {
            let copies: Vec<_> = slab.outer_iter().map(contiguous).collect();
            let classes: Vec<&[f32]> = copies.iter().filter_map(|class| class.as_slice()).collect();
            // The array was allocated in this layout.
            let labels = labels.into_slice().unwrap_or_default();
            label(&classes, values, labels).then(|| first_nan(x, slab))
        })
        .flatten();
    nan.map_or(Ok(labels), Err)
}

/// The plane itself, or a copy where its voxels are not contiguous.
fn contiguous(plane: ArrayView2<'_, f32>) -> CowArray<'_, f32, Ix2> {
    if plane.is_standard_layout() {
        plane.into()
    } else {
        plane.as_standard_layout().into_owned().into()
    }
}

/// Voxels whose classes are compared together.
const BLOCK: usize = 128;

/// Gives every voxel the value of its most probable class, of equals the one of lowest index, and returns whether any
/// probability is NaN.
pub(super) fn argmax(classes: &[&[f32]], values: &[u16], labels: &mut [u16]) -> bool {
    let first = values.first().copied().map_or(0, u32::from);
    let mut nan = false;
    for (block, labels) in labels.chunks_mut(BLOCK).enumerate() {
        let start = block * BLOCK;
        let mut best = [f32::NEG_INFINITY; BLOCK];
        // Of the same width as probabilities, so that both are compared in vectors.
        let mut choice = [first; BLOCK];
        let mut unordered = 0;
        for (class, &value) in classes.iter().zip(values) {
            let class = &class[start..start + labels.len()];
            for ((&probability, best), choice) in class.iter().zip(&mut best).zip(&mut choice) {
                unordered |= u32::from(probability.is_nan());
                // Masks, not branches: every voxel takes the same instructions.
                let better = u32::from(probability > *best).wrapping_neg();
                *best = best.max(probability);
                *choice = *choice & !better | u32::from(value) & better;
            }
        }
        for (label, choice) in labels.iter_mut().zip(choice) {
            *label = choice as u16;
        }
        nan |= unordered != 0;
    }
    nan
}

/// Gives every voxel the values of all its regions joined by `|`, and returns whether any probability is NaN.
pub(super) fn mark_regions(classes: &[&[f32]], values: &[u16], labels: &mut [u16]) -> bool {
    let mut nan = false;
    for (block, labels) in labels.chunks_mut(BLOCK).enumerate() {
        let start = block * BLOCK;
        let mut marks = [0_u32; BLOCK];
        let mut unordered = 0;
        for (region, &value) in classes.iter().zip(values) {
            let region = &region[start..start + labels.len()];
            for (&probability, marks) in region.iter().zip(&mut marks) {
                unordered |= u32::from(probability.is_nan());
                *marks |= if probability > REGION_THRESHOLD {
                    u32::from(value)
                } else {
                    0
                };
            }
        }
        for (label, marks) in labels.iter_mut().zip(marks) {
            *label = marks as u16;
        }
        nan |= unordered != 0;
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
    fn every_voxel_of_many_is_labeled_in_any_layout() {
        let probabilities = Array4::from_shape_fn((5, 3, 17, 19), |(k, x, y, z)| {
            ((k * 389 + x * 193 + y * 71 + z * 37) % 101) as f32 / 100.0
        });
        let values = [1, 2, 4, 8, 16];
        let classes = argmax_labels(probabilities.view(), &values).unwrap();
        let regions = region_labels(probabilities.view(), &values).unwrap();
        for (x, y, z) in ndarray::indices(classes.dim()) {
            let of = |k: usize| probabilities[[k, x, y, z]];
            let best = (0..5)
                .rev()
                .max_by(|&a, &b| of(a).total_cmp(&of(b)))
                .unwrap();
            assert_eq!(classes[[x, y, z]], values[best]);
            let marks = (0..5).filter(|&k| of(k) > 0.5).map(|k| values[k]).sum();
            assert_eq!(regions[[x, y, z]], marks);
        }
        let turned = probabilities.permuted_axes([0, 3, 1, 2]);
        let labels = argmax_labels(turned.view(), &values).unwrap();
        assert_eq!(labels, classes.permuted_axes([2, 0, 1]));
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
