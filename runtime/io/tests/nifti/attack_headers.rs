//! Malicious headers: each gives a typed error.

use crate::synthetic::{Fields, gzip, save};
use proptest::prelude::*;
use vesal_io::image::{
    AffineDefect, ImageError, ImageFile, OpenOptions, ReadLimits, read_channels, read_label_map,
    read_volume,
};
use vesal_io::nifti::{AffineSource, NiftiHeaderError, NiftiVolumeHeader, read_header};

/// The rule of the header that `bytes` break.
fn header_error(bytes: &[u8]) -> NiftiHeaderError {
    let directory = tempfile::tempdir().unwrap();
    for bytes in [bytes.to_vec(), gzip(bytes)] {
        let path = save(directory.path(), "attack.nii", &bytes);
        let error = read_volume(&path).unwrap_err();
        assert!(error.to_string().contains("attack.nii"), "{error}");
        assert!(matches!(error, ImageError::Header { .. }), "{error}");
        assert!(matches!(read_header(path), Err(ImageError::Header { .. })));
    }
    NiftiVolumeHeader::decode(bytes).unwrap_err()
}

fn both_versions(fields: Fields) -> [Fields; 2] {
    [fields.clone(), fields.version(2)]
}

#[test]
fn attack_empty_and_short_files() {
    for length in [0, 1, 4, 347] {
        let expected = NiftiHeaderError::TooShort {
            found: length,
            expected: 348,
        };
        assert_eq!(header_error(&vec![0; length]), expected);
    }
    let cut = &Fields::default().version(2).header()[..539];
    assert_eq!(
        header_error(cut),
        NiftiHeaderError::TooShort {
            found: 539,
            expected: 540
        }
    );
    assert_eq!(header_error(&[0; 1000]), NiftiHeaderError::NotNifti);
}

#[test]
fn attack_analyze_header() {
    for big in [false, true] {
        let mut bytes = Fields {
            big,
            ..Fields::default()
        }
        .header();
        bytes[344..].fill(0);
        assert_eq!(header_error(&bytes), NiftiHeaderError::Analyze);
    }
}

#[test]
fn attack_wrong_header_size() {
    for fields in both_versions(Fields::default()) {
        let mut bytes = fields.header();
        bytes[0] ^= 0xff;
        assert!(matches!(
            header_error(&bytes),
            NiftiHeaderError::Size { .. }
        ));
    }
}

#[test]
fn attack_converted_line_endings() {
    let mut bytes = Fields::default().version(2).header();
    bytes[8..12].copy_from_slice(b"\n\x1a\n\0");
    assert!(matches!(
        header_error(&bytes),
        NiftiHeaderError::LineEndings { .. }
    ));
}

#[test]
fn attack_dimension_counts() {
    for count in [0, -1, 8, 256, i16::MAX.into(), i16::MIN.into()] {
        for big in [false, true] {
            for mut fields in both_versions(Fields {
                big,
                ..Fields::default()
            }) {
                fields.dim[0] = count;
                assert_eq!(
                    header_error(&fields.header()),
                    NiftiHeaderError::DimensionCount { found: count }
                );
            }
        }
    }
}

#[test]
fn attack_zero_and_negative_axes() {
    for found in [0, -1, -32_768] {
        for axis in 1..=3 {
            for mut fields in both_versions(Fields::default()) {
                fields.dim[axis] = found;
                assert_eq!(
                    header_error(&fields.header()),
                    NiftiHeaderError::AxisLength { axis, found }
                );
            }
        }
    }
}

#[test]
fn attack_dimensions_that_overflow() {
    let nifti1 = Fields {
        dim: vec![7; 1].into_iter().chain([32_767; 7]).collect(),
        ..Fields::default()
    };
    assert!(matches!(
        header_error(&nifti1.header()),
        NiftiHeaderError::Overflow { .. }
    ));
    let nifti2 = Fields {
        dim: vec![3, i64::MAX, i64::MAX, 2],
        ..Fields::default()
    }
    .version(2);
    assert!(matches!(
        header_error(&nifti2.header()),
        NiftiHeaderError::Overflow { .. }
    ));
}

#[test]
fn attack_data_types() {
    for code in [0, 1, 3, -1, 4096, i16::MAX] {
        for fields in both_versions(Fields {
            data_type: code,
            ..Fields::default()
        }) {
            assert_eq!(
                header_error(&fields.header()),
                NiftiHeaderError::UnknownDataType { code }
            );
        }
    }
    for code in [32, 128, 1536, 1792, 2048, 2304] {
        for fields in both_versions(Fields {
            data_type: code,
            ..Fields::default()
        }) {
            assert!(matches!(
                header_error(&fields.header()),
                NiftiHeaderError::UnsupportedDataType { .. }
            ));
        }
    }
}

#[test]
fn attack_voxel_offsets() {
    for found in [
        -1.0,
        0.0,
        100.0,
        351.0,
        352.5,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
        1e30,
    ] {
        let fields = Fields {
            voxel_offset: found,
            ..Fields::default()
        };
        let error = header_error(&fields.header());
        assert!(
            matches!(error, NiftiHeaderError::VoxelOffset { minimum: 352, .. }),
            "{error}"
        );
    }
    for found in [i64::MIN, -1, 0, 543, i64::MAX] {
        let fields = Fields {
            version: 2,
            voxel_offset: found as f64,
            ..Fields::default()
        };
        let error = header_error(&fields.header());
        assert!(
            matches!(error, NiftiHeaderError::VoxelOffset { minimum: 544, .. }),
            "{error}"
        );
    }
    let pair = Fields {
        pair: true,
        voxel_offset: -1.0,
        ..Fields::default()
    };
    assert!(matches!(
        header_error(&pair.header()),
        NiftiHeaderError::VoxelOffset { minimum: 0, .. }
    ));
}

#[test]
fn attack_affines() {
    let rows = |edit: fn(&mut [[f64; 4]; 3])| {
        let mut sform = Fields::default().sform;
        edit(&mut sform);
        Fields {
            sform,
            ..Fields::default()
        }
    };
    let defects = [
        (
            rows(|sform| sform[1][1] = f64::NAN),
            AffineDefect::NotFinite,
        ),
        (
            rows(|sform| sform[2][3] = f64::INFINITY),
            AffineDefect::NotFinite,
        ),
        (rows(|sform| *sform = [[0.0; 4]; 3]), AffineDefect::Singular),
        (
            rows(|sform| *sform = [[1.0, 2.0, 3.0, 0.0]; 3]),
            AffineDefect::Singular,
        ),
        (
            rows(|sform| sform[0][3] = -2e6),
            AffineDefect::Far { found: -2e6 },
        ),
        (
            rows(|sform| sform.iter_mut().for_each(|row| row[..3].fill(0.0))),
            AffineDefect::Singular,
        ),
    ];
    for (fields, expected) in defects {
        for fields in both_versions(fields) {
            let NiftiHeaderError::Affine { from, defect, .. } = header_error(&fields.header())
            else {
                panic!("another error")
            };
            assert_eq!((from, defect), (AffineSource::Sform, expected));
            // An unusable qform does not replace it.
            let fields = Fields {
                qform_code: 1,
                offset: [f64::NAN; 3],
                ..fields
            };
            assert!(matches!(
                header_error(&fields.header()),
                NiftiHeaderError::Affine {
                    from: AffineSource::Sform,
                    ..
                }
            ));
        }
    }
    let overflowing = Fields {
        sform: [[1e300; 4]; 3],
        ..Fields::default()
    }
    .version(2);
    assert!(matches!(
        header_error(&overflowing.header()),
        NiftiHeaderError::Affine { .. }
    ));
}

#[test]
fn attack_quaternions_and_spacings() {
    let qform = Fields {
        sform_code: 0,
        qform_code: 1,
        ..Fields::default()
    };
    for (quaternion, pixdim) in [
        ([1.0, 1.0, 0.0], [1.0; 4]),
        ([f64::NAN, 0.0, 0.0], [1.0; 4]),
        ([f64::INFINITY, 0.0, 0.0], [1.0; 4]),
        ([0.0; 3], [1.0, f64::NAN, 1.0, 1.0]),
        ([0.0; 3], [1.0, 1.0, f64::INFINITY, 1.0]),
    ] {
        for fields in both_versions(Fields {
            quaternion,
            pixdim,
            ..qform.clone()
        }) {
            let error = header_error(&fields.header());
            assert!(
                matches!(
                    error,
                    NiftiHeaderError::Affine {
                        from: AffineSource::Qform,
                        ..
                    }
                ),
                "{error}"
            );
        }
    }
    let pixdim = Fields {
        sform_code: 0,
        pixdim: [1.0, 1.0, 1.0, f64::NAN],
        ..Fields::default()
    };
    let error = header_error(&pixdim.header());
    assert!(
        matches!(
            error,
            NiftiHeaderError::Affine {
                from: AffineSource::Pixdim,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn attack_intercept_without_a_finite_value() {
    for fields in both_versions(Fields {
        slope: 2.0,
        intercept: f64::NAN,
        ..Fields::default()
    }) {
        assert!(matches!(
            header_error(&fields.header()),
            NiftiHeaderError::Intercept { .. }
        ));
    }
}

fn read_every_way(bytes: &[u8]) {
    let directory = tempfile::tempdir().unwrap();
    let limits = ReadLimits {
        max_voxel_bytes: 1 << 20,
    };
    for (name, bytes) in [
        ("a.nii", bytes.to_vec()),
        ("a.hdr", bytes.to_vec()),
        ("b.nii.gz", gzip(bytes)),
    ] {
        let path = save(directory.path(), name, &bytes);
        let _ =
            ImageFile::open(&path, OpenOptions::default()).and_then(|file| file.volume(&limits));
        let _ = read_label_map(&path);
        let _ = read_channels(&path);
    }
    let _ = NiftiVolumeHeader::decode(bytes);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn changed_bytes_never_panic(
        version in 1_u8..=2,
        big in any::<bool>(),
        pair in any::<bool>(),
        changes in prop::collection::vec((0_usize..560, any::<u8>()), 1..12),
        length in 0_usize..700,
    ) {
        let mut bytes = Fields { big, pair, ..Fields::default() }.version(version).single(&[3; 60]);
        for (at, byte) in changes {
            if let Some(place) = bytes.get_mut(at) {
                *place = byte;
            }
        }
        bytes.truncate(length.max(300));
        read_every_way(&bytes);
    }

    #[test]
    fn random_fields_never_panic(
        version in 1_u8..=2,
        big in any::<bool>(),
        data_type in prop::sample::select(vec![2_i16, 4, 8, 16, 64, 256, 512, 768, 1024, 1280, 32]),
        dim in prop::collection::vec(-1_i64..6, 8),
        rank in 0_i64..9,
        numbers in prop::collection::vec(any::<f64>(), 28),
        codes in (0_i32..6, 0_i32..6, any::<u8>()),
        offset in 300_f64..700.0,
    ) {
        let mut dim = dim;
        dim[0] = rank;
        let row = |at: usize| std::array::from_fn(|index| numbers[at + index]);
        let fields = Fields {
            version,
            big,
            data_type,
            dim,
            pixdim: row(0),
            slope: numbers[4],
            intercept: numbers[5],
            quaternion: std::array::from_fn(|index| numbers[6 + index]),
            offset: std::array::from_fn(|index| numbers[9 + index]),
            sform: [row(12), row(16), row(20)],
            sform_code: codes.0,
            qform_code: codes.1,
            units: codes.2,
            voxel_offset: offset.round(),
            ..Fields::default()
        };
        read_every_way(&fields.single(&[3; 2000]));
    }
}
