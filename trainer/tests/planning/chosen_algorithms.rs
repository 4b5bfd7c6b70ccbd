//! The choice of algorithms to plan and train, and the places of their plans.

use std::fs;
use std::path::Path;

use crate::dataset_on_disk::{Dataset, text};
use serde_json::Value;
use tempfile::TempDir;
use vesal_bundle::work_dir::RunId;
use vesal_trainer::algorithms;
use vesal_trainer::fit::TrainDevice;
use vesal_trainer::task::{Task, TaskError};
use vesal_trainer::work_dir::{Fault, Made, PlanOutcome, Request, WorkDir, WorkError};

/// Names of all algorithms.
fn names() -> Vec<String> {
    let all = algorithms::all().iter();
    all.map(|algorithm| algorithm.name.to_owned()).collect()
}

fn prepare(work: &Path, task: Option<&Path>, named: Option<&[&str]>) -> Result<WorkDir, WorkError> {
    let named: Option<Vec<String>> =
        named.map(|names| names.iter().map(|&name| name.to_owned()).collect());
    let settings = ["num_epochs=3".to_owned(), "allow_skip=false".to_owned()];
    let request = Request {
        input: task,
        algorithms: named.as_deref(),
        folds: task.map(|_| 2),
        settings: &settings,
        ..Request::default()
    };
    WorkDir::prepare(work, &request)
}

fn chosen(work: &WorkDir) -> Vec<&'static str> {
    let chosen = work.chosen().unwrap().into_iter();
    chosen.map(|algorithm| algorithm.name).collect()
}

fn made(work: &mut WorkDir, again: bool) -> Vec<(&'static str, Made)> {
    let plannings = work.plan(again).unwrap().into_iter();
    plannings
        .map(|planning| match planning.outcome {
            PlanOutcome::Planned { made, .. } => (planning.algorithm.name, made),
            PlanOutcome::Skipped { reason } => panic!("{reason}"),
        })
        .collect()
}

/// An analyzed work directory with plans of all algorithms.
fn planned() -> (Dataset, TempDir, WorkDir) {
    let dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let all = names();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let mut work = prepare(&folder.path().join("work"), Some(&task), Some(&all)).unwrap();
    work.analyze(false, |_| {}).unwrap();
    let all_now: Vec<_> = all.iter().map(|name| (*name, Made::Now)).collect();
    assert_eq!(made(&mut work, false), all_now);
    (dataset, folder, work)
}

#[test]
fn the_command_line_wins_over_the_task_and_is_remembered() {
    let dataset = Dataset::new(4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("work");
    let task = dataset.write_task("");
    let work = prepare(&path, Some(&task), None).unwrap();
    assert_eq!(chosen(&work), ["segresnet"]);

    let all = names();
    let task = dataset.write_task(&format!("algos: [{}]\n", all.join(", ")));
    let work = prepare(&path, Some(&task), None).unwrap();
    assert_eq!(chosen(&work), all);
    let work = prepare(&path, None, Some(&["SegResNet", "segresnet"])).unwrap();
    assert_eq!(chosen(&work), ["segresnet"]);
    let work = WorkDir::open(&path, None).unwrap();
    assert_eq!(chosen(&work), ["segresnet"]);
    let work = prepare(&path, None, None).unwrap();
    assert_eq!(chosen(&work), ["segresnet"]);
    let work = prepare(&path, None, Some(&[""])).unwrap();
    assert_eq!(chosen(&work), all, "left to the task again");

    let error = prepare(&path, None, Some(&["segresnet,segresnets"])).unwrap_err();
    assert_eq!(error.fault(), Fault::Usage);
    let message = format!(
        "`segresnets` is no algorithm, did you mean `segresnet`?; algorithms are: {}, or `all` of them",
        all.join(", ")
    );
    assert_eq!(error.to_string(), message);
    assert_eq!(chosen(&WorkDir::open(&path, None).unwrap()), all);

    let work = prepare(&path, None, Some(&["segresnet2d"])).unwrap();
    assert_eq!(chosen(&work), ["segresnet2d"]);
    let work = prepare(&path, None, Some(&["all"])).unwrap();
    assert_eq!(chosen(&work), all);
    let record: Value = serde_json::from_str(&text(&path.join("work.json"))).unwrap();
    assert_eq!(record["algorithms"], Value::from(all.clone()));
}

#[test]
fn a_task_names_algorithms_as_auto3dseg_does() {
    let task = |algos: &str| {
        let text = format!(
            "name: a\nmodality: ct\ndatalist: a.json\ndataroot: .\nclass_names: [b]\n{algos}\n"
        );
        Task::from_yaml(text.as_bytes())
    };
    let named = |algos: &str| {
        let algorithms = task(algos).unwrap().algorithms.into_iter();
        algorithms
            .map(|algorithm| algorithm.name)
            .collect::<Vec<_>>()
    };
    assert!(named("").is_empty());
    assert!(named("algos:").is_empty());
    assert!(named("algos: []").is_empty());
    for algos in ["SegResNet", "[segresnet]", "'segresnet, SEGRESNET'"] {
        assert_eq!(named(&format!("algos: {algos}")), ["segresnet"]);
    }
    for algos in ["all", "ALL", "[all]", "'segresnet, all'"] {
        assert_eq!(named(&format!("algos: {algos}")), names());
    }
    let mut last_first = names();
    last_first.rotate_right(1);
    assert_eq!(
        named(&format!("algos: [{}, all]", last_first[0])),
        last_first
    );
    assert!(matches!(
        task("algos: [unet]"),
        Err(TaskError::Algorithm(error)) if error.name == "unet"
    ));
    assert!(matches!(
        task("algos: {segresnet: 1}"),
        Err(TaskError::Value { key: "algos", .. })
    ));
}

#[test]
fn each_algorithm_has_plans_and_runs_of_its_own() {
    let (_dataset, _folder, mut work) = planned();
    assert!(!work.path().join("deploy_plan.json").exists());
    let mut expected = Vec::new();
    for algorithm in names() {
        for file in ["deploy_plan.json", "train_plan.json"] {
            assert!(work.path().join(&algorithm).join(file).is_file());
        }
        let train = text(&work.path().join(&algorithm).join("train_plan.json"));
        let train: Value = serde_json::from_str(&train).unwrap();
        assert_eq!(train["algorithm"], *algorithm);
        expected.extend([0, 1].map(|fold| RunId::new(&algorithm, fold)));
    }
    assert_eq!(work.runs(), expected);
    for run in &expected {
        let request = work
            .fit_request(run, TrainDevice::Cpu.into(), Default::default())
            .unwrap();
        assert_eq!(request.run_dir, work.path().join(run.to_string()));
        let plans = work.path().join(&run.algorithm);
        assert!(request.deploy_plan_path.starts_with(&plans));
        assert!(request.train_plan_path.starts_with(&plans));
    }
    let decisions = work.decisions().unwrap();
    assert_eq!(decisions.len(), names().len());
    assert!(decisions.iter().all(|reasons| reasons.decisions.is_some()));
    assert!(
        made(&mut work, false)
            .iter()
            .all(|(_, made)| *made == Made::Before)
    );

    // Plans of algorithms that are no longer chosen stay available.
    let only = prepare(work.path(), None, Some(&["segresnet"])).unwrap();
    assert_eq!(only.runs(), expected);
    assert_eq!(chosen(&only), ["segresnet"]);
}

/// Converts a work directory into the form that it had before there were several algorithms.
fn make_old(path: &Path) {
    for file in ["deploy_plan.json", "train_plan.json"] {
        fs::rename(path.join("segresnet").join(file), path.join(file)).unwrap();
    }
    let mut record: Value = serde_json::from_str(&text(&path.join("work.json"))).unwrap();
    let plan = record["plans"]["segresnet"].take();
    let record_fields = record.as_object_mut().unwrap();
    record_fields.remove("algorithms");
    record_fields.remove("plans");
    record_fields.insert("plan".to_owned(), plan);
    fs::write(path.join("work.json"), record.to_string()).unwrap();
}

#[test]
fn old_work_directories_go_on_and_move_when_they_are_planned_again() {
    let (_dataset, _folder, work) = planned();
    let path = work.path().to_owned();
    let deploy = text(&path.join("segresnet/deploy_plan.json"));
    make_old(&path);

    let mut old = prepare(&path, None, None).unwrap();
    assert_eq!(chosen(&old), ["segresnet"]);
    assert!(old.is_planned());
    assert_eq!(made(&mut old, false), [("segresnet", Made::Before)]);
    let run = RunId::new("segresnet", 1);
    let request = old
        .fit_request(&run, TrainDevice::Cpu.into(), Default::default())
        .unwrap();
    assert_eq!(request.run_dir, path.join("segresnet_1"));
    assert_eq!(request.deploy_plan_path, path.join("deploy_plan.json"));
    assert_eq!(request.train_plan_path, path.join("train_plan.json"));
    assert!(old.decisions().unwrap()[0].decisions.is_some());

    assert_eq!(made(&mut old, true), [("segresnet", Made::Now)]);
    assert_eq!(text(&path.join("segresnet/deploy_plan.json")), deploy);
    for file in ["deploy_plan.json", "train_plan.json"] {
        assert!(!path.join(file).exists(), "{file}");
    }
    let mut moved = WorkDir::open(&path, None).unwrap();
    assert_eq!(made(&mut moved, false), [("segresnet", Made::Before)]);
}

#[test]
fn an_unknown_algorithm_of_a_record_is_refused() {
    let (_dataset, _folder, work) = planned();
    let path = work.path().join("work.json");
    let record = text(&path).replacen("\"segresnet\"", "\"segresnet9\"", 1);
    fs::write(&path, record).unwrap();
    let error = WorkDir::open(work.path(), None).unwrap_err();
    assert!(matches!(error, WorkError::Algorithm(_)), "{error}");
}
