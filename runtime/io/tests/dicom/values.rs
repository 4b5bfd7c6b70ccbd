//! Storage and scaling of the values of synthetic slices.

use crate::dicom_files::reading::*;
use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{DicomError, Policy};
use vesal_io::image::ReadLimits;

#[test]
fn every_slice_has_its_own_scale() {
    let images: Vec<Elements> = series(3)
        .into_iter()
        .enumerate()
        .map(|(k, image)| match k {
            0 => image,
            k => image
                .numbers(SLOPE, &[0.5 * k as f64])
                .numbers(INTERCEPT, &[-7.]),
        })
        .collect();
    let volume = plain(&images);
    for ((_, x, y, z), &value) in volume.data.indexed_iter() {
        let stored = (10 * z + 3 * y + x) as f32;
        let expected = if z == 0 {
            stored
        } else {
            0.5 * z as f32 * stored - 7.
        };
        assert_eq!(value, expected);
    }
}

#[test]
fn stored_bits_count_and_no_others() {
    let first =
        |image: Elements| plain(&[image.numbers((0x0018, 0x0050), &[1.])][..]).data[[0, 0, 0, 0]];
    let _ = first;
    let value = |image: Elements| {
        let images = [image.clone().at([0., 0., 1.]), image];
        plain(&images).data[[0, 0, 0, 0]]
    };
    let with = |pattern: u16| image().pixels(&[pattern; 6]);
    assert_eq!(value(with(0xffff)), -1.0);
    assert_eq!(value(with(0xffff).short(SIGNED, 0)), 65535.0);
    let twelve = |pattern| with(pattern).short(STORED, 12).short(HIGH_BIT, 11);
    assert_eq!(value(twelve(0x7fff)), -1.0);
    assert_eq!(value(twelve(0xf00f).short(SIGNED, 0)), 15.0);
    assert_eq!(value(with(0x00af).short(STORED, 12).short(SIGNED, 0)), 10.0);
    let inverted = with(5).text(PHOTOMETRIC, b"CS", "MONOCHROME1");
    assert_eq!(value(inverted), 5.0, "MONOCHROME1 is about display");
    let bytes = |vr| {
        image()
            .short(ALLOCATED, 8)
            .short(STORED, 8)
            .short(HIGH_BIT, 7)
            .short(SIGNED, 0)
            .value(PIXELS, vr, Value::Bytes(vec![200, 1, 2, 3, 4, 5]))
    };
    assert_eq!(value(bytes(b"OB")), 200.0);
    let long = image()
        .short(ALLOCATED, 32)
        .short(STORED, 32)
        .short(HIGH_BIT, 31)
        .value(PIXELS, b"OW", Value::Bytes([0, 0, 0, 0x80].repeat(6)));
    assert_eq!(value(long), -2_147_483_648.0);
}

#[test]
fn every_native_syntax_gives_the_same_volume() {
    let expected = plain(&series(3));
    for syntax in [IMPLICIT, EXPLICIT, DEFLATED, BIG] {
        let folder = tempdir().unwrap();
        save_all(folder.path(), &series(3), syntax);
        let found = look(folder.path());
        let volume = read(&assess(&found.stacks[0], Policy::Strict));
        assert_eq!(volume, expected, "{syntax}");
    }
    // Words of big-endian files hold two pixels of 8 bits each.
    let folder = tempdir().unwrap();
    for k in 0..2 {
        let image = image()
            .text(INSTANCE, b"UI", &format!("1.2.3.{k}"))
            .at([0., 0., f64::from(k)])
            .short(ALLOCATED, 8)
            .short(STORED, 8)
            .short(HIGH_BIT, 7)
            .value(PIXELS, b"OW", Value::Bytes(vec![1, 0, 3, 2, 5, 4]));
        save(folder.path(), &k.to_string(), &image.file(BIG));
    }
    let volume = read(&assess(&look(folder.path()).stacks[0], Policy::Strict));
    let row: Vec<f32> = (0..3).map(|x| volume.data[[0, x, 0, 1]]).collect();
    assert_eq!(row, [0., 1., 2.]);
}

#[test]
fn limits_hold_before_memory_is_taken() {
    let (_folder, found) = folder(&series(4));
    let assessment = assess(&found.stacks[0], Policy::Strict);
    let error = assessment
        .read(&ReadLimits {
            max_voxel_bytes: 95,
        })
        .unwrap_err();
    assert!(
        matches!(
            error,
            DicomError::TooLarge {
                needed: 96,
                limit: 95,
                ..
            }
        ),
        "{error}"
    );
}
