//! Data stats of a real dataset compared with Auto3DSeg.

use crate::shared;
use std::collections::BTreeSet;

use serde_yaml_ng::Value;
use vesal_cases::datalist::Datalist;
use vesal_trainer::analyze::analyze;

const RELATIVE_TOLERANCE: f64 = 1e-4;

/// Compares every number of `expected` with the one at the same place of `found`, and returns their count.
fn compare(
    place: &str,
    expected: &Value,
    found: &Value,
    skip: &dyn Fn(&str) -> bool,
    counted: &mut usize,
) {
    if skip(place) {
        return;
    }
    match (expected, found) {
        (Value::Mapping(expected), Value::Mapping(found)) => {
            for (key, expected) in expected {
                let place = format!("{place}/{}", key.as_str().unwrap());
                let found = found
                    .get(key)
                    .unwrap_or_else(|| panic!("`{place}` is missing"));
                compare(&place, expected, found, skip, counted);
            }
        }
        (Value::Sequence(expected), Value::Sequence(found)) => {
            assert_eq!(expected.len(), found.len(), "{place}");
            for (index, (expected, found)) in expected.iter().zip(found).enumerate() {
                compare(&format!("{place}/{index}"), expected, found, skip, counted);
            }
        }
        (Value::Number(expected), Value::Number(found)) => {
            let (expected, found) = (expected.as_f64().unwrap(), found.as_f64().unwrap());
            let allowed = RELATIVE_TOLERANCE * expected.abs();
            assert!(
                (expected - found).abs() <= allowed,
                "{place}: expected {expected}, found {found}"
            );
            *counted += 1;
        }
        (expected, found) => panic!("{place}: expected {expected:?}, found {found:?}"),
    }
}

/// Auto3DSeg's crop to voxels above 0 leaves the first axis unchanged. Where that matters, its statistics of the
/// cropped image are not compared.
#[test]
fn golden_datastats() {
    let Some(golden) = shared::find("golden/hippocampus_datastats.yaml") else {
        return;
    };
    let Some(dataroot) = shared::find("data/hippocampus") else {
        return;
    };
    let golden: Value = serde_yaml_ng::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let datalist = std::fs::read(dataroot.join("datalist.json")).unwrap();
    let datalist = Datalist::from_json(&datalist, &dataroot, &[]).unwrap();

    let analysis = analyze(&datalist.training, &dataroot, 2, |_| {}).unwrap();
    assert!(analysis.excluded.is_empty(), "{:?}", analysis.excluded);

    let crop_differs = analysis.cases.iter().any(|case| {
        let stats = &case.image_stats;
        stats
            .shape
            .iter()
            .zip(&stats.cropped_shape)
            .any(|(whole, cropped)| whole[0] != cropped[0])
    });
    let about_the_crop = BTreeSet::from(["/image_stats/cropped_shape", "/image_stats/intensity"]);
    let skip = |place: &str| crop_differs && about_the_crop.contains(place);
    let found = serde_yaml_ng::to_value(&analysis.summary).unwrap();
    let mut counted = 0;
    compare("", &golden["stats_summary"], &found, &skip, &mut counted);
    println!("{counted} numbers agree; crop of the first axis differs: {crop_differs}");
    assert!(counted > 150, "only {counted} numbers were compared");
}
