//! Written files are read back unchanged, also by another reader.

use crate::synthetic::{self, Fields};
use ::nifti::{NiftiObject, NiftiType, NiftiVolume, ReaderOptions};
use ndarray::{Array3, Array4, ShapeBuilder};
use proptest::prelude::*;
use vesal_files::atomic::AtomicError;
use vesal_io::image::{DataType, read_channels, read_label_map, read_volume};
use vesal_io::nifti::{
    AffineSource, NiftiError, NiftiWriteError, WriteOptions, XForm, read_header, write_label_map,
    write_smallest, write_volume,
};
use vesal_volume::{Affine, LabelMap, Volume};

fn oblique() -> Affine {
    Affine([
        [0.7, -0.2, 1.1, -91.3],
        [0.1, 0.9, 0.4, 126.7],
        [-0.3, 0.25, 2.9, -72.1],
        [0.0, 0.0, 0.0, 1.0],
    ])
}

fn rounded(affine: Affine) -> Affine {
    Affine(affine.0.map(|row| row.map(|entry| f64::from(entry as f32))))
}

fn label_map(max: u16) -> LabelMap {
    let mut data = Array3::from_shape_fn((5, 6, 70), |(x, y, z)| (x + 7 * y + 31 * z) as u16 % 250);
    data[[4, 2, 69]] = max;
    LabelMap {
        data,
        affine: oblique(),
    }
}

#[test]
fn label_maps_come_back_in_the_smallest_type() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.nii", "a.nii.gz"] {
        for (max, data_type) in [
            (255, DataType::U8),
            (256, DataType::U16),
            (65_535, DataType::U16),
        ] {
            let path = directory.path().join(format!("{max}{name}"));
            let written = label_map(max);
            write_label_map(&path, &written, &WriteOptions::default()).unwrap();
            let header = read_header(&path).unwrap();
            assert_eq!(header.data_type, data_type);
            assert_eq!(
                (header.affine_source, header.space),
                (AffineSource::Sform, XForm::AlignedAnat)
            );
            let read = read_label_map(&path).unwrap();
            assert_eq!(read.data, written.data);
            assert_eq!(read.affine, rounded(written.affine));
            let gzip = std::fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]);
            assert_eq!(gzip, name.ends_with("gz"));
        }
    }
}

#[test]
fn the_affine_of_a_header_is_reproduced_bit_for_bit() {
    let directory = tempfile::tempdir().unwrap();
    let sform = rounded(oblique());
    let fields = Fields {
        sform: [sform.0[0], sform.0[1], sform.0[2]],
        ..Fields::default()
    };
    let source = synthetic::save(directory.path(), "source.nii", &fields.single(&[1; 60]));
    let labels = read_label_map(&source).unwrap();
    let copy = directory.path().join("copy.nii.gz");
    write_label_map(&copy, &labels, &WriteOptions::default()).unwrap();
    assert_eq!(
        read_header(&copy).unwrap().affine,
        read_header(&source).unwrap().affine
    );
}

#[test]
fn volumes_come_back_with_their_channels() {
    let directory = tempfile::tempdir().unwrap();
    for channels in [1, 3] {
        let data = Array4::from_shape_fn((channels, 4, 5, 33), |(c, x, y, z)| {
            (c * 1000 + x * 100 + y * 10 + z) as f32 / 3.0
        });
        let path = directory.path().join(format!("{channels}.nii.gz"));
        let written = Volume {
            data,
            affine: oblique(),
        };
        write_volume(&path, &written, &WriteOptions::default()).unwrap();
        let read = read_channels(&path).unwrap();
        assert_eq!(read.data, written.data);
        assert_eq!(read.affine, rounded(written.affine));
        let dimensions = read_header(&path).unwrap().dimensions;
        assert_eq!(
            dimensions,
            [4, 5, 33, channels][..if channels == 1 { 3 } else { 4 }]
        );
        assert_eq!(read_volume(&path).is_ok(), channels == 1);
    }
}

#[test]
fn whole_numbers_take_sixteen_bits_and_others_stay_exact() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.nii.gz");
    let options = WriteOptions {
        overwrite: true,
        ..WriteOptions::default()
    };
    let mut volume = Volume {
        data: Array4::from_shape_fn((1, 4, 5, 33), |(_, x, y, z)| (x + 7 * y + 31 * z) as f32),
        affine: oblique(),
    };
    for (odd, expected) in [
        (-32768.0, DataType::I16),
        (32767.0, DataType::I16),
        (-0.0, DataType::I16),
        (32768.0, DataType::F32),
        (-32769.0, DataType::F32),
        (0.5, DataType::F32),
        (f32::NAN, DataType::F32),
        (f32::INFINITY, DataType::F32),
    ] {
        volume.data[[0, 3, 4, 32]] = odd;
        write_smallest(&path, &volume, &options).unwrap();
        let header = read_header(&path).unwrap();
        assert_eq!(header.data_type, expected, "{odd}");
        let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
        let read = read_volume(&path).unwrap();
        assert!(read.data.iter().zip(&volume.data).all(same), "{odd}");
        assert_eq!(read.affine, rounded(volume.affine));
    }
    let pair = Volume {
        data: Array4::zeros((2, 4, 5, 3)),
        affine: oblique(),
    };
    write_smallest(&path, &pair, &options).unwrap();
    assert_eq!(read_channels(&path).unwrap().data, pair.data);
}

#[test]
fn arrays_of_any_memory_layout_are_written_alike() {
    let directory = tempfile::tempdir().unwrap();
    let written = label_map(9);
    let mut turned = Array3::zeros(written.data.raw_dim().f());
    turned.assign(&written.data);
    let path = directory.path().join("a.nii");
    write_label_map(
        &path,
        &LabelMap {
            data: turned,
            ..written.clone()
        },
        &WriteOptions::default(),
    )
    .unwrap();
    assert_eq!(read_label_map(path).unwrap().data, written.data);
}

#[test]
fn another_reader_finds_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.nii.gz");
    let written = label_map(300);
    let options = WriteOptions {
        space: XForm::ScannerAnat,
        ..WriteOptions::default()
    };
    write_label_map(&path, &written, &options).unwrap();
    let object = ReaderOptions::new().read_file(&path).unwrap();
    let header = object.header();
    assert_eq!(header.data_type().unwrap(), NiftiType::Uint16);
    assert_eq!(object.volume().dim(), [5, 6, 70]);
    assert_eq!(
        (header.sform_code, header.qform_code),
        (1, 0),
        "the axes are sheared"
    );
    assert_eq!(
        header.srow_y,
        rounded(oblique()).0[1].map(|entry| entry as f32)
    );
    let values = object.into_volume().into_nifti_typed_data::<u16>().unwrap();
    let expected: Vec<u16> = written.data.t().iter().copied().collect();
    assert_eq!(values, expected);
}

#[test]
fn sform_and_qform_say_the_same_where_the_axes_are_perpendicular() {
    let directory = tempfile::tempdir().unwrap();
    let (sin, cos) = 0.4_f64.sin_cos();
    let affine = Affine([
        [-0.8 * cos, 1.2 * sin, 0.0, 40.0],
        [0.8 * sin, 1.2 * cos, 0.0, -50.0],
        [0.0, 0.0, 3.0, 60.0],
        [0.0, 0.0, 0.0, 1.0],
    ]);
    let path = directory.path().join("a.nii");
    let labels = LabelMap {
        affine,
        ..label_map(3)
    };
    write_label_map(&path, &labels, &WriteOptions::default()).unwrap();
    // Without the code of the sform a reader takes the qform.
    let mut bytes = std::fs::read(&path).unwrap();
    assert_eq!(bytes[252..256], [2, 0, 2, 0]);
    bytes[254] = 0;
    std::fs::write(&path, bytes).unwrap();
    let header = read_header(&path).unwrap();
    assert_eq!(header.affine_source, AffineSource::Qform);
    for (found, expected) in header
        .affine
        .0
        .iter()
        .flatten()
        .zip(affine.0.iter().flatten())
    {
        assert!((found - expected).abs() < 1e-5, "{found} {expected}");
    }
}

#[test]
fn the_same_content_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let paths = ["a.nii.gz", "b.nii.gz"].map(|name| directory.path().join(name));
    for path in &paths {
        write_label_map(path, &label_map(7), &WriteOptions::default()).unwrap();
    }
    assert_eq!(
        std::fs::read(&paths[0]).unwrap(),
        std::fs::read(&paths[1]).unwrap()
    );
}

#[test]
fn nothing_is_replaced_unless_allowed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.nii");
    std::fs::write(&path, "precious").unwrap();
    let error = write_label_map(&path, &label_map(1), &WriteOptions::default()).unwrap_err();
    assert!(
        matches!(error, NiftiError::Output(AtomicError::Exists { .. })),
        "{error}"
    );
    assert!(error.hint().is_some());
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    let options = WriteOptions {
        overwrite: true,
        ..WriteOptions::default()
    };
    write_label_map(&path, &label_map(1), &options).unwrap();
    read_label_map(&path).unwrap();
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn what_nifti_cannot_hold_is_refused_before_a_file_appears() {
    let directory = tempfile::tempdir().unwrap();
    let refuse = |name: &str, labels: LabelMap| {
        let error = write_label_map(
            directory.path().join(name),
            &labels,
            &WriteOptions::default(),
        );
        match error.unwrap_err() {
            NiftiError::Write { reason, .. } => reason,
            other => panic!("{other}"),
        }
    };
    assert_eq!(refuse("a.img", label_map(1)), NiftiWriteError::Name);
    assert_eq!(refuse("a", label_map(1)), NiftiWriteError::Name);
    let long = LabelMap {
        data: Array3::zeros((1, 32_768, 1)),
        affine: Affine::IDENTITY,
    };
    let expected = NiftiWriteError::AxisLength {
        axis: 1,
        found: 32_768,
        shape: vec![1, 32_768, 1],
    };
    assert_eq!(refuse("a.nii", long), expected);
    let empty = LabelMap {
        data: Array3::zeros((1, 1, 0)),
        affine: Affine::IDENTITY,
    };
    assert!(matches!(
        refuse("a.nii", empty),
        NiftiWriteError::AxisLength {
            axis: 2,
            found: 0,
            ..
        }
    ));
    for entry in [f64::NAN, 1e39, 0.0] {
        let mut labels = label_map(1);
        for row in 0..3 {
            labels.affine.0[row][2] = entry;
        }
        assert!(matches!(
            refuse("a.nii", labels),
            NiftiWriteError::Affine { .. }
        ));
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_label_map_comes_back(
        shape in (1_usize..9, 1_usize..40, 1_usize..40),
        seed in any::<u64>(),
        gzip in any::<bool>(),
    ) {
        let mut state = seed | 1;
        let mut data = Array3::zeros(shape);
        for label in &mut data {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *label = (state >> 60) as u16 * if seed % 2 == 0 { 1 } else { 4000 };
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(if gzip { "a.nii.gz" } else { "a.nii" });
        let written = LabelMap { data, affine: rounded(oblique()) };
        write_label_map(&path, &written, &WriteOptions::default()).unwrap();
        prop_assert_eq!(read_label_map(&path).unwrap(), written);
    }
}
