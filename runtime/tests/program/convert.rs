//! DICOM series and structure sets become NIfTI files; without anything that names a patient.

use crate::dicom_files;
use crate::synthetic;
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::path::Path;

use crate::dicom_files::structures::{contour, structure_set};
use crate::dicom_files::*;
use crate::support::{Ran, listing, run, without_path};
use flate2::read::GzDecoder;
use serde_json::{Value as Json, json};
use tempfile::tempdir;
use vesal_io::image::{DataType, read_label_map, read_volume};
use vesal_io::nifti::{XForm, read_header};

/// Slices of a series; its files are those of [`series`].
fn numbered(slices: usize, uid: &str) -> Vec<Elements> {
    let images = series(slices).into_iter();
    images.map(|image| image.text(SERIES, b"UI", uid)).collect()
}

fn save_series(folder: &Path, name: &str, images: &[Elements]) {
    let folder = folder.join(name);
    fs::create_dir_all(&folder).unwrap();
    save_all(&folder, images, EXPLICIT);
}

/// A box around columns `from` to `to` of a slice of [`series`], over all rows.
fn columns(from: f64, to: f64, slice: f64) -> Elements {
    let (left, right) = (10.0 + 1.5 * from - 0.5, 10.0 + 1.5 * to + 0.5);
    let z = 2.5 * slice;
    let corners = [
        [left, 19., z],
        [right, 19., z],
        [right, 23., z],
        [left, 23., z],
    ];
    contour("CLOSED_PLANAR", &corners)
}

fn convert(input: &Path, output: &Path, flags: &[&str]) -> Ran {
    let (input, output) = (input.as_os_str(), output.as_os_str());
    let start = ["convert".as_ref(), "--input".as_ref(), input];
    let start = start.into_iter().chain(["--output".as_ref(), output]);
    run(start.chain(flags.iter().map(OsStr::new)))
}

#[test]
fn every_series_is_converted_or_told() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    save_series(&input, "a", &numbered(4, "1.2.10"));
    let mut gap = numbered(6, "1.2.20");
    gap.remove(2);
    save_series(&input, "b", &gap);
    // Two echoes in one series, of which the second is scaled to halves.
    let mut echoes = numbered(3, "1.2.30");
    let first = echoes.iter_mut();
    first.for_each(|image| *image = image.clone().text(ECHO_TIME, b"DS", "10"));
    let second = numbered(3, "1.2.30").into_iter().map(|image| {
        image
            .text(ECHO_TIME, b"DS", "20")
            .numbers(SLOPE, &[0.5])
            .numbers(INTERCEPT, &[0.])
    });
    echoes.extend(second);
    save_series(&input, "c", &echoes);
    // A series without a usable file.
    let lost = numbered(3, "1.2.40").into_iter();
    let lost: Vec<_> = lost.map(|image| image.without(SPACING)).collect();
    save_series(&input, "d", &lost);
    save(&input, "notes.txt", b"no image");

    let ran = convert(&input, &out, &["--json"]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("series 1.2.20 is refused: slices missing: 1")
            && ran.stderr.contains("`--geometry resample`"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr
            .ends_with("error: not everything was converted: series `1.2.40`, series `1.2.20`\n"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("notes.txt`: it is not a DICOM file"));
    let files = ["1.2.10.nii.gz", "1.2.30.nii.gz", "1.2.30_2.nii.gz"];
    assert_eq!(listing(&out), files);
    let found: Json = serde_json::from_str(&ran.stdout).unwrap();
    let series = found["series"].as_array().unwrap();
    let told = |key: &str| {
        series
            .iter()
            .map(|one| one[key].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(told("grade"), ["ok", "refused", "ok", "ok"]);
    assert_eq!(told("error").iter().filter(|e| !e.is_null()).count(), 1);
    assert_eq!(series[3]["told_apart_by"], json!({"echo time": "20"}));
    assert_eq!(found["skipped"]["it is not a DICOM file"], 1);

    let path = out.join("1.2.10.nii.gz");
    let volume = read_volume(&path).unwrap();
    assert_eq!(volume.data.dim(), (1, 3, 2, 4));
    assert_eq!(volume.data[[0, 2, 1, 3]], 35.0);
    assert_eq!(volume.affine.origin(), [-10., -20., 0.]);
    assert_eq!(volume.affine.spacing(), [1.5, 2.0, 2.5]);
    let header = read_header(&path).unwrap();
    assert_eq!(
        (header.data_type, header.space),
        (DataType::I16, XForm::ScannerAnat)
    );
    let halves = out.join("1.2.30_2.nii.gz");
    assert_eq!(read_volume(&halves).unwrap().data[[0, 2, 1, 2]], 12.5);
    assert_eq!(read_header(&halves).unwrap().data_type, DataType::F32);

    // Once more: existing files are kept unless they are to be replaced.
    let ran = convert(&input, &out, &[]);
    assert_eq!(ran.code, Some(6), "{}", ran.stderr);
    fs::remove_dir_all(input.join("d")).unwrap();
    let ran = convert(&input, &out, &["--overwrite", "--geometry", "resample"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("warning: series `1.2.20`: slices missing: 1")
    );
    assert!(ran.stdout.contains("CT, 3×2×6 voxels, resampled\n"));
    assert_eq!(listing(&out).len(), 4);
}

#[test]
fn structures_become_labels_on_the_grid_of_their_series() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("in"), folder.path().join("data/out"));
    save_series(&input, "a", &numbered(4, "1.2.10"));
    save_series(&input, "b", &numbered(4, "1.2.20"));
    let structures = [
        (
            "GTV primary",
            3,
            vec![columns(0., 1., 0.), columns(0., 0., 2.)],
        ),
        ("Node left", 5, vec![columns(1., 2., 0.)]),
        (
            "node RIGHT",
            8,
            vec![columns(2., 2., 2.), columns(0., 2., 9.)],
        ),
        ("External", 9, vec![columns(0., 2., 1.)]),
    ];
    let set = structure_set(&structures, Some(("1.2.10", &["9.9"])));
    save(&input, "set", &set.file(EXPLICIT));
    let datalist = folder.path().join("data/list.json");
    fs::create_dir_all(datalist.parent().unwrap()).unwrap();
    let list = ["--datalist", datalist.to_str().unwrap()];

    let choices = ["--structures", "gtv*=1", "NODE*=2", "absent=7"];
    let ran = convert(&input, &out, &[&choices[..], &list, &["--json"]].concat());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for told in [
        "series `1.2.10`: no structure matches `absent`",
        "structures of several labels overlap, the later pattern wins: 2 voxels",
        "structure 8 of `[folder]/in/set` has contours beyond the image: 1",
        "structure 3 of `[folder]/in/set` has no contour in slices between others: 1",
        "series `1.2.20`: no structure set was drawn on it",
    ] {
        let stderr = without_path(&ran.stderr, folder.path());
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    for name in ["GTV primary", "Node left", "External"] {
        assert!(!ran.stderr.contains(name) && !ran.stdout.contains(name));
    }
    let map = read_label_map(out.join("1.2.10_label.nii.gz")).unwrap();
    let image = read_volume(out.join("1.2.10.nii.gz")).unwrap();
    assert_eq!(map.geometry(), image.geometry());
    let slice = |z: usize| -> Vec<u16> { (0..3).map(|x| map.data[[x, 1, z]]).collect() };
    assert_eq!([0, 1, 2].map(slice), [[1, 2, 2], [0, 0, 0], [1, 0, 2]]);
    let found: Json = serde_json::from_str(&ran.stdout).unwrap();
    let label = &found["series"][0]["label"];
    assert_eq!(label["overlapping_voxels"], 2);
    let nodes = &label["labels"][1];
    assert_eq!(
        (&nodes["structures"], &nodes["voxels"]),
        (&json!(2), &json!(6))
    );
    assert_eq!(nodes["ml"], 6.0 * 7.5 / 1000.0);

    let list: Json = serde_json::from_slice(&fs::read(&datalist).unwrap()).unwrap();
    let expected = json!({
        "training": [{
            "image": "out/1.2.10.nii.gz",
            "label": "out/1.2.10_label.nii.gz",
            "patient": "1.2",
        }],
        "testing": [{"image": "out/1.2.20.nii.gz", "patient": "1.2"}],
    });
    assert_eq!(list, expected);

    // The order of the patterns decides, and one structure may match several.
    let order = ["--structures", "*=9", "node*=2", "gtv*=1", "--overwrite"];
    let ran = convert(&input, &out, &order);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let map = read_label_map(out.join("1.2.10_label.nii.gz")).unwrap();
    let slice = |z: usize| -> Vec<u16> { (0..3).map(|x| map.data[[x, 1, z]]).collect() };
    assert_eq!([0, 1, 2].map(slice), [[1, 1, 2], [9, 9, 9], [1, 0, 2]]);
}

#[test]
fn structures_that_make_no_labels_are_told() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    let mut gap = numbered(6, "1.2.20");
    gap.remove(2);
    save_series(&input, "b", &gap);
    save_series(&input, "c", &numbered(3, "1.2.30"));
    let lesion = |contours| [("Lesion", 1, contours)];
    let on = |series| Some((series, &[][..]));
    let flat = lesion(vec![columns(0., 1., 0.)]);
    let save = |name: &str, set: &Elements| save(&input, name, &set.file(EXPLICIT));
    save("on_gap", &structure_set(&flat, on("1.2.20")));
    save("other", &structure_set(&flat, on("1.2.77")));
    save("unclear", &structure_set(&flat, None));
    let damaged = structure_set(&flat, on("1.2.30")).file(EXPLICIT);
    dicom_files::save(&input, "damaged", &damaged[..damaged.len() - 9]);
    let mut slanted = columns(0., 1., 0.);
    slanted = slanted.numbers((0x3006, 0x0050), &[9., 19., 0., 12., 19., 2., 12., 23., 0.]);
    save(
        "slanted",
        &structure_set(&lesion(vec![slanted]), on("1.2.30")),
    );

    let flags = ["--structures", "lesion=1", "--geometry", "resample"];
    let ran = convert(&input, &out, &flags);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    for told in [
        "other` was drawn on none of the series",
        "unclear` names no series, and 2 lie in its frame of reference",
        "the volume is interpolated between these",
        "slanted`: contour 1 reaches over 0.80 slices of the grid",
        "cannot use structure set `[folder]/in/damaged`",
    ] {
        let stderr = without_path(&ran.stderr, folder.path());
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    assert_eq!(listing(&out), ["1.2.20.nii.gz", "1.2.30.nii.gz"]);

    let ran = convert(
        &input.join("c"),
        &out,
        &["--structures", "x=1", "--overwrite"],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    fs::remove_file(input.join("slanted")).unwrap();
    fs::remove_file(input.join("damaged")).unwrap();
    save("on_c", &structure_set(&flat, on("1.2.30")));
    let ran = convert(&input, &out, &["--structures", "x*=1", "--overwrite"]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("no structure matches `x*`; there are `Lesion`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn structures_of_another_patient_make_no_labels() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    save_series(&input, "a", &numbered(4, "1.2.10"));
    let region = [("liver", 1, vec![columns(0., 1., 1.)])];
    let set = structure_set(&region, Some(("1.2.10", &[])));
    let others: [fn(Elements) -> Elements; 3] = [
        |set| set.text(PATIENT_ID, b"LO", "SENTINEL-2"),
        |set| set.text(PATIENT_NAME, b"PN", "SENTINEL^OTHER"),
        |set| set.without(PATIENT_ID),
    ];
    for other in others {
        save(&input, "set", &other(set.clone()).file(EXPLICIT));
        let flags = ["--structures", "liver=1", "--overwrite"];
        let ran = convert(&input, &out, &flags);
        assert_eq!(ran.code, Some(7), "{}", ran.stderr);
        assert!(
            ran.stderr
                .contains("names another patient than series 1.2.10, on which it was drawn")
                && !ran.stderr.contains("SENTINEL"),
            "{}",
            ran.stderr
        );
        assert_eq!(listing(&out), ["1.2.10.nii.gz"]);
    }
    save(&input, "set", &set.file(EXPLICIT));
    let ran = convert(&input, &out, &["--structures", "liver=1", "--overwrite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(listing(&out), ["1.2.10.nii.gz", "1.2.10_label.nii.gz"]);
}

#[test]
fn nothing_that_names_a_patient_comes_along() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    let personal = |image: Elements| {
        image
            .text((0x0008, 0x103e), b"LO", SENTINEL)
            .text((0x0010, 0x0030), b"DA", "19990101")
            .text((0x0010, 0x4000), b"LT", SENTINEL)
    };
    let images: Vec<_> = numbered(3, "1.2.10").into_iter().map(personal).collect();
    save_series(&input, "a", &images);
    let refused = images.iter().enumerate().map(|(k, image)| {
        let image = image.clone().text(SERIES, b"UI", "1.2.20");
        image.at([0., 0., f64::from(1_u8 << (3 * k))])
    });
    save_series(&input, "b", &refused.collect::<Vec<_>>());
    // An invalid series UID that is a path to elsewhere.
    let astray = images.iter().map(|image| {
        let image = image.clone().text(SERIES, b"UI", "../escaped");
        image.text((0x0010, 0x0010), b"PN", SENTINEL)
    });
    save_series(&input, "c", &astray.collect::<Vec<_>>());
    let structures = [("lesion", 1, vec![columns(0., 1., 0.)])];
    let set = structure_set(&structures, Some(("1.2.10", &[])));
    save(&input, "set", &personal(set).file(EXPLICIT));
    let list = folder.path().join("list.json");

    for flags in [
        &[
            "--structures",
            "les*=1",
            "--datalist",
            list.to_str().unwrap(),
            "--json",
        ][..],
        &["--structures", "none=1", "--overwrite"],
        &["--overwrite", "--geometry", "resample"],
    ] {
        let ran = convert(&input, &out, flags);
        assert_eq!(ran.code, Some(7), "{}", ran.stderr);
        for text in [&ran.stdout, &ran.stderr] {
            assert!(
                !text.contains("SENTINEL") && !text.contains("19990101"),
                "{text}"
            );
        }
    }
    assert!(!folder.path().join("escaped.nii.gz").exists());
    assert!(!listing(&out).iter().any(|name| name.contains("escaped")));
    let mut files = vec![fs::read(&list).unwrap()];
    for name in listing(&out) {
        let mut bytes = Vec::new();
        let file = fs::File::open(out.join(name)).unwrap();
        GzDecoder::new(file).read_to_end(&mut bytes).unwrap();
        files.push(bytes);
    }
    assert_eq!(files.len(), 3);
    for bytes in files {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("SENTINEL") && !text.contains("19990101"));
    }
}

#[test]
fn what_cannot_be_done_is_said_before_any_work() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("in"), folder.path().join("out"));
    save_series(&input, "a", &numbered(3, "1.2.10"));
    let elsewhere = folder.path().join("x");
    fs::create_dir_all(&elsewhere).unwrap();
    let list = elsewhere.join("list.json");
    for (flags, code, told) in [
        (&["--structures", "GTV"][..], 2, "such as GTV*=1"),
        (
            &["--datalist", list.to_str().unwrap()],
            2,
            "does not hold the output folder",
        ),
        (&["--max-ram", "1M"], 7, "it takes"),
    ] {
        let ran = convert(&input, &out, flags);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
        assert!(listing(&out).is_empty());
    }
    let ran = convert(&elsewhere, &out, &[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    let ran = convert(&folder.path().join("absent"), &out, &[]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
}

#[test]
fn golden_a_study_becomes_its_nifti_files() {
    let (Some(dicom), Some(nifti)) = (
        synthetic::shared_data("sts/dicom/STS_001"),
        synthetic::shared_data("sts/nifti/STS_001"),
    ) else {
        return;
    };
    let folder = tempdir().unwrap();
    let ran = convert(&dicom, folder.path(), &["--structures", "gtv*=1", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let found: Json = serde_json::from_str(&ran.stdout).unwrap();
    let series = found["series"].as_array().unwrap();
    assert_eq!(series.len(), 3);
    for one in series {
        let name = match one["modality"].as_str().unwrap() {
            "PT" => "PET",
            "MR" => "MR_T1",
            modality => modality,
        };
        let image = read_volume(one["image"]["path"].as_str().unwrap()).unwrap();
        let expected = read_volume(nifti.join(format!("{name}_image.nii.gz"))).unwrap();
        assert!(image.data == expected.data, "{name}");
        let label = read_label_map(one["label"]["path"].as_str().unwrap()).unwrap();
        let truth = read_label_map(nifti.join(format!("{name}_mask.nii.gz"))).unwrap();
        assert_eq!(label.geometry(), image.geometry());
        for geometry in [expected.geometry(), truth.geometry()] {
            assert!(
                image.geometry().distance_mm(&geometry).unwrap() < 1e-3,
                "{name}"
            );
        }
        let [both, ours, theirs] = label.data.iter().zip(&truth.data).fold(
            [0_usize; 3],
            |[both, ours, theirs], (a, b)| {
                let (a, b) = (usize::from(*a == 1), usize::from(*b == 1));
                [both + a * b, ours + a, theirs + b]
            },
        );
        let dice = 2.0 * both as f64 / (ours + theirs) as f64;
        println!("{name}: Dice {dice:.5}");
        assert!(dice >= 0.98, "{name}: {dice}");
    }
}
