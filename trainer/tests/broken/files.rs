//! Files that are missing or cannot be read.

use std::fs;

use vesal_trainer::analyze::findings::FindingKind::*;
use vesal_trainer::analyze::findings::Severity::Error;

use super::{Row, edited_image, edited_label, good, real_labels, with_image, with_label};
use crate::dataset_on_disk::image;
use crate::raw_nifti::{put_f32, put_i16, raw};

pub const ROWS: &[Row] = &[
    ("no image file", MissingFile, Error, "bad", |d| {
        with_image(d, "bad.nii.gz");
    }),
    ("no label file", MissingFile, Error, "bad", |d| {
        with_label(d, "bad_label.nii.gz");
    }),
    ("neither file", MissingFile, Error, "bad", |d| d.list("bad")),
    ("a header without voxels", MissingFile, Error, "bad", |d| {
        raw(&d.path("bad.nii"), &image(50), |bytes| {
            bytes.truncate(348);
            bytes[344..348].copy_from_slice(b"ni1\0");
        });
        fs::rename(d.path("bad.nii"), d.path("bad.hdr")).unwrap();
        with_image(d, "bad.hdr");
    }),
    ("text as image", UnreadableFile, Error, "bad", |d| {
        fs::write(d.path("bad.nii.gz"), b"no image at all").unwrap();
        with_image(d, "bad.nii.gz");
    }),
    ("text as label map", UnreadableFile, Error, "bad", |d| {
        fs::write(d.path("bad_label.nii.gz"), b"no label map at all").unwrap();
        with_label(d, "bad_label.nii.gz");
    }),
    ("empty file", UnreadableFile, Error, "bad", |d| {
        fs::write(d.path("bad.nii.gz"), b"").unwrap();
        with_image(d, "bad.nii.gz");
    }),
    ("half of a gzip stream", UnreadableFile, Error, "bad", |d| {
        good(d);
        let bytes = fs::read(d.path("bad.nii.gz")).unwrap();
        fs::write(d.path("bad.nii.gz"), &bytes[..bytes.len() / 2]).unwrap();
    }),
    (
        "a gzip stream with a wrong checksum",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            good(d);
            let mut bytes = fs::read(d.path("bad.nii.gz")).unwrap();
            let checksum = bytes.len() - 8;
            bytes[checksum] ^= 1;
            fs::write(d.path("bad.nii.gz"), &bytes).unwrap();
        },
    ),
    ("voxels that end early", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| bytes.truncate(2000));
    }),
    ("a folder as image", UnreadableFile, Error, "bad", |d| {
        fs::create_dir(d.path("bad.nii.gz")).unwrap();
        with_image(d, "bad.nii.gz");
    }),
    ("colors", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| put_i16(bytes, 70, 128));
    }),
    ("complex numbers", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| put_i16(bytes, 70, 32));
    }),
    ("an unknown type", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| put_i16(bytes, 70, 999));
    }),
    (
        "an axis without voxels",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            edited_image(d, |bytes| put_i16(bytes, 42, 0));
        },
    ),
    ("nine dimensions", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| put_i16(bytes, 40, 9));
    }),
    (
        "voxels within the header",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            edited_image(d, |bytes| put_f32(bytes, 108, 16.0));
        },
    ),
    ("an affine of zeros", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| {
            put_i16(bytes, 252, 0);
            (280..328).step_by(4).for_each(|at| put_f32(bytes, at, 0.0));
        });
    }),
    ("an affine of NaN", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| {
            put_i16(bytes, 252, 0);
            put_f32(bytes, 280, f32::NAN);
        });
    }),
    ("an Analyze header", UnreadableFile, Error, "bad", |d| {
        edited_image(d, |bytes| bytes[344..348].fill(0));
    }),
    (
        "channels along two dimensions",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            edited_image(d, |bytes| {
                let voxels = bytes[352..].repeat(3);
                bytes.extend(voxels);
                put_i16(bytes, 40, 5);
                put_i16(bytes, 48, 2);
                put_i16(bytes, 50, 2);
            });
        },
    ),
    (
        "a label map of two frames",
        UnreadableFile,
        Error,
        "bad",
        |d| {
            edited_label(d, &real_labels(), |bytes| {
                bytes.extend_from_within(352..);
                put_i16(bytes, 40, 4);
                put_i16(bytes, 48, 2);
            });
        },
    ),
];
