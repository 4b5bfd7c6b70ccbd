//! Synthetic multi-frame files: enhanced images, native and in fragments.

use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{
    DicomError, DicomHeaderError, DicomScan, DistinguishingKey, Grade, PixelError, Policy,
    SkipReason, scan,
};
use vesal_io::image::ReadLimits;
use vesal_volume::Volume;

fn item(group: u16, element: u16, content: Elements) -> Elements {
    Elements::default().value((group, element), b"SQ", Value::Items(vec![content]))
}

fn join(parts: &[Elements]) -> Elements {
    Elements(parts.iter().flat_map(|part| part.0.clone()).collect())
}

/// The functional groups of the frame at `z`, whose values are doubled with each slice.
fn groups(z: f64, slope: f64, phase: u32) -> Elements {
    join(&[
        item(0x0020, 0x9113, Elements::default().at([0., 0., z])),
        item(
            0x0028,
            0x9145,
            Elements::default()
                .numbers(SLOPE, &[slope])
                .numbers(INTERCEPT, &[0.]),
        ),
        item(
            0x0020,
            0x9111,
            Elements::default().value((0x0020, 0x9128), b"UL", Value::Long(phase)),
        ),
    ])
}

/// An enhanced MR image whose frames lie at these heights, in this order.
fn enhanced(frames: &[Elements]) -> Elements {
    let shared = join(&[
        item(
            0x0020,
            0x9116,
            Elements::default().numbers(ORIENTATION, &[1., 0., 0., 0., 1., 0.]),
        ),
        item(
            0x0028,
            0x9110,
            Elements::default().numbers(SPACING, &[2., 1.5]),
        ),
    ]);
    let pixels: Vec<u16> = (0..6 * frames.len() as u16).collect();
    image()
        .without(POSITION)
        .without(ORIENTATION)
        .without(SPACING)
        .text(SOP_CLASS, b"UI", ENHANCED_MR)
        .text(FRAMES, b"IS", &frames.len().to_string())
        .value(SHARED, b"SQ", Value::Items(vec![shared]))
        .value(PER_FRAME, b"SQ", Value::Items(frames.to_vec()))
        .pixels(&pixels)
}

fn look(bytes: &[u8]) -> (tempfile::TempDir, DicomScan) {
    let folder = tempdir().unwrap();
    save(folder.path(), "image", bytes);
    let found = scan(&[folder.path()]).unwrap();
    (folder, found)
}

fn volume(found: &DicomScan, stack: usize) -> Result<Volume, DicomError> {
    let assessment = found.stacks[stack].assess(Policy::Strict).unwrap();
    assert_eq!(assessment.grade(), Grade::Ok);
    assessment.read(&ReadLimits::default())
}

/// Three slices whose frames are in no order.
fn three() -> Elements {
    enhanced(&[groups(5., 1., 1), groups(0., 2., 1), groups(2.5, 4., 1)])
}

fn assert_three(volume: &Volume) {
    assert_eq!(volume.data.dim(), (1, 3, 2, 3));
    for ((_, x, y, z), &value) in volume.data.indexed_iter() {
        let (frame, slope) = [(1, 2.), (2, 4.), (0, 1.)][z];
        assert_eq!(value, slope * (6 * frame + 3 * y + x) as f32);
    }
    let rows = [[-1.5, 0., 0., 0.], [0., -2., 0., 0.], [0., 0., 2.5, 0.]];
    assert_eq!(volume.affine.0[..3], rows);
}

#[test]
fn frames_lie_and_scale_as_their_functional_groups_say() {
    for syntax in [EXPLICIT, IMPLICIT, BIG, DEFLATED] {
        let (_folder, found) = look(&three().file(syntax));
        assert_three(&volume(&found, 0).unwrap());
        assert_eq!(found.stacks[0].slices()[2].frame_number(), 3);
    }
}

#[test]
fn phases_of_one_file_are_told_apart() {
    let frames: Vec<Elements> = (0..6)
        .map(|k| groups(f64::from(k / 2), 1., 7 + k % 2))
        .collect();
    let (_folder, found) = look(&enhanced(&frames).file(EXPLICIT));
    assert_eq!(found.stacks.len(), 2);
    for (part, stack) in found.stacks.iter().enumerate() {
        assert_eq!(
            stack.distinguishing_keys(),
            [(DistinguishingKey::TemporalPosition, (7 + part).to_string())]
        );
        let data = volume(&found, part).unwrap().data;
        assert_eq!(data[[0, 0, 0, 2]], (6 * (4 + part)) as f32);
    }
}

/// A frame of six pixels of 16 bits in run lengths, each byte as it is.
fn run_lengths(first: u8) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    bytes[0] = 2;
    bytes[4] = 64;
    bytes[8] = 66;
    bytes.extend([251, 0]);
    bytes.push(5);
    bytes.extend((0..6).map(|pixel| first + pixel));
    bytes.push(0);
    bytes
}

#[test]
fn fragments_are_found_by_count_or_by_offsets() {
    let fragments = |fragments: Vec<Vec<u8>>| {
        let file = three()
            .value(PIXELS, b"OB", Value::Fragments(fragments))
            .file(RLE);
        look(&file)
    };
    let frames: Vec<Vec<u8>> = [0, 6, 12].map(run_lengths).to_vec();
    let one_each: Vec<Vec<u8>> = [vec![vec![]], frames.clone()].concat();
    assert_three(&volume(&fragments(one_each.clone()).1, 0).unwrap());

    // The second frame in two parts; offsets count from the first fragment's item.
    let (a, b) = frames[1].split_at(32);
    let parts = vec![frames[0].clone(), a.to_vec(), b.to_vec(), frames[2].clone()];
    let offsets = |offsets: [u32; 3]| offsets.iter().flat_map(|n| n.to_le_bytes()).collect();
    let with = |table: Vec<u8>| [vec![table], parts.clone()].concat();
    let starts = [0, 82, 82 + 40 + 50];
    let (_folder, found) = fragments(with(offsets(starts)));
    assert_three(&volume(&found, 0).unwrap());
    let (_folder, found) = fragments(with(vec![]));
    let error = volume(&found, 0).unwrap_err();
    assert!(
        matches!(
            error,
            DicomError::Pixels {
                reason: PixelError::Fragments {
                    fragments: 4,
                    offsets: 0,
                    frames: 3
                },
                ..
            }
        ),
        "{error}"
    );
    let (_folder, found) = fragments(with(offsets([8, 82, 172])));
    assert!(volume(&found, 0).is_err());

    // A frame that is cut off, one of another shape, and none at all.
    for bad in [
        frames[1][..70].to_vec(),
        run_lengths(0)[..64].to_vec(),
        vec![],
    ] {
        let mut bytes = one_each.clone();
        bytes[2] = bad;
        let (_folder, found) = fragments(bytes);
        let error = volume(&found, 0).unwrap_err();
        assert!(
            matches!(
                error,
                DicomError::Pixels {
                    frame: 2,
                    reason: PixelError::Codec(_),
                    ..
                }
            ),
            "{error}"
        );
        assert!(!error.to_string().contains("SENTINEL") && error.hint().is_some());
    }
}

#[test]
fn frames_and_functional_groups_have_to_agree() {
    for file in [
        three().text(FRAMES, b"IS", "4"),
        three().text(FRAMES, b"IS", "2"),
        three().without(PER_FRAME),
        three().without(FRAMES),
    ] {
        let (_folder, found) = look(&file.file(EXPLICIT));
        assert_eq!((found.stacks.len(), found.skipped.len()), (0, 1));
        let reason = &found.skipped[0].reason;
        assert!(
            matches!(
                reason,
                SkipReason::Defect(DicomHeaderError::FunctionalGroups { .. })
            ),
            "{reason}"
        );
    }
}
