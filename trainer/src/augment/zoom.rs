//! Zooming of a patch about its center.

use ndarray::{Array3, Array4};

use super::patch::Patch;

/// Enlarges (above 1) or shrinks a patch about its center by one factor along all axes; its shape stays, and a shrunk
/// patch repeats its border.
///
/// **Definition**: an axis of `n` voxels is resized to `m = floor(n factor)`, and voxel `i` of the result takes voxel
/// `j = i + floor(m / 2) - floor(n / 2)` of these, or `j = i - floor((n - m) / 2)` where `m < n`, within 0 to `m - 1`.
/// Intensities are interpolated trilinearly at `(j + 0.5) n / m - 0.5`, within 0 to `n - 1`; classes are those at
/// `floor(j n / m)`.
///
/// **Source**: MONAI 1.6.1 `Zoom` with `padding_mode="edge"`, `keep_size=True`, modes `trilinear` without `align_corners`
/// and `nearest`.
pub fn zoom(patch: &mut Patch, factor: f64) {
    let (x, y, z) = patch.classes.dim();
    let [x, y, z] = [x, y, z].map(|length| sources(length, factor));
    let classes = &patch.classes;
    let classes = Array3::from_shape_fn(classes.dim(), |(i, j, k)| {
        classes[[x[i].nearest, y[j].nearest, z[k].nearest]]
    });
    let image = &patch.image;
    let image = Array4::from_shape_fn(image.dim(), |(channel, i, j, k)| {
        let (x, y, z) = (&x[i], &y[j], &z[k]);
        let edge = |i, j| {
            z.between(
                image[[channel, i, j, z.low]],
                image[[channel, i, j, z.high]],
            )
        };
        let face = |i| y.between(edge(i, y.low), edge(i, y.high));
        x.between(face(x.low), face(x.high))
    });
    *patch = Patch { image, classes };
}

/// Where a voxel of the result comes from along one axis.
struct ZoomSource {
    low: usize,
    high: usize,
    fraction: f32,
    nearest: usize,
}

impl ZoomSource {
    fn between(&self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.fraction
    }
}

fn sources(length: usize, factor: f64) -> Vec<ZoomSource> {
    let resized = ((length as f64 * factor) as usize).max(1);
    let offset = match resized < length {
        true => -(((length - resized) / 2) as isize),
        false => (resized / 2) as isize - (length / 2) as isize,
    };
    let source = |index: usize| {
        let index = (index as isize + offset).clamp(0, resized as isize - 1) as usize;
        let position = (index as f64 + 0.5) * length as f64 / resized as f64 - 0.5;
        let position = position.clamp(0.0, (length - 1) as f64);
        let low = position as usize;
        ZoomSource {
            low,
            high: (low + 1).min(length - 1),
            fraction: (position - low as f64) as f32,
            nearest: index * length / resized,
        }
    };
    (0..length).map(source).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Axis;

    use super::*;

    fn patch(shape: [usize; 3]) -> Patch {
        let classes = Array3::from_shape_fn(shape, |(x, y, z)| (x * 100 + y * 10 + z) as u16);
        Patch {
            image: classes.mapv(f32::from).insert_axis(Axis(0)),
            classes,
        }
    }

    #[test]
    fn a_factor_of_1_is_the_identity() {
        let mut zoomed = patch([4, 5, 1]);
        zoom(&mut zoomed, 1.0);
        assert_eq!(zoomed, patch([4, 5, 1]));
    }

    #[test]
    fn a_ramp_becomes_steeper_or_flatter_about_the_center() {
        let mut shrunk = patch([5, 1, 1]);
        zoom(&mut shrunk, 0.8);
        // 5 voxels become 4, and the last one is repeated.
        let x: Vec<f32> = (0..5).map(|i| shrunk.image[[0, i, 0, 0]] / 100.0).collect();
        for (found, expected) in x.iter().zip([0.125, 1.375, 2.625, 3.875, 3.875]) {
            assert!((found - expected).abs() < 1e-5, "{x:?}");
        }
        let classes: Vec<u16> = (0..5).map(|i| shrunk.classes[[i, 0, 0]] / 100).collect();
        assert_eq!(classes, [0, 1, 2, 3, 3]);

        let mut enlarged = patch([5, 5, 5]);
        zoom(&mut enlarged, 1.8);
        // 5 voxels become 9, of which the middle 5 stay: 5/9 of a voxel apart.
        let x: Vec<f32> = (0..5).map(|i| enlarged.image[[0, i, 2, 2]]).collect();
        for (found, step) in x.iter().zip(-2..=2) {
            let expected = 222.0 + 100.0 * step as f32 * 5.0 / 9.0;
            assert!((found - expected).abs() < 1e-3, "{x:?}");
        }
    }
}
