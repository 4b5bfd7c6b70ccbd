//! Positions of the voxels of each class in a case.

use ndarray::ArrayView3;

use crate::rng::Rng;

/// Limit of indexed voxels per class; more would not make patches more varied.
const MAX_VOXELS_PER_CLASS: usize = 1 << 16;

/// Voxels of each class that occurs, to center patches on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassVoxels {
    /// Row-major voxel indices of each class that occurs; of large classes a random sample.
    present: Vec<Vec<u64>>,
    shape: [usize; 3],
}

impl ClassVoxels {
    /// Indexes a map of class indices, with or without background.
    ///
    /// **Definition**: up to 65536 voxels of each class are kept, each voxel with the same probability (reservoir
    /// sampling).
    pub fn new(classes: ArrayView3<'_, u16>, with_background: bool, rng: &mut Rng) -> Self {
        let mut lists: Vec<(usize, Vec<u64>)> = Vec::new();
        for (voxel, &class) in classes.iter().enumerate() {
            let class = usize::from(class);
            if class >= lists.len() {
                lists.resize_with(class + 1, Default::default);
            }
            let (seen, list) = &mut lists[class];
            *seen += 1;
            if list.len() < MAX_VOXELS_PER_CLASS {
                list.push(voxel as u64);
            } else if let Some(slot) = list.get_mut(rng.below(*seen)) {
                *slot = voxel as u64;
            }
        }
        let present = lists
            .into_iter()
            .skip(usize::from(!with_background))
            .map(|(_, list)| list)
            .filter(|list| !list.is_empty())
            .collect();
        Self {
            present,
            shape: classes.dim().into(),
        }
    }

    /// Draws one of the classes that occur, with equal probabilities, and one of its voxels; `None` where no class
    /// occurs.
    ///
    /// **Source**: MONAI 1.6.1 `RandCropByLabelClasses` with equal ratios, where absent classes get ratio 0.
    pub fn draw(&self, rng: &mut Rng) -> Option<[usize; 3]> {
        let list = self.present.get(rng.below(self.present.len()))?;
        let index = *list.get(rng.below(list.len()))? as usize;
        let [_, y, z] = self.shape;
        Some([index / (y * z), index / z % y, index % z])
    }

    pub fn bytes(&self) -> u64 {
        self.present
            .iter()
            .map(|list| size_of_val(list.as_slice()) as u64)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;

    #[test]
    fn present_classes_are_drawn_equally_often_however_small() {
        let mut classes = Array3::<u16>::zeros((20, 20, 20));
        classes[[1, 2, 3]] = 1;
        classes.slice_mut(ndarray::s![10..15, 4..9, 6..9]).fill(4);
        let mut rng = Rng::new(&[0]);
        let voxels = ClassVoxels::new(classes.view(), true, &mut rng);
        let mut counts = [0; 5];
        for _ in 0..9_000 {
            counts[usize::from(classes[voxels.draw(&mut rng).unwrap()])] += 1;
        }
        assert_eq!((counts[2], counts[3]), (0, 0));
        assert!(
            [0, 1, 4]
                .iter()
                .all(|&class| (2_800..3_200).contains(&counts[class])),
            "{counts:?}"
        );
    }

    #[test]
    fn a_large_class_is_sampled_evenly() {
        let classes = Array3::<u16>::zeros((64, 64, 64));
        let voxels = ClassVoxels::new(classes.view(), true, &mut Rng::new(&[1]));
        assert_eq!(voxels.present[0].len(), MAX_VOXELS_PER_CLASS);
        let mean = voxels.present[0].iter().sum::<u64>() as f64 / MAX_VOXELS_PER_CLASS as f64;
        assert!((mean / (64f64.powi(3) / 2.0) - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn background_is_drawn_only_if_asked_for() {
        let mut classes = Array3::<u16>::zeros((4, 4, 4));
        let mut rng = Rng::new(&[2]);
        let voxels = ClassVoxels::new(classes.view(), false, &mut rng);
        assert_eq!(voxels.draw(&mut rng), None);
        classes[[3, 1, 2]] = 1;
        let voxels = ClassVoxels::new(classes.view(), false, &mut rng);
        assert!((0..50).all(|_| voxels.draw(&mut rng) == Some([3, 1, 2])));
    }

    #[test]
    fn an_empty_map_has_no_voxel() {
        let voxels = ClassVoxels::new(Array3::zeros((0, 3, 3)).view(), true, &mut Rng::new(&[]));
        assert_eq!(voxels.draw(&mut Rng::new(&[])), None);
    }
}
