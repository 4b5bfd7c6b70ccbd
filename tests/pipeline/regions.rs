//! Regions that overlap, and an image on a grid of its own, through the whole chain.

use std::path::Path;
use std::process::Command;

use ndarray::{Axis, s};
use serde_json::{Value, json};
use vesal_io::image::{read_channels, read_volume};
use vesal_io::nifti::{WriteOptions, write_volume};
use vesal_tests::dataset::PhantomDataset;
use vesal_tests::programs::{programs, run};
use vesal_volume::{Affine, Volume};

use crate::chain::SETTINGS;

/// Every second voxel along every axis, as from another scanner.
fn write_coarse(from: &Path, to: &Path) {
    let fine = read_volume(from).unwrap();
    let linear = fine.affine.linear().map(|row| row.map(|entry| 2.0 * entry));
    let coarse = Volume {
        data: fine.data.slice(s![.., ..;2, ..;2, ..;2]).to_owned(),
        affine: Affine::from_parts(linear, fine.affine.voxel_to_world([0.0; 3])),
    };
    write_volume(to, &coarse, &WriteOptions::default()).unwrap();
}

#[test]
fn regions_keep_their_overlap_from_training_to_deployment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let dataset = PhantomDataset::write(path, 4, 0).unwrap();
    let mut cases = Vec::new();
    for (index, scan) in dataset.training.iter().enumerate() {
        let coarse = path.join(format!("{}_coarse.nii.gz", scan.name));
        write_coarse(&scan.image, &coarse);
        cases.push(json!({
            "image": scan.image, "pet": coarse, "label": scan.label, "fold": index % 2
        }));
    }
    let held_out = cases.iter().filter(|case| case["fold"] == 0);
    let held_out: Vec<_> = held_out.cloned().collect();
    let list = path.join("datalist.json");
    let text = json!({ "training": cases, "testing": held_out }).to_string();
    std::fs::write(&list, text).unwrap();
    let task = "name: regions\nmodality: MRI\nextra_modalities: {pet: pet}\ndatalist: datalist.json\ndataroot: .\n\
                class_names: [{name: whole, index: [1, 2]}, {name: core, index: [2]}]\n\
                dicom:\n  channels: {pet: {series_descriptions: ['*corrected*']}}\n  \
                labels: {core: {category: {value: '49755003', scheme: SCT, meaning: Morphologically Altered Structure},\n    \
                type: {value: '6574001', scheme: SCT, meaning: Necrosis}}}\n";
    std::fs::write(&dataset.task, task).unwrap();
    let (work, bundle, out) = (path.join("work"), path.join("bundle"), path.join("out"));
    let mut auto = Command::new(&programs().train);
    auto.args(["auto", "--only-folds", "0", "--input"])
        .arg(&dataset.task)
        .arg("--work-dir")
        .arg(&work);
    // Later settings win: two cases need more epochs.
    let longer = ["num_epochs=40", "num_epochs_per_validation=20"];
    SETTINGS.iter().chain(&longer).for_each(|setting| {
        auto.args(["--set", setting]);
    });
    run(&mut auto);
    run(Command::new(&programs().export)
        .args(["bundle", "--folds", "0", "--work-dir"])
        .arg(&work)
        .arg("--output")
        .arg(&bundle));
    run(Command::new(&programs().vesal).arg("verify").arg(&bundle));
    let inspected = run(Command::new(&programs().vesal)
        .args(["inspect", "--json"])
        .arg(&bundle));
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    let plan = &inspected["items"][0];
    let patterns = &plan["channels"][1]["series_descriptions"];
    assert_eq!(*patterns, json!(["*corrected*"]));
    let code = &plan["labels"][1]["code"]["type"];
    assert_eq!(code["meaning"], "Necrosis");
    run(Command::new(&programs().vesal)
        .args(["predict", "--device", "cpu", "--bundle"])
        .arg(&bundle)
        .arg("--input")
        .arg(&list)
        .arg("--output")
        .arg(&out));

    let scan = &dataset.training[0];
    let masks = read_channels(out.join(format!("{}_seg.nii.gz", scan.name))).unwrap();
    let grid = read_volume(&scan.image).unwrap();
    assert_eq!((masks.channels(), masks.affine), (2, grid.affine));
    let [whole, core] = [0, 1].map(|region| masks.data.index_axis(Axis(0), region));
    let both = whole
        .iter()
        .zip(core)
        .filter(|&(a, b)| *a == 1.0 && *b == 1.0);
    assert!(both.count() > 0, "regions that lie in each other overlap");

    let evaluated: Value = serde_json::from_str(&run(Command::new(&programs().vesal)
        .args(["evaluate", "--json", "--bundle"])
        .arg(&bundle)
        .arg("--truth")
        .arg(&list)
        .arg("--prediction")
        .arg(&out)))
    .unwrap();
    let validations = std::fs::read_to_string(work.join("segresnet_0/validation.csv")).unwrap();
    let columns: Vec<_> = validations.lines().next().unwrap().split(',').collect();
    let has = |name: &str| columns.iter().any(|column| column.contains(name));
    assert!(has("whole") && has("core"), "{columns:?}");
    let record = std::fs::read(work.join("segresnet_0/run.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    for region in ["whole", "core"] {
        let trained = record["score"]["dice_by_label"][region].as_f64().unwrap();
        let deployed = evaluated["labels"][region]["dice"].as_f64().unwrap();
        assert!(trained > 0.1, "{region}: {trained}");
        assert!(
            (trained - deployed).abs() < 0.001,
            "{region}: trainer {trained}, deployed {deployed}"
        );
    }
}
