//! Slices at one position, and whether they are copies of each other.

use crate::dicom_files::reading::*;
use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{Grade, Policy, StackFinding, scan};

/// Largest distance of slices at one place, in mm.
const SAME_MM: f64 = 1e-3;

#[test]
fn slices_are_at_one_place_wherever_that_is() {
    // Over several multiples of the tolerance, so that cell borders cannot hide a neighbor.
    for step in 0..40 {
        let from = -20.0 + 0.000_17 * f64::from(step);
        for (apart, copies) in [(0.9 * SAME_MM, true), (1.1 * SAME_MM, false)] {
            for axis in 0..3 {
                let mut beside = [from, -from, 2.0 * from];
                let first = image().at(beside).numbers((0x0018, 0x0050), &[1.]);
                beside[axis] += apart;
                let (_folder, found) = folder(&[first.clone(), first.at(beside)]);
                let assessment = assess(&found.stacks[0], Policy::Strict);
                let copied = StackFinding::Copies { slices: 1 };
                let dropped = assessment.findings().contains(&copied);
                assert_eq!(dropped, copies, "{from} {axis} {apart}");
            }
        }
    }
}

/// A frame of runs whose bytes are one after the other, or each by itself.
fn run_lengths(value: u8, together: bool) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[0] = 2;
    bytes[4] = 64;
    let zeros = [251, 0];
    let values: Vec<u8> = if together {
        vec![251, value]
    } else {
        vec![5, value, value, value, value, value, value]
    };
    bytes[8] = 66;
    bytes.extend(zeros);
    bytes.extend(values);
    if bytes.len() % 2 == 1 {
        bytes.push(0);
    }
    bytes
}

#[test]
fn copies_are_told_by_their_values_however_they_are_stored() {
    let native = |value: u16| image().numbers((0x0018, 0x0050), &[1.]).pixels(&[value; 6]);
    let packed = |value: u8, together: bool| {
        let fragments = vec![vec![], run_lengths(value, together)];
        native(0)
            .value(PIXELS, b"OB", Value::Fragments(fragments))
            .file(RLE)
    };
    let files: [(Vec<u8>, Vec<u8>, bool); 7] = [
        (packed(7, true), packed(7, true), true),
        (packed(7, true), packed(7, false), true),
        (packed(7, true), packed(8, true), false),
        (packed(7, false), native(7).file(EXPLICIT), true),
        (native(7).file(BIG), native(7).file(DEFLATED), true),
        (native(7).file(BIG), native(8).file(IMPLICIT), false),
        (
            native(7).file(EXPLICIT),
            native(7).numbers(SLOPE, &[2.]).file(EXPLICIT),
            false,
        ),
    ];
    for (index, (a, b, same)) in files.into_iter().enumerate() {
        let folder = tempdir().unwrap();
        save(folder.path(), "a", &a);
        save(folder.path(), "b", &b);
        let found = scan(&[folder.path()]).unwrap();
        let assessment = assess(&found.stacks[0], Policy::Strict);
        let expected = if same {
            None
        } else {
            Some(StackFinding::Conflict { places: 1 })
        };
        assert_eq!(assessment.refusal(), expected.as_ref(), "{index}");
        if same {
            assert_eq!(assessment.grade(), Grade::Ok);
        }
    }
}

#[test]
fn deflated_frames_are_read_in_any_order() {
    let frame = |z: f64| {
        let item = |group, element, content| {
            Elements::default().value((group, element), b"SQ", Value::Items(vec![content]))
        };
        item(0x0020, 0x9113, Elements::default().at([0., 0., z]))
    };
    let heights = [3., 0., 2., 1.];
    let pixels: Vec<u16> = (0..24).collect();
    let file = image()
        .text(SOP_CLASS, b"UI", ENHANCED_MR)
        .text(FRAMES, b"IS", "4")
        .value(PER_FRAME, b"SQ", Value::Items(heights.map(frame).to_vec()))
        .pixels(&pixels);
    let folder = tempdir().unwrap();
    save(folder.path(), "a", &file.file(DEFLATED));
    let found = scan(&[folder.path()]).unwrap();
    let assessment = assess(&found.stacks[0], Policy::Strict);
    let volume = read(&assessment);
    for (place, first) in [(0, 6.), (1, 18.), (2, 12.), (3, 0.)] {
        assert_eq!(volume.data[[0, 0, 0, place]], first);
    }
    // All of its pixels are inflated together, and that is planned.
    let native = scan(&[save(folder.path(), "b", &file.file(EXPLICIT))]).unwrap();
    let plain = assess(&native.stacks[0], Policy::Strict).peak_bytes(1);
    assert_eq!(assessment.peak_bytes(1), plain + 2 * 24);
}
