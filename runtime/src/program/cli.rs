//! The command line: commands with their help, and options of the program besides the library's.
//!
//! Options that are listed among those of the library have a `display_order`; equal orders are sorted alphabetically.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use vesal::bench::BenchOptions;
use vesal::convert::ConvertOptions;
use vesal::devices::DevicesOptions;
use vesal::evaluate::EvaluateOptions;
use vesal::inspect::InspectOptions;
use vesal::predict::PredictOptions;
use vesal::serve::ServeOptions;
use vesal::setup::SetupOptions;
use vesal::tune::TuneOptions;
use vesal::verify::VerifyOptions;
use vesal_io::image::described_formats;

/// Segments 3-D medical images with a bundle of trained networks.
#[derive(Debug, Parser)]
#[command(
    name = "vesal",
    version,
    propagate_version = false,
    arg_required_else_help = true,
    after_help = "\
Examples:
  vesal setup                                            Install ONNX Runtime, once per machine
  vesal verify spleen-1.2.0                              Check that a bundle gives the right results here
  vesal predict --bundle spleen-1.2.0 --input scans --output results

Exit codes:
  0 done    2 wrong command line    3 input    4 bundle    5 device or inference
  6 output  7 some cases of a batch failed     130 stopped with Ctrl-C    1 an internal error of vesal"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Segment scans: write a label map for each
    Predict(Box<PredictArguments>),
    /// Run a DICOM node: receive series, segment them, and send the results on
    Serve(ServeArguments),
    /// Compare predicted label maps with true ones
    Evaluate(EvaluateArguments),
    /// Show the contents of an image, DICOM files or a bundle
    Inspect(InspectArguments),
    /// Convert DICOM series to NIfTI files, and structure sets to label maps, for training
    Convert(ConvertArguments),
    /// Check that a bundle is complete and gives the recorded results on this machine
    Verify(VerifyArguments),
    /// Measure time and memory of every stage on this machine
    Bench(BenchArguments),
    /// Find the fastest settings for a bundle on this machine, and keep them for the other commands
    Tune(TuneArguments),
    /// List the devices and execution providers of this machine
    Devices(DevicesArguments),
    /// Install ONNX Runtime, the library that runs the networks
    Setup(SetupArguments),
    /// Print a script that completes commands in a shell
    Completions(CompletionsArguments),
}

/// Text after the options of `predict`.
fn predict_after_help() -> String {
    format!(
        "\
A scan is a DICOM series or an image file: {}.
In a folder, all image files are read, but not those in its subfolders; a folder without any is searched for DICOM
files, subfolders included. A bundle with several channels takes folders in which each case has one file per channel,
named CASE_CHANNEL.nii.gz, or DICOM studies with one series per channel; `vesal inspect` lists a bundle's channels and a
study's series.

Results lie on the grid of their scan. CASE is the name of the scan's file, or the UID of a DICOM series. If a case
fails, the others are still segmented.

  nifti      CASE_seg.nii.gz       Label map, or masks of regions
  seg        CASE_seg.dcm          DICOM segmentation, which most viewers read
  labelmap   CASE_labelmap.dcm     The same as a label map: far smaller, but few viewers read it yet
  rtstruct   CASE_rtstruct.dcm     Contours
  report     CASE_report.dcm       DICOM report of the segments' volumes; needs `seg` or `labelmap`

Examples:
  vesal predict --bundle spleen-1.2.0 --input scan.nii.gz --output results
  vesal predict --bundle spleen-1.2.0 --input dicom/study_7 --output results --format seg,report
  vesal predict --bundle spleen-1.2.0 --input monday tuesday --output results --report results/run.json
  vesal predict --bundle spleen-1.2.0 --input scan.nii.gz --output results --device cuda:0 --json",
        described_formats()
    )
}

#[derive(Debug, Args)]
#[command(after_help = predict_after_help())]
pub struct PredictArguments {
    #[command(flatten)]
    pub options: PredictOptions,
    /// Print the record of the run as JSON instead of text
    #[arg(long, display_order = 12)]
    pub json: bool,
    /// Write why it failed to this file, as a code and numbers: for a node
    #[arg(long, value_name = "FILE", hide = true)]
    pub failure: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A node takes DICOM series from scanners and archives (C-STORE), segments each with the bundle of the AE title that was
called, and sends the results to an archive. Every acknowledged instance is on disk, and is processed even if the node
is killed in between. Ctrl-C or SIGTERM stops it cleanly; a second one stops it at once. See docs/node.md.

Examples:
  vesal serve --example > node.toml                      Start from commented settings
  vesal serve --config node.toml --check
  vesal serve --config node.toml")]
pub struct ServeArguments {
    #[command(flatten)]
    pub options: ServeOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Measures Dice, surface Dice, HD95 and volumes of every label of every case, and their means. Means are over the cases
whose truth has the label. A case without a prediction is reported; the exit code is then 7.

The prediction of the truth CASE.nii.gz is CASE_seg.nii.gz, that of a case of a datalist is named after its image.

Examples:
  vesal evaluate --truth labelsTs --prediction results
  vesal evaluate --truth datalist.json --dataroot data --prediction results --bundle spleen-1.2.0 --json")]
pub struct EvaluateArguments {
    #[command(flatten)]
    pub options: EvaluateOptions,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Of DICOM files, the slices that belong together are listed with a grade: ok; resampled, where they lie unevenly or are
tilted and would have to be interpolated; refused, with the reason. Files that are not slices are listed as well.

Examples:
  vesal inspect scan.nii.gz
  vesal inspect dicom/study_7
  vesal inspect spleen-1.2.0
  vesal inspect case_012/*.nii.gz --json")]
pub struct InspectArguments {
    #[command(flatten)]
    pub options: InspectOptions,
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Every series becomes SERIES_UID.nii.gz; one with several phases, echoes or orientations also SERIES_UID_2.nii.gz and so
on. For a series that is not a volume, the reason is printed; the others are converted, and the exit code is then 7.

With --structures, a series that a structure set (RTSTRUCT) was drawn on gets SERIES_UID_label.nii.gz as well. In NAME, *
stands for any text, and upper and lower case are the same. Where structures overlap, the later of the patterns wins.

Examples:
  vesal convert --input study_7 --output images
  vesal convert --input export --output data/images --structures 'GTV*=1' '*lung*=2' --datalist data/datalist.json
  vesal convert --input tilted --output images --geometry resample --json")]
pub struct ConvertArguments {
    #[command(flatten)]
    pub options: ConvertOptions,
    /// Print JSON instead of text
    #[arg(long, display_order = 6)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
A bundle holds a test: an input with the recorded outputs of its networks. `verify` computes the outputs on this machine
and compares. Run it once for every machine, device and bundle.

Examples:
  vesal verify spleen-1.2.0
  vesal verify spleen-1.2.0 --device cuda:0
  vesal verify spleen-1.2.0 --bundle-key vendor.pub --require-signature")]
pub struct VerifyArguments {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub options: VerifyOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Segments the scans from the start of the program, then one by one for several rounds, and finally all together as
`predict` does. Results go into a temporary folder. docs/deploying.md explains the figures.

Examples:
  vesal bench spleen-1.2.0 scan.nii.gz
  vesal bench spleen-1.2.0 scans --rounds 20 --device cuda:0 --report bench.json")]
pub struct BenchArguments {
    #[command(flatten)]
    pub options: BenchOptions,
    /// Print JSON instead of text
    #[arg(long, display_order = 1)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Tries providers, precisions, threads, numbers of windows at once, and ways to choose convolutions. Settings with which
the bundle's test fails are rejected. The best are kept as a profile in a folder of your user account; `predict`,
`bench` and `verify` use it for the same bundle, machine, ONNX Runtime and `--device`.

Examples:
  vesal tune spleen-1.2.0
  vesal tune spleen-1.2.0 --device cpu --input scan.nii.gz
  vesal tune spleen-1.2.0 --forget")]
pub struct TuneArguments {
    #[command(flatten)]
    pub options: TuneOptions,
    /// Remove the profiles of this bundle instead
    #[arg(long, conflicts_with = "input", display_order = 3)]
    pub forget: bool,
    /// Print JSON instead of text
    #[arg(long, display_order = 3)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct DevicesArguments {
    /// Print JSON instead of text
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub options: DevicesOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The library is fetched with pip, which needs Python 3, unless --from names its package. It goes into a folder of your
user account; nothing else on the machine is changed.")]
pub struct SetupArguments {
    #[command(flatten)]
    pub options: SetupOptions,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  vesal completions bash > ~/.local/share/bash-completion/completions/vesal")]
pub struct CompletionsArguments {
    /// Which shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}
