//! Where the voxels of correct files lie.

use crate::synthetic::{Fields, save};
use vesal_io::nifti::{AffineSource, XForm, read_header};
use vesal_volume::Affine;

fn affine_of(fields: &Fields) -> (Affine, AffineSource, XForm) {
    let directory = tempfile::tempdir().unwrap();
    let header = read_header(save(directory.path(), "a.nii", &fields.header())).unwrap();
    (header.affine, header.affine_source, header.space)
}

#[test]
fn the_sform_precedes_the_qform_precedes_pixdim() {
    let mut fields = Fields {
        sform_code: 4,
        qform_code: 1,
        sform: [
            [0.0, -2.0, 0.5, 10.0],
            [3.0, 0.0, 0.0, -20.0],
            [0.0, 0.0, 4.0, 30.0],
        ],
        // A quarter turn about the third axis, as the sform has it, but elsewhere.
        quaternion: [0.0, 0.0, std::f64::consts::FRAC_1_SQRT_2],
        pixdim: [1.0, 2.0, 3.0, 4.0],
        offset: [1.0, 2.0, 3.0],
        ..Fields::default()
    };
    let (affine, source, space) = affine_of(&fields);
    assert_eq!(affine.0[..3], fields.sform);
    assert_eq!((source, space), (AffineSource::Sform, XForm::Mni152));

    fields.sform_code = 0;
    (fields.quaternion, fields.pixdim[0]) = ([0.0; 3], -1.0);
    let (affine, source, space) = affine_of(&fields);
    // The quaternion is the identity, `pixdim[0]` mirrors the third axis.
    assert_eq!(
        affine.0[..3],
        [
            [2.0, 0.0, 0.0, 1.0],
            [0.0, 3.0, 0.0, 2.0],
            [0.0, 0.0, -4.0, 3.0]
        ]
    );
    assert_eq!((source, space), (AffineSource::Qform, XForm::ScannerAnat));

    // A code outside of the standard counts as none.
    (fields.sform_code, fields.qform_code) = (6, -3);
    let (affine, source, space) = affine_of(&fields);
    assert_eq!(
        affine.0[..3],
        [
            [-2.0, 0.0, 0.0, 2.0],
            [0.0, 3.0, 0.0, -4.5],
            [0.0, 0.0, 4.0, -8.0]
        ]
    );
    assert_eq!((source, space), (AffineSource::Pixdim, XForm::Unknown));
}

#[test]
fn an_unusable_sform_gives_way_to_a_usable_qform() {
    for entry in [0.0, f64::NAN, f64::NEG_INFINITY] {
        let fields = Fields {
            sform: [[entry; 4]; 3],
            qform_code: 2,
            ..Fields::default()
        };
        for fields in [fields.clone(), fields.version(2)] {
            assert_eq!(affine_of(&fields).1, AffineSource::Qform);
        }
    }
}

#[test]
fn meters_and_micrometers_become_millimeters() {
    for (units, factor) in [
        (0, 1.0),
        (1, 1000.0),
        (2, 1.0),
        (3, 0.001),
        (2 | 8, 1.0),
        (3 | 16, 0.001),
    ] {
        let fields = Fields {
            units,
            ..Fields::default()
        };
        assert_eq!(affine_of(&fields).0.spacing(), [factor; 3]);
    }
}
