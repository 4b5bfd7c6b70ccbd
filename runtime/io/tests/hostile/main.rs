//! Expensive files: each is inspected within the bounds.
#![cfg(target_os = "linux")]

#[path = "../bounds/mod.rs"]
mod bounds;
#[path = "../dicom_files/mod.rs"]
mod dicom_files;
#[path = "../synthetic/mod.rs"]
mod synthetic;

mod elements;
mod frames;
mod pixels;

use std::fs;
use std::path::Path;

use bounds::Complaints;
use dicom_files::*;
use elements::of_elements;
use frames::of_frames;
use pixels::of_pixels;
use tempfile::tempdir;

/// Files by name, with the expected report.
type Case = (&'static str, Vec<Vec<u8>>, &'static str);

fn of_structures() -> Vec<Case> {
    let contour = structures::contour("POINT", &[[0.; 3]]);
    let many = vec![Elements::default(); 200_000];
    let set = structures::structure_set(&[("a", 1, many)], None);
    let points = structures::structure_set(&[("a", 1, vec![contour; 20_000])], None);
    let corners: Vec<[f64; 3]> = (0..40_000)
        .map(|index| [f64::from(index % 2), 0., 0.])
        .collect();
    let long = structures::contour("CLOSED_PLANAR", &corners);
    let long = structures::structure_set(&[("a", 1, vec![long])], None);
    vec![
        ("empty contours", vec![set.file(EXPLICIT)], "1 regions"),
        ("points", vec![points.file(EXPLICIT)], "1 regions"),
        ("a long contour", vec![long.file(IMPLICIT)], "1 regions"),
        ("deflated contours", vec![set.file(DEFLATED)], "regions"),
    ]
}

/// NIfTI files, by name: compressed zeros after headers that state large volumes.
fn of_nifti() -> Vec<(&'static str, Vec<u8>)> {
    let header = |dim: [i64; 3], offset: f64| {
        let fields = synthetic::Fields {
            dim: [vec![3], dim.to_vec()].concat(),
            voxel_offset: offset,
            ..synthetic::Fields::default()
        };
        fields.version(1)
    };
    let zeros = |count: usize| vec![0; count];
    let bomb = header([1024, 1024, 128], 352.0).single(&zeros(128 << 20));
    let long_row = header([32_000, 32_000, 1], 352.0).single(&zeros(1));
    let mut far = header([2, 2, 2], 352.0);
    far.voxel_offset = 2e9;
    let mut members = Vec::new();
    for _ in 0..50_000 {
        members.extend(synthetic::gzip(&[]));
    }
    vec![
        ("bomb.nii.gz", synthetic::gzip(&bomb)),
        ("row.nii", long_row.clone()),
        ("row.nii.gz", synthetic::gzip(&long_row)),
        ("far.nii.gz", synthetic::gzip(&far.header())),
        ("members.nii.gz", members),
    ]
}

fn save_files(folder: &Path, files: &[Vec<u8>]) {
    for (index, bytes) in files.iter().enumerate() {
        save(folder, &format!("{index}"), bytes);
    }
}

#[test]
fn looks_in_a_child() {
    bounds::child();
}

#[test]
fn looking_at_files_stays_within_bounds() {
    let mut complaints = Complaints::default();
    let cases = [of_frames, of_elements, of_pixels, of_structures];
    for (name, files, expected) in cases.into_iter().flat_map(|cases| cases()) {
        let folder = tempdir().unwrap();
        save_files(folder.path(), &files);
        complaints.look(name, folder.path(), expected);
    }
    for (name, bytes) in of_nifti() {
        let folder = tempdir().unwrap();
        complaints.look(name, &save(folder.path(), name, &bytes), "");
    }

    // Slices of one file each at one place: copies, and others.
    let folder = tempdir().unwrap();
    for index in 0..3_000_u16 {
        let slice = image()
            .text(INSTANCE, b"UI", &format!("{MADE_UP}.{index}"))
            .pixels(&[index % 2; 6]);
        save(folder.path(), &index.to_string(), &slice.file(EXPLICIT));
    }
    complaints.look("slices at one place", folder.path(), "several slices");

    // Stacks that all miss the same files.
    let folder = tempdir().unwrap();
    for index in 0..2_000 {
        let slice = image().text(SERIES, b"UI", &format!("1.2.{index}"));
        save(folder.path(), &format!("a{index}"), &slice.file(EXPLICIT));
        save(
            folder.path(),
            &format!("b{index}"),
            &image().file(EXPLICIT)[..180],
        );
    }
    complaints.look("stacks that miss files", folder.path(), "2000 stacks");

    // A DICOMDIR that names absent files.
    let folder = tempdir().unwrap();
    let record =
        |index: usize| Elements::default().text((0x0004, 0x1500), b"CS", &format!("A\\{index}"));
    let records = Elements::default().value(
        (0x0004, 0x1220),
        b"SQ",
        Value::Items((0..50_000).map(record).collect()),
    );
    let path = save(folder.path(), "DICOMDIR", &records.file(EXPLICIT));
    complaints.look("a table of contents", &path, "names it");
}

#[test]
fn files_that_once_cost_much_stay_within_bounds() {
    let Some(hostile) = synthetic::shared_data("hostile") else {
        return;
    };
    let mut complaints = Complaints::default();
    for entry in fs::read_dir(&hostile).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("poc") {
            continue;
        }
        // Data sets as they are sent: what a node puts before them is the meta information.
        let folder = tempdir().unwrap();
        let path = if name.ends_with(".ds") {
            let data_set = fs::read(&path).unwrap();
            save(folder.path(), &name, &[head(DEFLATED), data_set].concat())
        } else {
            path
        };
        complaints.look(&name, &path, "");
        if name == "poc5" {
            let found = dicom_files::reading::reasons(&path.join("a.dcm"));
            assert!(
                found
                    .iter()
                    .any(|reason| reason.contains("cannot be decoded")),
                "{found:?}"
            );
        }
    }
}
