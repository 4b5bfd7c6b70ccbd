//! A bundle ready to segment: its networks on a device, its plan around them.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ndarray::{Array5, Axis};
use thiserror::Error;
use vesal_bundle::manifest::NetworkInterface;
use vesal_bundle::{Bundle, BundleError, DeployPlan};
use vesal_volume::postprocess::{Combination, Combine, LabelingError, MeanError};
use vesal_volume::preprocess::{PreprocessError, execute};
use vesal_volume::window::{PatchPredictor, StitchError, stitch_with_progress};
use vesal_volume::{LabelMap, Volume};

use crate::device::{self, Device};
use crate::library::{LibraryError, Runtime, runtime};
use crate::options::EngineOptions;
use crate::predictor::{OnnxPredictor, PredictorError};

/// Why a bundle cannot be run, or a case not be segmented.
#[derive(Debug, Error)]
pub enum EngineError {
    /// ONNX Runtime is not at hand.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A member cannot be read.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// A member cannot be used.
    #[error("member {member} of the ensemble is unusable")]
    Member {
        /// The member, from 0.
        member: usize,
        /// Why.
        source: PredictorError,
    },
    /// There is nothing to run.
    #[error("the ensemble has no member, expected at least 1")]
    NoMembers,
    /// The case has other channels than the networks take.
    #[error("the case has {found} channels, the bundle expects {} ({})", expected.len(), expected.join(", "))]
    Channels {
        /// How many it has.
        found: usize,
        /// Names of the expected ones.
        expected: Vec<String>,
    },
    /// The case cannot be preprocessed, or its prediction not be brought back.
    #[error("the case does not fit the deploy plan")]
    Preprocess(#[from] PreprocessError),
    /// A network fails on the case.
    #[error("member {member} of the ensemble fails")]
    Predict {
        /// The member, from 0.
        member: usize,
        /// Why.
        source: StitchError<PredictorError>,
    },
    /// The members' predictions cannot be combined.
    #[error(transparent)]
    Mean(#[from] MeanError),
    /// Probabilities give no labels.
    #[error(transparent)]
    Labeling(#[from] LabelingError),
    /// The caller asked to stop.
    #[error("stopped on request")]
    Stopped,
}

impl EngineError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Library(error) => error.hint(),
            Self::Bundle(error) => error.hint(),
            Self::Member { source, .. }
            | Self::Predict {
                source: StitchError::Predict { source, .. },
                ..
            } => source.hint(),
            Self::Channels { .. } => {
                Some("`vesal inspect BUNDLE` lists the channels and their order")
            }
            _ => None,
        }
    }
}

/// What a segmentation is to give.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Output {
    /// The label map alone, which needs least memory.
    #[default]
    Labels,
    /// The probabilities of all classes as well.
    LabelsAndProbabilities,
}

/// Where a segmentation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Preprocessing.
    Prepare,
    /// A member predicts windows.
    Network {
        /// The member, from 0.
        member: usize,
        /// Members of the ensemble.
        members: usize,
        /// Windows done.
        windows: usize,
        /// Windows in all.
        total_windows: usize,
    },
    /// The prediction is brought back to the input's grid.
    Restore,
}

/// Time of each stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Preprocessing.
    pub prepare: Duration,
    /// The networks, blending and combining included.
    pub network: Duration,
    /// Back to the input's grid.
    pub restore: Duration,
}

/// A segmented case.
#[derive(Debug, Clone, PartialEq)]
pub struct Segmentation {
    /// Labels on the grid of the first image; regions are bits.
    pub labels: LabelMap,
    /// Probabilities (of a vote: shares of the votes) `[K, X, Y, Z]` on the input's grid, if asked for; 0 in every class
    /// where the case was cropped away.
    pub probabilities: Option<Volume>,
    /// Windows that each member predicted.
    pub windows: usize,
    /// Time of each stage.
    pub times: StageTimes,
}

/// The networks of a bundle, loaded once, and the plan around them.
#[derive(Debug)]
pub struct Ensemble {
    plan: DeployPlan,
    members: Vec<(OnnxPredictor, f64)>,
    combine: Combine,
    device: Device,
    fallback: Option<PredictorError>,
    runtime: &'static Runtime,
}

impl Ensemble {
    /// Loads all networks of a bundle.
    ///
    /// **Errors**: ONNX Runtime is not at hand, or a network cannot be used on the device that was asked for.
    pub fn open(bundle: &Bundle, options: &EngineOptions) -> Result<Self, EngineError> {
        let manifest = bundle.manifest();
        let weights: Vec<f64> = manifest
            .members
            .iter()
            .map(|member| member.weight)
            .collect();
        let ensemble = Self::load(
            bundle.plan(),
            &manifest.network,
            &weights,
            &|member| Ok(bundle.member_bytes(member)?),
            options,
        )?;
        Ok(ensemble.combining(manifest.ensemble.combine))
    }

    /// Loads networks that are not in a bundle yet: bytes of their ONNX files and weights. Their probabilities are
    /// averaged; see [`Ensemble::combining`].
    ///
    /// **Errors**: see [`Ensemble::open`].
    pub fn from_networks(
        plan: &DeployPlan,
        interface: &NetworkInterface,
        networks: &[(&[u8], f64)],
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        let weights: Vec<f64> = networks.iter().map(|(_, weight)| *weight).collect();
        Self::load(
            plan,
            interface,
            &weights,
            &|member| Ok(networks[member].0.to_vec()),
            options,
        )
    }

    /// The same networks, combined in this way.
    pub fn combining(self, combine: Combine) -> Self {
        Self { combine, ..self }
    }

    fn load(
        plan: &DeployPlan,
        interface: &NetworkInterface,
        weights: &[f64],
        bytes: &dyn Fn(usize) -> Result<Vec<u8>, EngineError>,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        if weights.is_empty() {
            return Err(EngineError::NoMembers);
        }
        let runtime = runtime(options.library.as_deref())?;
        let load = |device| {
            let load_member = |(member, &weight)| {
                let network = bytes(member)?;
                OnnxPredictor::new(
                    runtime,
                    &network,
                    interface,
                    plan,
                    device,
                    options.threads,
                    options.batch,
                )
                .map(|predictor| (predictor, weight))
                .map_err(|source| EngineError::Member { member, source })
            };
            weights
                .iter()
                .enumerate()
                .map(load_member)
                .collect::<Result<Vec<_>, _>>()
        };
        let (device, members, fallback) = match options.device {
            Device::Auto => match load(Device::Cuda(0)) {
                Ok(members) => (Device::Cuda(0), members, None),
                Err(EngineError::Member {
                    source: reason @ PredictorError::Device(_),
                    ..
                }) => (Device::Cpu, load(Device::Cpu)?, Some(reason)),
                Err(error) => return Err(error),
            },
            device => (device, load(device)?, None),
        };
        Ok(Self {
            plan: plan.clone(),
            members,
            combine: Combine::default(),
            device,
            fallback,
            runtime,
        })
    }

    /// Device that the networks run on; never [`Device::Auto`].
    pub fn device(&self) -> Device {
        self.device
    }

    /// Execution provider behind that device.
    pub fn provider(&self) -> &'static str {
        device::provider(self.device)
    }

    /// Why [`Device::Auto`] did not take the GPU, if it did not.
    pub fn fallback(&self) -> Option<&PredictorError> {
        self.fallback.as_ref()
    }

    /// ONNX Runtime that it runs in.
    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// Plan around the networks.
    pub fn plan(&self) -> &DeployPlan {
        &self.plan
    }

    /// Segments a case: preprocesses it, lets every member predict it window by window, combines the predictions, and
    /// brings the labels back to the grid of the first image.
    ///
    /// At any time one member's logits and one combination are in memory. Votes are counted on the plan's grid, and
    /// their shares brought back like probabilities. `progress` is called at the begin of every stage and
    /// after every batch of windows, and stops the segmentation when it breaks.
    ///
    /// **Shapes**: images `[C, X, Y, Z]` with as many channels each as [`DeployPlan::image_channels`] says → labels
    /// `[X, Y, Z]`.
    ///
    /// **Errors**: the case does not fit the plan, a network fails, or [`EngineError::Stopped`].
    pub fn segment(
        &mut self,
        images: Vec<Volume>,
        output: Output,
        progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    ) -> Result<Segmentation, EngineError> {
        let (found, expected) = (
            images.iter().map(Volume::channels).sum(),
            &self.plan.channels,
        );
        if found != expected.len() {
            let expected = expected
                .iter()
                .map(|channel| channel.name.clone())
                .collect();
            return Err(EngineError::Channels { found, expected });
        }
        let mut times = StageTimes::default();
        let start = Instant::now();
        report(progress, Stage::Prepare)?;
        let (prepared, trace) = execute(images, &self.plan.preprocessing)?;
        times.prepare = start.elapsed();

        let start = Instant::now();
        let mut combination = Combination::new(self.combine, self.plan.activation);
        let mut windows = 0;
        let members = self.members.len();
        for (member, (predictor, weight)) in self.members.iter_mut().enumerate() {
            let logits =
                stitch_with_progress(prepared.data.view(), &self.plan.window, predictor, |at| {
                    windows = at.total;
                    progress(Stage::Network {
                        member,
                        members,
                        windows: at.done,
                        total_windows: at.total,
                    })
                });
            let logits = logits.map_err(|source| match source {
                StitchError::Cancelled { .. } => EngineError::Stopped,
                source => EngineError::Predict { member, source },
            })?;
            combination.add(logits, *weight)?;
        }
        drop(prepared);
        let combined = combination.finish()?;
        times.network = start.elapsed();

        let start = Instant::now();
        report(progress, Stage::Restore)?;
        let labels = trace.invert_to_labels(
            combined.view(),
            self.plan.activation,
            &self.plan.label_values(),
        )?;
        let probabilities = match output {
            Output::Labels => None,
            Output::LabelsAndProbabilities => Some(trace.invert_probabilities(combined)?),
        };
        times.restore = start.elapsed();
        Ok(Segmentation {
            labels,
            probabilities,
            windows,
            times,
        })
    }

    /// Logits of every member for one window, in turn, and the labels that the ensemble gives it.
    ///
    /// **Shapes**: input `[1, C, X, Y, Z]`; logits `[1, K, X, Y, Z]`; labels `[X, Y, Z]` in C order.
    pub(crate) fn answer(
        &mut self,
        input: &Array5<f32>,
        mut look: impl FnMut(usize, &Array5<f32>),
    ) -> Result<Vec<u16>, EngineError> {
        let mut combination = Combination::new(self.combine, self.plan.activation);
        for (member, (predictor, weight)) in self.members.iter_mut().enumerate() {
            let logits = predictor
                .predict(input.view())
                .map_err(|source| EngineError::Member { member, source })?;
            look(member, &logits);
            combination.add(logits.index_axis_move(Axis(0), 0), *weight)?;
        }
        let plan = &self.plan;
        let labels = plan
            .activation
            .labels(combination.finish()?.view(), &plan.label_values())?;
        Ok(labels.iter().copied().collect())
    }
}

fn report(
    progress: &mut dyn FnMut(Stage) -> ControlFlow<()>,
    stage: Stage,
) -> Result<(), EngineError> {
    match progress(stage) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(EngineError::Stopped),
    }
}
