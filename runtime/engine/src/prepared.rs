//! Cases that are ready for the networks.

use std::time::{Duration, Instant};

use ndarray::Array4;
use vesal_bundle::DeployPlan;
use vesal_bundle::probe::ProbeInput;
use vesal_volume::preprocess::{AppliedTransforms, execute};
use vesal_volume::{Affine, Volume};

use crate::error::EngineError;

/// Seed of made-up cases.
const SEED: u32 = 1543;

/// A case that is ready for the networks.
#[derive(Debug, Clone)]
pub struct PreparedCase {
    pub(crate) volume: Volume,
    pub(crate) transforms: AppliedTransforms,
    /// Time that it took.
    pub(crate) time: Duration,
}

impl PreparedCase {
    /// Preprocesses the images of a case.
    ///
    /// **Shapes**: images `[C, X, Y, Z]` with as many channels each as [`DeployPlan::image_channels`] says.
    ///
    /// **Errors**: the case does not fit the plan.
    pub fn new(images: Vec<Volume>, plan: &DeployPlan) -> Result<Self, EngineError> {
        let (found, expected) = (images.iter().map(Volume::channels).sum(), &plan.channels);
        if found != expected.len() {
            let expected = expected
                .iter()
                .map(|channel| channel.name.clone())
                .collect();
            return Err(EngineError::Channels { found, expected });
        }
        let start = Instant::now();
        let (volume, transforms) = execute(images, &plan.preprocessing)?;
        let time = start.elapsed();
        Ok(Self {
            volume,
            transforms,
            time,
        })
    }

    /// Makes up a case of as many windows in a row, of noise as in probes: networks take as long for it as for any other.
    ///
    /// **Errors**: a case so long cannot be made.
    pub fn made_up(plan: &DeployPlan, windows: usize) -> Result<Self, EngineError> {
        let [x, y, z] = plan.window.size;
        let step = (x as f64 * (1.0 - plan.window.overlap[0])) as usize;
        let x = x + step.max(1) * windows.saturating_sub(1);
        let noise = ProbeInput::new(SEED, plan.channels.len(), [x, y, z]);
        let data = Array4::from_shape_vec((plan.channels.len(), x, y, z), noise.values())?;
        let start = Instant::now();
        let affine = Affine::from_spacing([1.0; 3]);
        let (volume, transforms) = execute(vec![Volume { data, affine }], &[])?;
        Ok(Self {
            volume,
            transforms,
            time: start.elapsed(),
        })
    }

    /// Shape that the networks see, `[X, Y, Z]`.
    pub fn shape(&self) -> [usize; 3] {
        self.transforms.prepared.shape
    }
}
