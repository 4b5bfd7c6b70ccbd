//! Plans name the weights that a training starts from by their content.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use vesal_trainer::train_plan::TrainPlan;
use vesal_trainer::work_dir::{Fault, Made, PlanOutcome, Request, WorkDir, WorkError};

use crate::dataset_on_disk::Dataset;

fn prepared(folder: &Path, task: Option<&Path>, setting: String) -> Result<WorkDir, WorkError> {
    let request = Request {
        input: task,
        folds: task.map(|_| 2),
        settings: &[setting],
        host_memory_gib: Some(8.0),
        ..Request::default()
    };
    WorkDir::prepare(&folder.join("work"), &request)
}

fn planned(work: &mut WorkDir) -> (Made, TrainPlan) {
    let mut plannings = work.plan(false).unwrap();
    match plannings.remove(0).outcome {
        PlanOutcome::Planned { made, plans } => {
            let explained = plans.reasons.iter();
            let explained = explained.filter(|decision| decision.name == "init_weights");
            assert_eq!(
                explained.count(),
                usize::from(plans.train.init_weights.is_some())
            );
            (made, plans.train)
        }
        PlanOutcome::Skipped { reason } => panic!("{reason}"),
    }
}

#[test]
fn plans_follow_the_content_of_the_file() {
    let dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), TempDir::new().unwrap());
    let file = folder.path().join("start.pt");
    fs::write(&file, b"first").unwrap();
    let setting = format!("init_weights={}", file.display());
    let mut work = prepared(folder.path(), Some(&task), setting.clone()).unwrap();
    work.analyze(false, |_| {}).unwrap();
    let (_, plan) = planned(&mut work);
    let first = plan.init_weights.unwrap();
    assert_eq!(first.path, file);
    assert_eq!(planned(&mut work).0, Made::Before);

    fs::write(&file, b"second").unwrap();
    let (made, plan) = planned(&mut work);
    assert_eq!(made, Made::Now);
    assert_ne!(plan.init_weights.unwrap().sha256, first.sha256);

    fs::remove_file(&file).unwrap();
    let error = prepared(folder.path(), None, setting).unwrap_err();
    assert!(error.to_string().contains("start.pt"), "{error}");
    assert_eq!(error.fault(), Fault::Plan);
    assert!(error.hint().unwrap().contains("init_weights="));
    let mut work = prepared(folder.path(), None, "init_weights=".into()).unwrap();
    assert_eq!(planned(&mut work).1.init_weights, None);

    let error = prepared(folder.path(), None, "init_weights=start.pt".into()).unwrap_err();
    assert!(
        error.to_string().contains("expected an absolute path"),
        "{error}"
    );
}
