//! A phantom dataset on disk, as a user would have one: NIfTI scans, label maps, `task.yaml` and a datalist.

use std::error::Error;
use std::path::{Path, PathBuf};

use serde_json::json;
use vesal_io::nifti::{WriteOptions, write_label_map, write_volume};
use vesal_volume::phantom::{LABEL_NAMES, PhantomSettings, make_phantom};

/// Orientations from scanners and converters, which must not affect results.
const ORIENTATIONS: [&str; 4] = ["RAS", "LPS", "LAS", "PIR"];

/// A scan with its truth.
#[derive(Debug, Clone)]
pub struct Scan {
    /// File name without endings.
    pub name: String,
    pub image: PathBuf,
    pub label: PathBuf,
}

/// A label that is not background.
#[derive(Debug, Clone)]
pub struct Label {
    pub name: String,
    /// Its value in label maps.
    pub value: u16,
}

/// Scans to train on and scans that training never sees.
#[derive(Debug, Clone)]
pub struct PhantomDataset {
    /// `task.yaml`.
    pub task: PathBuf,
    /// Scans in the datalist.
    pub training: Vec<Scan>,
    /// Scans that are in no list.
    pub held_out: Vec<Scan>,
    pub labels: Vec<Label>,
}

impl PhantomDataset {
    /// Writes a dataset of synthetic magnetic resonance scans into a folder.
    ///
    /// **Errors**: the folder cannot be written.
    pub fn write(folder: &Path, training: usize, held_out: usize) -> Result<Self, Box<dyn Error>> {
        for kind in ["images", "labels"] {
            std::fs::create_dir_all(folder.join(kind))?;
        }
        let scans = (0..training + held_out)
            .map(|index| write_scan(folder, index))
            .collect::<Result<Vec<_>, _>>()?;
        let (training, held_out) = scans.split_at(training);

        let names: Vec<_> = LABEL_NAMES[1..].iter().map(ToString::to_string).collect();
        let listed: Vec<_> = training
            .iter()
            .map(|scan| {
                json!({
                    "image": format!("images/{}.nii.gz", scan.name),
                    "label": format!("labels/{}.nii.gz", scan.name),
                })
            })
            .collect();
        let datalist = serde_json::to_string_pretty(&json!({ "training": listed }))?;
        std::fs::write(folder.join("datalist.json"), datalist)?;
        let task = folder.join("task.yaml");
        let text = format!(
            "name: phantom\ntask: segmentation\nmodality: MRI\ndatalist: datalist.json\ndataroot: .\nclass_names: [{}]\n",
            names.join(", ")
        );
        std::fs::write(&task, text)?;

        let labels = (1..)
            .zip(names)
            .map(|(value, name)| Label { name, value })
            .collect();
        Ok(Self {
            task,
            training: training.to_vec(),
            held_out: held_out.to_vec(),
            labels,
        })
    }
}

fn write_scan(folder: &Path, index: usize) -> Result<Scan, Box<dyn Error>> {
    let phantom = make_phantom(&PhantomSettings {
        shape: [36, 40, 38],
        spacing_mm: [1.5; 3],
        orientation: ORIENTATIONS[index % ORIENTATIONS.len()].parse()?,
        tilt_degrees: if index % 3 == 2 { 8.0 } else { 0.0 },
        ..PhantomSettings::new(index as u64 + 1)
    })?;
    let name = format!("phantom_{:02}", index + 1);
    let [image, label] =
        ["images", "labels"].map(|kind| folder.join(kind).join(format!("{name}.nii.gz")));
    write_volume(&image, &phantom.volume, &WriteOptions::default())?;
    write_label_map(&label, &phantom.labels, &WriteOptions::default())?;
    Ok(Scan { name, image, label })
}
