//! Whole trainings: resuming, refusals and learning.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::work_dir::WorkDir;
use vesal_bundle::case_scores::{CaseScores, MeanScore};
use vesal_bundle::run_record::RunRecord;
use vesal_trainer::fit::{
    self, FitError, FitObserver, FitOutcome, RunStatus, Start, StepReport, ValidationReport,
};

/// Stops after this many steps, or in the first validation.
struct Interrupter {
    stop: Arc<AtomicBool>,
    steps_left: Option<usize>,
    resumed_after: Option<(usize, usize)>,
    steps: usize,
}

impl Interrupter {
    fn new(request: &fit::FitRequest, steps_left: Option<usize>) -> Self {
        Self {
            stop: request.stop.clone(),
            steps_left,
            resumed_after: None,
            steps: 0,
        }
    }
}

impl FitObserver for Interrupter {
    fn started(&mut self, start: &Start) {
        self.resumed_after = start.resumed_after;
    }

    fn step(&mut self, _report: &StepReport) {
        self.steps += 1;
        if self.steps_left == Some(self.steps) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn validating(&mut self, _epoch: usize, done: usize, _total: usize) {
        if self.steps_left == Some(usize::MAX) && done == 1 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }
}

/// Rows without their last columns, which hold seconds.
fn without_seconds(table: &str) -> Vec<&str> {
    let header = table.lines().next().unwrap();
    let seconds = header.split(',').filter(|name| name.ends_with("seconds"));
    let columns = seconds.count();
    table
        .lines()
        .map(|row| row.rsplitn(columns + 1, ',').last().unwrap())
        .collect()
}

/// Starts a second training of the same run while one is in progress.
struct Intruder(fit::FitRequest, Option<FitError>);

impl FitObserver for Intruder {
    fn started(&mut self, _start: &Start) {
        self.1 = fit::run(&self.0, &mut ()).err();
    }
}

#[test]
fn two_trainings_of_one_run_do_not_mix() {
    let work = WorkDir::new(4, 12, 8);
    let mut intruder = Intruder(work.request("run"), None);
    fit::run(&work.request("run"), &mut intruder).unwrap();
    assert!(
        matches!(intruder.1, Some(FitError::Busy { .. })),
        "{:?}",
        intruder.1
    );
}

#[test]
fn an_interrupted_training_ends_as_one_without_a_break() {
    let work = WorkDir::new(6, 12, 8);
    let FitOutcome::Finished { score } = fit::run(&work.request("whole"), &mut ()).unwrap() else {
        panic!("stopped without being asked")
    };

    // A step is reported when the next one is launched. Stops: after 2 of 3 steps, at the end of an epoch (before its
    // validation), and in the next validation.
    let stops = [
        (Some(1), None, (1, 2)),
        (Some(1), Some((0, 2)), (1, 3)),
        (Some(usize::MAX), Some((0, 3)), (1, 3)),
    ];
    for (stop, resumed_after, (epoch, step)) in stops {
        let request = work.request("parts");
        let mut observer = Interrupter::new(&request, stop);
        let outcome = fit::run(&request, &mut observer).unwrap();
        assert_eq!(outcome, FitOutcome::Stopped { epoch, step });
        assert_eq!(observer.resumed_after, resumed_after);
        let status = fit::status(&request.run_dir, None).unwrap();
        assert_eq!(
            (status.epoch, status.num_epochs, status.finished),
            (0, 3, false)
        );
    }
    let request = work.request("parts");
    let mut observer = Interrupter::new(&request, None);
    assert_eq!(
        fit::run(&request, &mut observer).unwrap(),
        FitOutcome::Finished {
            score: score.clone()
        }
    );
    assert_eq!(observer.steps, 6);

    let read = |name: &str| std::fs::read(work.path(name)).unwrap();
    assert!(read("whole/weights.safetensors") == read("parts/weights.safetensors"));
    assert!(read("whole/checkpoint.safetensors") == read("parts/checkpoint.safetensors"));
    for document in ["run.json", "scores.json"] {
        let [whole, parts] = ["whole", "parts"].map(|run| work.read(&format!("{run}/{document}")));
        assert_eq!(whole, parts);
    }
    let scores = CaseScores::read(&work.path("parts/scores.json")).unwrap();
    assert_eq!(
        fit::scores(&work.path("parts")).unwrap().as_ref(),
        Some(&scores)
    );
    assert_eq!(MeanScore::over(&scores.cases).at_epoch(scores.epoch), score);
    let names: Vec<_> = scores.cases.iter().map(|case| case.case.as_str()).collect();
    assert_eq!(names, ["case_0", "case_2", "case_4"]);
    let bright = scores.cases[0].labels["bright"];
    // A box of 4 voxels on each side, of 1.5 mm³ each, without the part that the other box covers.
    assert!((0.02..=0.096).contains(&bright.truth_ml), "{bright:?}");
    for table in ["metrics.csv", "validation.csv"] {
        let [whole, parts] = ["whole", "parts"].map(|run| work.read(&format!("{run}/{table}")));
        assert_eq!(without_seconds(&whole), without_seconds(&parts));
        assert_eq!(
            whole.lines().count(),
            if table == "metrics.csv" { 10 } else { 4 }
        );
    }

    let status = fit::status(&request.run_dir, None).unwrap();
    assert!(status.steps_per_second.is_some_and(|rate| rate > 0.0));
    let expected = RunStatus {
        epoch: 3,
        step: 0,
        num_epochs: 3,
        best_dice: Some(score.mean_dice),
        best_epoch: Some(score.epoch),
        finished: true,
        running: false,
        steps_per_second: status.steps_per_second,
        seconds_left: None,
    };
    assert_eq!(status, expected);
    let record = RunRecord::read(&work.path("parts/run.json")).unwrap();
    assert_eq!(record.score, score);
    assert_eq!(record.deploy_plan.path, "deploy_plan.json");
    let files = [&record.weights, &record.deploy_plan, &record.data_stats];
    for file in files.into_iter().chain(&record.scores) {
        file.read(&request.run_dir).unwrap();
    }
    assert_eq!(record.versions["burn"], "0.21.0");

    // The training is finished, so that the next call does nothing.
    let mut observer = Interrupter::new(&request, None);
    assert_eq!(
        fit::run(&request, &mut observer).unwrap(),
        FitOutcome::Finished { score }
    );
    assert_eq!(observer.steps, 0);
    // The same holds where the last checkpoint is left.
    let status = fit::status(&request.run_dir, None);
    std::fs::remove_file(work.path("parts/checkpoint.safetensors")).unwrap();
    assert_eq!(fit::status(&request.run_dir, None), status);
    assert!(matches!(
        fit::run(&request, &mut observer),
        Ok(FitOutcome::Finished { .. })
    ));
    assert_eq!(observer.steps, 0);
    assert!(read("whole/weights.safetensors") == read("parts/weights.safetensors"));
}

#[test]
fn a_killed_training_goes_on_from_its_checkpoint() {
    let mut work = WorkDir::new(4, 8, 8);
    work.plan.num_epochs_per_validation = None;
    work.write_plan();
    let request = work.request("run");
    fit::run(&request, &mut Interrupter::new(&request, Some(1))).unwrap();
    let checkpoint = std::fs::read(work.path("run/checkpoint.safetensors")).unwrap();
    let FitOutcome::Finished { score } = fit::run(&work.request("run"), &mut ()).unwrap() else {
        panic!()
    };
    let weights = std::fs::read(work.path("run/weights.safetensors")).unwrap();

    // The process was killed after the last validation: all files are new except for the checkpoint.
    std::fs::remove_file(work.path("run/run.json")).unwrap();
    std::fs::write(work.path("run/checkpoint.safetensors"), checkpoint).unwrap();
    std::fs::write(work.path("run/.weights.safetensors.x.part"), b"half").unwrap();
    assert_eq!(
        fit::run(&work.request("run"), &mut ()).unwrap(),
        FitOutcome::Finished { score }
    );
    assert!(std::fs::read(work.path("run/weights.safetensors")).unwrap() == weights);
    assert!(!work.path("run/.weights.safetensors.x.part").exists());
    assert_eq!(work.read("run/metrics.csv").lines().count(), 7);
    assert_eq!(work.read("run/validation.csv").lines().count(), 4);
}

#[test]
fn another_plan_is_refused_and_says_what_to_do() {
    let mut work = WorkDir::new(2, 8, 8);
    work.plan.num_epochs = 1;
    work.write_plan();
    fit::run(&work.request("run"), &mut ()).unwrap();
    work.plan.learning_rate = 1e-3;
    work.write_plan();
    // A finished run is not trained over, even without a checkpoint.
    std::fs::remove_file(work.path("run/checkpoint.safetensors")).unwrap();
    let error = fit::run(&work.request("run"), &mut ()).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("holds a training with another train plan"),
        "{error}"
    );
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.contains("remove the run directory"))
    );

    work.plan.roi_size = [8, 8, 7];
    work.write_plan();
    let error = fit::run(&work.request("new"), &mut ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the train plan has roi_size [8, 8, 7], expected [8, 8, 8] as the window of the deploy plan"
    );
}

#[test]
fn a_diverging_loss_is_named() {
    let mut work = WorkDir::new(4, 8, 8);
    work.plan.learning_rate = 1e30;
    work.write_plan();
    let error = fit::run(&work.request("run"), &mut ()).unwrap_err();
    assert!(
        matches!(error, FitError::Diverged { epoch: 1, .. }),
        "{error}"
    );
    assert!(error.hint().is_some());
}

#[test]
fn folds_without_cases_are_refused() {
    let work = WorkDir::new(4, 8, 8);
    let mut request = work.request("run");
    request.fold = 7;
    let error = fit::run(&request, &mut ()).unwrap_err().to_string();
    assert_eq!(
        error,
        "fold 7 leaves no cases for validation: 0 of 4 cases are in this fold"
    );
}

#[test]
fn an_unknown_label_is_named() {
    let work = WorkDir::new(2, 8, 8);
    let deploy = work
        .read("deploy_plan.json")
        .replace("\"value\": 5", "\"value\": 6");
    assert_ne!(deploy, work.read("deploy_plan.json"));
    std::fs::write(work.path("deploy_plan.json"), deploy).unwrap();
    let error = fit::run(&work.request("run"), &mut ()).unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string);
    let error = format!("{error}: {}", source.unwrap_or_default());
    assert!(
        error.contains("label_") && error.contains("voxels of label 5, expected one of [0, 2, 6]"),
        "{error}"
    );
}

#[test]
fn a_few_epochs_teach_bright_boxes() {
    #[derive(Default)]
    struct Losses(Vec<f32>, Vec<f64>);
    impl FitObserver for Losses {
        fn step(&mut self, report: &StepReport) {
            self.0.push(report.loss);
        }
        fn validated(&mut self, report: &ValidationReport) {
            self.1.push(report.score.mean_dice);
        }
    }
    let mut work = WorkDir::new(8, 16, 16);
    work.plan.num_epochs = 12;
    work.plan.num_epochs_per_validation = Some(12);
    work.plan.learning_rate = 1e-2;
    work.write_plan();
    let mut losses = Losses::default();
    fit::run(&work.request("run"), &mut losses).unwrap();
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let (first, last) = (mean(&losses.0[..4]), mean(&losses.0[44..]));
    assert!(last < 0.6 * first, "{first} {last}");
    assert!(losses.1[0] > 0.5, "{:?}", losses.1);
}
