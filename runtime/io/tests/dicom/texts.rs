//! Descriptions of series and names of regions in many character sets, and image types.

use crate::dicom_files::reading::*;
use crate::dicom_files::structures::structure_set;
use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{DicomHeaderError, Policy, read_structures};

const CHARACTER_SET: Tag = (0x0008, 0x0005);
const DESCRIPTION: Tag = (0x0008, 0x103e);

/// Character sets, bytes, and their text: heads, brains, livers and examples of the standard.
const TEXTS: [(&str, &[u8], &str); 9] = [
    (
        "ISO_IR 192",
        "Schädel, голова".as_bytes(),
        "Schädel, голова",
    ),
    ("ISO_IR 100", b"Sch\xe4del", "Schädel"),
    ("ISO_IR 101", b"W\xb1troba", "Wątroba"),
    ("ISO_IR 144", b"\xd3\xde\xdb\xde\xd2\xd0", "голова"),
    ("ISO_IR 126", b"\xea\xe5\xf6\xe1\xeb\xde", "κεφαλή"),
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde \x1b$B;3ED\x1b(J",
        "ﾔﾏﾀﾞ 山田",
    ),
    ("\\ISO 2022 IR 87", b"T1 \x1b$BF,It\x1b(B", "T1 頭部"),
    ("\\ISO 2022 IR 149", b"T1 \x1b$)C\xb5\xce", "T1 두"),
    ("GB18030", b"T1 \xcd\xb7\xb2\xbf", "T1 头部"),
];

fn texted(elements: Elements, sets: &str, tag: Tag, value: &[u8]) -> Elements {
    let mut value = value.to_vec();
    if value.len() % 2 == 1 {
        value.push(b' ');
    }
    elements
        .text(CHARACTER_SET, b"CS", sets)
        .value(tag, b"LO", Value::Bytes(value))
}

#[test]
fn descriptions_are_read_in_the_character_sets_that_are_stated() {
    for (sets, value, expected) in TEXTS {
        let image = texted(image(), sets, DESCRIPTION, value);
        let (_folder, found) = folder(&[image]);
        assert_eq!(found.stacks[0].description(), Some(expected), "{sets}");
    }
    // Control characters are removed, and texts are cut to the length of the standard.
    let image = texted(image(), "ISO_IR 100", DESCRIPTION, b"a\x1b]0;b\x07\r\nc");
    assert_eq!(folder(&[image]).1.stacks[0].description(), Some("a]0;bc"));
    let long = texted(self::image(), "ISO_IR 100", DESCRIPTION, &[b'x'; 5000]);
    let (_folder, found) = folder(&[long]);
    assert_eq!(found.stacks[0].description(), Some("x".repeat(64).as_str()));
}

#[test]
fn regions_are_called_as_they_are_written() {
    let folder = tempdir().unwrap();
    let names = |set: &Elements| -> Vec<String> {
        let set = read_structures(save(folder.path(), "set", &set.file(EXPLICIT))).unwrap();
        set.regions.into_iter().map(|region| region.name).collect()
    };
    let set = structure_set(&[("x", 1, vec![]), ("y", 2, vec![])], None);
    let named = |sets: &str, name: &[u8], own: Option<&str>| {
        let mut set = set.clone().text(CHARACTER_SET, b"CS", sets);
        let Some((_, Value::Items(items))) = set.0.get_mut(&(0x3006, 0x0020)) else {
            panic!("no regions");
        };
        items[0] = texted(
            items[0].clone(),
            own.unwrap_or(sets),
            (0x3006, 0x0026),
            name,
        );
        set
    };
    for (sets, value, expected) in TEXTS {
        assert_eq!(names(&named(sets, value, None)), [expected, "y"], "{sets}");
        // An item may have sets of its own.
        let own = named("ISO_IR 100", value, Some(sets));
        assert_eq!(names(&own), [expected, "y"], "{sets}");
    }
}

#[test]
fn a_mosaic_shows_in_image_type_and_frame_type() {
    const MOSAIC: &str = "ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC";
    let item = |(group, element): Tag, content| {
        Elements::default().value((group, element), b"SQ", Value::Items(vec![content]))
    };
    let frame_type = |text: &str| {
        let frame_type = Elements::default().text((0x0008, 0x9007), b"CS", text);
        item((0x0018, 0x9226), frame_type)
    };
    for (image_type, shared, own) in [
        (MOSAIC, Some("ORIGINAL\\PRIMARY\\M\\NONE"), None),
        ("ORIGINAL\\PRIMARY\\M\\NONE", Some(MOSAIC), None),
        ("ORIGINAL\\PRIMARY\\M\\NONE", None, Some(MOSAIC)),
        (MOSAIC, None, Some("ORIGINAL\\PRIMARY\\M\\NONE")),
    ] {
        let of = |text: Option<&str>| text.map(frame_type).unwrap_or_default();
        let image = image()
            .text(SOP_CLASS, b"UI", ENHANCED_MR)
            .text(FRAMES, b"IS", "1")
            .text(IMAGE_TYPE, b"CS", image_type)
            .value(SHARED, b"SQ", Value::Items(vec![of(shared)]))
            .value(PER_FRAME, b"SQ", Value::Items(vec![of(own)]));
        assert_eq!(
            defect(&image),
            DicomHeaderError::Mosaic,
            "{shared:?} {own:?}"
        );
    }
}

#[test]
fn a_mosaic_is_no_slice() {
    let mosaic = image().text(IMAGE_TYPE, b"CS", "ORIGINAL\\PRIMARY\\M\\ND\\MOSAIC");
    let reason = defect(&mosaic);
    assert_eq!(reason, DicomHeaderError::Mosaic);
    assert!(
        reason
            .hint()
            .is_some_and(|hint| hint.contains("unpacks mosaics"))
    );
    // With it, nothing of its series is used.
    let (_folder, found) = folder(&[vec![mosaic], series(3)].concat());
    assert!(
        assess(&found.stacks[0], Policy::Resample)
            .refusal()
            .is_some()
    );
    let other = image().text(IMAGE_TYPE, b"CS", "ORIGINAL\\PRIMARY\\M\\ND\\MOSAICS");
    assert_eq!(folder(&[other]).1.stacks.len(), 1);
}
