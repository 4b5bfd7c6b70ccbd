//! Logits to probabilities of classes that exclude each other.

use ndarray::{Array2, ArrayViewMut3, Zip};

/// Turns logits of one X position into probabilities that sum to 1 over classes, in place.
///
/// **Shapes**: `[K, Y, Z]`, softmax over K.
///
/// **Definition**: `exp(l - max(l)) / sum(exp(l - max(l)))` in `f32`. A voxel with a NaN or an infinite maximum gets
/// NaN in every class.
pub(super) fn softmax_slab(mut slab: ArrayViewMut3<'_, f32>) {
    let (_, rows, columns) = slab.dim();
    let mut max = Array2::from_elem((rows, columns), f32::NEG_INFINITY);
    for class in slab.outer_iter() {
        Zip::from(&mut max)
            .and(class)
            .for_each(|max, &logit| *max = max.max(logit));
    }
    let mut sum = Array2::<f32>::zeros((rows, columns));
    for class in slab.outer_iter_mut() {
        Zip::from(class)
            .and(&max)
            .and(&mut sum)
            .for_each(|value, &max, sum| {
                *value = (*value - max).exp();
                *sum += *value;
            });
    }
    for class in slab.outer_iter_mut() {
        Zip::from(class)
            .and(&sum)
            .for_each(|value, &sum| *value /= sum);
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
