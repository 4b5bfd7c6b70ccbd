//! Patch size, levels, filters and batch compared with Auto3DSeg.

use crate::shared;
use crate::template::three;
use serde_json::Value;
use vesal_network::{Family, SegResNetDsConfig};
use vesal_trainer::algorithms::segresnet::{Scaling, autoscale};

fn whole(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap()).unwrap()
}

#[test]
fn golden_autoscale() {
    for case in shared::cases("autoscale.json") {
        let (size, spacing) = (three(&case["median_size_mm"]), three(&case["spacing"]));
        let anisotropic = case["anisotropic"].as_bool().unwrap();
        let classes = whole(&case["classes"]);
        let by_batch = |memory_gib| Scaling {
            memory_gib,
            batch: true,
            ..Scaling::NONE
        };
        let at_16 = autoscale(size, spacing, anisotropic, classes, &by_batch(16.0));
        assert_eq!(
            at_16.roi.map(|side| side as f64),
            three(&case["roi"]),
            "{case}"
        );
        assert_eq!(at_16.levels, whole(&case["levels"]), "{case}");
        assert_eq!(at_16.init_filters, whole(&case["filters"]), "{case}");
        let by_memory = case["batch"].as_object().unwrap();
        assert!(!by_memory.is_empty());
        for (memory_gib, expected) in by_memory {
            let found = autoscale(
                size,
                spacing,
                anisotropic,
                classes,
                &by_batch(memory_gib.parse().unwrap()),
            );
            assert_eq!(
                found.roi.map(|side| side as f64),
                three(&expected["roi"]),
                "{memory_gib} GiB: {case}"
            );
            assert_eq!(
                found.batch,
                whole(&expected["batch"]),
                "{memory_gib} GiB: {case}"
            );
            // The patch suits the network that is built for it.
            let network = SegResNetDsConfig {
                in_channels: 1,
                out_channels: classes,
                init_filters: found.init_filters,
                blocks_down: vec![1; found.levels],
                dsdepth: 4,
                resolution: anisotropic.then_some(spacing),
            };
            let factor = network.shape_factor();
            assert!(
                (0..3).all(|axis| found.roi[axis].is_multiple_of(factor[axis])),
                "{factor:?}: {case}"
            );
        }
    }
}
