//! Tests of preprocessing from transforms.

use serde_json::{Map, json};

use super::*;

/// The infer transforms of Auto3DSeg's swinunetr for CT.
fn template() -> Value {
    json!({"_target_": "Compose", "transforms": [
        {"_target_": "LoadImaged", "keys": "image", "image_only": true},
        {"_target_": "EnsureChannelFirstd", "keys": "image"},
        {"_target_": "Compose", "transforms": [
            {"_target_": "ScaleIntensityRanged", "keys": "image", "a_min": -120.5, "a_max": 310.25,
                "b_min": 0.0, "b_max": 1.0, "clip": true},
            {"_target_": "CropForegroundd", "keys": "image", "source_key": "image", "allow_smaller": true},
        ]},
        {"_target_": "Orientationd", "keys": "image", "axcodes": "RAS"},
        {"_target_": "Spacingd", "keys": "image", "pixdim": [1.0, 1.0, 2.5], "mode": "bilinear", "align_corners": true},
        {"_target_": "CastToTyped", "keys": "image", "dtype": "$torch.float32"},
    ]})
}

#[test]
fn the_template_becomes_its_plan() {
    let found = Preparation::read(&template(), 2).unwrap();
    assert_eq!(found.modality, Some(Modality::Ct));
    let range = Normalization::ClippedRange {
        low: -120.5,
        high: 310.25,
    };
    let expected = [
        Step::Normalize {
            channels: vec![range; 2],
        },
        Step::CropForeground {
            threshold: 0.,
            margin: 0,
        },
        Step::OrientRas,
        Step::Resample {
            spacing: [1., 1., 2.5],
            keep: [1., 1.],
        },
    ];
    assert_eq!(found.steps, expected);
}

#[test]
fn images_with_label_maps_are_read_for_the_images() {
    let found = Preparation::read(
        &json!([
            {"_target_": "LoadImaged", "keys": ["image", "label"]},
            {"_target_": "EnsureChannelFirstd", "keys": ["image", "label"]},
            {"_target_": "Spacingd", "keys": ["label", "image"], "pixdim": [1, 1, 1], "mode": ["nearest", "bilinear"]},
            {"_target_": "Unheardofd", "keys": "label"},
            {"_target_": "Unheardofd", "keys": "image", "_disabled_": true},
            {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": true},
        ]),
        1,
    )
    .unwrap();
    assert_eq!(found.modality, Some(Modality::Mri));
    assert_eq!(found.steps.len(), 2);
}

/// The template with other arguments of its transform at a place, and the argument that an error names.
fn changed(place: &[usize], arguments: Value) -> ComponentError {
    let mut transforms = template();
    let mut at = &mut transforms;
    for index in place {
        at = &mut at["transforms"][*index];
    }
    let arguments: Map<String, Value> = serde_json::from_value(arguments).unwrap();
    at.as_object_mut().unwrap().extend(arguments);
    Preparation::read(&transforms, 2).unwrap_err()
}

#[test]
fn what_a_plan_cannot_express_is_refused_by_name() {
    for (place, arguments, expected) in [
        (
            &[0][..],
            json!({"keys": ["image", "image2"]}),
            "one name of images",
        ),
        (&[1], json!({"channel_dim": 3}), "channel_dim"),
        (&[1], json!({"keys": "im"}), "keys = \"im\""),
        (&[1], json!({"keys": ["image", "label"]}), "keys"),
        (&[2, 0], json!({"keys": null}), "keys = null"),
        (&[2, 0], json!({"keys": ["image", 1]}), "keys"),
        (&[4], json!({"keys": []}), "keys = []"),
        (
            &[5],
            json!({"_target_": "LoadImaged", "keys": "image"}),
            "label maps beside the images",
        ),
        (
            &[3],
            json!({"_target_": "scripts.transforms.Orientationd"}),
            "`scripts.transforms.Orientationd`",
        ),
        (&[2, 0], json!({"b_min": -1.0}), "b_min"),
        (&[2, 0], json!({"clip": false}), "clip"),
        (&[2, 0], json!({"a_min": "$np.min(x)"}), "a_min"),
        (&[2, 0], json!({"a_min": 400}), "a_max"),
        (
            &[2, 1],
            json!({"select_fn": "$lambda x: x > 1"}),
            "select_fn",
        ),
        (
            &[2, 1],
            json!({"margin": 5, "allow_smaller": false}),
            "allow_smaller",
        ),
        (&[2, 1], json!({"source_key": "label"}), "source_key"),
        (&[2, 1], json!({"k_divisible": [32, 32, 32]}), "k_divisible"),
        (&[3], json!({"axcodes": "LPS"}), "axcodes"),
        (&[4], json!({"pixdim": [1.0, 1.0, -1.0]}), "pixdim"),
        (&[4], json!({"pixdim": 1.0}), "pixdim"),
        (&[4], json!({"mode": "nearest"}), "mode"),
        (&[4], json!({"mode": 3}), "mode"),
        (&[4], json!({"padding_mode": "zeros"}), "padding_mode"),
        (&[4], json!({"min_pixdim": [0.5, 0.5, 0.5]}), "min_pixdim"),
        (&[5], json!({"dtype": "$torch.uint8"}), "dtype"),
        (
            &[5],
            json!({"_target_": "Lambdad", "func": "$lambda x: x"}),
            "Lambdad",
        ),
        (
            &[5],
            json!({"_target_": "Orientationd", "dtype": null, "axcodes": "RAS", "_disabled_": 1}),
            "_disabled_",
        ),
    ] {
        let error = changed(place, arguments);
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.hint().contains("--modality"), "{}", error.hint());
    }
    let several = json!([
        {"_target_": "LoadImaged", "keys": "image"},
        {"_target_": "NormalizeIntensityd", "keys": "image", "nonzero": true},
    ]);
    let error = Preparation::read(&several, 2).unwrap_err();
    assert!(error.to_string().contains("channel_wise"), "{error}");
    for (list, expected) in [
        (json!([]), "LoadImaged"),
        (json!([7]), "no component"),
        (
            json!([{"_target_": "Orientationd", "keys": "image"}]),
            "before `LoadImaged`",
        ),
    ] {
        let error = Preparation::read(&list, 1).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}
