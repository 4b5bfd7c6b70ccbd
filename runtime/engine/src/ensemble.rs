//! The networks of a bundle on a device.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;

use ndarray::{Array5, ArrayView5, Axis};
use vesal_bundle::manifest::NetworkInterface;
use vesal_bundle::{Bundle, DeployPlan, MemberGroup};
use vesal_volume::postprocess::{Combination, Combine};
use vesal_volume::preprocess::Restore;
use vesal_volume::window::PatchPredictor;

use crate::device::Device;
use crate::error::EngineError;
use crate::library::{Runtime, runtime};
use crate::options::EngineOptions;
use crate::predictor::{OnnxPredictor, PredictorError};

/// Checks the bytes that were read of a member.
type Check<'a> = dyn Fn(usize, &[u8]) -> Result<(), EngineError> + Sync + 'a;

/// Functions that read and check the files of networks.
struct Networks<'a> {
    read: &'a dyn Fn(usize) -> Result<Arc<[u8]>, EngineError>,
    check: &'a Check<'a>,
}

/// The networks of a bundle, loaded once, and their deploy plans.
#[derive(Debug)]
pub struct Ensemble {
    pub(crate) groups: Vec<MemberGroup>,
    pub(crate) members: Vec<(OnnxPredictor, f64)>,
    pub(crate) combine: Combine,
    device: Device,
    fallback: Option<PredictorError>,
    runtime: &'static Runtime,
}

impl Ensemble {
    /// Loads all networks of a bundle.
    ///
    /// **Errors**: ONNX Runtime cannot be used, or a network cannot be used on the requested device.
    pub fn open(bundle: &Bundle, options: &EngineOptions) -> Result<Self, EngineError> {
        let manifest = bundle.manifest();
        let weights: Vec<f64> = manifest
            .members
            .iter()
            .map(|member| member.weight)
            .collect();
        let ensemble = Self::load(
            bundle.groups().to_vec(),
            &manifest.network,
            &weights,
            &Networks {
                read: &|member| Ok(bundle.read_member(member)?),
                check: &|member, bytes| Ok(bundle.check_member(member, bytes)?),
            },
            options,
        )?;
        Ok(ensemble.combining(manifest.ensemble.combine))
    }

    /// Loads networks that are not yet in a bundle, given as bytes of ONNX files with weights. Their probabilities are
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
        let group = MemberGroup {
            plan: Arc::new(plan.clone()),
            members: (0..networks.len()).collect(),
        };
        Self::load(
            vec![group],
            interface,
            &weights,
            &Networks {
                read: &|member| Ok(networks[member].0.into()),
                check: &|_, _| Ok(()),
            },
            options,
        )
    }

    /// Sets how the members are combined.
    pub fn combining(self, combine: Combine) -> Self {
        Self { combine, ..self }
    }

    fn load(
        groups: Vec<MemberGroup>,
        interface: &NetworkInterface,
        weights: &[f64],
        networks: &Networks<'_>,
        options: &EngineOptions,
    ) -> Result<Self, EngineError> {
        if weights.is_empty() {
            return Err(EngineError::NoMembers);
        }
        let runtime = runtime(options.library.as_deref())?;
        let load = |device| {
            let load_member = |(member, &weight)| {
                let group = groups.iter().find(|group| group.members.contains(&member));
                let plan = &group.ok_or(EngineError::NoMembers)?.plan;
                let network = (networks.read)(member)?;
                thread::scope(|scope| {
                    // Computing the digest takes as long as loading, so both run in parallel; nothing is used before
                    // the check.
                    let checked = scope.spawn(|| (networks.check)(member, &network));
                    let predictor = OnnxPredictor::new(
                        runtime,
                        network.clone(),
                        interface,
                        plan,
                        device,
                        options,
                    );
                    checked
                        .join()
                        .unwrap_or_else(|panic| resume_unwind(panic))?;
                    predictor
                        .map(|predictor| (predictor, weight))
                        .map_err(|source| EngineError::Member { member, source })
                })
            };
            weights
                .iter()
                .enumerate()
                .map(load_member)
                .collect::<Result<Vec<_>, _>>()
        };
        let device = match options.device {
            Device::Auto => options.provider.preferred(),
            device => device,
        };
        let (device, members, fallback) = match device {
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
            groups,
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

    /// How the networks run: execution provider, precision, and the parts that this program computes itself.
    pub fn execution(&self) -> &str {
        self.members
            .first()
            .map_or("", |(predictor, _)| predictor.execution())
    }

    /// Windows per call of a network.
    pub fn batch(&self) -> usize {
        self.predictors().next().map_or(1, OnnxPredictor::max_batch)
    }

    /// Why [`Device::Auto`] did not choose the GPU, if it did not.
    pub fn fallback(&self) -> Option<&PredictorError> {
        self.fallback.as_ref()
    }

    pub fn runtime(&self) -> &'static Runtime {
        self.runtime
    }

    /// The deploy plan of the first member. Channels, images, labels and activation are those of all plans.
    pub fn plan(&self) -> &DeployPlan {
        &self.groups[0].plan
    }

    /// The members by deploy plan; at least one.
    pub fn groups(&self) -> &[MemberGroup] {
        &self.groups
    }

    /// Whether members are combined on the grid of the input rather than on a common prepared grid.
    pub(crate) fn combines_on_input_grid(&self) -> bool {
        self.groups.len() > 1 || self.groups[0].plan.restore == Restore::Logits
    }

    /// Whether the members of a group are combined with each other before they are combined with others on the grid of
    /// the input.
    pub(crate) fn is_together(&self, group: &MemberGroup) -> bool {
        self.combine == Combine::Mean && group.plan.restore == Restore::Probabilities
    }

    pub(crate) fn predictors(&self) -> impl Iterator<Item = &OnnxPredictor> {
        self.members.iter().map(|(predictor, _)| predictor)
    }

    /// Logits of every member of a group for one window, in turn, and the labels that the group gives it.
    ///
    /// **Shapes**: input `[1, C, X, Y, Z]`; logits `[1, K, X, Y, Z]`; labels `[X, Y, Z]` in C order.
    pub(crate) fn answer(
        &mut self,
        group: usize,
        input: &Array5<f32>,
        mut look: impl FnMut(usize, ArrayView5<'_, f32>),
    ) -> Result<Vec<u16>, EngineError> {
        let MemberGroup { plan, members } = &self.groups[group];
        let mut combination = Combination::new(self.combine, plan.activation);
        for &member in members {
            let (predictor, weight) = &mut self.members[member];
            let logits = predictor
                .logits(input.view())
                .map_err(|source| EngineError::Member { member, source })?;
            look(member, logits.view());
            combination.add(logits.index_axis_move(Axis(0), 0), *weight)?;
        }
        let labels = plan
            .activation
            .labels(combination.finish()?.view(), &plan.label_values())?;
        Ok(labels.iter().copied().collect())
    }
}
