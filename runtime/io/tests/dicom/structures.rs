//! Synthetic structure sets: voxels that contours enclose.

use crate::dicom_files;
use crate::dicom_files::structures::{contour, structure_set};
use crate::dicom_files::*;
use tempfile::tempdir;
use vesal_io::dicom::{
    DicomError, DicomHeaderError, StructureError, Structures, read_structure_references,
    read_structures, scan,
};
use vesal_volume::{Affine, Geometry};

/// A square around the middle of the grid, at this height.
fn square(half: f64, z: f64) -> [[f64; 3]; 4] {
    [
        [-half, -half, z],
        [half, -half, z],
        [half, half, z],
        [-half, half, z],
    ]
}

fn set(contours: Vec<Elements>) -> Elements {
    structure_set(&[("lesion", 7, contours)], None)
}

fn read(set: &Elements, syntax: &str) -> Result<Structures, DicomError> {
    let folder = tempdir().unwrap();
    read_structures(save(folder.path(), "set", &set.file(syntax)))
}

/// 21 × 21 × 3 voxels of 1 mm around the origin, axes left, posterior, superior.
fn grid() -> Geometry {
    Geometry {
        shape: [21, 21, 3],
        affine: Affine::from_parts([[-1., 0., 0.], [0., -1., 0.], [0., 0., 1.]], [10., 10., 0.]),
    }
}

#[test]
fn centers_within_contours_are_inside_and_holes_are_not() {
    let set = set(vec![
        contour("CLOSED_PLANAR", &square(5.5, 1.2)),
        contour("CLOSED_PLANAR", &square(2.5, 1.2)),
        contour("CLOSED_PLANAR", &square(3.0, 2.)),
        contour("CLOSED_PLANAR", &square(3.0, 9.)),
        contour("POINT", &[[0.; 3]]),
    ]);
    for syntax in [EXPLICIT, IMPLICIT, DEFLATED, BIG] {
        let found = read(&set, syntax).unwrap();
        assert!(!format!("{found:?}").contains("SENTINEL"));
        let region = &found.regions[0];
        assert_eq!(
            (region.number, region.name.as_str(), region.others),
            (7, "lesion", 1)
        );
        assert_eq!(region.frame_of_reference.as_deref(), Some("1.2.9"));
        let mask = region.mask(&grid()).unwrap();
        let in_slice = |z| {
            mask.data
                .index_axis(ndarray::Axis(2), z)
                .iter()
                .filter(|v| **v == 1)
                .count()
        };
        // Centers on the border count on two sides of a square.
        assert_eq!([0, 1, 2].map(in_slice), [0, 11 * 11 - 5 * 5, 6 * 6]);
        assert_eq!(
            (
                mask.data[[5, 5, 1]],
                mask.data[[10, 10, 1]],
                mask.data[[4, 10, 1]]
            ),
            (1, 0, 0)
        );
    }
    // Off the middle: left and right, front and back stay what they are.
    let moved = square(2.5, 0.).map(|[l, p, s]| [l + 5., p - 3., s]);
    let found = read(&self::set(vec![contour("CLOSED_PLANAR", &moved)]), EXPLICIT).unwrap();
    let mask = found.regions[0].mask(&grid()).unwrap();
    for ((x, y, z), &value) in mask.data.indexed_iter() {
        let inside = z == 0 && (13..=17).contains(&x) && (5..=9).contains(&y);
        assert_eq!(value == 1, inside, "{x} {y} {z}");
    }
}

#[test]
fn unusable_sets_are_refused() {
    let mut slanted = square(5., 0.);
    slanted[2][2] = 1.5;
    let found = read(&set(vec![contour("CLOSED_PLANAR", &slanted)]), EXPLICIT).unwrap();
    let error = found.regions[0].mask(&grid()).unwrap_err();
    assert_eq!(
        error,
        StructureError::NotInSlice {
            contour: 1,
            slices: 1.5
        }
    );

    // A zigzag over all rows, far too often for a slice of 441 voxels.
    let zigzag: Vec<_> = (0..2000)
        .map(|k| [k as f64 * 1e-3, if k % 2 == 0 { -10. } else { 10. }, 0.])
        .collect();
    let found = read(&set(vec![contour("CLOSED_PLANAR", &zigzag)]), EXPLICIT).unwrap();
    assert_eq!(
        found.regions[0].mask(&grid()).unwrap_err(),
        StructureError::Crossings {
            slice: 0,
            limit: 64 * 441
        }
    );

    let header = |set: &Elements| match read(set, EXPLICIT) {
        Err(DicomError::Header { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    let text = Elements::default().text((0x3006, 0x0042), b"CS", "CLOSED_PLANAR");
    for data in ["", "1\\2", "1\\2\\x", "1\\2\\inf"] {
        let bad = set(vec![text.clone().text((0x3006, 0x0050), b"DS", data)]);
        assert!(
            matches!(header(&bad), DicomHeaderError::Malformed { .. }),
            "{data}"
        );
    }
    assert!(matches!(
        header(&image()),
        DicomHeaderError::Malformed { .. }
    ));
    let nameless = set(vec![]).value((0x3006, 0x0020), b"SQ", Value::Items(vec![]));
    assert!(matches!(
        header(&nameless),
        DicomHeaderError::Malformed { .. }
    ));
}

#[test]
fn sets_say_on_which_images_they_were_drawn() {
    let folder = tempdir().unwrap();
    let series = |uid: &str, acquisition: &str, instance: &str| -> Vec<Elements> {
        let image = |image: Elements| {
            image
                .text(SERIES, b"UI", uid)
                .text(ACQUISITION, b"IS", acquisition)
                .text((0x0008, 0x0018), b"UI", instance)
        };
        dicom_files::series(3).into_iter().map(image).collect()
    };
    let mut images = series("1.2.1", "1", "5.1");
    images.extend(series("1.2.1", "2", "5.2"));
    images.extend(series("1.2.2", "1", "6.1"));
    save_all(folder.path(), &images, EXPLICIT);
    let stacks = scan(&[folder.path()]).unwrap().stacks;
    assert_eq!(stacks.len(), 3);
    let of = |drawn_on: Option<(&str, &[&str])>| {
        let contours = vec![contour("CLOSED_PLANAR", &square(2.5, 0.))];
        let set = structure_set(&[("lesion", 7, contours)], drawn_on);
        let path = save(folder.path(), "set", &set.file(EXPLICIT));
        let references = read_structure_references(path).unwrap();
        assert!(!format!("{references:?}").contains("SENTINEL"));
        references.stacks(&stacks)
    };
    assert_eq!(of(Some(("1.2.1", &["5.2"]))), [1]);
    assert_eq!(of(Some(("1.2.1", &["5.1", "5.2", "8.8"]))), [0, 1]);
    assert_eq!(of(Some(("1.2.1", &[]))), [0, 1]);
    // Copies with new names, and images of a series that are named by mistake.
    assert_eq!(of(Some(("1.2.2", &["7.7"]))), [2]);
    assert_eq!(of(Some(("1.2.2", &["5.1"]))), [2]);
    assert_eq!(of(Some(("1.2.3", &["5.1"]))), [0; 0]);
    assert_eq!(of(None), [0, 1, 2]);
    let found = scan(&[folder.path()]).unwrap();
    let sets: Vec<_> = found.structure_sets().collect();
    assert_eq!(sets, [folder.path().join("set")]);
    let image = folder.path().join("999");
    let error = read_structure_references(image).unwrap_err();
    assert!(matches!(error, DicomError::Header { .. }));
}
