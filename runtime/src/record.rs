//! The record of a run: what `--json` prints and `--report` writes. It contains names of files but no text from inside
//! them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ndarray::Array3;
use rayon::prelude::*;
use serde::Serialize;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::{Activation, Channel};
use vesal_cases::Assessed;
use vesal_engine::{Device, InferencePrecision};
use vesal_files::{VersionedDocument, digest};
use vesal_io::dicom::Stack;
use vesal_volume::LabelMap;

use crate::error::Error;
use crate::memory::MemoryRecord;
use crate::profile::Opened;

/// The `format` of probabilities among the outputs of a case.
pub const PROBABILITIES: &str = "probabilities";

/// The record of one `vesal predict`.
#[derive(Debug, Serialize)]
pub struct PredictionRecord {
    /// Programs and libraries by name.
    pub versions: BTreeMap<&'static str, String>,
    /// The bundle that was run.
    pub bundle: BundleRecord,
    pub device: DeviceRecord,
    /// Seconds for opening the bundle and its networks.
    pub load_seconds: f64,
    /// Seconds from start to end.
    pub total_seconds: f64,
    /// Planned memory of the run.
    pub memory: MemoryRecord,
    /// Peak memory; null where the system does not state it.
    pub peak_memory_bytes: Option<u64>,
    /// Whether all results are marked, because images of the scans may be missing.
    pub marked_incomplete: bool,
    /// Warnings about the run as a whole.
    pub warnings: Vec<String>,
    /// The cases in their order.
    pub cases: Vec<CaseRecord>,
}

/// The bundle of a run.
#[derive(Debug, Clone, Serialize)]
pub struct BundleRecord {
    pub name: String,
    /// Version given by its makers, if there is one.
    pub version: Option<String>,
    /// SHA-256 of its manifest.
    pub digest: String,
    pub members: usize,
}

/// The device of a run.
#[derive(Debug, Clone, Serialize)]
pub struct DeviceRecord {
    /// The requested device.
    pub requested: String,
    /// The device in use; null before the first prediction.
    pub used: Option<String>,
    pub threads: usize,
    /// Execution of the networks: provider, precision, and parts computed outside of ONNX Runtime; null before the
    /// first prediction.
    pub execution: Option<String>,
    /// Precision of the networks; null before the first prediction.
    pub precision: Option<InferencePrecision>,
    /// Windows per call of a network; null before the first prediction.
    pub batch: Option<usize>,
    /// File of the profile that provided options absent from the command line; null if none.
    pub profile: Option<String>,
}

impl DeviceRecord {
    /// A requested device that is not in use yet.
    pub(crate) fn new(requested: Device) -> Self {
        Self {
            requested: requested.to_string(),
            used: None,
            threads: rayon::current_num_threads(),
            execution: None,
            precision: None,
            batch: None,
            profile: None,
        }
    }

    /// Records the device in use.
    pub(crate) fn note(&mut self, opened: &Opened) {
        let Opened {
            ensemble, options, ..
        } = opened;
        self.used = Some(ensemble.device().to_string());
        self.threads = options.threads.map_or(self.threads, usize::from);
        self.execution = Some(ensemble.execution().to_owned());
        self.precision = Some(options.precision);
        self.batch = Some(ensemble.batch());
        let file = |path: &PathBuf| path.display().to_string();
        self.profile = opened.profile.as_ref().map(file);
    }
}

/// Outcome of a case.
#[derive(Debug, Serialize)]
pub struct CaseRecord {
    pub case: String,
    /// Names of its files, or UIDs of its DICOM series, one per channel.
    pub input: Vec<String>,
    /// Facts about its DICOM series.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub series: Vec<SeriesRecord>,
    #[serde(flatten)]
    pub outcome: CaseOutcome,
}

/// A DICOM series that is a channel.
#[derive(Debug, Clone, Serialize)]
pub struct SeriesRecord {
    pub channel: String,
    pub study: String,
    pub series: String,
    /// Keys that distinguish it from other volumes of the series: phases, echoes and the like.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub told_apart_by: BTreeMap<&'static str, String>,
    /// Slices of the volume; all slices of a refused series.
    pub slices: usize,
    /// Grade of its volume: ok, resampled or refused.
    pub grade: String,
    /// Why it is refused or resampled, and other findings.
    pub findings: Vec<String>,
}

/// Keys that distinguish a stack from others of its series.
pub(crate) fn told_apart_by(stack: &Stack) -> BTreeMap<&'static str, String> {
    let told = stack.distinguishing_keys().iter();
    told.map(|(key, value)| (key.name(), value.clone()))
        .collect()
}

impl SeriesRecord {
    /// Facts about the series of these channels.
    pub(crate) fn of(assessed: &[Assessed], plan: &DeployPlan) -> Vec<Self> {
        let channels = plan.channels.iter().zip(assessed);
        let record = |(channel, assessed): (&Channel, &Assessed)| {
            let Assessed { stack, assessment } = assessed;
            let slices = match assessment.refusal() {
                None => assessment.slices(),
                Some(_) => stack.slices(),
            };
            let findings = assessment.refusal().into_iter();
            Self {
                channel: channel.name.clone(),
                study: stack.study().to_owned(),
                series: stack.series().to_owned(),
                told_apart_by: told_apart_by(stack),
                slices: slices.len(),
                grade: assessment.grade().to_string(),
                findings: findings
                    .chain(assessment.findings())
                    .map(ToString::to_string)
                    .collect(),
            }
        };
        channels.map(record).collect()
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum CaseOutcome {
    /// The files were written.
    Segmented(Segmented),
    Failed {
        /// The exit code of this failure alone.
        exit_code: u8,
        message: String,
    },
}

/// A segmented case.
#[derive(Debug, Serialize)]
pub struct Segmented {
    /// Its files: the result in each format, then the probabilities, if requested.
    pub outputs: Vec<OutputRecord>,
    /// Windows that each member predicted.
    pub windows: usize,
    pub seconds: StageSeconds,
    /// Every label except background.
    pub labels: Vec<LabelRecord>,
    /// Remarks in the results about the input: missing images, grades, different frames of reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remarks: Option<String>,
    /// Warnings for the reader of the result.
    pub warnings: Vec<String>,
}

/// Seconds of a case, to the millisecond.
#[derive(Debug, Serialize)]
pub struct StageSeconds {
    pub read: f64,
    pub prepare: f64,
    /// Without preprocessing, blending and restoring.
    pub network: f64,
    /// Cutting windows and blending the networks' outputs.
    pub stitch: f64,
    /// Combining members, inverting preprocessing, and labels.
    pub restore: f64,
    /// Writing and digesting the results.
    pub write: f64,
    /// The sum; the cases of a batch overlap.
    pub total: f64,
}

/// A written file.
#[derive(Debug, Serialize)]
pub struct OutputRecord {
    /// Format: `nifti`, `seg`, `labelmap`, `rtstruct`, `report` or `probabilities`.
    pub format: &'static str,
    pub path: String,
    /// Its length in bytes.
    pub bytes: u64,
    pub sha256: String,
}

/// Size of a label.
#[derive(Debug, PartialEq, Serialize)]
pub struct LabelRecord {
    pub name: String,
    /// Its value in the label map.
    pub value: u16,
    pub voxels: u64,
    /// Volume of its voxels in ml.
    pub ml: f64,
}

impl VersionedDocument for PredictionRecord {
    const FORMAT: &str = "vesal-predict";
    const VERSION: u32 = 1;
}

impl PredictionRecord {
    /// A record without cases and figures.
    pub(crate) fn new(bundle: BundleRecord, device: DeviceRecord, marked_incomplete: bool) -> Self {
        Self {
            versions: BTreeMap::from([("vesal", env!("CARGO_PKG_VERSION").to_owned())]),
            bundle,
            device,
            load_seconds: 0.0,
            total_seconds: 0.0,
            memory: MemoryRecord::default(),
            peak_memory_bytes: None,
            marked_incomplete,
            warnings: Vec::new(),
            cases: Vec::new(),
        }
    }
}

impl CaseOutcome {
    pub(crate) fn failed(error: &Error) -> Self {
        Self::Failed {
            exit_code: error.exit() as u8,
            message: error.message().trim_end().to_owned(),
        }
    }
}

impl OutputRecord {
    /// The record of an existing file.
    ///
    /// **Errors**: it cannot be read.
    pub(crate) fn of(format: &'static str, path: &Path) -> io::Result<Self> {
        let (bytes, sha256) = digest::sha256_file(path)?;
        Ok(Self {
            format,
            path: path.display().to_string(),
            bytes,
            sha256,
        })
    }
}

/// Voxels per unit of parallel counting.
const COUNTED_AT_ONCE: usize = 1 << 20;

/// Measures every label except background, or every region; the affine determines the volume of a voxel.
pub(crate) fn measure(map: &LabelMap, plan: &DeployPlan) -> Vec<LabelRecord> {
    let counts = count(&map.data);
    let voxel_ml = map.affine.determinant().abs() / 1000.0;
    plan.foreground()
        .map(|label| {
            let belongs = |found: u16| match plan.activation {
                Activation::Softmax => found == label.value,
                Activation::Sigmoid => found & label.value != 0,
            };
            let voxels = counts
                .iter()
                .filter(|(found, _)| belongs(**found))
                .map(|(_, voxels)| voxels)
                .sum();
            LabelRecord {
                name: label.name.clone(),
                value: label.value,
                voxels,
                ml: voxels as f64 * voxel_ml,
            }
        })
        .collect()
}

fn count(data: &Array3<u16>) -> BTreeMap<u16, u64> {
    let none = || vec![0_u64; 1 << 16];
    let counts = match data.as_slice_memory_order() {
        Some(values) => values
            .par_chunks(COUNTED_AT_ONCE)
            .fold(none, |counts, values| counted(counts, values.iter()))
            .reduce(none, |mut sum, counts| {
                sum.iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
                sum
            }),
        None => counted(none(), data.iter()),
    };
    (0..=u16::MAX)
        .zip(counts)
        .filter(|(_, voxels)| *voxels > 0)
        .collect()
}

fn counted<'a>(mut counts: Vec<u64>, values: impl Iterator<Item = &'a u16>) -> Vec<u64> {
    values.for_each(|&value| counts[usize::from(value)] += 1);
    counts
}

/// Rounds seconds to milliseconds.
pub(crate) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use vesal_bundle::deploy_plan::Label;
    use vesal_volume::Affine;
    use vesal_volume::window::{Blend, Padding, WindowPlan};

    use super::*;

    fn plan(activation: Activation, values: [u16; 3]) -> DeployPlan {
        let label = |(class_index, value): (usize, u16)| {
            Label::new(
                ["background", "liver", "tumor"][class_index],
                value,
                class_index,
            )
        };
        DeployPlan {
            restore: Default::default(),
            name: "task".into(),
            channels: Vec::new(),
            labels: values.into_iter().enumerate().map(label).collect(),
            activation,
            preprocessing: Vec::new(),
            window: WindowPlan {
                size: [1; 3],
                overlap: [0.0; 3],
                blend: Blend::Constant,
                padding: Padding::Constant(0.0),
            },
        }
    }

    #[test]
    fn labels_are_counted_and_measured() {
        let data = Array3::from_shape_vec((1, 2, 2), vec![0, 9, 9, 7]).unwrap();
        let map = LabelMap {
            data,
            affine: Affine::from_spacing([-2.0, 2.0, 5.0]),
        };
        let found = measure(&map, &plan(Activation::Softmax, [0, 9, 300]));
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].value, found[0].voxels), (9, 2));
        assert!((found[0].ml - 0.04).abs() < 1e-12);
        assert_eq!((found[1].voxels, found[1].ml), (0, 0.0));
        let found = measure(&map, &plan(Activation::Sigmoid, [1, 2, 4]));
        let voxels: Vec<_> = found.iter().map(|region| region.voxels).collect();
        assert_eq!(voxels, [3, 1, 1]);
    }
}
