//! Rotation and scaling of a patch about its center.

use ndarray::{Array3, Array4, ArrayView3, Axis};

use super::patch::Patch;

/// Rotates and scales a patch about its center; the border is repeated.
///
/// **Shapes and units**: angles in radians about X, Y and Z; scales per axis, in voxels regardless of spacing.
///
/// **Definition**: the output voxel at offset `d` from the center takes the input value at `Rx Ry Rz S d`, interpolated
/// trilinearly for intensities and from the nearest voxel (half to even) for classes.
///
/// **Source**: MONAI 1.6.1 `RandAffine` (`create_rotate`, `create_scale`) with `padding_mode="border"`.
pub fn warp(patch: &mut Patch, angles: [f64; 3], scales: [f64; 3]) {
    let (x, y, z) = patch.classes.dim();
    let shape = [x, y, z];
    let matrix = matrix(angles, scales);
    let center = shape.map(|length| (length as f64 - 1.0) / 2.0);
    let channels: Vec<ArrayView3<f32>> = patch.image.axis_iter(Axis(0)).collect();
    let mut image = Array4::zeros(patch.image.dim());
    let mut classes = Array3::zeros(patch.classes.dim());
    for ((i, j, k), class) in classes.indexed_iter_mut() {
        let offset = [
            i as f64 - center[0],
            j as f64 - center[1],
            k as f64 - center[2],
        ];
        let position: [f64; 3] = std::array::from_fn(|row| {
            let sum: f64 = (0..3)
                .map(|column| matrix[row][column] * offset[column])
                .sum();
            (center[row] + sum).clamp(0.0, (shape[row] - 1) as f64)
        });
        *class = patch.classes[position.map(|value| value.round_ties_even() as usize)];
        let low = position.map(|value| value as usize);
        let high: [usize; 3] = std::array::from_fn(|axis| (low[axis] + 1).min(shape[axis] - 1));
        let fraction: [f32; 3] =
            std::array::from_fn(|axis| (position[axis] - low[axis] as f64) as f32);
        for (channel, source) in channels.iter().enumerate() {
            let edge = |i: usize, j: usize| {
                lerp(source[[i, j, low[2]]], source[[i, j, high[2]]], fraction[2])
            };
            let face = |i: usize| lerp(edge(i, low[1]), edge(i, high[1]), fraction[1]);
            image[[channel, i, j, k]] = lerp(face(low[0]), face(high[0]), fraction[0]);
        }
    }
    *patch = Patch { image, classes };
}

fn lerp(a: f32, b: f32, fraction: f32) -> f32 {
    a + (b - a) * fraction
}

/// The matrix `Rx Ry Rz S`.
fn matrix(angles: [f64; 3], scales: [f64; 3]) -> [[f64; 3]; 3] {
    let [(sx, cx), (sy, cy), (sz, cz)] = angles.map(f64::sin_cos);
    let rotations = [
        [[1.0, 0.0, 0.0], [0.0, cx, -sx], [0.0, sx, cx]],
        [[cy, 0.0, sy], [0.0, 1.0, 0.0], [-sy, 0.0, cy]],
        [[cz, -sz, 0.0], [sz, cz, 0.0], [0.0, 0.0, 1.0]],
        [
            [scales[0], 0.0, 0.0],
            [0.0, scales[1], 0.0],
            [0.0, 0.0, scales[2]],
        ],
    ];
    rotations.into_iter().fold(
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
        |a, b| {
            std::array::from_fn(|i| {
                std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum())
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::*;

    fn patch() -> Patch {
        let classes = Array3::from_shape_fn((5, 5, 5), |(x, y, z)| (x * 25 + y * 5 + z) as u16);
        Patch {
            image: classes.mapv(f32::from).insert_axis(Axis(0)),
            classes,
        }
    }

    #[test]
    fn no_rotation_and_no_scaling_is_the_identity() {
        let mut warped = patch();
        warp(&mut warped, [0.0; 3], [1.0; 3]);
        assert_eq!(warped, patch());
    }

    #[test]
    fn a_quarter_turn_about_z_permutes_voxels() {
        let mut warped = patch();
        warp(&mut warped, [0.0, 0.0, FRAC_PI_2], [1.0; 3]);
        let expected = Array3::from_shape_fn((5, 5, 5), |(x, y, z)| patch().classes[[4 - y, x, z]]);
        assert_eq!(warped.classes, expected);
        let image = warped
            .image
            .index_axis(Axis(0), 0)
            .mapv(|value| value.round() as u16);
        assert_eq!(image, expected);
    }

    #[test]
    fn scaling_repeats_the_border() {
        let mut warped = patch();
        warp(&mut warped, [0.0; 3], [2.0, 1.0, 1.0]);
        let x: Vec<u16> = (0..5).map(|i| warped.classes[[i, 2, 2]] / 25).collect();
        assert_eq!(x, [0, 0, 2, 4, 4]);
        let mut shrunk = patch();
        warp(&mut shrunk, [0.0; 3], [0.75, 1.0, 1.0]);
        assert!(
            (shrunk.image[[0, 0, 0, 0]] - 12.5).abs() < 1e-4,
            "{}",
            shrunk.image[[0, 0, 0, 0]]
        );
    }
}
