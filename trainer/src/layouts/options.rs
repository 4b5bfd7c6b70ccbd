//! What a user states about a folder.

use std::path::PathBuf;

use vesal_bundle::deploy_plan::Modality;

use super::pattern::NamePattern;

/// What a user states about a folder, where it does not tell by itself.
#[derive(Debug, Clone, Default)]
pub struct LayoutOptions {
    /// Name of the task.
    pub name: Option<String>,
    /// Modality of all channels.
    pub modality: Option<Modality>,
    /// Channels to take, in order.
    pub channels: Vec<String>,
    /// Names of the classes, in the order of their labels.
    pub class_names: Vec<String>,
    /// Names of the files that are label maps.
    pub labels: Option<NamePattern>,
    /// Folders of the images and of the label maps, below the dataset's.
    pub folders: Option<(String, String)>,
    /// nnU-Net's `splits_final.json`.
    pub splits: Option<PathBuf>,
    /// Whether voxels of nnU-Net's `ignore` label count as background.
    pub ignored_as_background: bool,
}
