//! Arguments of `vesal-train datalist`.

use std::path::PathBuf;

use clap::Args;
use vesal_bundle::deploy_plan::Modality;
use vesal_trainer::layouts::NamePattern;

#[derive(Debug, Args)]
#[command(after_help = "\
Layouts, recognized in this order:
  dataset.json        Medical Segmentation Decathlon; nnU-Net v2 and v1, with the folds of splits_final.json
  sub-*               BIDS, with label maps *_dseg or *_mask beside the images or in derivatives
  images/, labels/    two folders; also imagesTr, img, scans, ct, ... and labelsTr, seg, masks, annotations, ...
  P01/, P02/, ...     a folder for each case: P01/t1.nii.gz, P01/flair.nii.gz, P01/seg.nii.gz
  files               one folder: a.nii.gz with a_seg.nii.gz, or a_image.nii.gz with a_label.nii.gz

Prints what was found, and warns about everything odd. Files are not copied. Where no dataset.json names the classes,
all label maps are read and classes are called label_1, label_2, .... The exit code is 7 if cases were left out.

Examples:
  vesal-train datalist Task09_Spleen                          Write task.yaml and datalist.json into this folder
  vesal-train datalist scans --modality ct --class-names liver,tumor --output liver
  vesal-train datalist BraTS --channels t1ce,flair            Take two of four channels
  vesal-train datalist study --labels '*_lesion_mask.nii.gz'  Tell which files are label maps")]
pub struct DatalistArguments {
    /// Folder of the dataset
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// Folder for task.yaml and datalist.json [default: the current one]
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".",
        hide_default_value = true
    )]
    pub output: PathBuf,
    /// Replace task.yaml and datalist.json
    #[arg(long)]
    pub overwrite: bool,
    /// Name of the task [default: that in dataset.json, or that of the folder]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Modality of all channels: ct, mri or pet; needed where no name of a channel tells it
    #[arg(long, value_name = "MODALITY", value_parser = modality)]
    pub modality: Option<Modality>,
    /// Channels to take, in this order [default: those that most cases have]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub channels: Vec<String>,
    /// Names of the classes, in the order of their labels
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub class_names: Vec<String>,
    /// Names of the files that are label maps, such as '*_seg.nii.gz'
    #[arg(long, value_name = "PATTERN")]
    pub labels: Option<NamePattern>,
    /// Folder of the images, below FOLDER
    #[arg(long, value_name = "DIR", requires = "labels_dir")]
    pub images_dir: Option<String>,
    /// Folder of the label maps, below FOLDER
    #[arg(long, value_name = "DIR", requires = "images_dir")]
    pub labels_dir: Option<String>,
    /// Folds of nnU-Net [default: splits_final.json in FOLDER or in nnUNet_preprocessed beside it]
    #[arg(long, value_name = "FILE")]
    pub splits: Option<PathBuf>,
    /// Train voxels of nnU-Net's label `ignore` as background
    #[arg(long)]
    pub ignored_as_background: bool,
}

fn modality(text: &str) -> Result<Modality, &'static str> {
    let text = text.to_ascii_lowercase();
    serde_json::from_value(text.into()).map_err(|_| "expected `ct`, `mri` or `pet`")
}
