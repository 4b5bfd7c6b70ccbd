//! Logits to probabilities of classes that exclude each other.

use ndarray::ArrayViewMut3;

use crate::exponential::exp;

/// Voxels that are processed together: with a hundred classes they fit the first-level cache.
const BLOCK: usize = 64;

/// Turns logits of one X position into probabilities that sum to 1 over classes, in place.
///
/// **Shapes**: `[K, Y, Z]`, softmax over K.
///
/// **Definition**: `exp(l - max(l)) / sum(exp(l - max(l)))` in `f32`. A voxel with a NaN or an infinite maximum gets
/// NaN in every class.
pub(super) fn softmax_slab(mut slab: ArrayViewMut3<'_, f32>) {
    let contiguous = slab.outer_iter().all(|class| class.is_standard_layout());
    if contiguous {
        let classes = slab.outer_iter_mut();
        let mut classes: Vec<&mut [f32]> = classes.filter_map(|class| class.into_slice()).collect();
        softmax(&mut classes);
    } else {
        let mut copy = slab.as_standard_layout().into_owned();
        softmax_slab(copy.view_mut());
        slab.assign(&copy);
    }
}

/// Turns logits into probabilities in place: one slice of voxels per class.
fn softmax(classes: &mut [&mut [f32]]) {
    let voxels = classes.first().map_or(0, |class| class.len());
    for start in (0..voxels).step_by(BLOCK) {
        let end = (start + BLOCK).min(voxels);
        let mut max = [f32::NEG_INFINITY; BLOCK];
        for class in classes.iter() {
            for (max, &logit) in max.iter_mut().zip(&class[start..end]) {
                *max = max.max(logit);
            }
        }
        let mut sum = [0.0; BLOCK];
        for class in classes.iter_mut() {
            let values = class[start..end].iter_mut();
            for ((value, max), sum) in values.zip(&max).zip(&mut sum) {
                *value = exp(*value - max);
                *sum += *value;
            }
        }
        for class in classes.iter_mut() {
            for (value, sum) in class[start..end].iter_mut().zip(&sum) {
                *value /= sum;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, ArrayViewMut4, array};
    use proptest::prelude::*;

    use crate::postprocess::Activation;

    fn softmax_in_place(logits: ArrayViewMut4<'_, f32>) {
        Activation::Softmax.probabilities_in_place(logits);
    }

    #[test]
    fn is_stable_for_large_logits() {
        let mut values = array![[[[1000.0f32, -1000.0]]], [[[999.0, -1001.0]]]];
        softmax_in_place(values.view_mut());
        let expected = 1.0 / (1.0 + (-1.0f32).exp());
        for voxel in 0..2 {
            assert!(
                (values[[0, 0, 0, voxel]] - expected).abs() < 1e-6,
                "{values}"
            );
        }
    }

    #[test]
    fn a_nan_stays_in_its_voxel() {
        let mut values = array![[[[f32::NAN, 0.0]]], [[[0.0, 0.0]]]];
        softmax_in_place(values.view_mut());
        assert!(values[[0, 0, 0, 0]].is_nan() && values[[1, 0, 0, 0]].is_nan());
        assert_eq!(values[[0, 0, 0, 1]], 0.5);
    }

    #[test]
    fn reads_any_memory_layout() {
        let logits = Array4::from_shape_fn((3, 2, 4, 5), |(k, x, y, z)| {
            (k * 7 + x * 5 + y * 3 + z) as f32 % 4.0
        });
        let mut direct = logits.clone();
        softmax_in_place(direct.view_mut());
        let mut permuted = logits.permuted_axes([0, 3, 2, 1]);
        softmax_in_place(permuted.view_mut());
        assert_eq!(permuted.permuted_axes([0, 3, 2, 1]), direct);
    }

    proptest! {
        #[test]
        fn sums_to_one_and_keeps_the_order(logits in prop::collection::vec(-50.0f32..50.0, 4)) {
            let mut values = Array4::from_shape_vec((4, 1, 1, 1), logits.clone()).unwrap();
            softmax_in_place(values.view_mut());
            prop_assert!((values.sum() - 1.0).abs() < 1e-5);
            for (a, b) in (0..4).flat_map(|a| (0..4).map(move |b| (a, b))) {
                prop_assert!(logits[a] > logits[b] || values[[a, 0, 0, 0]] <= values[[b, 0, 0, 0]]);
            }
        }
    }
}
