//! Stages of a work directory: their files, when they are repeated, and moved directories.

use std::path::Path;
use std::sync::Arc;

use crate::dataset_on_disk::{Dataset, image, labels, text};
use vesal_bundle::DeployPlan;
use vesal_bundle::work_dir::{RunId, WorkFolds};
use vesal_files::document::{self, DocumentError};
use vesal_trainer::fit::TrainDevice;
use vesal_trainer::planner::PlannerOutput;
use vesal_trainer::work_dir::{Fault, Made, PlanOutcome, Request, WorkDir, WorkError};
use vesal_volume::Affine;

fn prepare(work: &Path, input: Option<&Path>, settings: &[&str]) -> Result<WorkDir, WorkError> {
    let settings: Vec<String> = settings.iter().map(|&text| text.to_owned()).collect();
    let folds = input.map(|_| 2);
    WorkDir::prepare(
        work,
        &Request {
            input,
            folds,
            settings: &settings,
            ..Request::default()
        },
    )
}

fn fit_request(work: &WorkDir, fold: usize) -> Result<vesal_trainer::fit::FitRequest, WorkError> {
    let run = RunId::new("segresnet", fold);
    work.fit_request(&run, TrainDevice::Cpu.into(), Arc::default())
}

/// The plans of the only chosen algorithm.
fn plan(work: &mut WorkDir) -> (Made, Box<PlannerOutput>) {
    let mut plannings = work.plan(false).unwrap();
    assert_eq!(plannings.len(), 1);
    match plannings.remove(0).outcome {
        PlanOutcome::Planned { made, plans } => (made, plans),
        PlanOutcome::Skipped { reason } => panic!("{reason}"),
    }
}

#[test]
fn stages_run_once_and_again_when_something_changed() {
    let mut dataset = Dataset::new(4);
    dataset.list("missing");
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let path = folder.path().join("work");

    let mut work = prepare(&path, Some(&task), &["num_epochs=3"]).unwrap();
    assert_eq!(work.folds(), [0, 1]);
    let contract: WorkFolds = document::read(&path.join("work.json")).unwrap();
    assert_eq!(contract.folds, work.folds(), "as other programs read it");
    assert!(matches!(
        work.plan(false),
        Err(WorkError::StageMissing { .. })
    ));
    assert!(matches!(
        fit_request(&work, 0),
        Err(WorkError::StageMissing { .. })
    ));
    let (made, excluded) = work.analyze(false, |_| {}).unwrap();
    assert_eq!(
        (made, excluded.len(), excluded[0].case.as_str()),
        (Made::Now, 1, "missing")
    );
    assert_eq!(plan(&mut work).0, Made::Now);

    let mut again = prepare(&path, None, &[]).unwrap();
    let (made, remembered) = again.analyze(false, |_| {}).unwrap();
    assert_eq!((made, remembered), (Made::Before, excluded));
    let (made, plans) = plan(&mut again);
    assert_eq!(
        (made, plans.train.num_epochs),
        (Made::Before, 3),
        "settings are kept"
    );

    let mut changed = prepare(&path, None, &["num_epochs=4"]).unwrap();
    assert_eq!(changed.analyze(false, |_| {}).unwrap().0, Made::Before);
    let (made, plans) = plan(&mut changed);
    assert_eq!((made, plans.train.num_epochs), (Made::Now, 4));

    dataset.image("missing", &image(9), Affine::IDENTITY);
    dataset.label("missing", &labels(), Affine::IDENTITY);
    let mut complete = prepare(&path, None, &[]).unwrap();
    let (made, excluded) = complete.analyze(false, |_| {}).unwrap();
    assert_eq!((made, excluded), (Made::Now, Vec::new()));
    assert!(matches!(
        fit_request(&complete, 0),
        Err(WorkError::Changed { file }) if file == "datastats.yaml"
    ));
    assert_eq!(plan(&mut complete).0, Made::Now);
    assert_eq!(fit_request(&complete, 0).unwrap().cases.len(), 5);

    let nothing = dataset.write_task("dicom: {}\n");
    let mut complete = prepare(&path, Some(&nothing), &[]).unwrap();
    assert_eq!(plan(&mut complete).0, Made::Before);
    let dicom = "dicom: {channels: {image: {series_descriptions: ['*t1*']}}}\n";
    let mut complete = prepare(&path, Some(&dataset.write_task(dicom)), &[]).unwrap();
    assert_eq!(complete.analyze(false, |_| {}).unwrap().0, Made::Before);
    let (made, plans) = plan(&mut complete);
    assert_eq!(made, Made::Now);
    assert_eq!(plans.deploy.channels[0].series_descriptions, ["*t1*"]);
    assert_eq!(plan(&mut complete).0, Made::Before);
    let written = DeployPlan::read(&path.join("segresnet/deploy_plan.json")).unwrap();
    assert_eq!(written, plans.deploy);
}

#[test]
fn a_fit_gets_usable_cases_and_plans_that_nobody_touched() {
    let mut dataset = Dataset::new(4);
    dataset.list("missing");
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let path = folder.path().join("work");
    let mut work = prepare(&path, Some(&task), &[]).unwrap();
    work.analyze(false, |_| {}).unwrap();
    plan(&mut work);

    let request = fit_request(&work, 1).unwrap();
    assert_eq!(request.run_dir, path.join("segresnet_1"));
    assert_eq!(request.cases.len(), 4);
    assert!(
        request
            .cases
            .iter()
            .all(|case| case.label.is_file() && case.images[0].is_file() && case.fold < 2)
    );
    assert!(matches!(
        fit_request(&work, 2),
        Err(WorkError::NoSuchFold { found: 2, .. })
    ));

    let file = path.join("segresnet/deploy_plan.json");
    std::fs::write(&file, text(&file).replace("0.625", "0.5")).unwrap();
    let error = fit_request(&work, 1).unwrap_err();
    assert!(
        matches!(&error, WorkError::Changed { file } if file == "segresnet/deploy_plan.json"),
        "{error}"
    );
    assert_eq!(error.fault(), Fault::Plan);
    assert_eq!(
        plan(&mut work).0,
        Made::Now,
        "a plan that was touched is made anew"
    );
}

#[test]
fn a_work_directory_can_move() {
    let dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let (path, moved) = (folder.path().join("work"), folder.path().join("moved"));
    let mut work = prepare(&path, Some(&task), &[]).unwrap();
    work.analyze(false, |_| {}).unwrap();
    plan(&mut work);
    let root = dataset.folder.path().to_string_lossy().into_owned();
    for folder in [path.clone(), path.join("segresnet")] {
        for entry in folder.read_dir().unwrap() {
            let file = entry.unwrap().path();
            let is_clean = file.is_dir() || !text(&file).contains(&root);
            assert!(is_clean, "{}", file.display());
        }
    }

    std::fs::rename(&path, &moved).unwrap();
    let data = folder.path().join("data");
    std::fs::rename(dataset.folder.path(), &data).unwrap();
    let gone = WorkDir::open(&moved, None).unwrap();
    assert!(matches!(
        fit_request(&gone, 0),
        Err(WorkError::NoDataroot { .. })
    ));
    let found = WorkDir::open(&moved, Some(&data)).unwrap();
    let request = fit_request(&found, 0).unwrap();
    assert!(
        request
            .cases
            .iter()
            .all(|case| case.label.starts_with(&data))
    );
    // The new data root is remembered, and both can be moved together.
    WorkDir::prepare(
        &moved,
        &Request {
            dataroot: Some(&data),
            ..Request::default()
        },
    )
    .unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    for name in ["moved", "data"] {
        std::fs::rename(folder.path().join(name), inner.join(name)).unwrap();
    }
    let mut again = prepare(&inner.join("moved"), None, &[]).unwrap();
    assert_eq!(again.analyze(false, |_| {}).unwrap().0, Made::Before);
    assert_eq!(plan(&mut again).0, Made::Before);
    assert!(fit_request(&again, 1).unwrap().cases[0].label.is_file());
}

#[test]
fn a_task_with_absolute_paths_leaves_none_in_the_work_directory() {
    let dataset = Dataset::new(4);
    let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
    let root = dataset.folder.path().to_string_lossy().into_owned();
    let absolute = text(&task)
        .replace("dataroot: .", &format!("dataroot: {root}"))
        .replace("datalist: ", &format!("datalist: {root}/"));
    std::fs::write(&task, absolute).unwrap();
    let path = folder.path().join("work");
    prepare(&path, Some(&task), &[]).unwrap();
    let copied = text(&path.join("task.yaml"));
    assert!(!copied.contains(&root), "{copied}");
    assert!(copied.contains("datalist: datalist.json"), "{copied}");
    assert!(WorkDir::open(&path, None).unwrap().has_data());
}

#[test]
fn directories_and_tasks_that_do_not_fit_are_refused() {
    let dataset = Dataset::new(4);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("work");
    let error = prepare(&path, None, &[]).unwrap_err();
    assert!(matches!(error, WorkError::NotSetUp { .. }));
    assert_eq!(
        error.hint().as_deref(),
        Some("`--input task.yaml` sets it up")
    );
    let error = prepare(&path, Some(&dataset.write_task("num_epoch: 3\n")), &[]).unwrap_err();
    assert_eq!(error.fault(), Fault::Input);
    let task = dataset.write_task("num_epochs: 3\n");
    let error = prepare(&path, Some(&task), &["roi_sise=[1, 1, 1]"]).unwrap_err();
    assert_eq!(error.fault(), Fault::Usage);
    assert!(
        !path.exists(),
        "nothing is written before everything is understood"
    );

    prepare(&path, Some(&task), &[]).unwrap();
    let record = path.join("work.json");
    let original = text(&record);
    std::fs::write(
        &record,
        original.replace("\"format_version\": 1", "\"format_version\": 9"),
    )
    .unwrap();
    assert!(matches!(
        WorkDir::open(&path, None),
        Err(WorkError::Document(DocumentError::Version { .. }))
    ));
    std::fs::write(&record, &original[..original.len() / 2]).unwrap();
    assert!(matches!(
        WorkDir::open(&path, None),
        Err(WorkError::Document(DocumentError::Json { .. }))
    ));
}
