//! Datasets with one defect each.

mod files;
mod pairs;
mod suspicious;
mod values;

use ndarray::Array3;
use serde_json::json;
use vesal_trainer::analyze::findings::{FindingKind, Severity};
use vesal_volume::Affine;

use crate::dataset_on_disk::{Dataset, image, labels};
use crate::raw_nifti::raw;

/// A defect, the finding that it has to give, and the case that it is in.
pub type Row = (
    &'static str,
    FindingKind,
    Severity,
    &'static str,
    fn(&mut Dataset),
);

pub const IDENTITY: Affine = Affine::IDENTITY;

/// All defects.
pub fn rows() -> Vec<Row> {
    [files::ROWS, pairs::ROWS, values::ROWS, suspicious::ROWS].concat()
}

/// Adds a good case `bad`, to be spoiled.
fn good(dataset: &mut Dataset) {
    dataset.image("bad", &image(50), IDENTITY);
    dataset.label("bad", &labels(), IDENTITY);
    dataset.list("bad");
}

/// Adds a case with this file as image and a good label map.
fn with_image(dataset: &mut Dataset, file: &str) {
    dataset.label("bad", &labels(), IDENTITY);
    dataset.item(json!({"image": file, "label": "bad_label.nii.gz"}));
}

/// Adds a case with a good image and this file as label map.
fn with_label(dataset: &mut Dataset, file: &str) {
    dataset.image("bad", &image(50), IDENTITY);
    dataset.item(json!({"image": "bad.nii.gz", "label": file}));
}

/// Adds a case whose image is an uncompressed file with edited bytes.
fn edited_image(dataset: &mut Dataset, edit: fn(&mut Vec<u8>)) {
    raw(&dataset.path("bad.nii"), &image(50), edit);
    with_image(dataset, "bad.nii");
}

/// Adds a case whose label map is an uncompressed file of these values with edited bytes.
fn edited_label(dataset: &mut Dataset, values: &Array3<f32>, edit: fn(&mut Vec<u8>)) {
    raw(&dataset.path("bad_label.nii"), values, edit);
    with_label(dataset, "bad_label.nii");
}

fn case(dataset: &mut Dataset, image: &Array3<f32>, labels: &Array3<u16>, affine: Affine) {
    dataset.image("bad", image, affine);
    dataset.label("bad", labels, affine);
    dataset.list("bad");
}

fn moved(axis: usize, mm: f64) -> Affine {
    let mut affine = IDENTITY;
    affine.0[axis][3] = mm;
    affine
}

fn real_labels() -> Array3<f32> {
    labels().mapv(f32::from)
}

fn two_channels(dataset: &mut Dataset, second: &Array3<f32>, affine: Affine) {
    dataset.image("bad", &image(50), IDENTITY);
    dataset.image("second", second, affine);
    dataset.label("bad", &labels(), IDENTITY);
    dataset.item(json!({"image": ["bad.nii.gz", "second.nii.gz"], "label": "bad_label.nii.gz"}));
}

fn with_voxel(value: f32) -> Array3<f32> {
    let mut image = image(50);
    image[[3, 4, 5]] = value;
    image
}
