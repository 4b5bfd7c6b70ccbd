//! Which series are cases, and which are channels of a case.

use std::fs;
use std::path::Path;

use tempfile::tempdir;

use super::{SHAPE, contains, json};
use crate::dicom_files::SPACING;
use crate::support::{
    self, bundle, listing, predict, scan, two_channel_bundle, two_image_bundle, without_path,
};
use crate::support_dicom::{About, slices, write};

#[test]
fn series_of_other_modalities_and_other_files_are_told_of() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    write(&input.join("mr"), &slices(&scan(SHAPE), About::default()));
    let about = About {
        series: "1.2.7",
        number: "7",
        ..About::default()
    };
    let ct = slices(&scan(SHAPE), about)
        .into_iter()
        .map(|image| image.text((0x0008, 0x0060), b"CS", "CT"))
        .collect::<Vec<_>>();
    write(&input.join("ct"), &ct);
    fs::write(input.join("notes.txt"), "no image").unwrap();
    let bundle = bundle(folder.path());
    let ran = predict(&bundle, &[&input], &out, &["--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(listing(&out), ["1.2.1_seg.dcm"]);
    assert_eq!(
        without_path(&ran.stderr, folder.path()),
        "note: skipped `[folder]/study/notes.txt`: it is not a DICOM file\n\
         note: skipped series that no channel takes: 1.2.7 (number 7, CT, slices: 6)\n"
    );
    assert_eq!(json(&ran)["warnings"].as_array().unwrap().len(), 2);

    let ran = predict(&bundle, &[&input.join("ct")], &out, &[]);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr.contains(
            "no series is taken by `image` (modality MR); there are 1.2.7 (number 7, CT, slices: 6)"
        ),
        "{}",
        ran.stderr
    );
    // A number is searched among series of the channel's modality; a UID is unique.
    let ran = predict(&bundle, &[&input], &out, &["--series", "image=7"]);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(ran.stderr.contains("(modality MR)"), "{}", ran.stderr);
    let ran = predict(&bundle, &[&input], &out, &["--series", "image=1.2.7"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let told = "series 1.2.7 was chosen for channel `image` by its UID; its modality is CT, the channel's is MR";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(listing(&out), ["1.2.1_seg.dcm", "1.2.7_seg.dcm"]);
    // A folder with both kinds is refused.
    support::write_scan(&input.join("mr/a.nii.gz"), &scan(SHAPE));
    let ran = predict(&bundle, &[&input.join("mr")], &out, &["--overwrite"]);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr
            .contains("holds NIfTI/NRRD/MetaImage and DICOM files"),
        "{}",
        ran.stderr
    );
    let one = input.join("mr/a.nii.gz");
    let ran = predict(&bundle, &[&one], &out, &["--series", "image=4"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(ran.stderr.contains("no input is DICOM"), "{}", ran.stderr);
    fs::remove_file(&one).unwrap();
    // An empty folder.
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let ran = predict(&bundle, &[&empty], &out, &[]);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr
            .contains("has no NIfTI/NRRD/MetaImage files, and no DICOM files"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_series_of_which_no_file_can_be_used_is_a_case_that_fails() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    write(&input.join("good"), &slices(&scan(SHAPE), About::default()));
    let lost = |modality: &str, description| {
        let about = About {
            series: "1.2.7",
            number: "7",
            description,
            ..About::default()
        };
        let images = slices(&scan(SHAPE), about).into_iter();
        images
            .map(|image| {
                image
                    .without(SPACING)
                    .text((0x0008, 0x0060), b"CS", modality)
            })
            .collect::<Vec<_>>()
    };
    write(&input.join("lost"), &lost("MR", "AX T2"));
    let one = bundle(folder.path());
    let ran = predict(&one, &[&input], &out, &[]);
    assert_eq!(ran.code, Some(7), "{}", ran.stderr);
    assert_eq!(listing(&out), ["1.2.1_seg.dcm"]);
    assert!(
        ran.stderr
            .contains("no file of series 1.2.7 can be used; there are 6"),
        "{}",
        ran.stderr
    );
    // A series that was not requested, and one that the channel does not take, are skipped.
    let ran = predict(
        &one,
        &[&input],
        &out,
        &["--overwrite", "--series", "image=4"],
    );
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = predict(
        &one,
        &[&input],
        &out,
        &["--overwrite", "--series", "image=1.2.7"],
    );
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    // A study lacks a channel, or has one too many.
    let two = two_channel_bundle(folder.path());
    let (flags, second) = (["--series", "t1=4", "--series", "t2=1.2.7"], &input);
    let ran = predict(&two, &[second], &out, &flags);
    assert_eq!(ran.code, Some(3), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("no file of series 1.2.7"),
        "{}",
        ran.stderr
    );
    write(&input.join("lost"), &lost("CT", "AX T2"));
    let ran = predict(&one, &[&input], &out, &["--overwrite"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}

/// Two series of a study.
fn study(folder: &Path, other: About) {
    let volume = scan(SHAPE);
    let t1 = About {
        description: "AX T1 fs",
        ..About::default()
    };
    write(&folder.join("a"), &slices(&volume, t1));
    let mut later = volume;
    later.data.mapv_inplace(|value| 1.0 - value);
    write(&folder.join("b"), &slices(&later, other));
}

const T2: About = About {
    study: "1.2",
    series: "1.2.2",
    number: "5",
    description: "AX T2",
    frame_of_reference: "1.2.9",
};

#[test]
fn channels_are_series_of_a_study() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    study(&input, T2);
    let bundle = two_channel_bundle(folder.path());
    // Both series are MR.
    let ran = predict(&bundle, &[&input], &out, &[]);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr.contains(
            "channel `t1` takes 2 series of study 1.2: \
             1.2.1 (number 4, MR, slices: 6), 1.2.2 (number 5, MR, slices: 6)"
        ) && ran.stderr.contains("--series t1=UID"),
        "{}",
        ran.stderr
    );
    let rules = folder.path().join("rules.json");
    fs::write(
        &rules,
        r#"{"format": "vesal-dicom-rules", "format_version": 1,
            "channels": {"t1": {"series_descriptions": ["*t1*"]}, "t2": {"series_descriptions": ["*t2*"]}}}"#,
    )
    .unwrap();
    let flags: [&[&str]; 3] = [
        &["--dicom-rules", rules.to_str().unwrap()],
        &["--series", "t1=1.2.1", "--series", "t2=5"],
        &["--series", "t1=*t1*", "--series", "t2=ax t2"],
    ];
    let mut digests = Vec::new();
    for (index, flags) in flags.iter().enumerate() {
        let out = folder.path().join(index.to_string());
        let flags = [flags, &["--json", "--format", "nifti,seg"][..]].concat();
        let ran = predict(&bundle, &[&input], &out, &flags);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        let case = &json(&ran)["cases"][0];
        assert_eq!(case["input"].as_array().unwrap(), &["1.2.1", "1.2.2"]);
        digests.push(case["outputs"][0]["sha256"].clone());
        // Both series are referred to.
        assert!(contains(&out.join("1.2.1_seg.dcm"), "1.2.2.103"));
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
    // In the opposite order, it is another result.
    let flags = [
        "--series", "t1=5", "--series", "t2=4", "--json", "--format", "nifti",
    ];
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_ne!(json(&ran)["cases"][0]["outputs"][0]["sha256"], digests[0]);
    for (flags, message, code) in [
        (
            &["--series", "t1=4", "--series", "t2=4"][..],
            "channels `t1` and `t2` both take series 1.2.1",
            3,
        ),
        (
            &["--series", "t1=4", "--series", "t2=9"],
            "no series of study 1.2 is taken by channel `t2`",
            3,
        ),
        (
            &["--series", "flair=4"],
            "no channel `flair`, expected one of t1, t2",
            2,
        ),
        (&["--series", "t1"], "expected CHANNEL=SERIES", 2),
    ] {
        let ran = predict(&bundle, &[&input], &out, flags);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        assert!(ran.stderr.contains(message), "{}", ran.stderr);
    }
}

#[test]
fn channels_lie_in_one_frame_of_reference_unless_allowed() {
    let folder = tempdir().unwrap();
    let (input, out) = (folder.path().join("study"), folder.path().join("out"));
    let moved = About {
        frame_of_reference: "1.2.8",
        ..T2
    };
    study(&input, moved);
    let bundle = two_image_bundle(folder.path());
    let ran = predict(&bundle, &[&input], &out, &["--series", "t1=4"]);
    assert_eq!(ran.code, Some(3));
    let by_rules = folder.path().join("rules.json");
    fs::write(
        &by_rules,
        r#"{"format": "vesal-dicom-rules", "format_version": 1,
            "channels": {"t1": {"series_descriptions": ["*t1*"]}, "t2": {"series_descriptions": ["*t2*"]}}}"#,
    )
    .unwrap();
    let flags = ["--dicom-rules", by_rules.to_str().unwrap()];
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr
            .contains("series of channels `t1` and `t2` have different frames of reference"),
        "{}",
        ran.stderr
    );
    // Choosing a series does not align it.
    let by_hand = ["--series", "t1=4", "--series", "t2=5", "--json"];
    let ran = predict(&bundle, &[&input], &out, &by_hand);
    assert_eq!(ran.code, Some(3));
    assert!(
        ran.stderr.contains("--any-frame-of-reference"),
        "{}",
        ran.stderr
    );
    let flags = [
        &by_hand[..],
        &["--any-frame-of-reference", "--format", "seg,nifti"],
    ]
    .concat();
    let ran = predict(&bundle, &[&input], &out, &flags);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let differ = "geometry ok; frames of reference differ";
    assert_eq!(json(&ran)["cases"][0]["remarks"], differ);
    assert!(contains(
        &out.join("1.2.1_seg.dcm"),
        "frames of reference differ"
    ));
    let mut header = Vec::new();
    let file = fs::File::open(out.join("1.2.1_seg.nii.gz")).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut header).unwrap();
    let described = String::from_utf8_lossy(&header[148..228]).into_owned();
    assert!(described.contains(differ), "{described}");
    let warning = json(&ran)["cases"][0]["warnings"][0].to_string();
    assert!(warning.contains("another frame of reference"), "{warning}");
}
