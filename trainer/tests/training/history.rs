//! Work directories in one file: their content, and refusals of hostile files.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::dataset_on_disk::Dataset;
use serde_json::{Value, json};
use tempfile::TempDir;
use vesal_files::digest;
use vesal_trainer::fit::FitError;
use vesal_trainer::history::{ExportOptions, HistoryError, export, import};
use vesal_trainer::work_dir::{Made, PlanOutcome, Request, WorkDir};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

const WHOLE: ExportOptions = ExportOptions {
    only_trained: false,
    with_checkpoints: true,
};

/// A planned work directory with a run that looks finished and another one that looks unfinished.
struct Work {
    dataset: Dataset,
    folder: TempDir,
    work: WorkDir,
}

impl Work {
    fn new() -> Self {
        let dataset = Dataset::new(4);
        let (task, folder) = (dataset.write_task(""), tempfile::tempdir().unwrap());
        let path = folder.path().join("work");
        let request = Request {
            input: Some(&task),
            folds: Some(2),
            ..Request::default()
        };
        let mut work = WorkDir::prepare(&path, &request).unwrap();
        work.analyze(false, |_| {}).unwrap();
        work.plan(false).unwrap();
        for (file, text) in [
            ("segresnet_0/run.json", "{}"),
            ("segresnet_0/weights.safetensors", "weights"),
            ("segresnet_0/checkpoint.safetensors", "state"),
            ("segresnet_0/events/events.out.tfevents.1.host", "events"),
            ("segresnet_0/.run.json.x.part", "half"),
            ("segresnet_1/checkpoint.safetensors", "state"),
            ("scan.nii", "not the work directory's"),
            ("bundle/manifest.json", "{}"),
        ] {
            let path = path.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self {
            dataset,
            folder,
            work,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn exported(&self, name: &str, options: ExportOptions) -> Vec<String> {
        let path = self.path(name);
        export(&self.work, &path, options).unwrap();
        let archive = ZipArchive::new(File::open(path).unwrap()).unwrap();
        let mut names: Vec<_> = archive.file_names().map(str::to_owned).collect();
        names.sort();
        names
    }
}

#[test]
fn a_work_directory_travels_whole() {
    let work = Work::new();
    let names = work.exported("whole.zip", WHOLE);
    let expected = [
        "datalist.json",
        "datastats.yaml",
        "datastats_by_case.yaml",
        "findings.json",
        "history.json",
        "segresnet/deploy_plan.json",
        "segresnet/train_plan.json",
        "segresnet_0/checkpoint.safetensors",
        "segresnet_0/events/events.out.tfevents.1.host",
        "segresnet_0/run.json",
        "segresnet_0/weights.safetensors",
        "segresnet_1/checkpoint.safetensors",
        "task.yaml",
        "work.json",
    ];
    assert_eq!(names, expected);

    let elsewhere = work.path("elsewhere");
    let data = work.dataset.folder.path();
    let mut imported = import(&work.path("whole.zip"), &elsewhere, Some(data)).unwrap();
    for name in names.iter().filter(|name| *name != "history.json") {
        let [from, to] =
            [work.work.path(), &elsewhere].map(|root| fs::read(root.join(name)).unwrap());
        assert!(from == to || name == "work.json", "{name}");
    }
    assert_eq!(imported.analyze(false, |_| {}).unwrap().0, Made::Before);
    let plannings = imported.plan(false).unwrap();
    let made = plannings.iter().map(|planning| &planning.outcome);
    let made: Vec<_> = made.collect();
    assert!(
        matches!(
            made[..],
            [PlanOutcome::Planned {
                made: Made::Before,
                ..
            }]
        ),
        "{made:?}"
    );

    let again = export(&work.work, &work.path("whole.zip"), WHOLE);
    assert!(matches!(again, Err(HistoryError::Destination(_))));
    let nowhere = Some(Path::new("no-such-folder"));
    assert!(import(&work.path("whole.zip"), &work.path("third"), nowhere).is_err());
    assert!(!work.path("third").exists());
    let again = import(&work.path("whole.zip"), &elsewhere, None);
    assert!(matches!(again, Err(HistoryError::Destination(_))));
}

#[test]
fn checkpoints_and_unfinished_runs_travel_when_asked() {
    let work = Work::new();
    let light = work.exported("light.zip", ExportOptions::default());
    assert!(!light.iter().any(|name| name.contains("checkpoint")));
    assert!(
        light
            .iter()
            .any(|name| name == "segresnet_0/weights.safetensors")
    );
    let options = ExportOptions {
        only_trained: true,
        ..WHOLE
    };
    let trained = work.exported("trained.zip", options);
    assert!(!trained.iter().any(|name| name.starts_with("segresnet_1")));
    fs::remove_file(work.work.path().join("segresnet_0/run.json")).unwrap();
    let none = export(&work.work, &work.path("none.zip"), options);
    assert!(matches!(none, Err(HistoryError::NothingTrained { .. })));
    assert!(!work.path("none.zip").exists());
}

#[test]
fn a_run_in_training_is_not_exported() {
    let work = Work::new();
    let lock = File::create(work.work.path().join("segresnet_1/.lock")).unwrap();
    lock.try_lock().unwrap();
    let error = export(&work.work, &work.path("a.zip"), WHOLE).unwrap_err();
    assert!(
        matches!(error, HistoryError::Run(FitError::Busy { .. })),
        "{error}"
    );
    assert!(!work.path("a.zip").exists());
}

/// Entries of a valid archive, and its list.
fn entries(archive: &Path) -> (Vec<(String, Vec<u8>)>, Value) {
    let mut zip = ZipArchive::new(File::open(archive).unwrap()).unwrap();
    let names: Vec<_> = zip.file_names().map(str::to_owned).collect();
    let mut entries = Vec::new();
    let mut list = Value::Null;
    for name in names {
        let mut bytes = Vec::new();
        zip.by_name(&name).unwrap().read_to_end(&mut bytes).unwrap();
        if name == "history.json" {
            list = serde_json::from_slice(&bytes).unwrap();
        } else {
            entries.push((name, bytes));
        }
    }
    (entries, list)
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(CompressionMethod::Stored)
}

fn listed(list: &mut Value, name: &str, bytes: &[u8]) {
    list["files"][name] = json!({"bytes": bytes.len(), "sha256": digest::sha256(bytes)});
}

#[test]
fn hostile_files_leave_nothing_behind() {
    type Change = fn(&mut Vec<(String, Vec<u8>)>, &mut Value, &mut ZipWriter<File>);
    let attacks: [(&str, Change); 14] = [
        ("has a component `.` or `..`", |entries, list, _| {
            listed(list, "../evil.json", b"{}");
            entries.push(("../evil.json".into(), b"{}".to_vec()));
        }),
        ("is absolute", |entries, list, _| {
            listed(list, "/evil.json", b"{}");
            entries.push(("/evil.json".into(), b"{}".to_vec()));
        }),
        ("has a character other than", |entries, list, _| {
            listed(list, "a\\b", b"{}");
            entries.push(("a\\b".into(), b"{}".to_vec()));
        }),
        (
            "has `extra.json`, which its list does not name",
            |entries, _, _| {
                entries.push(("extra.json".into(), b"{}".to_vec()));
            },
        ),
        ("lacks `work.json`", |entries, _, _| {
            entries.retain(|(name, _)| name != "work.json");
        }),
        ("`work.json` has SHA-256", |entries, _, _| {
            let work = entries.iter_mut().find(|(name, _)| name == "work.json");
            work.unwrap().1[0] = b'[';
        }),
        ("`work.json` has", |entries, _, _| {
            let work = entries.iter_mut().find(|(name, _)| name == "work.json");
            work.unwrap().1.push(b'\n');
        }),
        ("some systems take for one file", |entries, list, _| {
            listed(list, "WORK.json", b"{}");
            entries.push(("WORK.json".into(), b"{}".to_vec()));
        }),
        ("is compressed", |_, list, zip| {
            let zeros = [0; 64];
            listed(list, "bomb.json", &zeros);
            let options = stored().compression_method(CompressionMethod::Deflated);
            zip.start_file("bomb.json", options).unwrap();
            zip.write_all(&zeros).unwrap();
        }),
        ("bytes in its list", |_, list, zip| {
            let zeros = vec![0; 1 << 20];
            listed(list, "bomb.json", &zeros);
            let options = stored().compression_method(CompressionMethod::Deflated);
            zip.start_file("bomb.json", options).unwrap();
            zip.write_all(&zeros).unwrap();
        }),
        ("bytes in its list", |_, list, _| {
            list["files"]["work.json"]["bytes"] = json!(u64::MAX);
        }),
        ("is a link", |_, list, zip| {
            listed(list, "link.json", b"/etc/passwd");
            zip.add_symlink("link.json", "/etc/passwd", stored())
                .unwrap();
        }),
        ("which its list does not name", |_, _, zip| {
            zip.add_directory("segresnet_2", stored()).unwrap();
        }),
        (
            "version 2 of the format \"vesal-history\", expected 1",
            |_, list, _| {
                list["format_version"] = json!(2);
            },
        ),
    ];
    let work = Work::new();
    work.exported("good.zip", WHOLE);
    let good = work.path("good.zip");
    let place = tempfile::tempdir().unwrap();
    let (hostile, destination) = (place.path().join("bad.zip"), place.path().join("in/work"));
    fs::create_dir(place.path().join("in")).unwrap();
    let refused = |expected: &str| {
        let error = import(&hostile, &destination, None).unwrap_err();
        let mut message = error.to_string();
        if let Some(source) = std::error::Error::source(&error) {
            message = format!("{message}: {source}");
        }
        assert!(message.contains(expected), "{message}");
        assert!(error.hint().is_some(), "{message}");
        let left: Vec<_> = place.path().join("in").read_dir().unwrap().collect();
        assert!(left.is_empty(), "{expected}: {left:?}");
    };
    for (expected, change) in attacks {
        let (mut files, mut list) = entries(&good);
        let mut zip = ZipWriter::new(File::create(&hostile).unwrap());
        change(&mut files, &mut list, &mut zip);
        files.push(("history.json".into(), serde_json::to_vec(&list).unwrap()));
        for (name, bytes) in files {
            zip.start_file(name, stored()).unwrap();
            zip.write_all(&bytes).unwrap();
        }
        zip.finish().unwrap();
        refused(expected);
        assert!(!place.path().join("evil.json").exists());
    }
    let bytes = fs::read(&good).unwrap();
    fs::write(&hostile, &bytes[..bytes.len() / 2]).unwrap();
    refused("no intact ZIP archive");
    fs::write(&hostile, b"").unwrap();
    refused("no intact ZIP archive");
}
