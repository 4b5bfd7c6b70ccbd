//! Files of other tools and of scanners; the figures are what nibabel 5.3 reads from them.

use std::fs;
use std::path::{Path, PathBuf};

use crate::synthetic::{self, shared_data};
use vesal_io::image::{
    DataType, ImageError, VoxelError, case_name, read_channels, read_label_map, read_volume,
};
use vesal_io::nifti::{AffineSource, NiftiHeaderError, read_header};

use vesal_volume::orientation::{Orientation, reorient_volume};

/// All files below a folder, in the order of their paths.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path))
        } else {
            found.push(path)
        }
    }
    found.sort();
    found
}

fn assert_near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= tolerance,
            "{found} is not {expected}"
        );
    }
}

#[test]
fn golden_nifti_space_all_48_equal() {
    let Some(folder) = shared_data("nifti/nifti_space") else {
        return;
    };
    let upright = read_volume(folder.join("RAS.nii.gz")).unwrap();
    assert_eq!(Orientation::of(&upright.affine).unwrap(), Orientation::RAS);
    let mut count = 0;
    for path in files_below(&folder) {
        if !path.to_string_lossy().ends_with(".nii.gz") {
            continue;
        }
        let volume = read_volume(&path).unwrap();
        let name = case_name(&path).unwrap();
        assert_eq!(Orientation::of(&volume.affine).unwrap().to_string(), name);
        let (turned, _) = reorient_volume(volume, Orientation::RAS).unwrap();
        assert_eq!(turned.data, upright.data, "{name}");
        assert_near(
            turned.affine.0.as_flattened(),
            upright.affine.0.as_flattened(),
            1e-4,
        );
        count += 1;
    }
    assert_eq!(count, 48);
}

#[test]
fn real_assorted_volumes_read_as_nibabel_reads_them() {
    let Some(folder) = shared_data("nifti/assorted") else {
        return;
    };
    // Name, shape, sum, voxel, value, diagonal and offset of the affine.
    type Expected = (
        &'static str,
        [usize; 3],
        f64,
        [usize; 3],
        f32,
        [f64; 3],
        [f64; 3],
    );
    let expected: [Expected; 6] = [
        (
            "zstat1.nii.gz",
            [64, 64, 21],
            11_648.372_022_011_292,
            [32, 43, 5],
            0.887_510_06,
            [-4., 4., 6.],
            [0.; 3],
        ),
        (
            "avg152T1_LR_nifti.nii.gz",
            [91, 109, 91],
            74_825_382.0,
            [45, 54, 48],
            162.0,
            [-2., 2., 2.],
            [90., -126., -72.],
        ),
        (
            "minimal.nii",
            [64, 64, 10],
            1_290_240.0,
            [32, 1, 0],
            1.0,
            [-3., 3., 3.],
            [94.5, -94.5, -13.5],
        ),
        (
            "minimal.hdr",
            [64, 64, 10],
            1_290_240.0,
            [32, 1, 0],
            1.0,
            [-3., 3., 3.],
            [94.5, -94.5, -13.5],
        ),
        (
            "f32.nii.gz",
            [11, 11, 11],
            166.000_000_715_255_74,
            [5, 5, 6],
            0.6,
            [1.; 3],
            [0.; 3],
        ),
        (
            "minimal_extended_hdr.nii",
            [8, 8, 1],
            0.0,
            [7, 7, 0],
            0.0,
            [1.; 3],
            [0.; 3],
        ),
    ];
    for (name, [x, y, z], sum, at, value, diagonal, offset) in expected {
        let volume = read_volume(folder.join(name)).unwrap();
        assert_eq!(volume.data.dim(), (1, x, y, z), "{name}");
        assert_eq!(volume.data[[0, at[0], at[1], at[2]]], value, "{name}");
        let found: f64 = volume.data.iter().map(|&value| f64::from(value)).sum();
        assert_near(&[found], &[sum], 1e-6 * sum.abs());
        for row in 0..3 {
            let mut rows = [0.0; 4];
            (rows[row], rows[3]) = (diagonal[row], offset[row]);
            assert_near(&volume.affine.0[row], &rows, 1e-12);
        }
    }
}

#[test]
fn real_ramp_is_the_same_in_every_type() {
    let Some(folder) = shared_data("nifti/assorted/27") else {
        return;
    };
    let paths = files_below(&folder);
    assert_eq!(paths.len(), 10);
    for path in paths {
        let name = case_name(&path).unwrap();
        assert_eq!(read_header(&path).unwrap().data_type.name(), name);
        let labels = read_label_map(&path).unwrap();
        assert_eq!(labels.data.dim(), (3, 3, 3), "{name}");
        let mut sorted: Vec<u16> = labels.data.iter().copied().collect();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..27).collect::<Vec<u16>>(), "{name}");
        assert_eq!(labels.data[[1, 1, 2]], 14, "{name}");
    }
}

#[test]
fn real_pairs_are_found_from_either_half_compressed_or_not() {
    let Some(folder) = shared_data("nifti/assorted") else {
        return;
    };
    let whole = read_volume(folder.join("minimal.nii")).unwrap();
    let halves = [
        "minimal.hdr",
        "minimal.img",
        "minimal.hdr.gz",
        "minimal.img.gz",
        "minimal.nii.gz",
    ];
    for name in halves
        .into_iter()
        .chain(["minimal2.hdr", "minimal2.img.gz"])
    {
        assert_eq!(read_volume(folder.join(name)).unwrap(), whole, "{name}");
    }
    let error = read_volume(folder.join("avg152T1_LR_nifti.hdr.gz")).unwrap_err();
    assert!(matches!(error, ImageError::HalfMissing { .. }), "{error}");
    assert_eq!(
        read_header(folder.join("avg152T1_LR_nifti.hdr.gz"))
            .unwrap()
            .data_type,
        DataType::U8
    );
}

#[test]
fn real_files_that_are_no_scalar_volumes_are_refused_by_rule() {
    let Some(folder) = shared_data("nifti/assorted") else {
        return;
    };
    for name in [
        "rgb/3D.nii",
        "rgb/4D.nii",
        "rgba/4D.nii",
        "complex/complex32.nii",
        "complex/complex64.nii",
    ] {
        let error = read_channels(folder.join(name)).unwrap_err();
        let ImageError::Header { reason, .. } = &error else {
            panic!("{error}")
        };
        assert!(
            matches!(
                reason.downcast_ref(),
                Some(NiftiHeaderError::UnsupportedDataType { .. })
            ),
            "{error}"
        );
    }
    let artifacts = files_below(&folder.join("fuzz_artifacts"));
    assert_eq!(artifacts.len(), 5);
    for path in artifacts {
        for error in [
            read_channels(&path).unwrap_err(),
            read_label_map(&path).unwrap_err(),
        ] {
            assert!(matches!(error, ImageError::Header { .. }), "{error}");
        }
    }
}

#[test]
fn real_crash_files_with_a_repaired_size_are_still_refused() {
    let Some(folder) = shared_data("nifti/assorted/fuzz_artifacts") else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    for path in files_below(&folder) {
        let mut bytes = fs::read(&path).unwrap();
        for size in [348_i32.to_le_bytes(), 348_i32.to_be_bytes()] {
            bytes[..4].copy_from_slice(&size);
            for name in ["a.nii", "a.hdr"] {
                let copy = synthetic::save(directory.path(), name, &bytes);
                let error = read_channels(copy).unwrap_err();
                let refused = matches!(error, ImageError::Header { .. })
                    || matches!(
                        error,
                        ImageError::Voxels {
                            reason: VoxelError::Truncated { .. },
                            ..
                        }
                    );
                assert!(refused, "{error}");
            }
        }
    }
}

#[test]
fn real_qform_only_files_lie_where_nibabel_puts_them() {
    let Some(folder) = shared_data("sts/nifti") else {
        return;
    };
    let expected = [
        (
            "STS_001/CT_image.nii.gz",
            [198, 202, 59],
            [
                -0.976_562_023_162_841_8,
                -0.976_562_023_162_841_8,
                3.269_999_980_926_513_7,
            ],
            [
                23.437_616_348_266_6,
                86.914_146_423_339_84,
                -881.320_007_324_218_8,
            ],
            -523_058_985.0,
        ),
        (
            "STS_001/PET_image.nii.gz",
            [41, 43, 59],
            [-4.6875, -4.6875, 3.269_999_980_926_513_7],
            [21.093_75, 86.718_75, -881.299_987_792_968_8],
            69_688.745_697_047_27,
        ),
        (
            "STS_010/CT_mask.nii.gz",
            [185, 164, 59],
            [
                -0.976_562_023_162_841_8,
                -0.976_562_023_162_841_8,
                3.269_999_980_926_513_7,
            ],
            [
                39.062_606_811_523_44,
                7.812_623_977_661_133,
                385.609_985_351_562_5,
            ],
            58_608.0,
        ),
    ];
    for (name, shape, diagonal, offset, sum) in expected {
        let volume = read_volume(folder.join(name)).unwrap();
        assert_eq!(volume.geometry().shape, shape, "{name}");
        for row in 0..3 {
            let mut rows = [0.0; 4];
            (rows[row], rows[3]) = (diagonal[row], offset[row]);
            assert_near(&volume.affine.0[row], &rows, 1e-12);
        }
        let found: f64 = volume.data.iter().map(|&value| f64::from(value)).sum();
        assert_near(&[found], &[sum], 1e-9 * f64::abs(sum));
    }
    let mut count = 0;
    for path in files_below(&folder) {
        let Ok(header) = read_header(&path) else {
            continue;
        };
        assert_eq!(
            header.affine_source,
            AffineSource::Qform,
            "{}",
            path.display()
        );
        count += 1;
    }
    assert_eq!(count, 48);
}

#[test]
fn real_labels_of_every_stored_type_are_labels() {
    let Some(folder) = shared_data("hippocampus/labels") else {
        return;
    };
    let mut stored_as_real = 0;
    for path in files_below(&folder) {
        let header = read_header(&path).unwrap();
        stored_as_real += usize::from(header.data_type == DataType::F32);
        let labels = read_label_map(&path).unwrap();
        assert_eq!(labels.geometry(), header.geometry());
        assert_eq!(labels.data.iter().max(), Some(&2), "{}", path.display());
    }
    assert_eq!(stored_as_real, 2);
}
