//! Assignment of cases to optimization steps.

use super::{TrainingVolume, crop_start, cut};
use crate::algorithms::Recipe;
use crate::rng::Rng;
use crate::train_plan::TrainPlan;

/// Patches of one optimization step.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Intensities, `[N, C, X, Y, Z]` in row-major order.
    pub images: Vec<f32>,
    /// Class indices, `[N, X, Y, Z]` in row-major order; regions are bits.
    pub classes: Vec<i32>,
    /// `[N, C, X, Y, Z]`.
    pub shape: [usize; 5],
}

impl Batch {
    /// Splits the batch into contiguous parts whose numbers of patches differ by at most one, the larger ones first.
    pub fn split(self, shares: usize) -> Vec<Self> {
        let [patches, channels, x, y, z] = self.shape;
        let voxels = x * y * z;
        let (mut images, mut classes) = (self.images.into_iter(), self.classes.into_iter());
        (0..shares)
            .map(|share| {
                let own = patches / shares + usize::from(share < patches % shares);
                Self {
                    images: images.by_ref().take(own * channels * voxels).collect(),
                    classes: classes.by_ref().take(own * voxels).collect(),
                    shape: [own, channels, x, y, z],
                }
            })
            .collect()
    }
}

/// Assigns cases to the steps of an epoch.
///
/// Every case occurs once per epoch, in random order. An incomplete last group is filled with the first cases of the
/// epoch, so that all batches have the same shape.
#[derive(Debug, Clone, Copy)]
pub struct Sampler {
    cases: usize,
    images_per_batch: usize,
    steps_per_image: usize,
    key: [u64; 2],
}

impl Sampler {
    /// A sampler for epochs over this many cases.
    pub fn new(cases: usize, plan: &TrainPlan, fold: usize) -> Self {
        Self {
            cases,
            images_per_batch: plan.num_images_per_batch.max(1),
            steps_per_image: plan.num_steps_per_image.max(1),
            key: [plan.seed, fold as u64],
        }
    }

    /// Optimization steps per epoch.
    pub fn steps(&self) -> usize {
        self.cases.div_ceil(self.images_per_batch) * self.steps_per_image
    }

    /// Number of consecutive steps that use the same cases.
    pub fn steps_per_image(&self) -> usize {
        self.steps_per_image
    }

    /// Groups of cases of an epoch (from 0), in order; each is used for [`steps_per_image`](Self::steps_per_image)
    /// steps.
    pub fn groups(&self, epoch: usize) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..self.cases).collect();
        Rng::new(&[self.key[0], self.key[1], epoch as u64]).shuffle(&mut order);
        (0..self.cases.div_ceil(self.images_per_batch))
            .map(|group| {
                let first = group * self.images_per_batch;
                (first..first + self.images_per_batch)
                    .map(|position| order[position % self.cases])
                    .collect()
            })
            .collect()
    }

    /// Random numbers of one patch. They depend on seed, fold, epoch, step and index alone, so that a resumed training
    /// repeats them.
    fn rng(&self, epoch: usize, step: usize, patch: usize) -> Rng {
        Rng::new(&[
            self.key[0],
            self.key[1],
            epoch as u64,
            step as u64,
            patch as u64,
        ])
    }

    /// Cuts and augments the patches of a step (from 0) out of its group of cases.
    pub fn batch(
        &self,
        plan: &TrainPlan,
        recipe: &Recipe,
        epoch: usize,
        step: usize,
        group: &[&TrainingVolume],
    ) -> Batch {
        let crops = plan.num_crops_per_image.max(1);
        let [x, y, z] = plan.roi_size;
        let channels = group.first().map_or(0, |case| case.image.dim().0);
        let shape = [group.len() * crops, channels, x, y, z];
        let mut batch = Batch {
            images: Vec::with_capacity(shape.iter().product()),
            classes: Vec::with_capacity(shape[0] * x * y * z),
            shape,
        };
        for (index, case) in group
            .iter()
            .flat_map(|&case| std::iter::repeat_n(case, crops))
            .enumerate()
        {
            let mut rng = self.rng(epoch, step, index);
            let start = crop_start(case, plan.roi_size, plan.crop_mode, &mut rng);
            let mut patch = cut(case, start, plan.roi_size);
            (recipe.augment)(&mut patch, plan, &mut rng);
            batch.images.extend(patch.image.iter());
            batch
                .classes
                .extend(patch.classes.iter().map(|&class| i32::from(class)));
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(cases: usize, images_per_batch: usize, steps_per_image: usize) -> Sampler {
        Sampler {
            cases,
            images_per_batch,
            steps_per_image,
            key: [5, 0],
        }
    }

    #[test]
    fn every_case_comes_once_per_epoch() {
        let sampler = sampler(6, 2, 1);
        let (mut first, second) = (sampler.groups(0).concat(), sampler.groups(1).concat());
        assert_ne!(first, second);
        assert_eq!(first, sampler.groups(0).concat());
        first.sort_unstable();
        assert_eq!(first, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn shares_are_contiguous_and_nearly_equal() {
        let batch = Batch {
            images: (0..10).map(|value| value as f32).collect(),
            classes: (0..5).collect(),
            shape: [5, 2, 1, 1, 1],
        };
        let shares = batch.clone().split(3);
        let patches: Vec<_> = shares.iter().map(|share| share.shape[0]).collect();
        assert_eq!(patches, [2, 2, 1]);
        assert_eq!(shares[1].shape, [2, 2, 1, 1, 1]);
        let images: Vec<_> = shares.iter().map(|share| share.images.clone()).collect();
        let classes: Vec<_> = shares.iter().map(|share| share.classes.clone()).collect();
        assert_eq!(images.concat(), batch.images);
        assert_eq!(classes.concat(), batch.classes);
        assert_eq!(batch.clone().split(1), [batch]);
    }

    #[test]
    fn an_incomplete_group_is_filled_from_the_start() {
        let groups = sampler(5, 2, 2).groups(3);
        assert_eq!((groups.len(), sampler(5, 2, 2).steps()), (3, 6));
        assert_eq!(groups[2][1], groups[0][0]);
        let few = sampler(1, 3, 1).groups(0);
        assert_eq!(few, [[0, 0, 0]]);
    }
}
