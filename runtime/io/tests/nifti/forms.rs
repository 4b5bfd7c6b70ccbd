//! Files whose sform and qform differ.

use crate::synthetic::{Fields, save};
use vesal_io::image::{Believe, ImageError, ImageFile, OpenOptions, ReadLimits, read_volume};
use vesal_io::nifti::{AffineSource, NiftiHeaderError, WriteOptions, read_header, write_volume};

/// Both forms, the qform turned by a quaternion and mirrored where `handedness` is -1.
fn both(quaternion: [f64; 3], handedness: f64) -> Fields {
    Fields {
        qform_code: 1,
        quaternion,
        pixdim: [handedness, 1.0, 1.0, 1.0],
        ..Fields::default()
    }
}

/// Half of an angle about the third axis as a quaternion.
fn about_z(degrees: f64) -> [f64; 3] {
    [0.0, 0.0, (degrees / 2.0).to_radians().sin()]
}

fn contradiction(fields: &Fields) -> Option<NiftiHeaderError> {
    let directory = tempfile::tempdir().unwrap();
    let path = save(directory.path(), "a.nii", &fields.single(&[0; 60]));
    match read_header(path) {
        Ok(_) => None,
        Err(ImageError::Header { reason, .. }) => reason.downcast_ref().cloned(),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn forms_that_turn_or_mirror_the_image_are_refused() {
    for version in [1, 2] {
        for (quaternion, handedness, swaps, mirrors) in [
            // Left and right, front and back.
            (about_z(180.0), 1.0, true, false),
            // Up and down.
            ([0.0; 3], -1.0, false, true),
            (about_z(90.0), 1.0, false, false),
            (about_z(50.0), 1.0, false, false),
            // Left and right alone: half a turn about the first axis, mirrored along the third, and reoriented.
            ([0.0, 1.0, 0.0], -1.0, true, true),
        ] {
            let fields = both(quaternion, handedness).version(version);
            let Some(NiftiHeaderError::Forms {
                is_mirrored,
                swaps_sides,
                ..
            }) = contradiction(&fields)
            else {
                panic!("{quaternion:?} {handedness}");
            };
            assert_eq!(
                (swaps_sides, is_mirrored),
                (swaps, mirrors),
                "{quaternion:?}"
            );
        }
    }
    for (quaternion, handedness) in [([0.0; 3], 1.0), (about_z(3.0), 1.0), (about_z(40.0), 1.0)] {
        assert_eq!(contradiction(&both(quaternion, handedness)), None);
    }
    // An affine without a code, or an unusable one, is ignored.
    let uncoded = Fields {
        qform_code: 0,
        ..both(about_z(180.0), 1.0)
    };
    assert_eq!(contradiction(&uncoded), None);
    assert_eq!(contradiction(&both([1.0, 1.0, 0.0], 1.0)), None);
}

#[test]
fn lesser_differences_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let apart = |fields: &Fields| {
        let path = save(directory.path(), "a.nii", &fields.single(&[0; 60]));
        read_header(path).unwrap().forms_apart_mm()
    };
    let moved = |mm: f64| Fields {
        offset: [mm, 0.0, 0.0],
        ..both([0.0; 3], 1.0)
    };
    assert_eq!(apart(&moved(0.0)), None);
    assert_eq!(apart(&moved(0.4)), None);
    assert!((apart(&moved(0.7)).unwrap() - 0.7).abs() < 1e-6);
    assert!(apart(&both(about_z(20.0), 1.0)).is_some());
}

#[test]
fn who_is_believed_counts_and_is_written_in_both_forms() {
    let directory = tempfile::tempdir().unwrap();
    let fields = both(about_z(180.0), 1.0);
    let path = save(directory.path(), "a.nii", &fields.single(&[7; 60]));
    let error = read_volume(&path).unwrap_err();
    // Flags are the commands': not all that read have one.
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("mend the header") && !hint.contains("--"))
    );
    assert!(
        error.to_string().contains("180 degrees") && error.to_string().contains("left is right")
    );
    for (believe, source, first) in [
        (Believe::Sform, AffineSource::Sform, 1.0),
        (Believe::Qform, AffineSource::Qform, -1.0),
    ] {
        let opened = ImageFile::open(
            &path,
            OpenOptions {
                believe: Some(believe),
            },
        )
        .unwrap();
        assert_eq!(opened.header().affine_source, source.to_string());
        let volume = opened.volume(&ReadLimits::default()).unwrap();
        assert!((volume.affine.0[0][0] - first).abs() < 1e-6);
        let written = directory.path().join("b.nii");
        let options = WriteOptions {
            overwrite: true,
            ..WriteOptions::default()
        };
        write_volume(&written, &volume, &options).unwrap();
        let header = read_header(&written).unwrap();
        assert_eq!(header.forms_apart_mm(), None);
        assert!(header.qform_beside_sform.is_some());
        assert!((header.affine.0[0][0] - first).abs() < 1e-6);
    }
}

#[test]
fn intensities_are_those_of_all_frames() {
    let directory = tempfile::tempdir().unwrap();
    let fields = Fields {
        dim: vec![4, 3, 2, 2, 2],
        data_type: 16,
        bits: 32,
        slope: 2.0,
        intercept: 1.0,
        ..Fields::default()
    };
    let mut values: Vec<f32> = (0..24).map(|index| index as f32).collect();
    (values[3], values[20]) = (f32::NAN, f32::INFINITY);
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let path = save(directory.path(), "a.nii", &fields.single(&bytes));
    let found = ImageFile::open(path, OpenOptions::default()).unwrap();
    let found = found.intensities(&ReadLimits::default()).unwrap();
    assert_eq!(
        (found.min, found.max, found.non_finite),
        (Some(1.0), Some(47.0), 2)
    );
}
