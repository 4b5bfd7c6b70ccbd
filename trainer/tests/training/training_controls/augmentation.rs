//! Sets of random changes.

use ndarray::{Array3, Array4};
use vesal_trainer::algorithms::dints::DINTS;
use vesal_trainer::algorithms::swinunetr::SWINUNETR;
use vesal_trainer::algorithms::{self, Algorithm};
use vesal_trainer::augment::Patch;
use vesal_trainer::rng::Rng;
use vesal_trainer::settings::AugmentMode;
use vesal_trainer::train_plan::TrainPlan;

use crate::work_dir::WorkDir;

/// The patch after `augment` of the default algorithm with this seed.
fn augmented(plan: &TrainPlan, seed: u64) -> Patch {
    augmented_by(algorithms::DEFAULT, plan, seed)
}

fn augmented_by(algorithm: &Algorithm, plan: &TrainPlan, seed: u64) -> Patch {
    let mut patch = Patch {
        image: Array4::from_shape_fn((2, 5, 5, 3), |(c, x, y, z)| {
            (c * 1000 + x * 100 + y * 10 + z) as f32
        }),
        classes: Array3::from_shape_fn((5, 5, 3), |(x, y, z)| (x * 100 + y * 10 + z) as u16),
    };
    (algorithm.recipe.augment)(&mut patch, plan, &mut Rng::new(&[seed]));
    patch
}

#[test]
fn every_set_of_changes_keeps_shape_and_follows_its_random_numbers() {
    let mut plan = WorkDir::new(1, 8, 8).plan;
    plan.augment_rots = vec![[0, 1]];
    for algorithm in [algorithms::DEFAULT, &SWINUNETR, &DINTS] {
        for mode in [AugmentMode::Default, AugmentMode::CtAx1, AugmentMode::Mri1] {
            plan.augment_mode = mode;
            let augmented = |seed| augmented_by(algorithm, &plan, seed);
            let mut distinct = 0;
            for seed in 0..50 {
                let patch = augmented(seed);
                let shapes = (patch.image.dim(), patch.classes.dim());
                assert_eq!(shapes, ((2, 5, 5, 3), (5, 5, 3)));
                assert_eq!(patch, augmented(seed));
                assert!(
                    patch.image.iter().all(|value| value.is_finite()),
                    "{algorithm:?}, {mode:?}"
                );
                distinct += usize::from(patch != augmented(seed + 1));
            }
            assert!(distinct > 30, "{algorithm:?}, {mode:?}: {distinct}");
        }
    }
}

#[test]
fn axes_that_are_not_mirrored_stay() {
    let mut plan = WorkDir::new(1, 8, 8).plan;
    plan.augment_mode = AugmentMode::None;
    plan.augment_flips = vec![1, 2];
    let mut moved = [false; 3];
    for seed in 0..30 {
        // The class of each voxel is its position.
        let classes = augmented(&plan, seed).classes;
        let first = classes[[0, 0, 0]];
        let position = [first / 100, first / 10 % 10, first % 10];
        for axis in 0..3 {
            moved[axis] |= position[axis] != 0;
        }
    }
    assert_eq!(moved, [false, true, true]);
    plan.augment_flips.clear();
    assert!((0..30).all(|seed| augmented(&plan, seed) == augmented(&plan, 0)));
}

/// Counts of 4000 patches that a change happens to, by its probability.
#[test]
fn changes_of_swinunetr_and_dints_come_as_often_as_they_should() {
    let mut plan = WorkDir::new(1, 8, 8).plan;
    plan.augment_flips.clear();
    plan.augment_rots.clear();
    let count = |algorithm: &Algorithm, plan: &TrainPlan, changed: &dyn Fn(&Patch) -> bool| {
        let patches = (0..4000).map(|seed| augmented_by(algorithm, plan, seed));
        patches.filter(changed).count()
    };
    let about = |found: usize, probability: f64| {
        let difference = (found as f64 / 4000.0 - probability).abs();
        assert!(difference < 0.03, "{found}, not {probability} of 4000");
    };
    let plain = augmented_by(
        &SWINUNETR,
        &TrainPlan {
            augment_mode: AugmentMode::None,
            ..plan.clone()
        },
        0,
    );
    // Scale or shift.
    about(
        count(&SWINUNETR, &plan, &|patch| patch.image != plain.image),
        0.19,
    );
    // Rotation or zoom, some of which move no voxel to another place.
    let moved = count(&DINTS, &plan, &|patch| patch.classes != plain.classes);
    assert!((0.2..0.36).contains(&(moved as f64 / 4000.0)), "{moved}");
    plan.augment_flips = vec![2];
    about(
        count(&SWINUNETR, &plan, &|patch| patch.classes != plain.classes),
        0.2,
    );
    plan.augment_flips.clear();
    plan.augment_rots = vec![[0, 1]];
    about(
        count(&SWINUNETR, &plan, &|patch| patch.classes != plain.classes),
        0.2,
    );
}
