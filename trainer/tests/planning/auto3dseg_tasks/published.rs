//! Datasets in published forms, and the program that reads them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ndarray::{Array3, Axis};
use serde_json::{Value, json};
use tempfile::TempDir;
use vesal_bundle::DeployPlan;
use vesal_io::nifti::{WriteOptions, write_label_map, write_volume};
use vesal_trainer::rng::Rng;
use vesal_volume::{Affine, LabelMap, Volume};

const SHAPE: [usize; 3] = [24, 20, 16];
const CASES: usize = 6;

/// A published form: a task file, a datalist beside it, and images elsewhere.
pub struct Published {
    folder: TempDir,
    labels: &'static [u16],
    images: &'static [&'static str],
}

impl Published {
    pub fn new(labels: &'static [u16]) -> Self {
        let published = Self {
            folder: tempfile::tempdir().unwrap(),
            labels,
            images: &["image"],
        };
        published.write_cases();
        published
    }

    pub fn with_second_image(labels: &'static [u16]) -> Self {
        let published = Self {
            images: &["image", "image2"],
            ..Self::new(labels)
        };
        published.write_cases();
        published
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// Boxes of each label, brighter with each.
    fn write_cases(&self) {
        for folder in ["imagesTr", "labelsTr"] {
            std::fs::create_dir_all(self.data().join(folder)).unwrap();
        }
        for case in 0..CASES {
            let mut rng = Rng::new(&[case as u64, 3]);
            let mut labels = Array3::<u16>::zeros(SHAPE);
            for (position, &label) in self.labels.iter().enumerate() {
                let x = 2 + position * 20 / self.labels.len();
                let size = (20 / self.labels.len()).clamp(1, 6);
                let mut part = labels.slice_mut(ndarray::s![x..x + size, 4..12, 4..12]);
                part.fill(label);
            }
            let affine = Affine::from_spacing([1.0, 1.0, 1.5]);
            let options = WriteOptions {
                overwrite: true,
                ..WriteOptions::default()
            };
            for image in self.images {
                let noise = labels.mapv(|label| {
                    100.0 + 40.0 * f32::from(label) + 10.0 * rng.normal_pair()[0] as f32
                });
                let data = noise.insert_axis(Axis(0));
                let path = self
                    .data()
                    .join(format!("imagesTr/case_{case}_{image}.nii.gz"));
                write_volume(path, &Volume { data, affine }, &options).unwrap();
            }
            let path = self.data().join(format!("labelsTr/case_{case}.nii.gz"));
            let map = LabelMap {
                data: labels,
                affine,
            };
            write_label_map(path, &map, &options).unwrap();
        }
    }

    pub fn items(&self, with_folds: bool) -> Vec<Value> {
        let item = |case: usize| {
            let mut item = json!({"label": format!("./labelsTr/case_{case}.nii.gz")});
            for image in self.images {
                item[*image] = json!(format!("./imagesTr/case_{case}_{image}.nii.gz"));
            }
            if with_folds {
                item["fold"] = json!(case % 2);
            }
            item
        };
        (0..CASES).map(item).collect()
    }

    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn write_folds(&self, name: &str) -> PathBuf {
        let mut testing = json!([{}]);
        for image in self.images {
            testing[0][*image] = json!(format!("./imagesTs/case_9_{image}.nii.gz"));
        }
        let list = json!({"testing": testing, "training": self.items(true)});
        self.write(name, &list.to_string())
    }

    /// Analyzes and plans; returns what both said, and the plan.
    pub fn plan(&self, arguments: &[&str]) -> (String, DeployPlan) {
        let work = self.path("work");
        let analyzed = vesal_train(&[&["analyze", "--work-dir", utf8(&work)], arguments].concat());
        exits(&analyzed, 0);
        let planned = vesal_train(&["plan", "--work-dir", utf8(&work)]);
        exits(&planned, 0);
        let plan = DeployPlan::read(&work.join("segresnet/deploy_plan.json")).unwrap();
        let task = std::fs::read_to_string(work.join("task.yaml")).unwrap();
        assert!(!task.contains(": /"), "no absolute path: {task}");
        let status = vesal_train(&["report", "--work-dir", utf8(&work)]);
        exits(&status, 0);
        (stderr(&analyzed), plan)
    }

    /// [`plan`](Self::plan) of a task, with the images given as `--dataroot`.
    pub fn plan_task(&self, task: &Path) -> (String, DeployPlan) {
        let data = self.data();
        self.plan(&["--input", utf8(task), "--dataroot", utf8(&data)])
    }
}

pub fn vesal_train(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vesal-train"));
    command
        .args(arguments)
        .env_remove("VESAL_DATAROOT")
        .env_remove("VESAL_DEVICE");
    command.output().unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
pub fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
}

pub fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub fn names(plan: &DeployPlan) -> Vec<&str> {
    plan.labels
        .iter()
        .map(|label| label.name.as_str())
        .collect()
}

pub fn values(plan: &DeployPlan) -> Vec<u16> {
    plan.labels.iter().map(|label| label.value).collect()
}
