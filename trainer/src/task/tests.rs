//! Tests of reading tasks.

use std::path::Path;

use vesal_cases::datalist::DatasetDescription;

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
    assert_eq!(task.classes.unwrap().names(), ["anterior", "posterior"]);
    assert_eq!(task.overrides.num_epochs, Some(5));
    assert_eq!(task.overrides.roi_size, Some([32, 48, 32]));
    assert_eq!(task.overrides.init_filters, Some(8));
    assert_eq!(task.overrides.crop_mode, Some(CropMode::Rand));
}

#[test]
fn an_unknown_key_is_an_error_with_a_suggestion() {
    for (key, expected) in [
        (
            "num_epoch: 5",
            "unknown key `num_epoch`, did you mean `num_epochs`?",
        ),
        (
            "clas_names: [a]",
            "unknown key `clas_names`, did you mean `class_names`?",
        ),
        (
            "multi_gpu: true",
            "unknown key `multi_gpu`, did you mean `multigpu`?",
        ),
        (
            "patch_size: [96, 96, 96]",
            "unknown key `patch_size`, did you mean `roi_size`?",
        ),
        ("3: 4", "unknown key `3`"),
    ] {
        let error = parse(&format!("{key}\n")).unwrap_err();
        assert!(error.to_string().ends_with(expected), "{error}");
    }
    let error = parse("color: red\n").unwrap_err();
    assert_eq!(error.to_string(), "the task has the unknown key `color`");
    assert!(error.hint().unwrap().contains("vesal-train settings"));
}

#[test]
fn keys_of_auto3dseg_are_taken_or_told() {
    let task =
        parse("multigpu: True\nnum_fold: 2\nwork_dir: x\nrandom_seed: 9\nsigmoid: off\namp: yes\n");
    let task = task.unwrap();
    let unused: Vec<_> = task.unused.iter().map(|unused| unused.key).collect();
    assert_eq!(unused, ["multigpu", "work_dir"]);
    assert_eq!((task.num_fold, task.sigmoid), (Some(2), Some(false)));
    assert_eq!(
        (task.overrides.seed, task.overrides.use_amp),
        (Some(9), Some(true))
    );
    let error = parse("custom_data_transforms: [{key: after_crop, path: '.'}]\n").unwrap_err();
    assert!(matches!(
        error,
        TaskError::Refused {
            key: "custom_data_transforms",
            ..
        }
    ));
    let told = TaskRemark::UnusedKeys(task.unused).to_string();
    assert_eq!(
        told,
        "keys of the task that have no effect here: `multigpu` (devices are chosen with `--device`); \
         `work_dir` (the folder is `--work-dir`)"
    );
}

#[test]
fn modalities_have_many_spellings() {
    let read = |modality: &str| {
        let text = GOOD.replace("modality: MRI", &format!("modality: {modality}"));
        Task::from_yaml(text.as_bytes()).map(|task| task.modality)
    };
    for (text, expected) in [
        ("ct", Modality::Ct),
        ("mr", Modality::Mri),
        ("' Mri '", Modality::Mri),
        ("[CT]", Modality::Ct),
        ("{0: FLAIR, 1: T1w, 2: t1gd, 3: T2w}", Modality::Mri),
        ("PT", Modality::Pet),
    ] {
        assert_eq!(read(text).unwrap(), expected, "{text}");
    }
    let error = read("[CT, PET]").unwrap_err();
    assert_eq!(
        error.to_string(),
        "`modality` of the task names several modalities: CT, PET"
    );
    assert!(
        error
            .hint()
            .unwrap()
            .contains("extra_modalities: {pet: pet}")
    );
    assert!(matches!(
        read("[]"),
        Err(TaskError::Missing { key: "modality" })
    ));
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
    for key in ["name", "modality"] {
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

fn draft(folder: &Path, name: &str, text: &str) -> TaskDraft {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), text).unwrap();
    TaskDraft::read(&folder.join(name)).unwrap()
}

#[test]
fn paths_start_from_the_folder_of_the_task() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path();
    let mut task = draft(folder, "task.yaml", GOOD);
    let error = task.datalist().unwrap_err();
    assert!(matches!(
        error,
        TaskError::NotFound {
            key: "datalist",
            ..
        }
    ));
    assert!(error.hint().unwrap().contains("--datalist FILE"));
    let error = task.dataroot(Path::new("x")).unwrap_err();
    assert!(error.hint().unwrap().contains("--dataroot DIR"));
    std::fs::write(folder.join("datalist.json"), "{}").unwrap();
    std::fs::create_dir(folder.join("data")).unwrap();
    assert_eq!(task.dataroot(Path::new("x")).unwrap(), folder.join("data"));
    assert_eq!(task.datalist().unwrap(), folder.join("datalist.json"));
    let read = task.task().unwrap();
    assert_eq!(task.remarks(&read), []);
    assert_eq!(task.to_yaml("a", "b").unwrap(), GOOD.as_bytes());

    for written in ["./datafolds/datalist.json", "/nowhere/datalist.json"] {
        let text = GOOD.replace("datalist: datalist.json", &format!("datalist: {written}"));
        let mut task = draft(folder, "task.yaml", &text);
        assert_eq!(task.datalist().unwrap(), folder.join("datalist.json"));
        let remarks = task.remarks(&task.task().unwrap());
        assert!(
            matches!(&remarks[..], [TaskRemark::DatalistBeside { written: w, .. }] if w == written)
        );
    }
}

#[test]
fn names_come_from_files_and_folders() {
    let temporary = tempfile::tempdir().unwrap();
    let minimal = "modality: CT\ndatalist: ./d.json\ndataroot: /workspace/data\n";
    for (folder, file, expected) in [
        ("spleen", "input.yaml", "spleen"),
        ("spleen", "Task.yml", "spleen"),
        ("x", "liver_ct.yaml", "liver_ct"),
    ] {
        let draft = draft(&temporary.path().join(folder), file, minimal);
        let task = draft.task().unwrap();
        assert_eq!((task.name.as_str(), &task.classes), (expected, &None));
        let name = expected.to_owned();
        assert_eq!(draft.remarks(&task), [TaskRemark::Named { name }]);
        let written = draft.to_yaml("datalist.json", "../data").unwrap();
        assert_eq!(Task::from_yaml(&written).unwrap(), task);
        assert!(!String::from_utf8(written).unwrap().contains("/workspace"));
    }
}

#[test]
fn the_datalist_fills_in_what_the_task_leaves_out() {
    let describe = |text: &str| DatasetDescription::from_json(text.as_bytes(), &[]).unwrap();
    let decathlon = describe(
        r#"{"labels": {"0": "background", "1": "pz", "3": "tz"}, "modality": {"0": "T2", "1": "ADC"}, "odd": 1}"#,
    );
    let mut draft = TaskDraft::of_datalist(Path::new("/data/Task05_Prostate/dataset.json"));
    assert_eq!(
        draft.dataroot(Path::new("dataset.json")).unwrap(),
        Path::new(".")
    );
    draft.describe(&decathlon);
    let task = draft.task().unwrap();
    assert_eq!(
        (task.name.as_str(), task.modality),
        ("Task05_Prostate", Modality::Mri)
    );
    let classes = task.classes.clone().unwrap();
    assert_eq!(
        (classes.name_of(1), classes.name_of(3)),
        (Some("pz"), Some("tz"))
    );
    let told: Vec<_> = draft
        .remarks(&task)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(told[1], "keys of the datalist that nothing reads: `odd`");
    assert_eq!(
        told[2],
        "the modality is MRI, as the datalist says under `modality`"
    );
    assert_eq!(
        told[3],
        "the classes are pz, tz, as the datalist says under `labels`"
    );
    let written = draft.to_yaml("datalist.json", ".").unwrap();
    assert_eq!(Task::from_yaml(&written).unwrap(), task);

    let mut named = TaskDraft::from_yaml(GOOD.as_bytes().to_vec()).unwrap();
    named.describe(&decathlon);
    let task = named.task().unwrap();
    assert_eq!(task.classes.unwrap().names(), ["anterior", "posterior"]);

    for odd in [
        r#"{"labels": {"1": "a", "2": "a"}, "modality": ["CT", "PET"]}"#,
        r#"{"labels": ["a"], "modality": "ultrasound"}"#,
    ] {
        let mut draft = TaskDraft::of_datalist(Path::new("liver.json"));
        draft.describe(&describe(odd));
        assert!(matches!(
            draft.task(),
            Err(TaskError::Missing { key: "modality" })
        ));
        draft.set_modality(Modality::Ct);
        let task = draft.task().unwrap();
        assert_eq!(task.classes, None);
        let remarks = draft.remarks(&task);
        assert!(
            matches!(remarks[..], [TaskRemark::UnusedLabels { .. }]),
            "{remarks:?}"
        );
        let found = task.classes_with(&[2, 9]).unwrap().unwrap();
        assert_eq!(found.names(), ["label_2", "label_9"]);
        assert_eq!(task.classes_with(&[]).unwrap(), None);
    }
}

#[test]
fn codes_of_labels_wait_for_the_labels() {
    let text = "name: a\nmodality: ct\ndicom:\n  labels:\n    label_2:\n      \
        category: {value: '91723000', scheme: SCT, meaning: Anatomical Structure}\n      \
        type: {value: '10200004', scheme: SCT, meaning: Liver}\n";
    let task = Task::from_yaml(text.as_bytes()).unwrap();
    assert!(task.classes_with(&[1, 2]).unwrap().is_some());
    assert!(matches!(
        task.classes_with(&[1, 3]),
        Err(TaskError::Dicom { .. })
    ));
}
