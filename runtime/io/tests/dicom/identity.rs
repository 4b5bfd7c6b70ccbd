//! Patients and UIDs: nothing is mixed, and no invalid UID is accepted.

use crate::dicom_files::reading::*;
use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{DicomHeaderError, Grade, Policy, SkipReason, StackFinding};
use vesal_io::image::ReadLimits;

#[test]
fn files_of_different_patients_are_refused() {
    let changes: [fn(Elements) -> Elements; 4] = [
        |image| image.text(PATIENT_NAME, b"PN", "SENTINEL^OTHER"),
        |image| image.text(PATIENT_ID, b"LO", "SENTINEL-2"),
        |image| image.without(PATIENT_ID),
        |image| image.text(PATIENT_NAME, b"PN", ""),
    ];
    for change in changes {
        for changed in [0, 2] {
            let mut images = series(4);
            images[changed] = change(images[changed].clone());
            for policy in [Policy::Strict, Policy::Resample] {
                let found = refusal(&images, policy);
                assert_eq!(found, StackFinding::Patients { patients: 2 });
                assert!(found.hint().is_some());
            }
        }
    }
    // Name and ID are not one text.
    let mut images = series(2);
    for (image, [name, id]) in images.iter_mut().zip([["A", "BC"], ["AB", "C"]]) {
        *image = image
            .clone()
            .text(PATIENT_NAME, b"PN", name)
            .text(PATIENT_ID, b"LO", id);
    }
    let found = refusal(&images, Policy::Resample);
    assert_eq!(found.to_string(), "its files name different patients: 2");
}

#[test]
fn padding_makes_no_other_patient() {
    let mut images = series(4);
    let change = |at: usize, name: &str| series(4)[at].clone().text(PATIENT_NAME, b"PN", name);
    images[0] = change(0, &format!(" {SENTINEL}  "));
    images[1] = change(1, &format!("{SENTINEL}^^^"));
    plain(&images);
    // No image is refused for a long one that a result can take.
    let long = |length: usize| {
        let name = format!("{SENTINEL}{}", "^".repeat(length - SENTINEL.len()));
        series(4)[2].clone().text(PATIENT_NAME, b"UN", &name)
    };
    images[2] = long(65_534);
    plain(&images);
    images[2] = long(65_536);
    let (_folder, found) = folder(&images);
    assert!(matches!(
        found.skipped[0].reason,
        SkipReason::Defect(DicomHeaderError::LongValue { found: 65_536, .. })
    ));
    images[2] = series(4)[2].clone();
    let nobody = |image: Elements| image.without(PATIENT_NAME).without(PATIENT_ID);
    let mut images: Vec<_> = series(3).into_iter().map(nobody).collect();
    images[1] = images[1].clone().text(PATIENT_NAME, b"PN", "  ");
    plain(&images);
}

#[test]
fn names_that_cannot_be_decoded_are_of_several_patients() {
    let named = |index: usize, name: &str| {
        series(2)[index]
            .clone()
            .text((0x0008, 0x0005), b"CS", "\\ISO 2022 IR 87")
            .text(PATIENT_NAME, b"PN", name)
            .without(PATIENT_ID)
    };
    let found = refusal(
        &[named(0, "山田^太郎"), named(1, "田中^花子")],
        Policy::Resample,
    );
    assert_eq!(found, StackFinding::Patients { patients: 2 });
    plain(&[named(0, "山田^太郎"), named(1, "山田^太郎")]);
}

#[test]
fn the_same_bytes_in_another_order_are_other_content() {
    let content = |pixel: u16, syntax: &str| {
        let slice = image().numbers((0x0018, 0x0050), &[1.]).pixels(&[pixel; 6]);
        let folder = tempdir().unwrap();
        save(folder.path(), "a", &slice.file(syntax));
        let assessment = assess(&look(folder.path()).stacks[0], Policy::Strict);
        let read = assessment.read_with_content(&ReadLimits::default());
        read.unwrap().1
    };
    let little = content(0x0102, EXPLICIT);
    // How headers are encoded does not count.
    assert!(little == content(0x0102, IMPLICIT) && little == content(0x0102, DEFLATED));
    assert!(little != content(0x0201, BIG));
}

#[test]
fn several_files_of_one_instance_are_refused() {
    let one = |image: Elements| image.text(INSTANCE, b"UI", "1.9");
    let images: Vec<_> = series(4).into_iter().map(one).collect();
    for policy in [Policy::Strict, Policy::Resample] {
        let found = refusal(&images, policy);
        assert_eq!(found, StackFinding::SameInstance { instances: 1 });
        assert!(found.hint().is_some());
    }
    // A copy is the same instance by right.
    let mut images = series(4);
    images[2] = one(images[2].clone());
    images.push(images[2].clone());
    let (_folder, found) = folder(&images);
    let assessment = assess(&found.stacks[0], Policy::Strict);
    assert_eq!(assessment.grade(), Grade::Ok);
    assert_eq!(assessment.findings(), [StackFinding::Copies { slices: 1 }]);
}

#[test]
fn what_is_no_uid_is_a_defect_that_shows_no_text() {
    let tags = [
        (SOP_CLASS, "SOP Class UID (0008,0016)"),
        (INSTANCE, "SOP Instance UID (0008,0018)"),
        (STUDY, "Study Instance UID (0020,000D)"),
        (SERIES, "Series Instance UID (0020,000E)"),
        (FRAME_OF_REFERENCE, "Frame of Reference UID (0020,0052)"),
    ];
    let long = "1".repeat(65);
    for (tag, name) in tags {
        for text in [
            SENTINEL,
            "1.2.A",
            "1..2",
            ".",
            "1.2.",
            "../1",
            long.as_str(),
        ] {
            let image = image().text(tag, b"UI", text);
            let defect = defect(&image).to_string();
            assert_eq!(defect, format!("{name} does not hold a UID"));
        }
        let folder = tempdir().unwrap();
        let image = image().numbers((0x0018, 0x0050), &[4.]);
        let uid = if tag == SOP_CLASS { CT } else { "1.02.003" };
        let path = save(
            folder.path(),
            "a",
            &image.text(tag, b"UI", uid).file(EXPLICIT),
        );
        assert_eq!(look(&path).stacks.len(), 1, "leading zeros of {name}");
    }
    // Its series is unknown, and what lies beside it may lack it.
    let mut images = series(4);
    images[3] = images[3].clone().text(SERIES, b"UI", SENTINEL);
    let refused = refusal_of_first(&images);
    assert!(
        matches!(refused, StackFinding::Unread { files: 1, .. }),
        "{refused}"
    );
}

fn refusal_of_first(images: &[Elements]) -> StackFinding {
    let (_folder, found) = folder(images);
    assert_eq!(found.stacks.len(), 1);
    let assessment = assess(&found.stacks[0], Policy::Resample);
    assessment.refusal().unwrap().clone()
}

#[test]
fn a_modality_is_a_code_or_unknown() {
    for (text, modality) in [
        ("MR", "MR"),
        ("X_1 2", "X_1 2"),
        (SENTINEL, ""),
        ("Sentinel", ""),
        ("ABCDEFGHIJKLMNOPQ", ""),
        ("CT\\MR", ""),
        ("", ""),
    ] {
        let images: Vec<_> = series(2)
            .into_iter()
            .map(|image| image.text(MODALITY, b"CS", text))
            .collect();
        let (_folder, found) = folder(&images);
        assert_eq!(found.stacks[0].modality(), modality, "{text}");
    }
}

#[test]
fn sizes_that_files_cannot_hold_are_refused_before_anything_is_read() {
    let images: Vec<_> = series(3)
        .into_iter()
        .map(|image| {
            let nothing = vec![Vec::new(), vec![0; 64]];
            image.short(ROWS, 65535).short(COLUMNS, 65535).value(
                PIXELS,
                b"OB",
                Value::Fragments(nothing),
            )
        })
        .collect();
    let folder = tempdir().unwrap();
    // Two at one place, which would be read to be compared.
    let mut images = images;
    images.push(images[0].clone());
    save_all(folder.path(), &images, RLE);
    let found = look(folder.path());
    let assessment = assess(&found.stacks[0], Policy::Resample);
    let Some(refused @ StackFinding::Implausible { found, expected }) = assessment.refusal() else {
        panic!("{:?}", assessment.refusal());
    };
    assert_eq!(*expected, 4 * 2 * 65535 * 65535);
    assert!(*found < 4000 && refused.hint().is_some());
    assert_eq!(assessment.peak_bytes(4), 0);
}
