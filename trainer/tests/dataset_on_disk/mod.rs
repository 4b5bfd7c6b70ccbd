//! Small datasets of generated NIfTI files.

// Each test file compiles its own copy and uses what it needs.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use ndarray::{Array3, Axis};
use tempfile::TempDir;
use vesal_cases::datalist::Datalist;
use vesal_io::nifti::{WriteOptions, write_label_map, write_volume};
use vesal_trainer::analyze::analyze;
use vesal_trainer::analyze::stats::StatsSummary;
use vesal_volume::{Affine, LabelMap, Volume};

pub const SHAPE: [usize; 3] = [12, 10, 8];

/// A folder with images, label maps, a datalist and a task.
pub struct Dataset {
    pub folder: TempDir,
    items: Vec<serde_json::Value>,
}

impl Dataset {
    /// Writes good cases `case_0`, `case_1`, ….
    pub fn new(cases: usize) -> Self {
        let mut dataset = Self {
            folder: tempfile::tempdir().unwrap(),
            items: Vec::new(),
        };
        for index in 0..cases {
            let name = format!("case_{index}");
            dataset.image(&name, &image(index), Affine::IDENTITY);
            dataset.label(&name, &labels(), Affine::IDENTITY);
            dataset.list(&name);
        }
        dataset
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn image(&self, name: &str, data: &Array3<f32>, affine: Affine) {
        let volume = Volume {
            data: data.clone().insert_axis(Axis(0)),
            affine,
        };
        write_volume(self.path(&format!("{name}.nii.gz")), &volume, &overwrite()).unwrap();
    }

    pub fn label(&self, name: &str, data: &Array3<u16>, affine: Affine) {
        let labels = LabelMap {
            data: data.clone(),
            affine,
        };
        write_label_map(
            self.path(&format!("{name}_label.nii.gz")),
            &labels,
            &overwrite(),
        )
        .unwrap();
    }

    /// Adds a case with the files of this name to the datalist.
    pub fn list(&mut self, name: &str) {
        self.item(serde_json::json!({
            "image": format!("{name}.nii.gz"),
            "label": format!("{name}_label.nii.gz"),
        }));
    }

    pub fn item(&mut self, item: serde_json::Value) {
        self.items.push(item);
    }

    pub fn datalist(&self) -> Vec<u8> {
        serde_json::to_vec(&serde_json::json!({ "training": self.items })).unwrap()
    }

    /// Data stats of all cases, which are good.
    pub fn stats(&self) -> StatsSummary {
        let root = self.folder.path();
        let datalist = Datalist::from_json(&self.datalist(), root, &[]).unwrap();
        let analysis = analyze(&datalist.training, root, 2, |_| {}).unwrap();
        analysis.summary.labeled().unwrap().clone()
    }

    /// Writes datalist and task; `extra` are further lines of the task.
    pub fn write_task(&self, extra: &str) -> PathBuf {
        std::fs::write(self.path("datalist.json"), self.datalist()).unwrap();
        let text = format!(
            "name: boxes\nmodality: MRI\ndatalist: datalist.json\ndataroot: .\nclass_names: [first, second]\n{extra}"
        );
        std::fs::write(self.path("task.yaml"), text).unwrap();
        self.path("task.yaml")
    }
}

/// A ramp that starts above 0.
pub fn image(offset: usize) -> Array3<f32> {
    Array3::from_shape_fn(SHAPE, |(x, y, z)| {
        (1 + offset + x + 10 * y + 100 * z) as f32
    })
}

/// A label map with two boxes.
pub fn labels() -> Array3<u16> {
    let mut labels = Array3::zeros(SHAPE);
    labels.slice_mut(ndarray::s![2..6, 2..6, 2..5]).fill(1);
    labels.slice_mut(ndarray::s![7..10, 3..8, 3..6]).fill(2);
    labels
}

pub fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn overwrite() -> WriteOptions {
    WriteOptions {
        overwrite: true,
        ..WriteOptions::default()
    }
}
