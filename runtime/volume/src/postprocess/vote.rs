//! The votes of an ensemble's members.

use ndarray::{Array2, Array4, ArrayViewMut3, Axis, Zip};
use rayon::prelude::*;

use super::Activation;
use super::labeling::REGION_THRESHOLD;
use super::mean::{MeanError, check_member};

/// Weighted votes that hold one array, however many members there are.
///
/// **Definition**: a member votes for its most probable class alone (of equals, the one of lowest index), or for every
/// region of a probability above 0.5. The share of class or region `k` is `sum(w [member votes for k]) / sum(w)`. The
/// class of the largest share wins, of equals the one of lowest index; a region wins with a share above 0.5.
///
/// **Source**: MONAI 1.6.1 `VoteEnsemble`, which has no weights: with equal ones, the classes are those of its
/// `num_classes` form, and the regions those of its rounded mean, where half of the members are not a majority.
#[derive(Debug)]
pub struct Votes {
    activation: Activation,
    votes: Option<Array4<f32>>,
    weight: f64,
}

impl Votes {
    pub fn new(activation: Activation) -> Self {
        Self {
            activation,
            votes: None,
            weight: 0.0,
        }
    }

    /// Adds one member's probabilities, `[K, X, Y, Z]`; the first member's array becomes the votes.
    ///
    /// NaN stays NaN, so that labeling the shares refuses it.
    ///
    /// **Errors**: a shape unlike the first member's, or a weight that is not finite and above 0. The votes are then
    /// as before.
    pub fn add(&mut self, mut probabilities: Array4<f32>, weight: f64) -> Result<(), MeanError> {
        check_member(self.votes.as_ref(), &probabilities, weight)?;
        self.weight += weight;
        let slabs: Vec<_> = probabilities.axis_iter_mut(Axis(1)).collect();
        let cast = |slab| match self.activation {
            Activation::Softmax => vote_for_one(slab, weight as f32),
            Activation::Sigmoid => vote_for_each(slab, weight as f32),
        };
        slabs.into_par_iter().for_each(cast);
        match &mut self.votes {
            None => self.votes = Some(probabilities),
            Some(votes) => {
                let votes: Vec<_> = votes.axis_iter_mut(Axis(1)).collect();
                let added: Vec<_> = probabilities.axis_iter(Axis(1)).collect();
                votes
                    .into_par_iter()
                    .zip(added)
                    .for_each(|(mut votes, added)| votes += &added);
            }
        }
        Ok(())
    }

    /// Returns the shares of the votes, `[K, X, Y, Z]`, from 0 to 1.
    ///
    /// **Errors**: no member was added.
    pub fn finish(self) -> Result<Array4<f32>, MeanError> {
        let weight = self.weight as f32;
        let mut votes = self.votes.ok_or(MeanError::Empty)?;
        votes.mapv_inplace(|votes| votes / weight);
        Ok(votes)
    }
}

/// Turns one X position, `[K, Y, Z]`, from probabilities into one vote per voxel.
fn vote_for_one(mut slab: ArrayViewMut3<'_, f32>, weight: f32) {
    let (_, rows, columns) = slab.dim();
    let mut best = Array2::from_elem((rows, columns), f32::NEG_INFINITY);
    let mut choice = Array2::from_elem((rows, columns), 0);
    for (index, class) in slab.outer_iter().enumerate() {
        Zip::from(&mut best)
            .and(&mut choice)
            .and(class)
            .for_each(|best, choice, &probability| {
                if probability > *best {
                    *best = probability;
                    *choice = index;
                }
            });
    }
    for (index, class) in slab.outer_iter_mut().enumerate() {
        Zip::from(class).and(&choice).for_each(|value, &choice| {
            *value = cast(*value, choice == index, weight);
        });
    }
}

/// Turns probabilities into a vote for each region.
fn vote_for_each(mut slab: ArrayViewMut3<'_, f32>, weight: f32) {
    slab.mapv_inplace(|probability| cast(probability, probability > REGION_THRESHOLD, weight));
}

fn cast(probability: f32, chosen: bool, weight: f32) -> f32 {
    match (probability.is_nan(), chosen) {
        (true, _) => f32::NAN,
        (false, true) => weight,
        (false, false) => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, array};

    use super::*;

    /// Probabilities of three classes at one voxel.
    fn voxel(probabilities: [f32; 3]) -> Array4<f32> {
        Array4::from_shape_vec((3, 1, 1, 1), probabilities.to_vec()).unwrap()
    }

    fn shares(activation: Activation, members: &[([f32; 3], f64)]) -> Vec<f32> {
        let mut votes = Votes::new(activation);
        for (probabilities, weight) in members {
            votes.add(voxel(*probabilities), *weight).unwrap();
        }
        votes.finish().unwrap().into_raw_vec_and_offset().0
    }

    #[test]
    fn a_narrow_majority_outvotes_a_certain_minority() {
        let members = [
            ([0.0, 0.51, 0.49], 1.0),
            ([0.0, 0.51, 0.49], 1.0),
            ([0.0, 0.0, 1.0], 1.0),
        ];
        let found = shares(Activation::Softmax, &members);
        assert_eq!(found, [0.0, 2.0 / 3.0, 1.0 / 3.0]);
    }

    #[test]
    fn weights_count_and_equals_go_to_the_lowest_index() {
        let of = |weight| {
            [
                ([0.1, 0.2, 0.7], weight),
                ([0.1, 0.7, 0.2], 1.0),
                ([0.4, 0.4, 0.2], 1.0),
            ]
        };
        assert_eq!(shares(Activation::Softmax, &of(2.0)), [0.25, 0.25, 0.5]);
        let third = 1.0 / 3.0;
        let found = shares(Activation::Softmax, &of(1.0));
        assert_eq!(found, [third; 3]);
        let labels = super::super::argmax_labels(
            Array4::from_shape_vec((3, 1, 1, 1), found).unwrap().view(),
            &[0, 1, 2],
        );
        assert_eq!(labels, Ok(array![[[0]]]));
    }

    #[test]
    fn regions_are_voted_for_one_by_one_and_half_is_no_majority() {
        let members = [([0.9, 0.5, 0.6], 1.0), ([0.6, 0.9, 0.2], 1.0)];
        assert_eq!(shares(Activation::Sigmoid, &members), [1.0, 0.5, 0.5]);
    }

    #[test]
    fn what_is_no_number_stays_and_shapes_and_weights_are_checked() {
        let found = shares(
            Activation::Softmax,
            &[([0.2, f32::NAN, 0.8], 1.0), ([0.0, 0.0, 1.0], 1.0)],
        );
        assert!(found[1].is_nan() && found[2] == 1.0, "{found:?}");
        let mut votes = Votes::new(Activation::Softmax);
        votes.add(voxel([1.0, 0.0, 0.0]), 1.0).unwrap();
        let other = votes.add(Array4::zeros((2, 1, 1, 1)), 1.0);
        assert!(matches!(other, Err(MeanError::Shape { .. })));
        for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let refused = votes.add(voxel([0.0, 0.0, 1.0]), weight);
            assert!(matches!(refused, Err(MeanError::Weight { .. })), "{weight}");
        }
        assert_eq!(votes.finish().unwrap(), voxel([1.0, 0.0, 0.0]));
        let none = Votes::new(Activation::Sigmoid).finish();
        assert_eq!(none, Err(MeanError::Empty));
    }
}
