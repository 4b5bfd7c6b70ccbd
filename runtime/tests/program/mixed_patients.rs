//! `vesal predict` on folders that mix patients, studies and corrections.

use std::fs;
use std::path::{Path, PathBuf};

use crate::dicom_files::{
    self, Elements, FRAME_OF_REFERENCE, INSTANCE, PATIENT_ID, PATIENT_NAME, PIXELS, STUDY,
};
use crate::support::{self, Ran, bundle, listing, predict, scan, two_channel_bundle};
use crate::support_dicom::{About, slices, write};
use serde_json::Value;
use tempfile::tempdir;
use vesal_io::dicom::Instance;

const SHAPE: [usize; 3] = [9, 7, 6];

const RULES: &str = r#"{"format": "vesal-dicom-rules", "format_version": 1,
    "channels": {"t1": {"series_descriptions": ["*t1*"]}, "t2": {"series_descriptions": ["*t2*"]}}}"#;

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|_| panic!("{}{}", ran.stdout, ran.stderr))
}

fn holds(path: &Path, text: &str) -> bool {
    let bytes = fs::read(path).unwrap();
    let mut parts = bytes.windows(text.len());
    parts.any(|part| part == text.as_bytes())
}

fn named(images: Vec<Elements>, patient: &str) -> Vec<Elements> {
    let name = |image: Elements| {
        image
            .text(PATIENT_NAME, b"PN", &format!("{patient}^NAME"))
            .text(PATIENT_ID, b"LO", &format!("ID-{patient}"))
    };
    images.into_iter().map(name).collect()
}

/// The images of a series of two.
fn series(study: &str, channel: usize) -> Vec<Elements> {
    let about = About {
        study,
        series: &format!("{study}.{channel}"),
        number: ["4", "5"][channel],
        description: ["ax t1", "ax t2"][channel],
        frame_of_reference: &format!("{study}.9"),
    };
    slices(&scan(SHAPE), about)
}

/// Thirty studies of ten patients in one folder: a third of them cannot be segmented.
#[test]
fn a_folder_of_many_patients_gives_each_its_own_results() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("all"), folder.path().join("out"));
    fs::create_dir(&input).unwrap();
    let mut files = Vec::new();
    let patient = |number: usize| format!("PATIENT{}", number % 10);
    for number in 0..30 {
        let study = format!("1.7.{number}");
        let (mut t1, mut t2) = (series(&study, 0), series(&study, 1));
        let name = patient(number);
        t1 = named(t1, &name);
        t2 = match number % 9 {
            0 => named(t2, "ANOTHER"),
            3 => {
                t2.remove(2);
                named(t2, &name)
            }
            6 => {
                t2[2] = t2[2].clone().without(PIXELS);
                named(t2, &name)
            }
            _ => named(t2, &name),
        };
        files.extend(t1);
        files.extend(t2);
    }
    // As if all of them were received at once.
    let count = files.len();
    for (index, file) in files.iter().enumerate() {
        let name = format!("{:05}", index * 7919 % count);
        dicom_files::save(&input, &name, &file.file(dicom_files::EXPLICIT));
    }
    let rules = folder.path().join("rules.json");
    fs::write(&rules, RULES).unwrap();
    let bundle = two_channel_bundle(folder.path());
    let flags = [
        "--dicom-rules",
        rules.to_str().unwrap(),
        "--format",
        "seg,report",
        "--json",
    ];
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    let record = json(&ran);
    let cases = record["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 30);
    let mut segmented = 0;
    for case in cases {
        let series = case["case"].as_str().unwrap();
        let study = series.rsplit_once('.').unwrap().0;
        let number: usize = study.rsplit_once('.').unwrap().1.parse().unwrap();
        let [seg, report] = ["seg", "report"].map(|kind| out.join(format!("{series}_{kind}.dcm")));
        if number.is_multiple_of(3) {
            assert_eq!(case["status"], "failed", "{case}");
            let message = case["message"].as_str().unwrap();
            let expected = match number % 9 {
                0 => "name different patients: 2",
                3 => "slices missing: 1",
                _ => "cannot be used: 1",
            };
            assert!(message.contains(expected), "{message}");
            assert!(!seg.exists() && !report.exists());
            continue;
        }
        segmented += 1;
        assert_eq!(case["status"], "segmented", "{case}");
        for path in [&seg, &report] {
            assert_eq!(Instance::read(path).unwrap().study, study);
            for other in 0..10 {
                let name = format!("PATIENT{other}^NAME");
                assert_eq!(holds(path, &name), other == number % 10, "{series} {other}");
            }
        }
        for channel in 0..2 {
            assert!(holds(&seg, &format!("{study}.{channel}.103")));
        }
    }
    assert_eq!(segmented, 20);
    for text in [&ran.stdout, &ran.stderr] {
        assert!(!text.contains("NAME") && !text.contains("ID-"), "{text}");
    }
}

#[test]
fn channels_of_two_patients_are_refused_also_by_hand() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    write(&input.join("a"), &named(series("1.7.1", 0), "ONE"));
    write(&input.join("b"), &named(series("1.7.1", 1), "TWO"));
    let rules = folder.path().join("rules.json");
    fs::write(&rules, RULES).unwrap();
    let bundle = two_channel_bundle(folder.path());
    for flags in [
        &["--dicom-rules", rules.to_str().unwrap()][..],
        &["--series", "t1=4", "--series", "t2=5"],
        &[
            "--series",
            "t1=4",
            "--series",
            "t2=5",
            "--any-frame-of-reference",
        ],
    ] {
        let ran = predict(&bundle, &[&input], &out, flags);
        assert_eq!(ran.code, Some(3), "{}", ran.stderr);
        assert!(
            ran.stderr
                .contains("channels of study 1.7.1 name different patients: 2; expected one")
                && ran.stderr.contains("give only the files of one patient"),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("ONE") && !ran.stderr.contains("TWO"));
        assert_eq!(listing(&out), [""; 0]);
    }
    // With a bundle of one channel each series is a case with its own patient, with a note about the mixture.
    let one = support::bundle(folder.path());
    let ran = predict(&one, &[&input], &out, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("note: series of study 1.7.1 name different patients: 2"),
        "{}",
        ran.stderr
    );
    assert!(holds(&out.join("1.7.1.0_seg.dcm"), "ONE^NAME"));
    assert!(holds(&out.join("1.7.1.1_seg.dcm"), "TWO^NAME"));
}

/// UIDs of the instance and series of a segmentation.
fn uids(path: &Path) -> [String; 2] {
    let found = Instance::read(path).unwrap();
    [found.instance, found.series]
}

#[test]
fn corrections_settings_marks_and_keys_give_other_uids() {
    let folder = tempdir().unwrap();
    let bundle = bundle(folder.path());
    let input = |name: &str, images: &[Elements]| -> PathBuf {
        let input = folder.path().join(name);
        write(&input, images);
        input
    };
    let images = named(series("1.7.1", 0), "ONE");
    let first = input("first", &images);
    let again = input("again", &images);
    let corrected = input("corrected", &named(images.clone(), "ONE-CORRECTED"));
    let mut other = images.clone();
    other[3] = other[3].clone().pixels(&[7; 63]);
    let other = input("other", &other);
    let key = folder.path().join("key");
    fs::write(&key, [7; 32]).unwrap();
    let key = key.to_str().unwrap();
    let mut number = 0;
    let mut run = |input: &Path, flags: &[&str]| {
        number += 1;
        let out = folder.path().join(format!("out_{number}"));
        let flags = [flags, &["--format", "seg,report,rtstruct,nifti"]].concat();
        let ran = predict(&bundle, &[input], &out, &flags);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        (uids(&out.join("1.7.1.0_seg.dcm")), out, ran)
    };
    let (expected, ..) = run(&first, &[]);
    assert_eq!(run(&again, &[]).0, expected);
    // Settings that only affect speed do not count where voxels are the same.
    assert_eq!(run(&first, &["--threads", "1"]).0, expected);
    let mut seen = vec![expected];
    let (uids, out, ran) = run(&first, &["--mark-incomplete"]);
    seen.push(uids);
    for name in listing(&out) {
        if name.ends_with(".dcm") {
            assert!(holds(&out.join(&name), "may lack images"), "{name}");
        }
    }
    assert!(holds(&out.join("1.7.1.0_report.dcm"), "PRELIMINARY"));
    assert!(
        ran.stderr.contains("note: results are marked"),
        "{}",
        ran.stderr
    );
    for (input, flags) in [
        (&corrected, &[][..]),
        (&other, &[]),
        (&first, &["--geometry", "resample"]),
        (&first, &["--precision", "f16"]),
        (&first, &["--uid-key", key]),
        (&corrected, &["--uid-key", key]),
    ] {
        seen.push(run(input, flags).0);
    }
    for (index, uids) in seen.iter().enumerate() {
        for earlier in &seen[..index] {
            assert!(uids[0] != earlier[0] && uids[1] != earlier[1], "{seen:?}");
        }
    }
    assert_eq!(run(&again, &["--uid-key", key]).0, seen[6]);

    fs::write(folder.path().join("short"), [7; 31]).unwrap();
    let short = folder.path().join("short");
    let flags = ["--uid-key", short.to_str().unwrap()];
    let ran = predict(&bundle, &[&first], &folder.path().join("none"), &flags);
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr
            .contains("it holds 31 bytes, expected 32 to 65536"),
        "{}",
        ran.stderr
    );
}

#[test]
fn the_worst_grade_of_all_channels_is_in_every_output() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    write(&input.join("a"), &named(series("1.7.1", 0), "ONE"));
    let mut t2 = named(series("1.7.1", 1), "ONE");
    t2.remove(3);
    write(&input.join("b"), &t2);
    let bundle = two_channel_bundle(folder.path());
    let flags = [
        "--series",
        "t1=4",
        "--series",
        "t2=5",
        "--geometry",
        "resample",
        "--format",
        "seg,labelmap,rtstruct,report,nifti",
    ];
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let names = listing(&out);
    assert_eq!(names.len(), 5);
    for name in names {
        let path = out.join(&name);
        if name.ends_with(".dcm") {
            assert!(holds(&path, "geometry resampled"), "{name}");
            assert!(!holds(&path, "geometry ok"), "{name}");
        } else {
            let mut text = Vec::new();
            let file = fs::File::open(&path).unwrap();
            let mut decoder = flate2::read::MultiGzDecoder::new(file);
            std::io::Read::read_to_end(&mut decoder, &mut text).unwrap();
            assert!(text[148..228].starts_with(b"Vesal; geometry resampled\0"));
        }
    }
}

#[test]
fn frames_of_reference_and_studies_are_the_sources() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    let images = named(series("1.7.1", 0), "ONE");
    for (name, change) in [("a", "1.7.1.9"), ("b", "1.7.1.10")] {
        let moved = |image: &Elements| {
            let uid = format!("1.7.{name}").replace(['a', 'b'], "3");
            image
                .clone()
                .text(FRAME_OF_REFERENCE, b"UI", change)
                .text(STUDY, b"UI", &uid)
        };
        let series = format!("1.7.1.{}", if name == "a" { 20 } else { 21 });
        let images = images.iter().enumerate().map(|(index, image)| {
            moved(image).text((0x0020, 0x000e), b"UI", &series).text(
                INSTANCE,
                b"UI",
                &format!("{series}.{index}"),
            )
        });
        write(&input.join(name), &images.collect::<Vec<_>>());
    }
    let bundle = bundle(folder.path());
    let ran = predict(&bundle, &[&input], &out, &[]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for (series, frame, not) in [
        ("1.7.1.20", "1.7.1.9\0", "1.7.1.10"),
        ("1.7.1.21", "1.7.1.10", "1.7.1.9\0"),
    ] {
        let path = out.join(format!("{series}_seg.dcm"));
        assert!(holds(&path, frame) && !holds(&path, not), "{series}");
        assert_eq!(Instance::read(&path).unwrap().study, "1.7.3");
    }
}
