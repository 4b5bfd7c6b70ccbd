//! Scans in NRRD: results equal those of the same scan in NIfTI.

use std::fs;
use std::path::Path;

use crate::nrrd_files::Nrrd;
use crate::support::{bundle, listing, predict, run, scan, two_channel_bundle, write_scan};
use serde_json::Value;
use tempfile::tempdir;
use vesal_io::nifti;
use vesal_volume::Volume;

/// A volume of one channel in NRRD.
fn nrrd(volume: &Volume) -> Nrrd {
    let [x, y, z] = volume.geometry().shape;
    let values = volume.data.t();
    Nrrd::floats(
        [x, y, z],
        volume.affine.linear(),
        volume.affine.origin(),
        values.iter().copied(),
    )
}

fn bytes(folder: &Path, name: &str) -> Vec<u8> {
    fs::read(folder.join(name)).unwrap()
}

#[test]
fn predictions_of_nrrd_are_those_of_nifti() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let volume = scan([9, 8, 7]);
    let at = |name: &str| folder.path().join(name);
    for name in ["nifti", "nrrd"] {
        fs::create_dir(at(name)).unwrap();
    }
    write_scan(&at("nifti/a.nii.gz"), &volume);
    write_scan(&at("nifti/b.nii.gz"), &volume);
    fs::write(at("nrrd/a.nrrd"), nrrd(&volume).gzip().attached()).unwrap();
    let detached = nrrd(&volume).with("data file", "b.raw");
    fs::write(at("nrrd/b.raw"), &detached.data).unwrap();
    fs::write(at("nrrd/b.nhdr"), detached.header()).unwrap();
    for name in ["nifti", "nrrd"] {
        let out = at(&format!("out_{name}"));
        let ran = predict(&bundle, &[&at(name)], &out, &[]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        assert_eq!(listing(&out), ["a_seg.nii.gz", "b_seg.nii.gz"]);
    }
    for name in ["a_seg.nii.gz", "b_seg.nii.gz"] {
        let [found, expected] = ["out_nrrd", "out_nifti"].map(|out| at(out).join(name));
        let [found_header, expected_header] =
            [&found, &expected].map(|path| nifti::read_header(path).unwrap());
        assert_eq!(found_header.affine, expected_header.affine);
        let read = |path| vesal_io::image::read_label_map(path).unwrap().data;
        assert_eq!(read(&found), read(&expected));
    }

    // One label map as NRRD is the truth of the other.
    fs::create_dir(at("truth")).unwrap();
    let labels = vesal_io::image::read_volume(at("out_nifti/a_seg.nii.gz")).unwrap();
    fs::write(at("truth/a.nrrd"), nrrd(&labels).attached()).unwrap();
    let paths = [at("truth"), at("out_nrrd")];
    let [truth, prediction] = paths.each_ref().map(|path| path.to_str().unwrap());
    let ran = run([
        "evaluate",
        "--truth",
        truth,
        "--prediction",
        prediction,
        "--json",
    ]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(found["mean_dice"], 1.0);
}

#[test]
fn channels_may_be_of_different_formats() {
    let folder = tempdir().unwrap();
    let bundle = two_channel_bundle(folder.path());
    let (first, second) = (scan([9, 8, 7]), scan([9, 8, 7]));
    for name in ["nifti", "mixed"] {
        let case = folder.path().join(name);
        fs::create_dir(&case).unwrap();
        write_scan(&case.join("a_t1.nii.gz"), &first);
        match name {
            "nifti" => write_scan(&case.join("a_t2.nii.gz"), &second),
            _ => fs::write(case.join("a_t2.nrrd"), nrrd(&second).attached()).unwrap(),
        }
        let ran = predict(&bundle, &[&case], &case.join("out"), &[]);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    }
    let read = |name: &str| bytes(&folder.path().join(name).join("out"), "a_seg.nii.gz");
    assert!(read("nifti") == read("mixed"));
}

#[test]
fn nrrd_files_are_inspected_and_refused_by_name() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.nrrd");
    let volume = scan([9, 7, 5]);
    fs::write(&path, nrrd(&volume).attached()).unwrap();
    let ran = run(["inspect".as_ref(), path.as_os_str(), "--json".as_ref()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    let item = &found["items"][0];
    assert_eq!(item["format"], "NRRD");
    assert_eq!(item["affine_from"], "space directions");
    assert_eq!(item["orientation"], "LPS");
    assert_eq!(item["shape"], Value::from(vec![9, 7, 5]));
    assert_eq!(item["affine"][0][3], 90.5);
    let scanner = nrrd(&volume).with("space", "scanner-xyz");
    fs::write(&path, scanner.attached()).unwrap();
    let bundle = bundle(folder.path());
    let ran = predict(&bundle, &[&path], &folder.path().join("out"), &[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("cannot read the NRRD header of")
            && ran.stderr.contains("its space is `scanner-xyz`")
            && ran.stderr.contains("hint: save it again"),
        "{}",
        ran.stderr
    );
}
