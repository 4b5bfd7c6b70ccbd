//! Grouping of synthetic files, and files that are left out with a reason.

use crate::dicom_files::reading::*;
use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{
    DicomError, DicomHeaderError, DistinguishingKey, Grade, Policy, SkipReason, StackFinding, scan,
};

#[test]
fn other_objects_are_skipped_with_a_reason() {
    let class = |class: &str| image().text(SOP_CLASS, b"UI", class);
    let reason = |image: &Elements| skipped(image).to_string();
    let prefix = "1.2.840.10008.5.1.4.1.1.";
    for (last, name) in [
        ("7", "a secondary capture"),
        ("66.4", "a segmentation"),
        ("88.33", "a structured report"),
        ("481.2", "a dose"),
    ] {
        assert_eq!(
            reason(&class(&format!("{prefix}{last}"))),
            format!("it is {name}")
        );
    }
    assert_eq!(reason(&class("1.9")), "it is an object of class 1.9");
    assert_eq!(
        defect(&image().without(SOP_CLASS)).to_string(),
        "SOP Class UID (0008,0016) is absent or empty"
    );
    assert!(matches!(
        skipped(&class("1.2.840.10008.1.3.10")),
        SkipReason::Directory
    ));
    let localizer = image().text(IMAGE_TYPE, b"CS", "ORIGINAL\\PRIMARY\\LOCALIZER");
    // Localizers need not have a place.
    assert!(matches!(
        skipped(&localizer.without(POSITION)),
        SkipReason::Localizer
    ));
    assert!(matches!(
        skipped(&image().short(SAMPLES, 3)),
        SkipReason::Color
    ));
    let palette = image().text(PHOTOMETRIC, b"CS", "PALETTE COLOR");
    assert!(matches!(skipped(&palette), SkipReason::Color));
    assert!(matches!(
        skipped(&image().without(PIXELS)),
        SkipReason::NoPixels
    ));

    let folder = tempdir().unwrap();
    save(folder.path(), "notes.txt", b"no image");
    save(folder.path(), "empty.txt", b"");
    save_all(folder.path(), &series(2), EXPLICIT);
    let found = look(folder.path());
    let reasons: Vec<_> = found.skipped.iter().map(|file| &file.reason).collect();
    assert!(matches!(
        reasons[..],
        [SkipReason::Blank, SkipReason::NotDicom]
    ));
    assert!(reasons.iter().all(|reason| !reason.is_dicom()));
    assert!(found.stacks[0].unread().is_empty());
    let missing = scan(&[folder.path().join("absent")]).unwrap_err();
    assert!(matches!(missing, DicomError::Io { .. }));
}

#[test]
fn a_localizer_in_a_series_leaves_it_whole() {
    let mut images = series(4);
    images.push(image().text(IMAGE_TYPE, b"CS", "ORIGINAL\\PRIMARY\\LOCALIZER"));
    let (_folder, found) = folder(&images);
    assert_eq!((found.stacks.len(), found.skipped.len()), (1, 1));
    assert_eq!(assess(&found.stacks[0], Policy::Strict).grade(), Grade::Ok);
}

#[test]
fn unusable_headers_name_the_attribute() {
    for (image, message) in [
        (
            image().without(POSITION),
            "Image Position (Patient) (0020,0032) is absent or empty",
        ),
        (
            image().without(ORIENTATION),
            "Image Orientation (Patient) (0020,0037) is absent or empty",
        ),
        (
            image().text(SPACING, b"DS", ""),
            "Pixel Spacing (0028,0030) is absent or empty",
        ),
        (
            image().numbers(POSITION, &[1., 2.]),
            "Image Position (Patient) (0020,0032) does not hold 3 numbers",
        ),
        (
            image().text(POSITION, b"DS", "1\\2\\x"),
            "Image Position (Patient) (0020,0032) does not hold 3 numbers",
        ),
        (
            image().text(POSITION, b"DS", "1\\2\\nan"),
            "Image Position (Patient) (0020,0032) does not hold 3 numbers",
        ),
        (
            image().numbers(SPACING, &[0., 1.]),
            "Pixel Spacing (0028,0030) is 0, expected more than 0 mm",
        ),
        (
            image().numbers(ORIENTATION, &[1., 0., 0., 1., 0., 0.]),
            "Image Orientation (Patient) (0020,0037) is 1, expected two perpendicular directions of length 1",
        ),
        (
            image().numbers(SLOPE, &[0.]),
            "Rescale Slope (0028,1053) is 0, expected another number than 0",
        ),
        (
            image().at([0., 1e300, 0.]),
            "Image Position (Patient) (0020,0032) is 1e300, expected at most 1000000 mm",
        ),
        (
            image().at([-1e7, 0., 0.]),
            "Image Position (Patient) (0020,0032) is -10000000, expected at most 1000000 mm",
        ),
        (
            image().numbers(SPACING, &[1., 1e9]),
            "Pixel Spacing (0028,0030) is 1000000000, expected at most 1000000 mm",
        ),
        (
            image().numbers((0x0018, 0x0050), &[1e13]),
            "Slice Thickness (0018,0050) is 1e13, expected at most 1000000 mm",
        ),
        (
            image().short(ALLOCATED, 12),
            "Bits Allocated (0028,0100) is 12, expected 8, 16 or 32",
        ),
        (
            image().short(STORED, 17),
            "Bits Stored (0028,0101) is 17, expected 1 up to the bits allocated",
        ),
        (
            image().short(STORED, 0),
            "Bits Stored (0028,0101) is 0, expected 1 up to the bits allocated",
        ),
        (
            image().short(ROWS, 0),
            "Rows (0028,0010) is 0, expected at least 1",
        ),
        (
            image().short(SIGNED, 2),
            "Pixel Representation (0028,0103) is 2, expected 0 or 1",
        ),
        (
            image().without(SERIES),
            "Series Instance UID (0020,000E) is absent or empty",
        ),
        (
            image().pixels(&[1, 2, 3]),
            "its pixels take 12 bytes, found 6",
        ),
        (
            image().short(ROWS, 65535).short(COLUMNS, 65535),
            "its pixels take 8589672450 bytes, found 12",
        ),
        (
            image().text(FRAMES, b"IS", "4000000000"),
            "it has 4000000000 frames but 0 items of per-frame functional groups",
        ),
        (
            image().value(
                (0x0028, 0x3000),
                b"SQ",
                Value::Items(vec![Elements::default()]),
            ),
            "its values are translated by a Modality LUT, which is not supported",
        ),
    ] {
        assert_eq!(defect(&image).to_string(), message);
    }
    let high = defect(&image().short(STORED, 12).short(HIGH_BIT, 10));
    assert!(matches!(high, DicomHeaderError::Range { .. }), "{high}");
    let real = image().value((0x7fe0, 0x0008), b"OF", Value::Bytes(vec![0; 24]));
    assert_eq!(defect(&real.without(PIXELS)), DicomHeaderError::RealPixels);
    let folder = tempdir().unwrap();
    save(folder.path(), "a", &image().file("1.2.840.10008.1.2.4.201"));
    let found = look(folder.path());
    assert!(matches!(
        &found.skipped[0].reason,
        SkipReason::Defect(DicomHeaderError::Syntax { .. })
    ));
}

#[test]
fn copies_are_left_out_and_conflicts_refused() {
    let mut images = series(4);
    images.push(images[2].clone());
    let (_folder, found) = folder(&images);
    let assessment = assess(&found.stacks[0], Policy::Strict);
    assert_eq!(assessment.findings(), [StackFinding::Copies { slices: 1 }]);
    assert_eq!(assessment.grade(), Grade::Ok);
    assert_eq!(read(&assessment), plain(&series(4)));

    images[4] = images[4].clone().pixels(&[9; 6]);
    for policy in [Policy::Strict, Policy::Resample] {
        assert_eq!(
            refusal(&images, policy),
            StackFinding::Conflict { places: 1 }
        );
    }
}

/// Twice the slices of a series, the second time with other pixels and what `change` does.
fn twice(change: impl Fn(Elements, usize, usize) -> Elements) -> Vec<Elements> {
    let mut images = Vec::new();
    for part in 0..2 {
        for (k, image) in series(4).into_iter().enumerate() {
            let image = if part == 1 {
                image.pixels(&[1000 + k as u16; 6])
            } else {
                image
            };
            images.push(change(image, part, k));
        }
    }
    images
}

#[test]
fn phases_echoes_and_acquisitions_are_told_apart() {
    let text = |tag: Tag, vr: [u8; 2]| {
        move |image: Elements, part: usize, _| image.text(tag, &vr, &part.to_string())
    };
    type Change = Box<dyn Fn(Elements, usize, usize) -> Elements>;
    let cases: [(DistinguishingKey, Change); 7] = [
        (
            DistinguishingKey::TemporalPosition,
            Box::new(text(TEMPORAL_POSITION, *b"IS")),
        ),
        (
            DistinguishingKey::EchoTime,
            Box::new(text(ECHO_TIME, *b"DS")),
        ),
        (
            DistinguishingKey::EchoNumber,
            Box::new(text((0x0018, 0x0086), *b"IS")),
        ),
        (
            DistinguishingKey::TriggerTime,
            Box::new(text((0x0018, 0x1060), *b"DS")),
        ),
        (
            DistinguishingKey::Acquisition,
            Box::new(text(ACQUISITION, *b"IS")),
        ),
        (
            DistinguishingKey::ImageType,
            Box::new(text(IMAGE_TYPE, *b"CS")),
        ),
        (
            DistinguishingKey::BValue,
            Box::new(|image, part, _| {
                image.value((0x0018, 0x9087), b"FD", Value::Double(part as f64))
            }),
        ),
    ];
    for (key, change) in cases {
        let (_folder, found) = folder(&twice(change));
        assert_eq!(found.stacks.len(), 2, "{}", key.name());
        for (part, stack) in found.stacks.iter().enumerate() {
            assert_eq!(stack.distinguishing_keys(), [(key, part.to_string())]);
            let assessment = assess(stack, Policy::Strict);
            assert_eq!(assessment.findings(), []);
            let volume = read(&assessment);
            assert_eq!(volume.data[[0, 1, 0, 3]], [31., 1003.][part]);
        }
    }
}

#[test]
fn phases_that_nothing_tells_apart_are_refused() {
    let same = twice(|image, _, _| image);
    assert_eq!(
        refusal(&same, Policy::Resample),
        StackFinding::Conflict { places: 4 }
    );
    // What changes from slice to slice tells nothing about phases.
    let each = twice(|image, part, k| image.text(ACQUISITION, b"IS", &(4 * part + k).to_string()));
    assert_eq!(
        refusal(&each, Policy::Strict),
        StackFinding::Conflict { places: 4 }
    );
}

#[test]
fn acquisitions_at_other_places_are_told_apart() {
    let images = twice(|image, part, k| {
        let z = [2.5 * k as f64, 101. + 2.5 * k as f64][part];
        image
            .at([0., 0., z])
            .text(ACQUISITION, b"IS", &part.to_string())
    });
    let (_folder, found) = folder(&images);
    assert_eq!(found.stacks.len(), 2);
    assert!(
        found
            .stacks
            .iter()
            .all(|stack| assess(stack, Policy::Strict).grade() == Grade::Ok)
    );
}

#[test]
fn orientations_shapes_and_frames_of_reference_are_stacks_of_their_own() {
    type Change = fn(Elements) -> Elements;
    let changes: [(Option<&str>, Change); 6] = [
        (Some("orientation"), |image| {
            image.numbers(ORIENTATION, &[0., 1., 0., -1., 0., 0.])
        }),
        (Some("frame of reference"), |image| {
            image.text(FRAME_OF_REFERENCE, b"UI", "1.2.8")
        }),
        (None, |image| image.text(SERIES, b"UI", "1.2.2")),
        (Some("shape"), |image| {
            image.short(ROWS, 3).short(COLUMNS, 2)
        }),
        (Some("pixel spacing"), |image| {
            image.numbers(SPACING, &[2., 1.6])
        }),
        (Some("modality and shape"), |image| {
            image
                .text(MODALITY, b"CS", "PT")
                .short(ROWS, 3)
                .short(COLUMNS, 2)
        }),
    ];
    for (differ_in, change) in changes {
        let images = twice(|image, part, _| if part == 1 { change(image) } else { image });
        let (_folder, found) = folder(&images);
        assert_eq!(found.stacks.len(), 2);
        for stack in &found.stacks {
            let assessment = assess(stack, Policy::Strict);
            let told: Vec<_> = assessment
                .findings()
                .iter()
                .map(ToString::to_string)
                .collect();
            let expected = differ_in
                .map(|what| format!("it is one of 2 stacks of its series, which differ in {what}"));
            assert_eq!(told, Vec::from_iter(expected));
            assert_eq!(assessment.grade(), Grade::Ok);
        }
    }
    // Rounding of directions is none.
    let images: Vec<Elements> = series(4)
        .into_iter()
        .enumerate()
        .map(|(k, image)| image.numbers(ORIENTATION, &[1., 1e-5 * k as f64, 0., 0., 1., 0.]))
        .collect();
    assert_eq!(folder(&images).1.stacks.len(), 1);
}
