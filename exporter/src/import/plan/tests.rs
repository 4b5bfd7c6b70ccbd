//! Tests of planning for imported networks.

use serde_json::{Value, json};

use vesal_volume::preprocess::{Normalization, Step};

use super::*;
use vesal_models::monai::ArgumentsError;
use vesal_network::{PatchMerging, SwinUnetrConfig};

fn settings(config: Value) -> Result<InferenceSettings, ArgumentsError> {
    let Value::Object(config) = config else {
        panic!("no dictionary")
    };
    InferenceSettings::from_config(&config)
}

fn network() -> Value {
    json!({
        "_target_": "SegResNetDS", "init_filters": 8, "blocks_down": [1, 2, 2], "in_channels": 1,
        "out_channels": 3, "dsdepth": 2, "norm": "INSTANCE"
    })
}

fn planned(config: Value, flags: &ImportOverrides) -> Result<Planned, PlanningError> {
    let settings = settings(config).unwrap();
    let network = settings.network.clone().unwrap();
    plan(&settings, flags, &network, "task")
}

fn roi(roi: [usize; 3]) -> ImportOverrides {
    ImportOverrides {
        roi: Some(roi),
        ..Default::default()
    }
}

#[test]
fn a_bare_network_is_planned_from_flags() {
    let flags = ImportOverrides {
        spacing: Some([1.5, 1.5, 2.]),
        modality: Some(Modality::Ct),
        bounds: Some([-100., 200.]),
        labels: Some(
            ["background", "anterior", "posterior"]
                .map(str::to_owned)
                .to_vec(),
        ),
        ..roi([32, 48, 32])
    };
    let Planned { plan, assumptions } = planned(json!({"network": network()}), &flags).unwrap();
    assert_eq!(assumptions, Vec::<String>::new());
    assert_eq!(
        plan.preprocessing,
        [
            Step::OrientRas,
            Step::CropForeground {
                threshold: 0.,
                margin: 10
            },
            Step::Resample {
                spacing: [1.5, 1.5, 2.],
                keep: [1., 1.]
            },
            Step::Normalize {
                channels: vec![Normalization::SigmoidRange {
                    low: -100.,
                    high: 200.
                }]
            },
        ]
    );
    assert_eq!(plan.window.overlap, [0.625; 3]);
    assert_eq!(plan.labels[2].name, "posterior");
    plan.validate().unwrap();
}

#[test]
fn hyperparameters_of_auto3dseg_are_taken_and_flags_win() {
    let mut net = network();
    net["in_channels"] = json!("@input_channels");
    net["norm"] = json!(["INSTANCE_NVFUSER", {"affine": true}]);
    net["act"] = json!(["relu", {"inplace": false}]);
    let config = json!({
        "network": net, "input_channels": 2, "roi_size": [64, 64, 32], "modality": "CT",
        "normalize_mode": "range", "intensity_bounds": [-50, 250.5], "resample": true,
        "resample_resolution": [0.8, 0.8, 1.5], "class_names": ["a", {"name": "b", "index": [2]}],
        "orientation_ras": true, "crop_foreground": false, "sigmoid": false, "task": "spleen",
        "extra_modalities": {}, "custom_data_transforms": [], "anisotropic_scales": false
    });
    let plan = planned(config.clone(), &ImportOverrides::default())
        .unwrap()
        .plan;
    assert_eq!(plan.name, "spleen");
    assert_eq!(plan.channels.len(), 2);
    let names: Vec<&str> = plan
        .labels
        .iter()
        .map(|label| label.name.as_str())
        .collect();
    assert_eq!(names, ["background", "a", "b"]);
    let range = Normalization::SigmoidRange {
        low: -50.,
        high: 250.5,
    };
    assert_eq!(
        plan.preprocessing,
        [
            Step::OrientRas,
            Step::Resample {
                spacing: [0.8, 0.8, 1.5],
                keep: [0.75, 1.25]
            },
            Step::Normalize {
                channels: vec![range; 2]
            },
        ]
    );
    let flags = ImportOverrides {
        modality: Some(Modality::Mri),
        name: Some("n".into()),
        ..roi([8; 3])
    };
    let plan = planned(config, &flags).unwrap().plan;
    assert_eq!((plan.name.as_str(), plan.window.size), ("n", [8; 3]));
    assert_eq!(
        plan.preprocessing.last(),
        Some(&Step::Normalize {
            channels: vec![Normalization::ZScoreNonzero; 2]
        })
    );
}

#[test]
fn regions_and_further_images_are_taken() {
    let mut net = network();
    net["in_channels"] = json!(3);
    let config = json!({
        "network": net, "roi_size": [32, 32, 32], "modality": "ct", "intensity_bounds": [-100, 100],
        "sigmoid": true, "extra_modalities": {"image2": "pet", "image3": "mri"},
        "class_names": [{"name": "whole", "index": [1, 2]}, {"name": "core", "index": [2]},
                        {"name": "rim", "index": [1]}]
    });
    let plan = planned(config, &ImportOverrides::default()).unwrap().plan;
    plan.validate().unwrap();
    assert_eq!(plan.activation, Activation::Sigmoid);
    assert_eq!((plan.labels[1].value, plan.labels[1].class_index), (2, 1));
    assert_eq!(plan.labels[0].index, Some(vec![1, 2]));
    let range = Normalization::SigmoidRange {
        low: -100.,
        high: 100.,
    };
    assert_eq!(
        plan.preprocessing,
        [
            Step::OrientRas,
            Step::ResampleToMatch { first_channels: 1 },
            Step::Normalize {
                channels: vec![
                    range,
                    Normalization::SigmoidDeviation,
                    Normalization::ZScoreNonzero
                ]
            },
        ]
    );
    assert_eq!(plan.channels[1].name, "image2");
    assert_eq!(plan.channels[1].modality, Modality::Pet);
}

#[test]
fn planes_are_those_that_are_stored() {
    let mut net = network();
    net["spatial_dims"] = json!(2);
    net["norm"] = json!("BATCH");
    let config = |resample: bool| {
        json!({
            "network": net.clone(), "roi_size": [32, 24, 5], "modality": "mri", "resample": resample,
            "resample_resolution": [1, 1, 4]
        })
    };
    let plan = planned(config(false), &ImportOverrides::default())
        .unwrap()
        .plan;
    assert_eq!(
        plan.preprocessing,
        [
            Step::CropForeground {
                threshold: 0.,
                margin: 10
            },
            Step::Normalize {
                channels: vec![Normalization::ZScoreNonzero]
            },
        ]
    );
    assert_eq!(plan.window.overlap, [0.625, 0.625, 0.]);
    assert_eq!(plan.window.size, [32, 24, 5]);
    let error = planned(config(true), &ImportOverrides::default()).unwrap_err();
    assert_eq!(error, PlanningError::PlanarSpacing);
}

#[test]
fn what_is_missing_or_does_not_fit_names_its_flag() {
    let config = || json!({"network": network()});
    let ct = ImportOverrides {
        modality: Some(Modality::Ct),
        ..roi([32; 3])
    };
    let names = ImportOverrides {
        labels: Some(vec!["a".into()]),
        ..roi([32; 3])
    };
    let unused = ImportOverrides {
        bounds: Some([0., 1.]),
        ..roi([32; 3])
    };
    for (flags, flag) in [
        (ImportOverrides::default(), "--roi X,Y,Z"),
        (roi([30, 32, 0]), "--roi 32,32,4"),
        (ct, "--bounds"),
        (names, "--labels"),
        (unused, "--bounds"),
    ] {
        let error = planned(config(), &flags).unwrap_err();
        assert!(error.hint().unwrap().contains(flag), "{error}");
    }
}

#[test]
fn what_a_bundle_cannot_express_is_refused() {
    let with = |field: &str, value: Value| {
        let mut config = json!({"network": network()});
        config[field] = value;
        settings(config)
    };
    let network_with = |field: &str, value: Value| {
        let mut net = network();
        net[field] = value;
        settings(json!({"network": net}))
    };
    let planar = |field: &str, value: Value| {
        let mut net = network();
        net["spatial_dims"] = json!(2);
        net["norm"] = json!("BATCH");
        net[field] = value;
        settings(json!({"network": net}))
    };
    for (outcome, field) in [
        (
            with("custom_data_transforms", json!([{"key": "crop"}])),
            "config.custom_data_transforms",
        ),
        (
            with("extra_modalities", json!({"image2": "log"})),
            "config.extra_modalities",
        ),
        (
            with("normalize_mode", json!("log")),
            "config.normalize_mode",
        ),
        (with("modality", json!("us")), "config.modality"),
        (network_with("norm", json!("BATCH")), "config.network.norm"),
        (
            network_with("norm", json!(["INSTANCE", {"eps": 1e-3}])),
            "config.network.norm",
        ),
        (network_with("norm", Value::Null), "config.network.norm"),
        (
            network_with("_target_", json!("SegResNetDS2")),
            "config.network._target_",
        ),
        (
            network_with("upsample_mode", json!("nontrainable")),
            "config.network.upsample_mode",
        ),
        (network_with("act", json!("prelu")), "config.network.act"),
        (
            network_with("spatial_dims", json!(2)),
            "config.network.spatial_dims",
        ),
        (planar("act", json!("prelu")), "config.network.act"),
        (
            planar("resolution", json!([1, 1, 5])),
            "config.network.resolution",
        ),
        (
            planar("norm", json!(["BATCH", {"affine": false}])),
            "config.network.norm",
        ),
    ] {
        match outcome {
            Err(ArgumentsError::Unsupported { field: found, .. }) => assert_eq!(found, field),
            other => panic!("{field}: {other:?}"),
        }
    }
    assert!(matches!(
        with("roi_size", json!([1, 2])),
        Err(ArgumentsError::Field { field, .. }) if field == "config.roi_size"
    ));
}

#[test]
fn windows_are_proposed_where_one_of_that_size_may_be() {
    let hint = |found| {
        let factor = [4, 4, 4];
        PlanningError::Window { found, factor }.hint()
    };
    let proposed = hint([5, 0, 1022]).unwrap();
    assert!(proposed.contains("`--roi 8,4,1024`"), "{proposed}");
    assert_eq!(hint([5, 5, 1025]), None);
    assert_eq!(hint([5, 5, usize::MAX]), None);
}

#[test]
fn windows_of_more_tokens_than_a_file_may_name_are_refused() {
    let network = NetworkConfig::Swinunetr(SwinUnetrConfig {
        in_channels: 1,
        out_channels: 2,
        feature_size: 12,
        patch_merging: PatchMerging::Monai15,
    });
    let planned = |side: usize| {
        let flags = ImportOverrides {
            spacing: Some([1.; 3]),
            ..roi([side; 3])
        };
        plan(&InferenceSettings::default(), &flags, &network, "swin")
    };
    assert!(planned(128).is_ok());
    let error = planned(512).unwrap_err();
    let text = error.to_string();
    // 256 tokens along an axis, in 37 windows of 7.
    assert!(text.contains("rearranges 17373979 values"), "{text}");
    assert!(text.contains("expected at most 524288"), "{text}");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("`--roi X,Y,Z` states a smaller one")
    );
}
