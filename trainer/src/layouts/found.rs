//! What is found in a folder.

use std::fmt;

use super::class_list::ClassList;
use super::oddity::Oddity;

/// How the files of a dataset are arranged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FolderLayout {
    Decathlon,
    NnUnet1,
    NnUnet2,
    Bids,
    /// A folder of images and one of label maps.
    TwoFolders {
        images: String,
        labels: String,
    },
    OneFolder,
    CaseFolders,
}

impl fmt::Display for FolderLayout {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Decathlon => "Medical Segmentation Decathlon (dataset.json)",
            Self::NnUnet1 => "nnU-Net v1 (dataset.json, imagesTr, labelsTr)",
            Self::NnUnet2 => "nnU-Net v2 (dataset.json, imagesTr, labelsTr)",
            Self::Bids => "BIDS (sub-*)",
            Self::TwoFolders { images, labels } => {
                return write!(formatter, "images in `{images}`, label maps in `{labels}`");
            }
            Self::OneFolder => "images and label maps in one folder, paired by name",
            Self::CaseFolders => "a folder for each case",
        })
    }
}

/// A case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundCase {
    pub name: String,
    /// A file for each channel, or one that has all channels.
    pub images: Vec<String>,
    pub label: Option<String>,
    pub patient: Option<String>,
    pub fold: Option<usize>,
}

/// The cases of a folder, with what it tells about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDataset {
    pub layout: FolderLayout,
    /// Name in dataset.json.
    pub name: Option<String>,
    /// Names of the channels in the order of each case's files.
    pub channels: Vec<String>,
    /// Whether one file holds several channels.
    pub in_one_file: bool,
    pub training: Vec<FoundCase>,
    pub testing: Vec<FoundCase>,
    /// Classes that dataset.json names.
    pub classes: Option<ClassList>,
    /// The file that gave the folds.
    pub splits: Option<String>,
    pub oddities: Vec<Oddity>,
}
