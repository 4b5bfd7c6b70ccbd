//! Cutting patches out of a case.

use ndarray::{Array3, Array4, s};

use super::TrainingVolume;
use crate::augment::Patch;
use crate::rng::Rng;
use crate::settings::CropMode;

/// Draws the start of a patch in the volume, which is padded to at least the size of the patch; indices are negative
/// within the padding.
///
/// **Definition**: padding is symmetric, with an odd voxel at the end. In crop mode `ratio`, the patch is centered on a
/// voxel of a randomly drawn class and moved into the padded volume; in mode `rand`, all positions have the same
/// probability.
///
/// **Source**: MONAI 1.6.1 `SpatialPad`, `RandCropByLabelClasses` (`correct_crop_centers`) and `RandSpatialCrop`.
pub fn crop_start(
    case: &TrainingVolume,
    size: [usize; 3],
    mode: CropMode,
    rng: &mut Rng,
) -> [isize; 3] {
    let (x, y, z) = case.classes.dim();
    let shape = [x, y, z];
    let padding: [usize; 3] =
        std::array::from_fn(|axis| size[axis].saturating_sub(shape[axis]) / 2);
    let room: [usize; 3] = std::array::from_fn(|axis| shape[axis].saturating_sub(size[axis]));
    let center = match mode {
        CropMode::Ratio => case.voxels.draw(rng),
        CropMode::Rand => None,
    };
    std::array::from_fn(|axis| {
        let start = match center {
            Some(center) => center[axis].saturating_sub(size[axis] / 2).min(room[axis]),
            None => rng.below(room[axis] + 1),
        };
        start as isize - padding[axis] as isize
    })
}

/// Cuts out the patch that starts at this voxel; outside of the volume, intensities are 0 and the class is background.
///
/// **Shapes**: `[C, X, Y, Z]` and `[X, Y, Z]` → the same with the patch's size.
pub fn cut(case: &TrainingVolume, start: [isize; 3], size: [usize; 3]) -> Patch {
    let (channels, x, y, z) = case.image.dim();
    let [i, j, k] = size;
    let mut patch = Patch {
        image: Array4::zeros((channels, i, j, k)),
        classes: Array3::zeros((i, j, k)),
    };
    let [(sx, tx), (sy, ty), (sz, tz)] = [(x, 0), (y, 1), (z, 2)].map(|(length, axis)| {
        let clip = |position: isize| position.clamp(0, length as isize);
        let (first, end) = (clip(start[axis]), clip(start[axis] + size[axis] as isize));
        (first..end, first - start[axis]..end - start[axis])
    });
    let target = s![tx.clone(), ty.clone(), tz.clone()];
    patch
        .classes
        .slice_mut(target)
        .assign(&case.classes.slice(s![sx.clone(), sy.clone(), sz.clone()]));
    patch
        .image
        .slice_mut(s![.., tx, ty, tz])
        .assign(&case.image.slice(s![.., sx, sy, sz]));
    patch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::ClassVoxels;

    fn case(shape: [usize; 3]) -> TrainingVolume {
        let image = Array4::from_shape_fn((2, shape[0], shape[1], shape[2]), |(c, x, y, z)| {
            (1 + c * 1000 + x * 100 + y * 10 + z) as f32
        });
        let mut classes = Array3::zeros(shape);
        classes[[shape[0] - 1, shape[1] / 2, 0]] = 1;
        let voxels = ClassVoxels::new(classes.view(), true, &mut Rng::new(&[9]));
        TrainingVolume {
            image,
            classes,
            voxels,
        }
    }

    #[test]
    fn patches_stay_inside_a_large_volume_and_reach_its_ends() {
        let (case, size) = (case([9, 8, 7]), [4, 3, 7]);
        for mode in [CropMode::Ratio, CropMode::Rand] {
            let mut rng = Rng::new(&[2]);
            let starts: Vec<_> = (0..2_000)
                .map(|_| crop_start(&case, size, mode, &mut rng))
                .collect();
            for (axis, last) in [(0, 5), (1, 5), (2, 0)] {
                assert_eq!(
                    starts.iter().map(|start| start[axis]).min(),
                    Some(0),
                    "{mode:?}"
                );
                assert_eq!(
                    starts.iter().map(|start| start[axis]).max(),
                    Some(last),
                    "{mode:?}"
                );
            }
        }
    }

    #[test]
    fn half_of_the_patches_center_on_the_rare_class() {
        let (case, mut rng) = (case([30, 30, 30]), Rng::new(&[3]));
        let hits = (0..1_000)
            .map(|_| {
                cut(
                    &case,
                    crop_start(&case, [6, 6, 6], CropMode::Ratio, &mut rng),
                    [6, 6, 6],
                )
            })
            .filter(|patch| patch.classes.iter().any(|&class| class == 1))
            .count();
        assert!((450..570).contains(&hits), "{hits}");
    }

    #[test]
    fn a_small_volume_is_padded_with_the_odd_voxel_behind() {
        let case = case([3, 4, 9]);
        let start = crop_start(&case, [8, 4, 3], CropMode::Ratio, &mut Rng::new(&[4]));
        assert_eq!(start[..2], [-2, 0]);
        let patch = cut(&case, start, [8, 4, 3]);
        assert_eq!(patch.image.dim(), (2, 8, 4, 3));
        let filled: Vec<bool> = (0..8).map(|x| patch.image[[1, x, 0, 0]] != 0.0).collect();
        assert_eq!(
            filled,
            [false, false, true, true, true, false, false, false]
        );
        assert_eq!(
            patch.image[[1, 2, 3, 1]],
            case.image[[1, 0, 3, (start[2] + 1) as usize]]
        );
    }
}
