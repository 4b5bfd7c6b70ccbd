//! DICOM: the walk over data sets, stacks and their pixels, codecs, structure sets, directories.

use std::path::Path;

use vesal_io::dicom::write::SourceImages;
use vesal_io::dicom::{Instance, Policy, Stack, read_structure_references, read_structures, scan};
use vesal_io::image::ReadLimits;
use vesal_volume::{Affine, Geometry};

use crate::compressed::Wrapping;
use crate::made::structures::{contour, structure_set};
use crate::made::{self, Elements, Value};
use crate::scratch::{ScratchFolder, files, joined};
use crate::target::Target;

/// Bytes of voxels that are read at most; of larger volumes only the headers are.
const VOXEL_BYTES_MAX: u64 = 8 << 20;

/// The UIDs of one file, as a node reads them on arrival, and its header.
pub const INSTANCE: Target = Target {
    name: "dicom_instance",
    run: |bytes| {
        let folder = ScratchFolder::new();
        let path = folder.file("image", bytes);
        if let Err(error) = Instance::read(&path) {
            let _ = error.to_string();
        }
        headers(folder.path());
    },
    seeds: single_files,
    wrapping: Some(Wrapping::DeflatedDataSet),
};

/// Several files: stacks, their volumes, and what results would refer to.
pub const SERIES: Target = Target {
    name: "dicom_series",
    run: |bytes| {
        let folder = ScratchFolder::new();
        for (index, file) in files(bytes).into_iter().enumerate() {
            folder.file(&index.to_string(), file);
        }
        headers(folder.path()).iter().for_each(volumes);
    },
    seeds: || {
        let saved = |syntax| {
            let numbered = made::series(4).into_iter().enumerate();
            let files = numbered.map(|(index, image)| {
                let uid = format!("1.2.3.{index}");
                image.text(made::INSTANCE, b"UI", &uid).file(syntax)
            });
            joined(&files.collect::<Vec<_>>())
        };
        let mut seeds = vec![
            saved(made::EXPLICIT),
            saved(made::IMPLICIT),
            saved(made::BIG),
        ];
        seeds.push(enhanced(5).file(made::EXPLICIT));
        seeds
    },
    wrapping: None,
};

/// A frame in a transfer syntax: which one, columns, rows and bits are the first bytes.
pub const CODEC: Target = Target {
    name: "dicom_codec",
    run: |bytes| {
        let Some((&[syntax, columns, rows, bits], frame)) = bytes.split_first_chunk() else {
            return;
        };
        let syntax = CODECS[usize::from(syntax) % CODECS.len()];
        let (allocated, stored) = match bits % 4 {
            0 => (8, 8),
            1 => (16, 12),
            2 => (16, 16),
            _ => (16, 10),
        };
        let image = made::image()
            .numbers((0x0018, 0x0050), &[1.0])
            .short(made::COLUMNS, u16::from(columns))
            .short(made::ROWS, u16::from(rows))
            .short(made::ALLOCATED, allocated)
            .short(made::STORED, stored)
            .short(made::HIGH_BIT, stored - 1)
            .short(made::SIGNED, u16::from(bits & 4 != 0))
            .value(
                made::PIXELS,
                b"OB",
                Value::Fragments(vec![vec![], frame.to_vec()]),
            );
        let folder = ScratchFolder::new();
        folder.file("image", &image.file(syntax));
        headers(folder.path()).iter().for_each(volumes);
    },
    seeds: || {
        let rle = [
            &[1, 0, 0, 0, 64, 0, 0, 0][..],
            &[0; 56],
            &[5, 0, 1, 2, 3, 4, 5],
        ]
        .concat();
        let jpeg = |kind: u8, precision: u8| {
            let mut frame = vec![
                0xff, 0xd8, 0xff, kind, 0, 11, precision, 0, 2, 0, 3, 1, 1, 0x11, 0,
            ];
            frame.extend([
                0xff, 0xc4, 0, 20, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            ]);
            frame.extend([0xff, 0xda, 0, 8, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0xff, 0xd9]);
            frame
        };
        let jpeg_ls = [
            &[0xff, 0xd8, 0xff, 0xf7, 0, 11, 8, 0, 2, 0, 3, 1, 1, 0x11, 0][..],
            &[0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xd9],
        ]
        .concat();
        let jpeg_2000 = [
            &[0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0, 0, 0, 0, 3, 0, 0, 0, 2][..],
            &[0; 8],
            &[0, 0, 0, 3, 0, 0, 0, 2],
            &[0; 8],
            &[0, 1, 7, 1, 1],
            &[0xff, 0x52, 0, 12, 0, 0, 0, 1, 0, 1, 4, 4, 0, 1],
            &[0xff, 0x5c, 0, 7, 0x40, 0x40, 0x48, 0x48, 0x50],
            &[
                0xff, 0x90, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x93, 0, 0, 0xff, 0xd9,
            ],
        ]
        .concat();
        let with =
            |syntax: u8, bits: u8, frame: Vec<u8>| [vec![syntax, 3, 2, bits], frame].concat();
        vec![
            with(0, 0, rle),
            with(1, 0, jpeg(0xc0, 8)),
            with(2, 1, jpeg(0xc1, 12)),
            with(3, 2, jpeg(0xc3, 16)),
            with(6, 0, jpeg(0xc2, 8)),
            with(4, 0, jpeg_ls),
            with(5, 0, jpeg_2000),
        ]
    },
    wrapping: None,
};

/// The transfer syntaxes of [`CODEC`].
const CODECS: [&str; 7] = [
    made::RLE,
    "1.2.840.10008.1.2.4.50",
    "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.81",
    "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.55",
];

/// A structure set, its masks, and the images that it is drawn on.
pub const STRUCTURES: Target = Target {
    name: "dicom_structures",
    run: |bytes| {
        let folder = ScratchFolder::new();
        let path = folder.file("structures", bytes);
        let grid = Geometry {
            shape: [8, 8, 4],
            affine: Affine::IDENTITY,
        };
        match read_structures(&path) {
            Ok(structures) => {
                for region in &structures.regions {
                    if let Ok(mask) = region.mask(&grid) {
                        assert_eq!(mask.data.shape(), grid.shape);
                    }
                }
            }
            Err(error) => drop(error.to_string()),
        }
        let _ = read_structure_references(&path);
    },
    seeds: || {
        let square = [[1., 1., 1.], [5., 1., 1.], [5., 5., 1.], [1., 5., 1.]];
        let contours = vec![
            contour("CLOSED_PLANAR", &square.map(|[x, y, z]| [-x, -y, z])),
            contour("POINT", &[[0.0; 3]]),
        ];
        let regions = [("tumor", 1, contours)];
        let set = |drawn_on| structure_set(&regions, drawn_on);
        vec![
            set(None).file(made::EXPLICIT),
            set(Some(("1.2.1", &["1.2.3.0", "1.2.3.1"][..]))).file(made::EXPLICIT),
            set(None).file(made::DEFLATED),
        ]
    },
    wrapping: Some(Wrapping::DeflatedDataSet),
};

/// A DICOMDIR beside one image.
pub const DIRECTORY: Target = Target {
    name: "dicom_directory",
    run: |bytes| {
        let folder = ScratchFolder::new();
        folder.file("DICOMDIR", bytes);
        folder.file("IMAGE", &made::image().file(made::EXPLICIT));
        headers(&folder.path().join("DICOMDIR"));
    },
    seeds: || {
        let record = Elements::default()
            .text((0x0004, 0x1430), b"CS", "IMAGE")
            .text((0x0004, 0x1500), b"CS", "IMAGE")
            .text((0x0004, 0x1511), b"UI", "1.2.3");
        let records = Value::Items(vec![record.clone(), record]);
        let meta = Elements::default()
            .text((0x0002, 0x0002), b"UI", "1.2.840.10008.1.3.10")
            .text((0x0002, 0x0010), b"UI", made::EXPLICIT);
        let directory = Elements::default().value((0x0004, 0x1220), b"SQ", records);
        vec![[made::with_meta(meta), directory.encode(made::EXPLICIT)].concat()]
    },
    wrapping: None,
};

/// Reads the headers in a folder, or of what a DICOMDIR names.
fn headers(at: &Path) -> Vec<Stack> {
    match scan(&[at]) {
        Ok(found) => {
            for skipped in &found.skipped {
                let _ = skipped.reason.to_string();
            }
            found.stacks
        }
        Err(error) => {
            let _ = error.to_string();
            Vec::new()
        }
    }
}

/// Assesses a stack under both policies, and reads it where it is small.
fn volumes(stack: &Stack) {
    for policy in [Policy::Strict, Policy::Resample] {
        let Ok(assessment) = stack.assess(policy) else {
            continue;
        };
        let Some(grid) = assessment.geometry() else {
            continue;
        };
        let voxels = grid.shape.iter().map(|&length| length as u64);
        let bytes = voxels.fold(4u64, u64::saturating_mul);
        if bytes > VOXEL_BYTES_MAX {
            continue;
        }
        let limits = ReadLimits {
            max_voxel_bytes: VOXEL_BYTES_MAX,
        };
        match assessment.read_with_content(&limits) {
            Ok((volume, content)) => {
                assert_eq!(volume.data.shape()[1..], grid.shape);
                assert_eq!(volume.affine, grid.affine);
                let _ = SourceImages::of(&assessment, content);
            }
            Err(error) => drop(error.to_string()),
        }
    }
}

fn single_files() -> Vec<Vec<u8>> {
    let image = made::image();
    let mut seeds: Vec<Vec<u8>> = [made::EXPLICIT, made::IMPLICIT, made::BIG, made::DEFLATED]
        .iter()
        .map(|syntax| image.file(syntax))
        .collect();
    seeds.push(enhanced(3).file(made::EXPLICIT));
    seeds.push(enhanced(3).file(made::DEFLATED));
    seeds
}

/// An enhanced image with this many frames.
fn enhanced(frames: u16) -> Elements {
    let group =
        |tag, item: Elements| Elements::default().value(tag, b"SQ", Value::Items(vec![item]));
    let empty = Elements::default;
    let spacing = group(
        (0x0028, 0x9110),
        empty().numbers(made::SPACING, &[2.0, 1.5]),
    );
    let turned = empty().numbers(made::ORIENTATION, &[1., 0., 0., 0., 1., 0.]);
    let mut shared = group((0x0020, 0x9116), turned);
    shared.0.extend(spacing.0);
    let places = (0..frames).map(|k| {
        let place = empty().numbers(made::POSITION, &[0., 0., 2.5 * f64::from(k)]);
        group((0x0020, 0x9113), place)
    });
    let mut image = made::image()
        .text(made::SOP_CLASS, b"UI", made::ENHANCED_MR)
        .text(made::FRAMES, b"IS", &frames.to_string())
        .value(made::SHARED, b"SQ", Value::Items(vec![shared]))
        .value(made::PER_FRAME, b"SQ", Value::Items(places.collect()))
        .pixels(&(0..6 * frames).collect::<Vec<_>>());
    for tag in [made::POSITION, made::ORIENTATION, made::SPACING] {
        image = image.without(tag);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_directory_names_is_read() {
        let folder = ScratchFolder::new();
        folder.file("DICOMDIR", &(DIRECTORY.seeds)()[0]);
        folder.file("IMAGE", &made::image().file(made::EXPLICIT));
        folder.file("OTHER", &made::image().file(made::EXPLICIT));
        let stacks = headers(&folder.path().join("DICOMDIR"));
        let slices: Vec<_> = stacks
            .iter()
            .flat_map(|stack| stack.slices())
            .map(|slice| slice.path())
            .collect();
        assert_eq!(slices.len(), 1, "{slices:?}");
        assert!(slices[0].ends_with("IMAGE"));
    }
}
