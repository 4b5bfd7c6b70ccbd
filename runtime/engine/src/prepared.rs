//! Preprocessed cases.

use std::time::{Duration, Instant};

use ndarray::Array4;
use vesal_bundle::probe::ProbeInput;
use vesal_bundle::{DeployPlan, MemberGroup};
use vesal_volume::preprocess::{AppliedTransforms, Step, execute};
use vesal_volume::{Affine, Volume};

use crate::error::EngineError;

/// Seed of noise cases.
const SEED: u32 = 1543;

/// A case whose images are preprocessed by each deploy plan of a bundle.
#[derive(Debug, Clone)]
pub struct PreparedCase {
    /// One for each plan.
    pub(crate) images: Vec<PreparedImage>,
    /// Time that it took.
    pub(crate) time: Duration,
}

/// The images of a case, preprocessed.
#[derive(Debug, Clone)]
pub(crate) struct PreparedImage {
    pub(crate) volume: Volume,
    pub(crate) transforms: AppliedTransforms,
}

impl PreparedCase {
    /// Preprocesses the images of a case for the groups of a bundle.
    ///
    /// **Shapes**: images `[C, X, Y, Z]` with as many channels each as [`DeployPlan::image_channels`] says.
    ///
    /// **Errors**: the case does not fit the plans.
    pub fn new(images: Vec<Volume>, groups: &[MemberGroup]) -> Result<Self, EngineError> {
        let plans = groups.iter().map(|group| group.plan.as_ref());
        let Some(plan) = plans.clone().next() else {
            return Err(EngineError::NoMembers);
        };
        let (found, expected) = (images.iter().map(Volume::channels).sum(), &plan.channels);
        if found != expected.len() {
            let expected = expected
                .iter()
                .map(|channel| channel.name.clone())
                .collect();
            return Err(EngineError::Channels { found, expected });
        }
        Self::prepare(images, plans.map(|plan| plan.preprocessing.as_slice()))
    }

    /// Makes a synthetic case of this many windows of the first plan in a row, filled with noise as in probes; the
    /// networks' time does not depend on the values.
    ///
    /// **Errors**: the case would be too long.
    pub fn made_up(groups: &[MemberGroup], windows: usize) -> Result<Self, EngineError> {
        let plans = groups.iter().map(|group| &group.plan);
        let Some(first) = plans.clone().next() else {
            return Err(EngineError::NoMembers);
        };
        let largest = |axis: usize| plans.clone().map(|plan| plan.window.size[axis]).max();
        let [mut x, y, z] = [0, 1, 2].map(|axis| largest(axis).unwrap_or(1));
        let DeployPlan {
            window, channels, ..
        } = first.as_ref();
        let step = (window.size[0] as f64 * (1.0 - window.overlap[0])) as usize;
        x = x.max(window.size[0] + step.max(1) * windows.saturating_sub(1));
        let noise = ProbeInput::new(SEED, channels.len(), [x, y, z]);
        let data = Array4::from_shape_vec((channels.len(), x, y, z), noise.values())?;
        let affine = Affine::from_spacing([1.0; 3]);
        let image = vec![Volume { data, affine }];
        Self::prepare(image, groups.iter().map(|_| [].as_slice()))
    }

    fn prepare<'a>(
        images: Vec<Volume>,
        plans: impl Iterator<Item = &'a [Step]>,
    ) -> Result<Self, EngineError> {
        let start = Instant::now();
        let mut prepared = Vec::new();
        let mut plans = plans.peekable();
        let mut images = Some(images);
        while let Some(steps) = plans.next() {
            // The last plan takes ownership of the images.
            let images = match plans.peek() {
                Some(_) => images.clone(),
                None => images.take(),
            };
            let (volume, transforms) = execute(images.unwrap_or_default(), steps)?;
            prepared.push(PreparedImage { volume, transforms });
        }
        Ok(Self {
            images: prepared,
            time: start.elapsed(),
        })
    }

    /// Shape that the networks of the first plan see, `[X, Y, Z]`.
    pub fn shape(&self) -> [usize; 3] {
        self.images
            .first()
            .map_or([0; 3], |image| image.transforms.prepared.shape)
    }
}
