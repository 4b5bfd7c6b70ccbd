//! Data sets without preamble and file meta information.

use std::fs;

use crate::dicom_files::reading::*;
use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{DicomHeaderError, Grade, Policy, SkipReason, scan};
use vesal_io::sniff::{Content, sniff, sniff_bytes};

#[test]
fn a_bare_data_set_is_read_like_a_whole_file() {
    let expected = plain(&series(4));
    for syntax in [IMPLICIT, EXPLICIT] {
        let folder = tempdir().unwrap();
        for (k, image) in series(4).into_iter().enumerate() {
            let image = image.text(INSTANCE, b"UI", &format!("1.2.3.{k}"));
            save(folder.path(), &format!("{k}"), &image.encode(syntax));
        }
        assert_eq!(
            sniff(&folder.path().join("0")).unwrap().content,
            Content::Dicom
        );
        let found = look(folder.path());
        assert!(found.has_dicom() && found.skipped.is_empty());
        let assessment = assess(&found.stacks[0], Policy::Strict);
        assert_eq!(assessment.grade(), Grade::Ok);
        assert_eq!(read(&assessment), expected);
    }
}

#[test]
fn a_bare_data_set_cut_off_anywhere_or_damaged_gives_reasons() {
    let folder = tempdir().unwrap();
    for syntax in [IMPLICIT, EXPLICIT] {
        let whole = image().numbers((0x0018, 0x0050), &[1.]).encode(syntax);
        let mut unknown = 0;
        for length in 0..whole.len() {
            let path = save(folder.path(), "cut", &whole[..length]);
            let found = scan(&[&path]).unwrap();
            assert!(found.stacks.is_empty());
            unknown += usize::from(!found.has_dicom());
            assert!(
                matches!(
                    found.skipped[0].reason,
                    SkipReason::Blank
                        | SkipReason::NotDicom
                        | SkipReason::NoPixels
                        | SkipReason::Defect(
                            DicomHeaderError::Truncated { .. }
                                | DicomHeaderError::Missing { .. }
                                | DicomHeaderError::PixelBytes { .. }
                        )
                ),
                "{syntax} {length}: {}",
                found.skipped[0].reason
            );
        }
        assert!(unknown < 48, "{unknown}");
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] = [0, 0x7f, 0xff][at % 3];
            reasons(&save(folder.path(), "damaged", &bytes));
        }
    }
}

#[test]
fn compressed_pixels_need_file_meta_information() {
    let image = image().value(
        PIXELS,
        b"OB",
        Value::Fragments(vec![Vec::new(), vec![0; 64]]),
    );
    let folder = tempdir().unwrap();
    let path = save(folder.path(), "a", &image.encode(EXPLICIT));
    let found = look(&path);
    assert!(matches!(
        found.skipped[0].reason,
        SkipReason::Defect(DicomHeaderError::PixelBytes { found: 0, .. })
    ));
}

#[test]
fn other_bytes_are_no_data_set() {
    let explicit = image().encode(EXPLICIT);
    assert_eq!(sniff_bytes(&explicit), Content::Dicom);
    let big = image().encode(BIG);
    let long = [&[8, 0, 5, 0, b'C', b'S', 0xff, 0xff][..], &explicit].concat();
    let mut backward = explicit.clone();
    backward[2] = 0xff;
    for bytes in [
        &big[..],
        &long,
        &backward,
        &explicit[..20],
        &[8, 0, 8, 0],
        b"text",
    ] {
        assert_eq!(sniff_bytes(bytes), Content::Unknown);
        let folder = tempdir().unwrap();
        let path = save(folder.path(), "a", bytes);
        assert!(!scan(&[&path]).unwrap().has_dicom());
        fs::remove_file(path).unwrap();
    }
}
