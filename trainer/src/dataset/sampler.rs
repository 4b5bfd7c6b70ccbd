//! Assignment of cases to optimization steps.

use std::ops::Range;

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

/// Assigns cases to the optimization steps of rounds.
///
/// A round consists of the plan's `epochs_per_round`: the list of cases is repeated for each of its epochs and shuffled
/// as a whole. A list that does not fill its last step is filled with its first cases, so that all batches have the same
/// shape. Cases in the order of the round form [groups](CaseGroup).
#[derive(Debug, Clone, Copy)]
pub struct Sampler {
    cases: usize,
    images_per_batch: usize,
    crops_per_image: usize,
    steps_per_image: usize,
    epochs_per_round: usize,
    mixed_cases: usize,
    key: [u64; 2],
}

/// Cases that are read together, and the steps of the round (from 0) that their patches are for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseGroup {
    pub cases: Vec<usize>,
    pub steps: Range<usize>,
}

impl Sampler {
    /// A sampler for rounds over this many cases.
    pub fn new(cases: usize, plan: &TrainPlan, recipe: &Recipe, fold: usize) -> Self {
        Self {
            cases,
            images_per_batch: plan.num_images_per_batch.max(1),
            crops_per_image: plan.num_crops_per_image.max(1),
            steps_per_image: plan.num_steps_per_image.max(1),
            epochs_per_round: plan.epochs_per_round.max(1),
            mixed_cases: recipe.mixed_cases.max(1),
            key: [plan.seed, fold as u64],
        }
    }

    /// Optimization steps per epoch.
    pub fn steps(&self) -> usize {
        self.cases.div_ceil(self.images_per_batch) * self.steps_per_image
    }

    /// The round of a step of an epoch, and the step in the round; all from 0.
    pub fn in_round(&self, epoch: usize, step: usize) -> (usize, usize) {
        let (round, epoch) = (epoch / self.epochs_per_round, epoch % self.epochs_per_round);
        (round, epoch * self.steps() + step)
    }

    /// Groups of a round (from 0), in the order of their steps.
    pub fn groups(&self, round: usize) -> Vec<CaseGroup> {
        let listed = self.epochs_per_round * self.cases;
        let mut order: Vec<usize> = (0..listed).map(|position| position % self.cases).collect();
        Rng::new(&[self.key[0], self.key[1], round as u64]).shuffle(&mut order);
        let of_step = self.images_per_batch;
        let needed = self.epochs_per_round * self.cases.div_ceil(of_step) * of_step;
        let filled: Vec<usize> = (0..needed)
            .map(|position| order[position % listed])
            .collect();
        let mut step = 0;
        let groups = filled.chunks(of_step * self.mixed_cases).map(|cases| {
            let first = step;
            step += cases.len() / of_step * self.steps_per_image;
            CaseGroup {
                cases: cases.to_vec(),
                steps: first..step,
            }
        });
        groups.collect()
    }

    /// Position in its group of the case of each patch of a step, and the patch's random numbers.
    ///
    /// They depend on seed, fold, round, step and index alone, so that a resumed training repeats them.
    fn draws(&self, round: usize, group: &CaseGroup, step: usize) -> Vec<(usize, Rng)> {
        let [seed, fold] = self.key;
        let rng = |step: usize, index: usize| {
            Rng::new(&[seed, fold, round as u64, step as u64, index as u64])
        };
        let of_step = self.images_per_batch * self.crops_per_image;
        if self.mixed_cases == 1 {
            let patches = 0..of_step;
            return patches
                .map(|index| (index / self.crops_per_image, rng(step, index)))
                .collect();
        }
        // Every step deals out all patches of the group, but cuts only its own.
        let first = group.steps.start;
        let of_case = self.crops_per_image * self.steps_per_image;
        let mut patches: Vec<usize> = (0..group.cases.len() * of_case).collect();
        Rng::new(&[seed, fold, round as u64, first as u64]).shuffle(&mut patches);
        patches[(step - first) * of_step..][..of_step]
            .iter()
            .map(|&index| (index / of_case, rng(first, index)))
            .collect()
    }

    /// Cuts and augments the patches of a step (from 0 in its round) out of the cases of its group.
    pub fn batch(
        &self,
        plan: &TrainPlan,
        recipe: &Recipe,
        round: usize,
        step: usize,
        (group, volumes): (&CaseGroup, &[&TrainingVolume]),
    ) -> Batch {
        let draws = self.draws(round, group, step);
        let [x, y, z] = plan.roi_size;
        let channels = volumes.first().map_or(0, |case| case.image.dim().0);
        let shape = [draws.len(), channels, x, y, z];
        let mut batch = Batch {
            images: Vec::with_capacity(shape.iter().product()),
            classes: Vec::with_capacity(shape[0] * x * y * z),
            shape,
        };
        for (position, mut rng) in draws {
            let case = volumes[position];
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
            crops_per_image: 3,
            steps_per_image,
            epochs_per_round: 1,
            mixed_cases: 1,
            key: [5, 0],
        }
    }

    /// The sampler of swinunetr: rounds of 5 epochs, patches of two cases mixed.
    fn rounds(cases: usize) -> Sampler {
        Sampler {
            epochs_per_round: 5,
            mixed_cases: 2,
            ..sampler(cases, 1, 2)
        }
    }

    fn cases(groups: &[CaseGroup]) -> Vec<usize> {
        groups
            .iter()
            .flat_map(|group| group.cases.clone())
            .collect()
    }

    #[test]
    fn every_case_comes_once_per_epoch() {
        let sampler = sampler(6, 2, 1);
        let (mut first, second) = (cases(&sampler.groups(0)), cases(&sampler.groups(1)));
        assert_ne!(first, second);
        assert_eq!(first, cases(&sampler.groups(0)));
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
        assert_eq!(groups[2].cases[1], groups[0].cases[0]);
        assert_eq!(groups[2].steps, 4..6);
        let few = sampler(1, 3, 1).groups(0);
        assert_eq!(few[0].cases, [0, 0, 0]);
    }

    #[test]
    fn a_round_shuffles_several_epochs_together() {
        let sampler = rounds(7);
        let groups = sampler.groups(0);
        let mut order = cases(&groups);
        // Not one epoch after the other.
        assert!(
            order
                .chunks(7)
                .any(|epoch| (0..7).any(|case| !epoch.contains(&case)))
        );
        order.sort_unstable();
        let expected: Vec<usize> = (0..7).flat_map(|case| [case; 5]).collect();
        assert_eq!(order, expected);
        // 4 steps for two cases, and 2 for the last one of an odd list.
        let steps: Vec<usize> = groups.iter().map(|group| group.steps.len()).collect();
        assert_eq!((steps.len(), steps[0], steps[17]), (18, 4, 2));
        assert_eq!(steps.iter().sum::<usize>(), 5 * sampler.steps());
        assert_eq!(sampler.steps(), 2 * 7);
        assert_eq!(sampler.in_round(12, 3), (2, 2 * 14 + 3));
    }

    #[test]
    fn steps_of_a_group_share_the_patches_of_two_cases() {
        let sampler = rounds(2);
        let group = &sampler.groups(1)[1];
        let mut counts = [0; 2];
        let mut numbers = Vec::new();
        let mut mixed = false;
        for step in group.steps.clone() {
            let draws = sampler.draws(1, group, step);
            assert_eq!(draws.len(), 3);
            let of_first = draws.iter().filter(|(position, _)| *position == 0).count();
            mixed |= (1..3).contains(&of_first);
            for (position, mut rng) in draws {
                counts[position] += 1;
                numbers.push(rng.bits());
            }
        }
        assert_eq!(counts, [6, 6]);
        assert!(mixed);
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 12);
    }
}
