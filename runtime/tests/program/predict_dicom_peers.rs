//! DICOM results of `vesal predict`, checked and read by independent tools.
//!
//! `VESAL_TEST_BUNDLE` names a bundle of one MR channel to segment the scanners' series with, in place of the one
//! that is made here.

use crate::peers;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{bundle, predict, scan};
use crate::support_dicom::{About, slices, write};
use crate::synthetic::shared_data;
use serde_json::Value;
use vesal_io::image;

/// Segments all series below a folder, and writes the results into a folder for each.
fn segment(bundle: &Path, input: &Path, root: &Path) -> Vec<PathBuf> {
    let scratch = tempfile::tempdir().unwrap();
    let formats = ["--format", "nifti,seg,labelmap,rtstruct,report", "--json"];
    let ran = predict(bundle, &[input], scratch.path(), &formats);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let record: Value = serde_json::from_str(&ran.stdout).unwrap();
    let mut folders = Vec::new();
    for case in record["cases"].as_array().unwrap() {
        let name = case["case"].as_str().unwrap();
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        for output in case["outputs"].as_array().unwrap() {
            let name = match output["format"].as_str().unwrap() {
                "nifti" => "labels.nii.gz",
                "seg" => "seg.dcm",
                "labelmap" => "labelmap.dcm",
                "rtstruct" => "structures.dcm",
                "report" => "report.dcm",
                other => panic!("{other}"),
            };
            fs::copy(output["path"].as_str().unwrap(), folder.join(name)).unwrap();
        }
        let map = image::read_label_map(folder.join("labels.nii.gz")).unwrap();
        let labels = case["labels"].as_array().unwrap().iter();
        let segments: Vec<(u16, &str)> = labels
            .map(|label| {
                let voxels = map.data.iter().filter(|&&value| label["value"] == value);
                assert_eq!(label["voxels"], voxels.count());
                let value = label["value"].as_u64().unwrap() as u16;
                (value, label["name"].as_str().unwrap())
            })
            .collect();
        peers::write_truth(&folder, &map, &segments);
        folders.push(folder);
    }
    folders
}

#[test]
fn peers_accept_and_read_what_is_predicted() {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("results");
    let made = bundle(scratch.path());
    let input = scratch.path().join("study");
    write(&input, &slices(&scan([9, 7, 6]), About::default()));
    let mut folders = segment(&made, &input, &root);
    if let Some(crops) = shared_data("dicom/hippocrop") {
        let given = std::env::var_os("VESAL_TEST_BUNDLE").map(PathBuf::from);
        let crops = segment(&given.unwrap_or(made), &crops, &root);
        assert_eq!(crops.len(), 3);
        folders.extend(crops);
    }
    let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    peers::check(&root, &folders);
}
