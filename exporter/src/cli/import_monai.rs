//! `vesal-export import-monai`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vesal_bundle::deploy_plan::{Activation, Modality};
use vesal_cli::{Exit, Failure};
use vesal_network::PatchMerging;

use super::exit::assemble_exit;
use super::output::{OutputFlags, progress};
use super::parse::{bounds, overlap, sizes, spacing};
use crate::import::{ImportError, ImportOverrides, PlanningError, import};

/// Packs checkpoints of MONAI's networks
///
/// Several checkpoints become one ensemble. Tensors and settings are read without running anything in the files. Settings
/// are taken from the checkpoints, or from the folder of an Auto3DSeg algorithm or of a MONAI bundle that they lie in; flags
/// override them.
#[derive(Debug, Args)]
pub(super) struct ImportMonai {
    /// Checkpoints, as `torch.save` writes them, safetensors files, or folders of Auto3DSeg algorithms and MONAI bundles
    #[arg(required = true, value_name = "CHECKPOINT")]
    checkpoints: Vec<PathBuf>,
    /// Sliding window in voxels, as in training
    #[arg(long, value_name = "X,Y,Z", value_parser = sizes)]
    roi: Option<[usize; 3]>,
    /// Shared fraction of neighboring windows, one number or three [default: 0.625]
    #[arg(long, value_name = "FRACTION", value_parser = overlap)]
    overlap: Option<[f64; 3]>,
    /// Spacing in mm to resample images to
    #[arg(long, value_name = "X,Y,Z", value_parser = spacing)]
    spacing: Option<[f64; 3]>,
    /// Imaging modality, which determines the normalization
    #[arg(long)]
    modality: Option<ModalityFlag>,
    /// Range of intensities for normalizing CT
    #[arg(long, value_name = "LOW,HIGH", value_parser = bounds, allow_hyphen_values = true)]
    bounds: Option<[f32; 2]>,
    /// How classes are told from the network's outputs
    #[arg(long)]
    activation: Option<ActivationFlag>,
    /// Version of MONAI that SwinUNETR was trained with: the same weights give other results in the other version, and
    /// no checkpoint states it
    #[arg(long, value_name = "VERSION")]
    patch_merging: Option<PatchMergingFlag>,
    /// Architecture of DiNTS networks that a search found (JSON) [default: that of Auto3DSeg]
    #[arg(long, value_name = "FILE")]
    architecture: Option<PathBuf>,
    /// Names of all classes in order, background first; or of all regions
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    labels: Option<Vec<String>>,
    /// Rules of DICOM (JSON): which series the channels are read from, and codes of the labels
    #[arg(long, value_name = "FILE")]
    dicom_rules: Option<PathBuf>,
    #[command(flatten)]
    output: OutputFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModalityFlag {
    /// Magnetic resonance: z-score of the voxels that are not zero
    Mri,
    /// Computed tomography: sigmoid of a range; of Auto3DSeg's swinunetr and dints a clipped range
    Ct,
    /// Positron emission tomography: sigmoid of deviations from the smallest intensity; of swinunetr and dints a z-score
    Pet,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum PatchMergingFlag {
    /// MONAI 1.5.0 or later
    #[value(name = "monai-1.5")]
    Monai15,
    /// MONAI up to 1.4.0
    #[value(name = "monai-1.4")]
    Monai14,
}

impl From<PatchMergingFlag> for PatchMerging {
    fn from(flag: PatchMergingFlag) -> Self {
        match flag {
            PatchMergingFlag::Monai15 => Self::Monai15,
            PatchMergingFlag::Monai14 => Self::Monai14,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ActivationFlag {
    /// Every voxel has one class
    Softmax,
    /// Classes are regions that may overlap
    Sigmoid,
}

impl From<ActivationFlag> for Activation {
    fn from(flag: ActivationFlag) -> Self {
        match flag {
            ActivationFlag::Softmax => Self::Softmax,
            ActivationFlag::Sigmoid => Self::Sigmoid,
        }
    }
}

impl From<ModalityFlag> for Modality {
    fn from(flag: ModalityFlag) -> Self {
        match flag {
            ModalityFlag::Mri => Self::Mri,
            ModalityFlag::Ct => Self::Ct,
            ModalityFlag::Pet => Self::Pet,
        }
    }
}

impl ImportMonai {
    pub fn run(self) -> Result<Exit, Failure> {
        let flags = ImportOverrides {
            name: self.output.name.clone(),
            roi: self.roi,
            overlap: self.overlap,
            spacing: self.spacing,
            modality: self.modality.map(Modality::from),
            bounds: self.bounds,
            activation: self.activation.map(Activation::from),
            patch_merging: self.patch_merging.map(PatchMerging::from),
            architecture: self.architecture,
            labels: self.labels,
            dicom_rules: self.dicom_rules,
        };
        let imported = import(
            &self.checkpoints,
            &flags,
            &self.output.destination(),
            &mut progress,
        );
        let imported = imported.map_err(|error| {
            let hint = error.hint();
            Failure::new(exit(&error), error)
                .attempting("cannot import")
                .hint(hint)
        })?;
        self.output
            .report(&imported.assembled, imported.assumptions)
    }
}

fn exit(error: &ImportError) -> Exit {
    match error {
        ImportError::NoCheckpoints | ImportError::UnusedFlag { .. } => Exit::Usage,
        ImportError::Planning { source, .. } => match source {
            PlanningError::NoWindow
            | PlanningError::NoBounds
            | PlanningError::UnusedBounds
            | PlanningError::NoTemplateSpacing { .. }
            | PlanningError::PatchMerging { .. }
            | PlanningError::UnusedSpacing => Exit::Usage,
            PlanningError::Window { .. }
            | PlanningError::SmallWindow(_)
            | PlanningError::LargeWindow(_)
            | PlanningError::Labels { .. } => Exit::Usage,
            PlanningError::NoSpacing
            | PlanningError::Setting { .. }
            | PlanningError::PlanarSpacing
            | PlanningError::Channels { .. } => Exit::Input,
        },
        ImportError::Plan(_) => Exit::Bundle,
        ImportError::Assemble(error) => assemble_exit(error),
        _ => Exit::Input,
    }
}
