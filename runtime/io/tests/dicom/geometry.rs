//! Geometry of synthetic slices, including uneven and tilted ones.

use crate::dicom_files::reading::*;
use crate::dicom_files::*;
use vesal_io::dicom::{Policy, StackFinding};
use vesal_volume::orientation::Orientation;

#[test]
fn slices_are_sorted_by_position_and_nothing_else() {
    let volume = plain(&series(4));
    assert_eq!(volume.data.dim(), (1, 3, 2, 4));
    for ((_, x, y, z), &value) in volume.data.indexed_iter() {
        assert_eq!(value, (10 * z + 3 * y + x) as f32);
    }
    let rows = [[-1.5, 0., 0., -10.], [0., -2., 0., -20.], [0., 0., 2.5, 0.]];
    assert_eq!(volume.affine.0[..3], rows);
    assert_eq!(Orientation::of(&volume.affine).unwrap().to_string(), "LPS");
}

#[test]
fn more_slices_than_are_decoded_at_once_keep_their_places() {
    let volume = plain(&series(37));
    for ((_, x, y, z), &value) in volume.data.indexed_iter() {
        assert_eq!(value, (10 * z + 3 * y + x) as f32);
    }
}

/// A rotation, rows and columns of an oblique plane, and its normal.
fn oblique() -> [[f64; 3]; 3] {
    let (a, b): (f64, f64) = (0.4, -1.1);
    let row = [a.cos(), a.sin(), 0.];
    let column = [-a.sin() * b.cos(), a.cos() * b.cos(), b.sin()];
    let normal = [
        row[1] * column[2] - row[2] * column[1],
        row[2] * column[0] - row[0] * column[2],
        row[0] * column[1] - row[1] * column[0],
    ];
    [row, column, normal]
}

#[test]
fn voxels_lie_where_their_pixels_do() {
    let sagittal = [[0., 1., 0.], [0., 0., -1.], [-1., 0., 0.]];
    let coronal = [[1., 0., 0.], [0., 0., -1.], [0., 1., 0.]];
    for [row, column, normal] in [oblique(), sagittal, coronal] {
        let orientation: Vec<f64> = row.iter().chain(&column).copied().collect();
        let place = |k: f64| -> [f64; 3] {
            std::array::from_fn(|axis| 7. * (axis as f64 - 1.) + 2.5 * k * normal[axis])
        };
        let images: Vec<Elements> = series(5)
            .into_iter()
            .enumerate()
            // From last to first: files are in no order along the normal.
            .map(|(k, image)| {
                image
                    .numbers(ORIENTATION, &orientation)
                    .at(place(4. - k as f64))
            })
            .collect();
        let volume = plain(&images);
        for ((_, x, y, z), &value) in volume.data.indexed_iter() {
            assert_eq!(value, (10 * (4 - z) + 3 * y + x) as f32);
            let world = volume.affine.voxel_to_world([x as f64, y as f64, z as f64]);
            let first = place(z as f64);
            for axis in 0..3 {
                let lps = first[axis] + 1.5 * x as f64 * row[axis] + 2. * y as f64 * column[axis];
                let ras = if axis < 2 { -lps } else { lps };
                assert!((world[axis] - ras).abs() < 1e-9);
            }
        }
        assert!(volume.affine.determinant() > 0.0);
    }
}

#[test]
fn rounded_positions_are_even() {
    let images: Vec<Elements> = series(5)
        .into_iter()
        .enumerate()
        .map(|(k, image)| {
            image.at([
                10. + 0.01 * (k % 2) as f64,
                20.,
                2.5 * k as f64 + 0.04 * (k % 2) as f64,
            ])
        })
        .collect();
    let volume = plain(&images);
    assert!((volume.affine.spacing()[2] - 2.5).abs() < 1e-12);
}

#[test]
fn missing_slices_are_filled_by_interpolation_or_refused() {
    let mut images = series(8);
    images.remove(5);
    images.drain(2..4);
    let (finding, volume) = resampled(&images);
    assert_eq!(
        finding,
        StackFinding::Missing {
            missing: 3,
            gaps: 2,
            spacing_mm: 2.5
        }
    );
    assert_eq!(volume.affine, plain(&series(8)).affine);
    for ((_, x, y, z), &value) in volume.data.indexed_iter() {
        assert!((value - (10 * z + 3 * y + x) as f32).abs() < 1e-4);
    }
    let mut images = series(8);
    images.drain(2..5);
    for policy in [Policy::Strict, Policy::Resample] {
        assert_eq!(
            refusal(&images, policy),
            StackFinding::LargeGap {
                gap_mm: 10.,
                spacing_mm: 2.5
            }
        );
    }
}

#[test]
fn uneven_slices_are_resampled_by_their_positions() {
    let places = [0., 2., 4.4, 6.4, 8.4, 10.];
    let images: Vec<Elements> = places
        .iter()
        .map(|&z| image().at([0., 0., z]).pixels(&[(100. * z) as u16; 6]))
        .collect();
    let (finding, volume) = resampled(&images);
    let StackFinding::UnevenSpacing { least_mm, most_mm } = finding else {
        panic!("{finding}");
    };
    assert!((least_mm - 1.6).abs() < 1e-9 && (most_mm - 2.4).abs() < 1e-9);
    assert_eq!(volume.data.dim(), (1, 3, 2, 6));
    for ((_, _, _, z), &value) in volume.data.indexed_iter() {
        assert!((value - 200. * z as f32).abs() < 0.5, "{z}: {value}");
    }
}

/// Slices of a tilted gantry, whose values are linear in the world.
fn tilted(degrees: f64, places: &[f64]) -> Vec<Elements> {
    let aside = degrees.to_radians().tan();
    places
        .iter()
        .map(|&z| {
            let y = 20. + aside * z;
            let pixels: Vec<u16> = (0..64)
                .map(|pixel| {
                    let (column, row) = (f64::from(pixel % 8), f64::from(pixel / 8));
                    (10. * (1.5 * column) + 20. * (y + 2. * row) + 30. * z).round() as u16
                })
                .collect();
            image()
                .at([0., y, z])
                .short(ROWS, 8)
                .short(COLUMNS, 8)
                .pixels(&pixels)
        })
        .collect()
}

#[test]
fn tilted_slices_are_resampled_onto_a_rectangular_grid() {
    let places: Vec<f64> = (0..6).map(|k| 2.5 * f64::from(k)).collect();
    let images = tilted(15., &places);
    let (finding, volume) = resampled(&images);
    assert!(matches!(finding, StackFinding::Tilt { degrees } if (degrees - 15.).abs() < 1e-9));
    let linear = volume.affine.linear();
    assert!(linear[1][2].abs() < 1e-9 && (linear[2][2] - 2.5).abs() < 1e-9);
    let mut inside = 0;
    for ((_, x, y, z), &value) in volume.data.indexed_iter() {
        let [wx, wy, wz] = volume.affine.voxel_to_world([x as f64, y as f64, z as f64]);
        let (row, column) = ((-wy - 20. - 15_f64.to_radians().tan() * wz) / 2., -wx / 1.5);
        if (0. ..=7.).contains(&row) && (0. ..=7.).contains(&column) && (0. ..=12.5).contains(&wz) {
            let expected = -10. * wx - 20. * wy + 30. * wz;
            assert!(
                (f64::from(value) - expected).abs() < 1.,
                "{value} is not {expected}"
            );
            inside += 1;
        }
    }
    assert!(inside > 250, "{inside}");

    let (_folder, found) = folder(&tilted(15., &[0., 2.5, 5., 10., 12.5]));
    let assessment = assess(&found.stacks[0], Policy::Resample);
    assert_eq!(
        assessment.findings().len(),
        2,
        "a missing slice and the tilt"
    );
    let again = read(&assessment);
    assert_eq!(again.geometry(), volume.geometry());
}

#[test]
fn no_gantry_tilts_so_far() {
    let places: Vec<f64> = (0..4).map(|k| 2.5 * f64::from(k)).collect();
    let found = refusal(&tilted(60., &places), Policy::Resample);
    assert!(matches!(found, StackFinding::Tilt { degrees } if (degrees - 60.).abs() < 1e-9));
    assert_eq!(
        found.to_string(),
        "its slices are stacked along a line that is tilted by 60.00 degrees against their normal"
    );
}

#[test]
fn slices_off_the_line_are_refused() {
    let mut images = series(5);
    images[2] = images[2].clone().at([14., 20., 5.]);
    for policy in [Policy::Strict, Policy::Resample] {
        let found = refusal(&images, policy);
        assert!(
            matches!(found, StackFinding::OffLine { off_mm } if (off_mm - 4.).abs() < 1e-9),
            "{found}"
        );
    }
    // Side by side, at one height.
    let images = [image().at([0.; 3]), image().at([50., 0., 0.])];
    let found = refusal(&images, Policy::Resample);
    assert_eq!(found, StackFinding::OffLine { off_mm: 50. });
}

#[test]
fn a_single_slice_is_as_deep_as_it_says() {
    let image = image();
    assert_eq!(
        refusal(std::slice::from_ref(&image), Policy::Resample),
        StackFinding::NoDepth
    );
    let (_folder, found) = folder(&[image.numbers((0x0018, 0x0050), &[4.])]);
    let assessment = assess(&found.stacks[0], Policy::Strict);
    assert_eq!(
        assessment.findings(),
        [StackFinding::SingleSlice { depth_mm: 4. }]
    );
    assert_eq!(read(&assessment).affine.spacing(), [1.5, 2., 4.]);
}
