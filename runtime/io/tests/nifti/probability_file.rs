//! Probabilities written slab by slab give the same file as at once.

use std::fs;
use std::path::Path;

use ndarray::{Array4, s};
use vesal_files::atomic::AtomicError;
use vesal_io::Remarks;
use vesal_io::image::read_channels;
use vesal_io::nifti::{NiftiError, NiftiWriteError, ProbabilityFile, WriteOptions, write_volume};
use vesal_volume::{Affine, Volume};

const OPTIONS: WriteOptions = WriteOptions {
    overwrite: false,
    space: vesal_io::nifti::XForm::ScannerAnat,
    remarks: Remarks::NONE,
};

fn affine() -> Affine {
    Affine::from_spacing([-0.7, 0.8, 2.5])
}

/// Values that are all different.
fn probabilities(shape: [usize; 4]) -> Array4<f32> {
    let [_, x_len, y_len, z_len] = shape;
    Array4::from_shape_fn(shape, |(k, x, y, z)| {
        1.0 + (((k * z_len + z) * y_len + y) * x_len + x) as f32 / 7.0
    })
}

fn bytes_at_once(folder: &Path, name: &str, data: &Array4<f32>) -> Vec<u8> {
    let path = folder.join(format!("whole_{name}"));
    let volume = Volume {
        data: data.clone(),
        affine: affine(),
    };
    write_volume(&path, &volume, &OPTIONS).unwrap();
    fs::read(path).unwrap()
}

fn entries(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn slabs_along_any_axis_give_the_bytes_of_the_whole() {
    // The second shape has planes larger than a block of the file, and more slabs than are turned at once.
    for shape in [[3, 21, 18, 35], [1, 2100, 1100, 2], [2, 40, 1, 3]] {
        let data = probabilities(shape);
        for name in ["a.nii", "a.nii.gz"] {
            let folder = tempfile::tempdir().unwrap();
            let expected = bytes_at_once(folder.path(), name, &data);
            for axis in 0..3 {
                let path = folder.path().join(format!("{axis}{name}"));
                let file =
                    ProbabilityFile::create(&path, shape, &affine(), axis, &OPTIONS).unwrap();
                let length = shape[axis + 1];
                let thick = length.div_ceil(3).max(2);
                for from in (0..length).step_by(thick) {
                    let slab = ndarray::Slice::from(from..(from + thick).min(length));
                    let block = data.slice_axis(ndarray::Axis(axis + 1), slab);
                    let mut start = [0; 3];
                    start[axis] = from;
                    file.write(start, block).unwrap();
                }
                file.finish().unwrap();
                assert!(
                    fs::read(&path).unwrap() == expected,
                    "{shape:?} {axis} {name}"
                );
            }
            // Neither the spill files nor anything else is left.
            assert_eq!(entries(folder.path()), 4);
        }
    }
}

#[test]
fn blocks_may_cover_a_part_in_any_order_and_the_rest_is_zero() {
    let folder = tempfile::tempdir().unwrap();
    let shape = [2, 9, 10, 11];
    let all = probabilities(shape);
    // Boxes as first voxel and extent; the last covers a part of the first.
    let boxes = [
        ([4, 2, 3], [5, 6, 7]),
        ([0, 0, 0], [9, 1, 11]),
        ([0, 0, 10], [9, 10, 1]),
        ([1, 1, 2], [4, 9, 2]),
        ([8, 9, 4], [0, 1, 3]),
    ];
    let mut expected = Array4::zeros(shape);
    for ([x, y, z], [a, b, c]) in boxes {
        let place = s![.., x..x + a, y..y + b, z..z + c];
        expected.slice_mut(place).assign(&all.slice(place));
    }
    for axis in 0..3 {
        let path = folder.path().join(format!("{axis}.nii.gz"));
        let file = ProbabilityFile::create(&path, shape, &affine(), axis, &OPTIONS).unwrap();
        for ([x, y, z], [a, b, c]) in boxes {
            let block = all.slice(s![.., x..x + a, y..y + b, z..z + c]);
            file.write([x, y, z], block).unwrap();
        }
        file.finish().unwrap();
        let name = format!("{axis}.nii.gz");
        assert_eq!(read_channels(&path).unwrap().data, expected, "{axis}");
        assert!(fs::read(&path).unwrap() == bytes_at_once(folder.path(), &name, &expected));
    }
}

#[test]
fn an_unfinished_file_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii.gz");
    let shape = [2, 4, 4, 4];
    let file = ProbabilityFile::create(&path, shape, &affine(), 2, &OPTIONS).unwrap();
    file.write([0; 3], probabilities(shape).view()).unwrap();
    assert!(!path.exists());
    drop(file);
    assert_eq!(entries(folder.path()), 0);
}

#[test]
fn what_cannot_be_written_is_refused_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let create = |name: &str, shape, affine: &Affine| {
        ProbabilityFile::create(folder.path().join(name), shape, affine, 0, &OPTIONS).unwrap_err()
    };
    let written = |error: NiftiError| match error {
        NiftiError::Write { reason, .. } => reason,
        other => panic!("{other}"),
    };
    let shape = [2, 3, 4, 5];
    assert_eq!(
        written(create("a.txt", shape, &affine())),
        NiftiWriteError::Name
    );
    let long = create("a.nii", [2, 3, 40_000, 5], &affine());
    assert!(matches!(
        written(long),
        NiftiWriteError::AxisLength {
            axis: 1,
            found: 40_000,
            ..
        }
    ));
    let flat = create("a.nii", shape, &Affine([[0.0; 4]; 4]));
    assert!(matches!(written(flat), NiftiWriteError::Affine { .. }));
    let absent = create("absent/a.nii", shape, &affine());
    assert!(matches!(
        absent,
        NiftiError::Output(AtomicError::NoDirectory { .. })
    ));
    fs::write(folder.path().join("a.nii"), "precious").unwrap();
    let exists = create("a.nii", shape, &affine());
    assert!(matches!(
        exists,
        NiftiError::Output(AtomicError::Exists { .. })
    ));
    assert_eq!(entries(folder.path()), 1);
}

#[test]
fn a_file_that_appeared_meanwhile_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    let file = ProbabilityFile::create(&path, [1, 2, 2, 2], &affine(), 0, &OPTIONS).unwrap();
    fs::write(&path, "precious").unwrap();
    let error = file.finish().unwrap_err();
    assert!(matches!(
        error,
        NiftiError::Output(AtomicError::Exists { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert_eq!(entries(folder.path()), 1);
}

#[test]
fn blocks_outside_of_the_volume_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.nii");
    let shape = [2, 3, 4, 5];
    let file = ProbabilityFile::create(&path, shape, &affine(), 0, &OPTIONS).unwrap();
    let data = probabilities(shape);
    for (start, block) in [
        ([1, 0, 0], data.view()),
        ([0, usize::MAX, 0], data.view()),
        ([0, 0, 0], data.slice(s![..1, .., .., ..])),
    ] {
        let NiftiError::Write { reason, .. } = file.write(start, block).unwrap_err() else {
            panic!("another rule");
        };
        let (classes, x, y, z) = block.dim();
        let expected = NiftiWriteError::Block {
            start,
            block: Box::new([classes, x, y, z]),
            shape: Box::new(shape),
        };
        assert_eq!(reason, expected);
    }
}
