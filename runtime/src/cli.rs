//! The command line.

mod convert;
mod predict;
mod serve;

pub use self::convert::ConvertArguments;
pub use self::predict::{DicomArguments, GeometryPolicy, OutputFormat, PredictArguments};
pub use self::serve::ServeArguments;

use std::num::NonZeroUsize;
use std::path::PathBuf;

use crate::memory;
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use vesal_engine::{ConvolutionSearch, Convolutions, Device, EngineOptions, Precision, Provider};
use vesal_files::digest::is_digest;
use vesal_io::nifti::Believe;

/// Segments 3-D medical images with a bundle of trained networks.
#[derive(Debug, Parser)]
#[command(
    name = "vesal",
    version,
    propagate_version = false,
    arg_required_else_help = true,
    after_help = "\
Examples:
  vesal setup                                            Get ONNX Runtime, once per machine
  vesal verify spleen-1.2.0                              Check that a bundle computes rightly here
  vesal predict --bundle spleen-1.2.0 --input scans --output results

Exit codes:
  0 done    2 wrong command line    3 input    4 bundle    5 device or inference
  6 output  7 some cases of a batch failed     130 stopped with Ctrl-C    1 a mistake in vesal itself"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Segment scans: write a label map for each
    Predict(PredictArguments),
    /// Receive DICOM series, segment them and send the results on, for as long as it runs
    Serve(ServeArguments),
    /// Compare predicted label maps with true ones
    Evaluate(EvaluateArguments),
    /// Show what an image, DICOM files or a bundle hold
    Inspect(InspectArguments),
    /// Make NIfTI files of DICOM series, with label maps of structure sets: what training reads
    Convert(ConvertArguments),
    /// Check that a bundle is whole and computes on this machine what it should
    Verify(VerifyArguments),
    /// Measure how long every stage takes here, and how much memory
    Bench(BenchArguments),
    /// Find the fastest settings for a bundle on this machine, and keep them for the other commands
    Tune(TuneArguments),
    /// List what networks can run on here
    Devices(DevicesArguments),
    /// Get ONNX Runtime, the library that runs the networks
    Setup(SetupArguments),
    /// Print a script that completes commands in a shell
    Completions(CompletionsArguments),
}

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "\
Measures Dice, surface Dice, HD95 and volumes of every label of every case, and their means. Means are over the cases
whose truth has the label. A case without a prediction is reported; the exit code is then 7.

The prediction of the truth CASE.nii.gz is CASE_seg.nii.gz, that of a case of a datalist is named after its image.

Examples:
  vesal evaluate --truth labelsTs --prediction results
  vesal evaluate --truth datalist.json --dataroot data --prediction results --bundle spleen-1.2.0 --json")]
pub struct EvaluateArguments {
    /// True label maps: a folder of them, or a datalist (JSON) whose cases have labels
    #[arg(long, value_name = "PATH")]
    pub truth: PathBuf,
    /// Folder of the predictions
    #[arg(long, value_name = "DIR")]
    pub prediction: PathBuf,
    /// What follows the case in the name of its prediction
    #[arg(long, value_name = "TEXT", default_value = "_seg", value_parser = parse_suffix, allow_hyphen_values = true)]
    pub suffix: String,
    /// Bundle whose labels are compared and named; without it, every value in the label maps is
    #[arg(long, value_name = "BUNDLE")]
    pub bundle: Option<PathBuf>,
    /// Which list of a datalist: testing, training or validation
    #[arg(
        long,
        value_name = "LIST",
        hide_possible_values = true,
        default_value = "testing"
    )]
    pub list: DatalistPart,
    /// Folder that the paths of a datalist start from; by default the datalist's own
    #[arg(
        long,
        value_name = "DIR",
        env = "VESAL_DATAROOT",
        hide_env_values = true
    )]
    pub dataroot: Option<PathBuf>,
    /// Distance up to which surfaces count as the same in surface Dice, in mm
    #[arg(long, value_name = "MM", default_value = "1", value_parser = parse_tolerance)]
    pub tolerance_mm: f64,
    /// Which affine of a NIfTI file counts where sform and qform contradict each other: `sform` or `qform`; without
    /// it, such a file is refused
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub nifti_form: Option<NiftiForm>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

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

/// The lists of a datalist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DatalistPart {
    /// Cases that no training saw
    Testing,
    /// Cases of all folds
    Training,
    /// Cases of the one validation list
    Validation,
}

impl DatalistPart {
    /// Its key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Testing => "testing",
            Self::Training => "training",
            Self::Validation => "validation",
        }
    }
}

/// Arguments of `inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
Of DICOM files, the slices that belong together are listed with a grade: ok; resampled, where they lie unevenly or are
tilted and would have to be interpolated; refused, with the reason. So is every file that is no slice.

Examples:
  vesal inspect scan.nii.gz
  vesal inspect dicom/study_7
  vesal inspect spleen-1.2.0
  vesal inspect case_012/*.nii.gz --json")]
pub struct InspectArguments {
    /// NIfTI files, DICOM files, folders or a DICOMDIR, or bundles
    #[arg(value_name = "PATH", required = true)]
    pub paths: Vec<PathBuf>,
    /// Which affine of a NIfTI file counts where sform and qform contradict each other: `sform` or `qform`; without
    /// it, such a file is refused
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub nifti_form: Option<NiftiForm>,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "\
A bundle carries a test: an input and what its networks answer to it. `verify` computes the answers again here and
compares. Run it once for every machine, device and bundle.

Examples:
  vesal verify spleen-1.2.0
  vesal verify spleen-1.2.0 --device cuda:0
  vesal verify spleen-1.2.0 --bundle-key vendor.pub --require-signature")]
pub struct VerifyArguments {
    /// Folder of the bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// What the bundle has to be.
    #[command(flatten)]
    pub trust: TrustArguments,
    /// Where and how to compute.
    #[command(flatten)]
    pub compute: ComputeArguments,
}

/// What a bundle has to be.
#[derive(Debug, Clone, Default, Args)]
pub struct TrustArguments {
    /// SHA-256 that the bundle must have, as `vesal inspect` prints it
    #[arg(long, value_name = "HEX", value_parser = parse_digest)]
    pub bundle_sha256: Option<String>,
    /// Public key (minisign) of whoever made the bundle: a signature in it must be theirs
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

/// Arguments of `bench`.
#[derive(Debug, Args)]
#[command(after_help = "\
Segments the scans: first from the start of the program, then one by one again and again, and at last all together as
`predict` does. Results go into a temporary folder. docs/deploying.md says what the figures mean.

Examples:
  vesal bench spleen-1.2.0 scan.nii.gz
  vesal bench spleen-1.2.0 scans --rounds 20 --device cuda:0 --report bench.json")]
pub struct BenchArguments {
    /// Folder of the bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Scans: files or folders, as `predict` takes them
    #[arg(value_name = "INPUT", required = true)]
    pub input: Vec<PathBuf>,
    /// How often every scan is segmented when everything is warm
    #[arg(long, value_name = "N", default_value = "10")]
    pub rounds: NonZeroUsize,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Write the JSON to this file as well, in place of what is there
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Which affine of a NIfTI file counts where sform and qform contradict each other: `sform` or `qform`; without
    /// it, such a file is refused
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub nifti_form: Option<NiftiForm>,
    /// Which series, and how.
    #[command(flatten)]
    pub dicom: DicomArguments,
    /// How much at once.
    #[command(flatten)]
    pub limits: LimitArguments,
    /// Where and how to compute.
    #[command(flatten)]
    pub compute: ComputeArguments,
}

/// Arguments of `tune`.
#[derive(Debug, Args)]
#[command(after_help = "\
Tries providers, precisions, threads, numbers of windows at once, and ways to choose convolutions. Settings with which
the bundle's test fails are not taken. The best are kept as a profile in a folder of your user account; `predict`,
`bench` and `verify` use it for the same bundle, machine, ONNX Runtime and `--device`.

Examples:
  vesal tune spleen-1.2.0
  vesal tune spleen-1.2.0 --device cpu --input scan.nii.gz
  vesal tune spleen-1.2.0 --forget")]
pub struct TuneArguments {
    /// Folder of the bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Measure with this scan, all of it, instead of a few made-up windows: a file, or the folder of one case
    #[arg(long, value_name = "SCAN")]
    pub input: Option<PathBuf>,
    /// Which affine of a NIfTI file counts where sform and qform contradict each other: `sform` or `qform`; without
    /// it, such a file is refused
    #[arg(long, value_enum, value_name = "FORM", hide_possible_values = true)]
    pub nifti_form: Option<NiftiForm>,
    /// Where networks run: `cpu`, `cuda`, `cuda:N`, or `auto`, which tries the processor and the first GPU
    #[arg(
        long,
        value_name = "DEVICE",
        env = "VESAL_DEVICE",
        default_value = "auto",
        hide_env_values = true
    )]
    pub device: Device,
    /// Remove the profiles of this bundle instead
    #[arg(long, conflicts_with = "input")]
    pub forget: bool,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Which library.
    #[command(flatten)]
    pub library: LibraryArguments,
}

/// Arguments of `devices`.
#[derive(Debug, Args)]
pub struct DevicesArguments {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    /// Which library.
    #[command(flatten)]
    pub library: LibraryArguments,
}

/// Arguments of `setup`.
#[derive(Debug, Args)]
#[command(after_help = "\
The library is fetched with pip, so Python 3 must be there. It goes into a folder of your user account and nothing else
on the machine changes.")]
pub struct SetupArguments {
    /// Get the build for NVIDIA GPUs, which is much larger
    #[arg(long)]
    pub cuda: bool,
    /// Get it again even if it is there
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `completions`.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vesal completions bash > ~/.local/share/bash-completion/completions/vesal")]
pub struct CompletionsArguments {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// How much a run may do and hold at once.
#[derive(Debug, Clone, Args)]
pub struct LimitArguments {
    /// Windows that a network computes at once; fewer need less memory
    #[arg(long, value_name = "N", env = "VESAL_BATCH", hide_env_values = true)]
    pub batch: Option<NonZeroUsize>,
    /// Most memory of the machine that the run may take, as in 4G or 1500M; by default what is free
    #[arg(long, value_name = "SIZE", env = "VESAL_MAX_RAM", hide_env_values = true, value_parser = memory::parse_size)]
    pub max_ram: Option<u64>,
}

/// Where and how to compute.
#[derive(Debug, Clone, Args)]
pub struct ComputeArguments {
    /// Where networks run: `cpu`, `cuda`, `cuda:N`, or `auto`, which takes a GPU if one works
    #[arg(
        long,
        value_name = "DEVICE",
        env = "VESAL_DEVICE",
        default_value = "auto",
        hide_env_values = true
    )]
    pub device: Device,
    /// Who runs them there: `native` (ONNX Runtime itself), `openvino` or `tensorrt-rtx`
    #[arg(
        long,
        value_name = "PROVIDER",
        env = "VESAL_PROVIDER",
        hide_env_values = true
    )]
    pub provider: Option<Provider>,
    /// Numbers that networks compute with: `f32` or `f16`
    #[arg(
        long,
        value_name = "PRECISION",
        env = "VESAL_PRECISION",
        hide_env_values = true
    )]
    pub precision: Option<Precision>,
    /// Whose convolutions run on a processor: `own`, where they are faster, or `onnxruntime`
    #[arg(
        long,
        value_name = "WHOSE",
        env = "VESAL_CONVOLUTIONS",
        hide_env_values = true
    )]
    pub convolutions: Option<Convolutions>,
    /// Most memory of a GPU that the run may take, as in 4G; by default what is free
    #[arg(long, value_name = "SIZE", env = "VESAL_MAX_VRAM", hide_env_values = true, value_parser = memory::parse_size)]
    pub max_vram: Option<u64>,
    /// Number of processor threads; by default one per core
    #[arg(long, value_name = "N", env = "VESAL_THREADS", hide_env_values = true)]
    pub threads: Option<NonZeroUsize>,
    /// Ignore what `vesal tune` found best for this bundle and machine
    #[arg(long)]
    pub no_profile: bool,
    /// Which library.
    #[command(flatten)]
    pub library: LibraryArguments,
}

impl ComputeArguments {
    /// The same for the engine, with the number of windows at once and defaults for what is left open.
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

/// Which ONNX Runtime to load.
#[derive(Debug, Clone, Args)]
pub struct LibraryArguments {
    /// ONNX Runtime library to load, instead of the one that is found [env: ORT_DYLIB_PATH]
    #[arg(long, value_name = "FILE")]
    pub ort_lib: Option<PathBuf>,
}

fn parse_tolerance(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(mm) if mm.is_finite() && mm >= 0.0 => Ok(mm),
        _ => Err("expected a distance of at least 0 mm"),
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
