//! Trainings by rounds of several epochs: resuming, and what is trained.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vesal_trainer::fit::{self, FitObserver, FitOutcome, FitRequest, StepReport};

use crate::work_dir::WorkDir;

/// Stops after this many steps, and records steps.
struct Steps {
    stop: Arc<AtomicBool>,
    left: usize,
    reported: Vec<(usize, usize, f64)>,
}

impl FitObserver for Steps {
    fn step(&mut self, report: &StepReport) {
        self.reported
            .push((report.epoch, report.step, report.learning_rate));
        if self.reported.len() == self.left {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Trains with a stop after each of these numbers of steps, then to the end.
fn train(request: &FitRequest, parts: &[usize]) -> Vec<(usize, usize, f64)> {
    let mut reported = Vec::new();
    for left in parts.iter().copied().chain([usize::MAX]) {
        let mut steps = Steps {
            stop: request.stop.clone(),
            left,
            reported: Vec::new(),
        };
        let outcome = fit::run(request, &mut steps).unwrap();
        let is_whole = matches!(outcome, FitOutcome::Finished { .. });
        assert_eq!(is_whole, left == usize::MAX, "{outcome:?}");
        request.stop.store(false, Ordering::Relaxed);
        reported.extend(steps.reported);
    }
    reported
}

fn assert_same(work: &WorkDir, a: &str, b: &str) {
    for file in ["weights.safetensors", "checkpoint.safetensors"] {
        let [a, b] = [a, b].map(|run| std::fs::read(work.path(&format!("{run}/{file}"))).unwrap());
        assert!(a == b, "{file} differs");
    }
}

/// Trains all rounds at once, in parts, and with cases that do not fit in memory.
fn check(mut work: WorkDir, algorithm: &str) -> Vec<(usize, usize, f64)> {
    work.plan.algorithm = algorithm.to_owned();
    work.plan.num_steps_per_image = 2;
    work.plan.epochs_per_round = 2;
    work.plan.num_epochs = 5;
    work.plan.learning_rate = 0.01;
    work.plan.clip_grad_norm = Some(0.5);
    work.write_plan();
    let whole = train(&work.request("whole"), &[]);
    // 3 training cases: groups of two cases and of one do not end where epochs do.
    let places: Vec<_> = whole
        .iter()
        .map(|&(epoch, step, _)| (epoch, step))
        .collect();
    let expected: Vec<_> = (1..=4)
        .flat_map(|epoch| (1..=6).map(move |step| (epoch, step)))
        .collect();
    assert_eq!(places, expected);
    let status = fit::status(&work.path("whole"), None).unwrap();
    assert_eq!((status.epoch, status.num_epochs), (4, 4));

    // A step is reported when the next one is launched. In a round, between rounds, and in the next epoch of a round.
    assert_eq!(train(&work.request("parts"), &[4, 7, 1]), whole);
    assert_same(&work, "whole", "parts");
    let request = FitRequest {
        max_ram_bytes: Some(0),
        ..work.request("read_again")
    };
    assert_eq!(train(&request, &[3]), whole);
    assert_same(&work, "whole", "read_again");
    whole
}

#[test]
fn rounds_resume_where_they_stopped() {
    check(WorkDir::new(6, 12, 8), "segresnet");
}

#[test]
fn a_training_has_a_whole_round() {
    let mut work = WorkDir::new(2, 8, 8);
    (work.plan.num_epochs, work.plan.epochs_per_round) = (3, 5);
    work.write_plan();
    let error = fit::run(&work.request("run"), &mut ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the train plan has num_epochs 3, expected at least 5, the epochs of a round"
    );
}

#[test]
fn plans_without_rounds_stay_as_they_were() {
    let work = WorkDir::new(2, 8, 8);
    assert!(!work.read("train_plan.json").contains("epochs_per_round"));
}

/// The recipes do not depend on the network, here that of segresnet.
#[test]
fn trainings_by_the_recipes_of_swinunetr_and_dints_resume_bit_for_bit() {
    // The rates of two rounds: a warm-up of none, and the rest of a cosine or of a square root.
    let half: f64 = 0.5 * (1.0 + (std::f64::consts::PI / 3.0).cos());
    for (algorithm, second) in [("swinunetr", half), ("dints", (2.0_f64 / 3.0).sqrt())] {
        let mut work = WorkDir::new(6, 12, 8);
        work.plan.num_warmup_epochs = 1;
        for (epoch, _, rate) in check(work, algorithm) {
            let expected = 0.01 * if epoch <= 2 { 1.0 } else { second };
            assert!(
                (rate - expected).abs() < 1e-9,
                "{algorithm}, {epoch}: {rate}"
            );
        }
    }
}
