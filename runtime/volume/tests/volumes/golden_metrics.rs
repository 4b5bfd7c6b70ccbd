//! Measures against the reference implementation.

use crate::golden;
use ndarray::{Array3, Ix3};
use serde_json::Value;
use vesal_volume::measure::{
    EmptyTruth, label_overlaps, label_surface_distances, mask_overlap, mask_surface_distances,
    measure_labels,
};

fn labels(value: &Value) -> Array3<u16> {
    golden::array(value)
        .mapv(|label| label as u16)
        .into_dimensionality::<Ix3>()
        .unwrap()
}

fn assert_equal(found: Option<f64>, expected: f64, what: &str) {
    let equal = match found {
        None => expected.is_nan(),
        Some(found) => found == expected || (found - expected).abs() <= 1e-5,
    };
    assert!(equal, "{what} is {found:?}, expected {expected}");
}

#[test]
fn golden_metrics() {
    let Some(file) = golden::load("metrics") else {
        return;
    };
    for (index, case) in golden::cases(&file).iter().enumerate() {
        let truth = labels(&case["truth"]);
        let prediction = labels(&case["prediction"]);
        let spacing: [f64; 3] = golden::numbers(&case["spacing"]).try_into().unwrap();
        let classes: Vec<u16> = (1..case["classes"].as_u64().unwrap() as u16).collect();
        let overlaps = label_overlaps(truth.view(), prediction.view(), &classes).unwrap();
        let measures =
            measure_labels(truth.view(), prediction.view(), &classes, spacing, 1.0).unwrap();
        for (at, &label) in classes.iter().enumerate() {
            let check = |key: &str, found| {
                let expected = golden::array(&case[key])[at];
                assert_equal(
                    found,
                    expected,
                    &format!("case {index}, label {label}: {key}"),
                );
            };
            check(
                "dice_ignore_empty",
                overlaps[at].dice(EmptyTruth::Undefined),
            );
            check("dice_keep_empty", overlaps[at].dice(EmptyTruth::Score));
            check("dice_ignore_empty", measures[at].dice);
            check("hd95", measures[at].hausdorff95_mm);
            check("hd", measures[at].hausdorff_mm);
            check("assd", measures[at].average_surface_distance_mm);
            check("nsd_1mm", measures[at].surface_dice);

            let [a, b] = [&truth, &prediction].map(|map| map.mapv(|value| value == label));
            assert_eq!(mask_overlap(a.view(), b.view()), Ok(overlaps[at]));
            assert_eq!(
                mask_surface_distances(a.view(), b.view(), spacing),
                label_surface_distances(truth.view(), prediction.view(), label, spacing)
            );
        }
    }
}
