//! Tests of reading tasks.

use super::*;
use crate::settings::CropMode;

const GOOD: &str = "
name: Task04_Hippocampus
task: segmentation
modality: MRI
datalist: datalist.json
dataroot: data
class_names: [anterior, posterior]
";

fn parse(extra: &str) -> Result<Task, TaskError> {
    Task::from_yaml(format!("{GOOD}{extra}").as_bytes())
}

#[test]
fn a_task_reads_with_its_overrides() {
    let task =
        parse("num_epochs: 5\nroi_size: [32, 48, 32]\nnetwork#init_filters: 8\ncrop_mode: rand\n");
    let task = task.unwrap();
    assert_eq!(
        (task.name.as_str(), task.modality),
        ("Task04_Hippocampus", Modality::Mri)
    );
    assert_eq!(task.classes.names(), ["anterior", "posterior"]);
    assert_eq!(task.overrides.num_epochs, Some(5));
    assert_eq!(task.overrides.roi_size, Some([32, 48, 32]));
    assert_eq!(task.overrides.init_filters, Some(8));
    assert_eq!(task.overrides.crop_mode, Some(CropMode::Rand));
}

#[test]
fn an_unknown_key_is_an_error_with_a_suggestion() {
    let error = parse("num_epoch: 5\n").unwrap_err().to_string();
    assert!(
        error.contains("unknown key `num_epoch`, did you mean `num_epochs`?"),
        "{error}"
    );
    assert!(error.contains("network#blocks_down"), "{error}");
    let error = parse("multigpu: true\n").unwrap_err().to_string();
    assert!(!error.contains("did you mean"), "{error}");
}

#[test]
fn other_modalities_and_tasks_are_refused() {
    let xray = GOOD.replace("MRI", "xray");
    let error = Task::from_yaml(xray.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`modality` of the task is `xray`, expected `ct`, `mri` or `pet`"
    );
    let detection = GOOD.replace("task: segmentation", "task: detection");
    assert!(matches!(
        Task::from_yaml(detection.as_bytes()),
        Err(TaskError::Value { key: "task", .. })
    ));
    for key in ["name", "modality", "datalist", "dataroot", "class_names"] {
        let without: String = GOOD
            .lines()
            .filter(|line| !line.starts_with(key))
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(
            matches!(Task::from_yaml(without.as_bytes()), Err(TaskError::Missing { key: k }) if k == key),
            "{key}"
        );
    }
    for bad in ["", "[1, 2]", "a: b: c", "{"] {
        assert!(Task::from_yaml(bad.as_bytes()).is_err());
    }
}

#[test]
fn tasks_are_bounded_in_size_and_nesting() {
    let refused = |text: String| {
        let error = Task::from_yaml(text.as_bytes()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        (source, error.hint().unwrap())
    };
    let (rule, hint) = refused(format!("{GOOD}x: {}\n", "[".repeat(200_000)));
    assert!(rule.starts_with("line 8 has more than 64 lists"), "{rule}");
    assert!(hint.starts_with("close every `[`"), "{hint}");
    let (rule, _) = refused(format!("{GOOD}# {}\n", "x".repeat(1 << 20)));
    assert_eq!(rule, "it is larger than 1048576 bytes");
}

#[test]
fn extra_modalities_keep_their_order() {
    let task = parse("extra_modalities: {pet: pet, image2: mri}\n").unwrap();
    assert_eq!(task.further_keys(), ["pet", "image2"]);
    assert_eq!(task.extra_modalities[0].1, Modality::Pet);
    for (bad, expected) in [
        ("{label: mri}", "has the key `label`"),
        ("{image2: xray}", "is `xray`, expected `ct`, `mri` or `pet`"),
        ("[pet]", "is a list of 1, expected a mapping"),
    ] {
        let error = parse(&format!("extra_modalities: {bad}\n")).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn paths_start_from_the_folder_of_the_task() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("task.yaml");
    let task = parse("").unwrap();
    let error = task.locate_datalist(&path).unwrap_err();
    assert!(matches!(
        error,
        TaskError::NotFound {
            key: "datalist",
            ..
        }
    ));
    std::fs::write(folder.path().join("datalist.json"), "{}").unwrap();
    std::fs::create_dir(folder.path().join("data")).unwrap();
    assert_eq!(
        task.locate_dataroot(&path).unwrap(),
        folder.path().join("data")
    );
    assert_eq!(
        task.locate_datalist(&path).unwrap(),
        folder.path().join("datalist.json")
    );
}
