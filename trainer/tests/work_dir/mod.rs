//! A small work directory: bright boxes in noise, two folds, and plans for a network that trains in seconds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ndarray::{Array3, Axis};
use tempfile::TempDir;
use vesal_bundle::deploy_plan::{Activation, Channel, DeployPlan, Label, Modality};
use vesal_files::document;
use vesal_io::image;
use vesal_io::nifti::{self, WriteOptions};
use vesal_network::{NetworkConfig, SegResNetDsConfig};
use vesal_trainer::dataset::TrainingCase;
use vesal_trainer::fit::{FitRequest, TrainDevice};
use vesal_trainer::rng::Rng;
use vesal_trainer::settings::{AugmentMode, CropMode};
use vesal_trainer::train_plan::TrainPlan;
use vesal_volume::preprocess::{Normalization, Step};
use vesal_volume::window::{Blend, Padding, WindowPlan};
use vesal_volume::{Affine, LabelMap, Volume};

pub struct WorkDir {
    directory: TempDir,
    cases: Vec<TrainingCase>,
    pub plan: TrainPlan,
}

impl WorkDir {
    pub fn new(cases: usize, side: usize, patch: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cases = (0..cases)
            .map(|index| write_case(directory.path(), index, side))
            .collect();
        let label = |class_index, name: &str, value| Label::new(name, value, class_index);
        let deploy = DeployPlan {
            restore: Default::default(),
            name: "boxes".into(),
            channels: vec![Channel::new("image", Modality::Mri)],
            labels: vec![
                label(0, "background", 0),
                label(1, "bright", 2),
                label(2, "brighter", 5),
            ],
            activation: Activation::Softmax,
            preprocessing: vec![
                Step::OrientRas,
                Step::Normalize {
                    channels: vec![Normalization::ZScoreNonzero],
                },
            ],
            window: WindowPlan {
                size: [patch; 3],
                overlap: [0.5; 3],
                blend: Blend::Gaussian { sigma_scale: 0.125 },
                padding: Padding::Constant(0.0),
            },
        };
        std::fs::write(
            directory.path().join("deploy_plan.json"),
            deploy.to_json().unwrap(),
        )
        .unwrap();
        std::fs::write(directory.path().join("data_stats.json"), b"{}").unwrap();
        let network = NetworkConfig::SegresnetDs(SegResNetDsConfig {
            in_channels: 1,
            out_channels: 3,
            init_filters: 4,
            blocks_down: vec![1, 1],
            dsdepth: 2,
            resolution: None,
        });
        let plan = TrainPlan {
            algorithm: "segresnet".into(),
            network,
            roi_size: [patch; 3],
            num_images_per_batch: 1,
            num_crops_per_image: 2,
            num_steps_per_image: 1,
            crop_mode: CropMode::Ratio,
            num_epochs: 3,
            epochs_per_round: 1,
            num_epochs_per_validation: Some(1),
            num_warmup_epochs: 1,
            learning_rate: 2e-3,
            weight_decay: 1e-5,
            use_amp: false,
            seed: 11,
            augment_mode: AugmentMode::Default,
            augment_flips: vec![0, 1, 2],
            augment_rots: Vec::new(),
            class_weights: None,
            clip_grad_norm: None,
            ema_decay: None,
            early_stopping_fraction: 0.0,
            stop_on_lowacc: false,
            init_weights: None,
        };
        let work = Self {
            directory,
            cases,
            plan,
        };
        work.write_plan();
        work
    }

    pub fn write_plan(&self) {
        document::write(&self.path("train_plan.json"), &self.plan).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Leaves only background in the label maps of a fold.
    #[allow(dead_code, reason = "not every test needs it")]
    pub fn hide_labels_of_fold(&self, fold: usize) {
        for case in self.cases.iter().filter(|case| case.fold == fold) {
            let mut map = image::read_label_map(&case.label).unwrap();
            map.data.fill(0);
            nifti::write_label_map(
                &case.label,
                &map,
                &WriteOptions {
                    overwrite: true,
                    ..WriteOptions::default()
                },
            )
            .unwrap();
        }
    }

    pub fn request(&self, run: &str) -> FitRequest {
        FitRequest {
            run_dir: self.path(run),
            fold: 0,
            cases: self.cases.clone(),
            deploy_plan_path: self.path("deploy_plan.json"),
            train_plan_path: self.path("train_plan.json"),
            data_stats_path: self.path("data_stats.json"),
            devices: TrainDevice::Cpu.into(),
            max_ram_bytes: None,
            stop: Arc::new(AtomicBool::new(false)),
        }
    }
}

fn write_case(directory: &Path, index: usize, side: usize) -> TrainingCase {
    let mut rng = Rng::new(&[index as u64]);
    let mut labels = Array3::<u16>::zeros((side, side, side));
    for value in [2, 5] {
        let size = side / 3;
        let start: [usize; 3] = std::array::from_fn(|_| rng.below(side - size));
        let [x, y, z] = start.map(|first| first..first + size);
        labels.slice_mut(ndarray::s![x, y, z]).fill(value);
    }
    let image =
        labels.mapv(|value| 100.0 + 30.0 * f32::from(value) + 10.0 * rng.normal_pair()[0] as f32);
    let affine = Affine::from_spacing([1.0, 1.0, 1.5]);
    let (image_path, label_path) = (
        directory.join(format!("image_{index}.nii.gz")),
        directory.join(format!("label_{index}.nii.gz")),
    );
    let volume = Volume {
        data: image.insert_axis(Axis(0)),
        affine,
    };
    nifti::write_volume(&image_path, &volume, &WriteOptions::default()).unwrap();
    nifti::write_label_map(
        &label_path,
        &LabelMap {
            data: labels,
            affine,
        },
        &WriteOptions::default(),
    )
    .unwrap();
    TrainingCase {
        id: format!("case_{index}"),
        images: vec![image_path],
        further: Vec::new(),
        label: label_path,
        fold: index % 2,
    }
}
