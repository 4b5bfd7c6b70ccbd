//! Memory of preprocessed cases on the host.

use std::thread::available_parallelism;

use vesal_bundle::DeployPlan;
use vesal_io::image;
use vesal_volume::preprocess::Step;

use crate::dataset::TrainingCase;

/// Bytes per voxel of a channel's intensities, and of the classes.
const INTENSITY_BYTES: u64 = 4;
const CLASS_BYTES: u64 = 2;
/// Upper limit per case and class for the list of the class's voxels, in bytes.
const CLASS_INDEX_BYTES: u64 = 8 << 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseSize {
    fold: usize,
    /// Number of voxels of the first image.
    voxels: u64,
    /// Number of voxels per channel after resampling, without cropping.
    prepared: u64,
}

impl CaseSize {
    /// Sizes of cases under a plan, from the headers of their first images. Cases with unusable headers are skipped,
    /// because reading them gives the error.
    pub fn of(cases: &[TrainingCase], plan: &DeployPlan) -> Vec<Self> {
        let target = plan.preprocessing.iter().find_map(|step| match step {
            Step::Resample { spacing, .. } => Some(spacing),
            _ => None,
        });
        let size = |case: &TrainingCase| {
            let geometry = image::read_header(case.images.first()?).ok()?.geometry;
            let voxels: u64 = geometry.shape.iter().map(|&side| side as u64).product();
            let volume = |spacing: &[f64; 3]| spacing.iter().product::<f64>();
            let prepared = match target {
                Some(target) => {
                    (voxels as f64 * volume(&geometry.affine.spacing()) / volume(target)) as u64
                }
                None => voxels,
            };
            Some(Self {
                fold: case.fold,
                voxels,
                prepared,
            })
        };
        cases.iter().filter_map(size).collect()
    }
}

/// Memory of the cases of a training in bytes, estimated from above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CasesMemory {
    /// All preprocessed cases.
    pub kept: u64,
    /// The larger one of two peaks: reading cases on all threads, and scoring one case.
    pub transient: u64,
}

impl CasesMemory {
    /// Estimates the memory of the cases of a training with one fold held out.
    pub fn new(cases: &[CaseSize], held_out: usize, plan: &DeployPlan) -> Self {
        let channels = plan.channels.len() as u64;
        let classes = plan.labels.len() as u64;
        let (mut kept, mut largest, mut largest_scored) = (0, 0, 0);
        for &CaseSize {
            fold,
            voxels,
            prepared,
        } in cases
        {
            kept += prepared * INTENSITY_BYTES * channels;
            if fold == held_out {
                kept += CLASS_BYTES * voxels;
                largest_scored = largest_scored.max(prepared);
            } else {
                kept += CLASS_BYTES * prepared + classes * CLASS_INDEX_BYTES.min(8 * prepared);
            }
            largest = largest.max(voxels.max(prepared));
        }
        let threads = available_parallelism().map_or(1, |cores| cores.get());
        let readers = threads.min(cases.len()) as u64;
        let reading = largest * (2 * INTENSITY_BYTES * channels + CLASS_BYTES) * readers;
        let scoring = largest_scored * INTENSITY_BYTES * (classes + 1);
        Self {
            kept,
            transient: reading.max(scoring),
        }
    }

    /// Bytes where preprocessed cases may take at most `limit`; the others are read again in every epoch.
    pub fn within(self, limit: Option<u64>) -> u64 {
        self.kept.min(limit.unwrap_or(u64::MAX)) + self.transient
    }
}
