//! Options that several commands share.

mod dicom;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vesal_cases::datalist::List;
use vesal_engine::{
    ConvolutionSearch, Convolutions, Device, EngineOptions, InferencePrecision, Provider,
};
use vesal_files::digest::is_digest;
use vesal_io::image::Believe;

use crate::memory::parse_size;
pub use dicom::{DicomOptions, GeometryPolicy, SliceOptions};

/// Text after the name of the case in the file name of its label map.
pub const SUFFIX: &str = "_seg";

/// The affines of a NIfTI file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NiftiForm {
    /// That of the sform.
    Sform,
    /// That of the qform.
    Qform,
}

impl From<NiftiForm> for Believe {
    fn from(form: NiftiForm) -> Self {
        match form {
            NiftiForm::Sform => Self::Sform,
            NiftiForm::Qform => Self::Qform,
        }
    }
}

/// Options for reading NIfTI files.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct NiftiOptions {
    /// Affine to use where sform and qform of a NIfTI file contradict each other: `sform` or `qform`; by default such a
    /// file is refused
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub nifti_form: Option<NiftiForm>,
}

impl NiftiOptions {
    /// The form to use where both contradict each other.
    pub(crate) fn believe(self) -> Option<Believe> {
        self.nifti_form.map(Into::into)
    }
}

/// The lists of a datalist.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum DatalistPart {
    /// Cases that no training saw
    #[default]
    Testing,
    /// Cases of all folds
    Training,
    /// Cases of the one validation list
    Validation,
}

impl From<DatalistPart> for List {
    fn from(part: DatalistPart) -> Self {
        match part {
            DatalistPart::Testing => Self::Testing,
            DatalistPart::Training => Self::Training,
            DatalistPart::Validation => Self::Validation,
        }
    }
}

/// Options for reading datalists.
#[derive(Debug, Clone, Default, Args)]
pub struct DatalistOptions {
    /// List of a datalist to read: testing, training or validation
    #[arg(
        long,
        value_enum,
        default_value = "testing",
        hide_possible_values = true
    )]
    pub list: DatalistPart,
    /// Folder that paths in a datalist are relative to; by default the datalist's own
    #[arg(
        long,
        value_name = "DIR",
        env = "VESAL_DATAROOT",
        hide_env_values = true
    )]
    pub dataroot: Option<PathBuf>,
}

/// File names of label maps.
#[derive(Debug, Clone, Args)]
pub struct NameOptions {
    /// Text after the name of the case in the file name of its label map
    #[arg(long, value_name = "TEXT", default_value = SUFFIX, value_parser = parse_suffix, allow_hyphen_values = true)]
    pub suffix: String,
}

impl Default for NameOptions {
    fn default() -> Self {
        Self {
            suffix: SUFFIX.to_owned(),
        }
    }
}

/// Requirements for a bundle.
#[derive(Debug, Clone, Default, Args)]
pub struct TrustOptions {
    /// SHA-256 that the bundle must have, as `vesal inspect` prints it
    #[arg(long, value_name = "HEX", value_parser = parse_digest)]
    pub bundle_sha256: Option<String>,
    /// Public key (minisign) of the bundle's maker; a signature in the bundle must verify with it
    #[arg(long, value_name = "FILE")]
    pub bundle_key: Option<PathBuf>,
    /// Refuse a bundle without a signature
    #[arg(long, requires = "bundle_key")]
    pub require_signature: bool,
}

fn parse_digest(text: &str) -> Result<String, &'static str> {
    let digest = text.to_ascii_lowercase();
    if is_digest(&digest) {
        Ok(digest)
    } else {
        Err("expected a SHA-256: 64 hexadecimal digits")
    }
}

/// Limits of a run.
#[derive(Debug, Clone, Default, Args)]
pub struct LimitOptions {
    /// Windows that a network computes at once; fewer need less memory
    #[arg(long, value_name = "N", env = "VESAL_BATCH", hide_env_values = true)]
    pub batch: Option<NonZeroUsize>,
    #[command(flatten)]
    pub memory: MemoryOptions,
}

/// Limits of the machine's memory.
#[derive(Debug, Clone, Copy, Default, Args)]
pub struct MemoryOptions {
    /// Limit for the machine's memory, as in 4G or 1500M; by default all that is free
    #[arg(long, value_name = "SIZE", env = "VESAL_MAX_RAM", hide_env_values = true, value_parser = parse_size)]
    pub max_ram: Option<u64>,
}

/// Options for computing.
#[derive(Debug, Clone, Default, Args)]
pub struct ComputeOptions {
    /// Where networks run: `cpu`, `cuda`, `cuda:N`, or `auto`, which takes a GPU if one works
    #[arg(
        long,
        value_name = "DEVICE",
        env = "VESAL_DEVICE",
        default_value = "auto",
        hide_env_values = true
    )]
    pub device: Device,
    /// Execution provider: `native` (ONNX Runtime's own), `openvino` or `tensorrt-rtx`
    #[arg(
        long,
        value_name = "PROVIDER",
        env = "VESAL_PROVIDER",
        hide_env_values = true
    )]
    pub provider: Option<Provider>,
    /// Precision in which networks compute: `f32` or `f16`
    #[arg(
        long,
        value_name = "PRECISION",
        env = "VESAL_PRECISION",
        hide_env_values = true
    )]
    pub precision: Option<InferencePrecision>,
    /// Kernels of convolutions on a processor: `own`, where they are faster, or `onnxruntime`
    #[arg(
        long,
        value_name = "KERNEL",
        env = "VESAL_CONVOLUTIONS",
        hide_env_values = true
    )]
    pub convolutions: Option<Convolutions>,
    /// Limit for the GPU's memory, as in 4G; by default all that is free
    #[arg(long, value_name = "SIZE", env = "VESAL_MAX_VRAM", hide_env_values = true, value_parser = parse_size)]
    pub max_vram: Option<u64>,
    /// Number of processor threads; by default one per core
    #[arg(long, value_name = "N", env = "VESAL_THREADS", hide_env_values = true)]
    pub threads: Option<NonZeroUsize>,
    /// Ignore the profile of `vesal tune` for this bundle and machine
    #[arg(long)]
    pub no_profile: bool,
    #[command(flatten)]
    pub library: LibraryOptions,
}

impl ComputeOptions {
    /// The options for the engine, with the windows per call and defaults.
    pub fn engine_options(&self, batch: Option<NonZeroUsize>) -> EngineOptions {
        EngineOptions {
            device: self.device,
            threads: self.threads,
            batch,
            provider: self.provider.unwrap_or_default(),
            precision: self.precision.unwrap_or_default(),
            max_vram: self.max_vram,
            search: ConvolutionSearch::default(),
            convolutions: self.convolutions.unwrap_or_default(),
            library: self.library.ort_lib.clone(),
        }
    }
}

/// The ONNX Runtime library to load.
#[derive(Debug, Clone, Default, Args)]
pub struct LibraryOptions {
    /// ONNX Runtime library to load, instead of the one that is found [env: ORT_DYLIB_PATH]
    #[arg(long, value_name = "FILE")]
    pub ort_lib: Option<PathBuf>,
}

/// Formats of results, in the order in which they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum OutputFormat {
    /// A label map, or masks of regions
    Nifti,
    /// A DICOM segmentation with a frame of bits for each segment and plane
    Seg,
    /// A DICOM segmentation that is a label map
    Labelmap,
    /// A DICOM structure set: contours
    Rtstruct,
    /// A DICOM report of volumes
    Report,
}

impl OutputFormat {
    /// Its name in the record of a run.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nifti => "nifti",
            Self::Seg => "seg",
            Self::Labelmap => "labelmap",
            Self::Rtstruct => "rtstruct",
            Self::Report => "report",
        }
    }
}

fn parse_suffix(text: &str) -> Result<String, &'static str> {
    if text
        .chars()
        .any(|character| character.is_control() || "/\\:*?\"<>|".contains(character))
    {
        Err("a suffix is part of a file name: letters, digits, `.`, `_` and `-` are safe")
    } else {
        Ok(text.to_owned())
    }
}
