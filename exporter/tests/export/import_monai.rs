//! Importing checkpoints from the command line.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::checkpoint::{Layout, Pickled, dict, int, text, tuple, write};
use crate::support::{config, engine_options, runtime, tensors};
use burn::tensor::TensorData;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use vesal_bundle::Bundle;
use vesal_bundle::manifest::MemberProvenance;
use vesal_engine::verify;
use vesal_network::SegResNet2dConfig;

fn network_settings() -> Pickled {
    network_with("", int(0))
}

/// The settings, of which one is another.
fn network_with(field: &str, value: Pickled) -> Pickled {
    let fields = [
        ("_target_", text("SegResNetDS")),
        ("init_filters", int(4)),
        ("blocks_down", tuple(&[int(1), int(2)])),
        ("in_channels", int(1)),
        ("out_channels", int(3)),
        ("dsdepth", int(2)),
        ("norm", text("INSTANCE_NVFUSER")),
    ];
    dict(&fields.map(|(name, usual)| (name, if name == field { value.clone() } else { usual })))
}

fn checkpoint(path: &Path, seed: u32, settings: Pickled) {
    let config = config(&[1, 2], [1, 3], None);
    write(
        path,
        &tensors(&config, seed),
        "",
        Layout::ChannelsLast,
        &[("config", settings), ("epoch", int(8))],
    );
}

fn export(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vesal-export"))
        .current_dir(directory)
        .args(["import-monai", "--output", "bundle", "--ort-lib"])
        .arg(runtime().path())
        .args(arguments)
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn two_checkpoints_become_an_ensemble() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    for seed in [1, 2] {
        let settings = dict(&[("network", network_settings())]);
        checkpoint(&place.join(format!("fold{seed}.pt")), seed, settings);
    }
    let flags = [
        "--roi",
        "8,8,12",
        "--modality",
        "ct",
        "--bounds",
        "-100,250",
        "--labels",
        "background,a,b",
    ];
    let output = export(
        place,
        &[
            &["fold1.pt", "fold2.pt", "--json", "--name", "spleen"][..],
            &flags,
        ]
        .concat(),
    );
    assert!(output.status.success(), "{}", stderr(&output));
    let bundle = Bundle::open(&place.join("bundle")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["digest"], bundle.digest());
    assert_eq!(summary["members"].as_array().unwrap().len(), 2);
    assert_eq!(summary["assumptions"].as_array().unwrap().len(), 0);
    let parity = &summary["members"][1]["parity"];
    assert!(parity["max_difference"].as_f64().unwrap() <= parity["limit"].as_f64().unwrap());
    assert_eq!(bundle.manifest().name, "spleen");
    assert!(matches!(
        &bundle.manifest().members[1].provenance,
        MemberProvenance::ImportedMonai { checkpoint, epoch: Some(8), best_metric: None, .. } if checkpoint == "fold2.pt"
    ));
    assert!(verify(&bundle, &engine_options()).unwrap().passed());

    let output = export(place, &[&["fold1.pt"][..], &flags].concat());
    assert_eq!(output.status.code(), Some(6));
    assert!(
        stderr(&output).contains("`--overwrite` replaces it"),
        "{}",
        stderr(&output)
    );
    let output = export(place, &[&["fold1.pt", "--overwrite"][..], &flags].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(output.stdout.is_empty());
}

#[test]
fn what_is_not_stated_is_asked_for_or_said() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    checkpoint(
        &place.join("model.pt"),
        1,
        dict(&[("network", network_settings())]),
    );
    let output = export(place, &["model.pt"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("hint: `--roi X,Y,Z`"),
        "{}",
        stderr(&output)
    );
    let output = export(place, &["model.pt", "--roi", "8,9,8"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("hint: `--roi 8,10,8`"),
        "{}",
        stderr(&output)
    );
    let output = export(place, &["model.pt", "--roi", "8,8,8"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("assumed: the modality is MRI"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn weights_alone_are_imported_with_what_is_assumed_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let tensors = tensors(&config(&[1, 2], [1, 3], None), 1);
    write(
        &place.join("model.pt"),
        &tensors,
        "_orig_mod.",
        Layout::Contiguous,
        &[],
    );
    let views = tensors.iter().map(|(name, data)| {
        let view = TensorView::new(Dtype::F32, data.shape.to_vec(), data.as_bytes());
        (name, view.unwrap())
    });
    let file = place.join("model.safetensors");
    safetensors::serialize_to_file(views, None, &file).unwrap();
    let told = |flags: &[&str]| {
        let usual = [
            "--roi",
            "8,8,12",
            "--modality",
            "mri",
            "--labels",
            "background,a,b",
        ];
        let flags = [flags, &usual, &["--json", "--overwrite"]].concat();
        let output = export(place, &flags);
        assert!(output.status.success(), "{}", stderr(&output));
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let assumed = summary["assumptions"].as_array().unwrap().iter();
        let assumed = assumed.map(|text| text.as_str().unwrap().to_owned());
        assumed.collect::<Vec<_>>()
    };
    for file in ["model.pt", "model.safetensors"] {
        let assumed = told(&[file]);
        let expected = [
            "instance normalization and ReLU",
            "classes exclude each other (softmax)",
            "images are not resampled",
        ];
        assert_eq!(assumed.len(), expected.len(), "{assumed:?}");
        for (assumed, expected) in assumed.iter().zip(expected) {
            assert!(assumed.starts_with(expected), "{assumed}");
        }
    }
    let assumed = told(&["model.pt", "--activation", "softmax", "--spacing", "1,1,2"]);
    assert_eq!(assumed.len(), 1, "{assumed:?}");
}

#[test]
fn networks_of_planes_need_no_wrapper() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let network = SegResNet2dConfig {
        in_channels: 1,
        out_channels: 2,
        init_filters: 4,
        blocks_down: vec![1, 1],
        dsdepth: 1,
    };
    // As MONAI's own class names and shapes them, without Auto3DSeg's wrapper.
    let plain = tensors(&network.into(), 1)
        .into_iter()
        .map(|(name, mut data)| {
            let shape = data.shape.to_vec();
            if let [kept @ .., 1] = &shape[..]
                && kept.len() == 4
            {
                data.shape = kept.into();
            }
            if name.ends_with("running_var") {
                data = TensorData::ones::<f32, _>(shape.clone());
            }
            (name.strip_prefix("net.").unwrap().to_owned(), data)
        });
    write(
        &place.join("model.pt"),
        &plain.collect(),
        "",
        Layout::Contiguous,
        &[],
    );
    let output = export(place, &["model.pt", "--roi", "8,8,4"]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("assumed: ReLU"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn weights_of_other_networks_are_told_with_what_is_supported() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let other = tensors(&config(&[1, 2], [1, 3], None), 1);
    write(
        &place.join("model.pt"),
        &other,
        "unet.",
        Layout::Contiguous,
        &[],
    );
    let output = export(place, &["model.pt", "--roi", "8,8,8"]);
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(text.contains("expected a SegResNetDS, "), "{text}");
    assert!(text.contains("hint: other networks"), "{text}");
}

#[test]
fn rules_of_dicom_come_into_the_plan() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let settings = dict(&[("network", network_settings())]);
    checkpoint(&place.join("model.pt"), 1, settings);
    let export_with = |rules: serde_json::Value, labels: &str| {
        std::fs::write(place.join("rules.json"), rules.to_string()).unwrap();
        let flags = ["model.pt", "--roi", "8,8,8", "--labels", labels];
        export(
            place,
            &[&flags[..], &["--dicom-rules", "rules.json"]].concat(),
        )
    };
    let concept = |value: &str, meaning: &str| serde_json::json!({"value": value, "scheme": "SCT", "meaning": meaning});
    let rules = serde_json::json!({
        "format": "vesal-dicom-rules",
        "format_version": 1,
        "channels": {"image": {"series_descriptions": ["*t1*"]}},
        "labels": {
            "tumor": {"category": concept("49755003", "Morphologically Altered Structure"),
                "type": concept("108369006", "Neoplasm")}
        }
    });
    let output = export_with(rules.clone(), "background,liver,lesion");
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(
        text.contains("cannot use the rules of DICOM in `rules.json`"),
        "{text}"
    );
    assert!(
        text.contains("the label `tumor`, expected one of `liver`, `lesion`"),
        "{text}"
    );
    assert!(!place.join("bundle").exists());
    let output = export_with(rules, "background,liver,tumor");
    assert!(output.status.success(), "{}", stderr(&output));
    let bundle = Bundle::open(&place.join("bundle")).unwrap();
    let plan = bundle.plan();
    assert_eq!(plan.channels[0].series_descriptions, ["*t1*"]);
    let code = plan.labels[2].code.as_ref().unwrap();
    assert_eq!(code.kind.meaning, "Neoplasm");
    assert_eq!(plan.labels[1].code, None);
    std::fs::remove_dir_all(place.join("bundle")).unwrap();
    let output = export_with(serde_json::json!({}), "background,liver,tumor");
    assert_eq!(output.status.code(), Some(3));
    let text = stderr(&output);
    assert!(text.contains("hint: rules begin with"), "{text}");
}

#[test]
fn checkpoints_that_disagree_are_no_ensemble() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    for (seed, modality) in [(1, "mri"), (2, "ct")] {
        let bounds = tuple(&[int(0), int(9)]);
        let settings = dict(&[
            ("network", network_settings()),
            ("modality", text(modality)),
            ("intensity_bounds", bounds),
            ("roi_size", tuple(&[int(8), int(8), int(8)])),
        ]);
        checkpoint(&place.join(format!("{modality}.pt")), seed, settings);
    }
    let output = export(place, &["mri.pt", "ct.pt"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        stderr(&output).contains("differ in channels"),
        "{}",
        stderr(&output)
    );
    let output = export(place, &["mri.pt", "ct.pt", "--modality", "ct"]);
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_runtime_that_is_not_there_is_named() {
    let directory = tempfile::tempdir().unwrap();
    checkpoint(
        &directory.path().join("model.pt"),
        1,
        dict(&[("network", network_settings())]),
    );
    let output = Command::new(env!("CARGO_BIN_EXE_vesal-export"))
        .current_dir(directory.path())
        .args([
            "import-monai",
            "--output",
            "bundle",
            "--roi",
            "8,8,8",
            "--ort-lib",
            "nowhere",
            "model.pt",
        ])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(5));
    assert!(
        stderr(&output).contains("vesal setup"),
        "{}",
        stderr(&output)
    );
    assert!(!directory.path().join("bundle").exists());
}

#[test]
fn networks_out_of_range_are_refused_before_anything_is_made_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let levels = |count: usize| tuple(&vec![int(1); count]);
    for (field, value, expected) in [
        ("in_channels", int(300_000_000), "expected at most 4096"),
        ("in_channels", int(0), "expected at least 1"),
        ("out_channels", int(100_000_000), "expected at most 4096"),
        ("init_filters", int(100_000_000), "expected at most 4096"),
        ("dsdepth", int(100_000_000), "expected at most 10"),
        ("blocks_down", levels(63), "has 63 levels, expected 1 to 10"),
        ("blocks_down", levels(65), "has 65 levels, expected 1 to 10"),
        ("blocks_down", levels(0), "has 0 levels, expected 1 to 10"),
    ] {
        let settings = dict(&[("network", network_with(field, value))]);
        checkpoint(&place.join("model.pt"), 1, settings);
        let output = export(place, &["model.pt", "--roi", "16,16,16"]);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{field}: {said}");
        assert!(
            said.contains("`model.pt` cannot be built"),
            "{field}: {said}"
        );
        let named = format!("network field `{field}`");
        assert!(said.contains(&named) && said.contains(expected), "{said}");
        assert!(!said.contains("--roi"), "{said}");
    }
}
