//! Duration of optimization steps on random data.

use std::time::{Duration, Instant};

use burn::backend::Autodiff;
use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;
use burn_flex::Flex;
use vesal_bundle::deploy_plan::Activation;
use vesal_kernels::{BackendOps, DifferentiableOps};
use vesal_network::NetworkConfig;

#[cfg(not(feature = "cuda"))]
use super::TrainDeviceError;
use super::data_parallel::{DataParallel, ReplicaState};
use super::learner::StepInput;
use super::network::initialize;
use super::rank::Ranks;
use super::{FitError, TrainDevice, TrainDevices};
use crate::algorithms::Recipe;
use crate::dataset::Batch;
use crate::loss::Objective;
use crate::rng::Rng;

/// Untimed steps at the start: kernels are chosen and memory is reserved in them.
const WARM_UP: usize = 5;
const LEARNING_RATE: f64 = 2e-4;
const WEIGHT_DECAY: f64 = 1e-5;

#[derive(Debug, Clone)]
pub struct BenchRequest {
    pub recipe: &'static Recipe,
    pub network: NetworkConfig,
    /// Patch in voxels.
    pub roi_size: [usize; 3],
    pub batch: usize,
    /// Number of timed steps, at least one.
    pub steps: usize,
    /// On several devices, each takes a share of the patches.
    pub devices: TrainDevices,
    /// Whether to compute in half precision, where the device supports it.
    pub use_amp: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct StepTimes {
    /// Wall time of each timed step, in order, including the device's work.
    pub steps: Vec<Duration>,
    /// Time from the call to the end of the first step.
    pub first_step: Duration,
    pub parameters: usize,
    /// Loss after the last step.
    pub loss: f32,
    /// Memory that the allocator of the first device holds at the end, in bytes; `None` on the processor.
    pub device_bytes: Option<u64>,
}

/// Performs optimization steps on random patches.
///
/// **Errors**: of the device, the network or the training.
pub fn bench(request: &BenchRequest) -> Result<StepTimes, FitError> {
    let started = Instant::now();
    match request.devices.first() {
        name @ TrainDevice::Cpu => {
            let ranks = Ranks::only(name, Default::default());
            measure::<Autodiff<Flex>>(request, ranks, started, |_| None)
        }
        #[cfg(feature = "cuda")]
        TrainDevice::Cuda(_) => {
            let ranks = super::cuda_ranks::cuda_ranks(&request.devices)?;
            let used = |device: &_| Some(vesal_kernels::cuda::reserved_bytes(device));
            measure::<Autodiff<vesal_kernels::cuda::Cuda>>(request, ranks, started, used)
        }
        #[cfg(not(feature = "cuda"))]
        device @ TrainDevice::Cuda(_) => Err(TrainDeviceError::NotBuilt { device }.into()),
    }
}

fn measure<B>(
    request: &BenchRequest,
    ranks: Ranks<B>,
    started: Instant,
    device_bytes: impl Fn(&B::Device) -> Option<u64>,
) -> Result<StepTimes, FitError>
where
    B: AutodiffBackend + DifferentiableOps,
    B::InnerBackend: BackendOps,
{
    let precision = request.devices.first().precision(request.use_amp);
    ranks.check_shares(request.batch)?;
    let device = &ranks.first.device.clone();
    let network = initialize::<B>(&request.network, 0, device)?;
    let parameters = network.num_params();
    let state = ReplicaState {
        objective: Objective {
            loss: request.recipe.loss,
            activation: Activation::Softmax,
            class_weights: None,
        },
        optimizer: request.recipe.optimizer,
        weight_decay: WEIGHT_DECAY,
        max_norm: None,
        precision,
        checkpoint: None,
    };
    let mut learner = DataParallel::new(network, ranks, &state)?;
    let mut first_step = Duration::ZERO;
    let (mut steps, mut loss) = (Vec::with_capacity(request.steps), f32::NAN);
    for step in 1..=WARM_UP + request.steps.max(1) {
        let batch = random_batch(request, step as u64);
        learner.first.restart_clock();
        let input = StepInput {
            epoch: 1,
            step,
            learning_rate: LEARNING_RATE,
            batch,
            share: 1.0,
            data_wait: Duration::ZERO,
        };
        (learner, _) = learner.step(input)?;
        if let Some(report) = learner.settle()? {
            loss = report.loss;
            if step > WARM_UP {
                steps.push(report.duration);
            }
        }
        if step == 1 {
            first_step = started.elapsed();
        }
    }
    Ok(StepTimes {
        steps,
        first_step,
        parameters,
        loss,
        device_bytes: device_bytes(device),
    })
}

/// A batch of uniform random intensities of about unit variance, and uniform random classes.
fn random_batch(request: &BenchRequest, seed: u64) -> Batch {
    let mut rng = Rng::new(&[seed]);
    let [x, y, z] = request.roi_size;
    let shape = [request.batch, request.network.in_channels(), x, y, z];
    let classes = request.network.out_channels();
    Batch {
        images: (0..shape.iter().product())
            .map(|_| rng.uniform(-1.7, 1.7) as f32)
            .collect(),
        classes: (0..request.batch * x * y * z)
            .map(|_| rng.below(classes) as i32)
            .collect(),
        shape,
    }
}
