//! Values from the user.

use std::path::PathBuf;

use vesal_bundle::deploy_plan::{Activation, Modality};
use vesal_network::PatchMerging;

/// Values from the user, which override the checkpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportOverrides {
    pub name: Option<String>,
    /// Window in voxels.
    pub roi: Option<[usize; 3]>,
    /// Shared fraction of neighboring windows.
    pub overlap: Option<[f64; 3]>,
    /// Spacing in mm to resample to.
    pub spacing: Option<[f64; 3]>,
    pub modality: Option<Modality>,
    /// Range of intensities of CT.
    pub bounds: Option<[f32; 2]>,
    /// How classes are told.
    pub activation: Option<Activation>,
    /// The version of MONAI that a SwinUNETR was trained with, as far as its merging of patches depends on it.
    pub patch_merging: Option<PatchMerging>,
    /// File of the architecture of a DiNTS.
    pub architecture: Option<PathBuf>,
    /// Names of all classes.
    pub labels: Option<Vec<String>>,
    /// File of rules of DICOM for the plan.
    pub dicom_rules: Option<PathBuf>,
}
