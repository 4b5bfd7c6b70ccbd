//! Which files make one case: those that share a grid.

use std::path::{Path, PathBuf};

use ndarray::{Array3, Array4};
use vesal_cases::{CaseFiles, FilesError};
use vesal_io::image::{OpenOptions, ReadLimits};
use vesal_io::nifti::{WriteOptions, write_label_map, write_volume};
use vesal_volume::{Affine, GridDifference, LabelMap, Volume};

/// Voxels of 1 × 1 × 3 mm, moved by this many mm along the first axis.
fn affine(moved: f64) -> Affine {
    let linear = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]];
    Affine::from_parts(linear, [moved, 2.0, 3.0])
}

fn image(folder: &Path, name: &str, channels: usize, moved: f64) -> PathBuf {
    let path = folder.join(name);
    let volume = Volume {
        data: Array4::from_elem((channels, 4, 3, 2), channels as f32),
        affine: affine(moved),
    };
    write_volume(&path, &volume, &WriteOptions::default()).unwrap();
    path
}

fn label(folder: &Path, moved: f64) -> PathBuf {
    let path = folder.join(format!("label_{moved}.nii.gz"));
    let map = LabelMap {
        data: Array3::ones((4, 3, 2)),
        affine: affine(moved),
    };
    write_label_map(&path, &map, &WriteOptions::default()).unwrap();
    path
}

#[test]
fn a_tenth_of_the_finest_spacing_is_one_grid_for_images_and_labels() {
    let folder = tempfile::tempdir().unwrap();
    let first = image(folder.path(), "first.nii", 1, 0.0);
    for (moved, is_one) in [(0.0, true), (0.09, true), (0.11, false), (0.5, false)] {
        let second = image(folder.path(), &format!("{moved}.nii"), 1, moved);
        let label = label(folder.path(), moved);
        let two = [first.clone(), second.clone()];
        for (files, differs) in [
            (
                CaseFiles {
                    images: &two,
                    further: &[],
                    label: None,
                },
                &second,
            ),
            (
                CaseFiles {
                    images: &two[..1],
                    further: &[],
                    label: Some(&label),
                },
                &label,
            ),
        ] {
            match files.open(OpenOptions::default()) {
                Ok(_) => assert!(is_one, "{moved}"),
                Err(FilesError::Grid {
                    path,
                    first: found,
                    difference: GridDifference::Place { found_mm, limit_mm },
                }) => {
                    assert!(!is_one, "{moved}");
                    assert_eq!((&path, &found), (differs, &first));
                    assert!((found_mm - moved).abs() < 1e-6 && (limit_mm - 0.1).abs() < 1e-12);
                }
                Err(other) => panic!("{other}"),
            }
        }
    }
}

#[test]
fn one_file_may_hold_all_channels_and_several_hold_one_each() {
    let folder = tempfile::tempdir().unwrap();
    let one = image(folder.path(), "one.nii.gz", 1, 0.0);
    let three = image(folder.path(), "three.nii.gz", 3, 0.0);
    let apart = image(folder.path(), "apart.nii.gz", 1, 50.0);
    let read = |images: &[PathBuf], further: &[PathBuf]| {
        let files = CaseFiles {
            images,
            further,
            label: None,
        };
        let opened = files.open(OpenOptions::default()).unwrap();
        let (volumes, label) = opened.read_images(&ReadLimits::default())?;
        assert!(label.is_none());
        Ok::<_, vesal_io::image::ImageError>(
            volumes.iter().map(Volume::channels).collect::<Vec<_>>(),
        )
    };
    let further = std::slice::from_ref(&apart);
    assert_eq!(read(std::slice::from_ref(&three), &[]).unwrap(), [3]);
    assert_eq!(read(&[one.clone(), one.clone()], further).unwrap(), [2, 1]);
    let error = read(&[one, three], &[]).unwrap_err().to_string();
    assert!(error.contains("has 3 frames, expected one"), "{error}");
}
