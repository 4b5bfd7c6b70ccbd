//! Predicts held-out cases with the best weights of a run.

use burn::backend::Autodiff;
use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use burn_flex::Flex;
use vesal_kernels::{BackendOps, DifferentiableOps};
use vesal_volume::LabelMap;

#[cfg(not(feature = "cuda"))]
use super::TrainDeviceError;
use super::checkpoint::{WEIGHTS_FILE, WeightsHead, read_weights};
use super::network::initialize;
use super::plans::Plans;
use super::run_dir::difference;
use super::training::windows_at_once;
use super::{FitError, FitRequest, TrainDevice, tensor_file};
use crate::dataset::{TrainingCase, load_validation};
use crate::validate::{BurnPredictor, segment};

/// A held-out case with the prediction of the best weights.
#[derive(Debug)]
pub struct HeldOut<'a> {
    pub case: &'a TrainingCase,
    /// True labels, on the grid of the first image.
    pub truth: LabelMap,
    /// Predicted labels on the same grid.
    pub prediction: LabelMap,
    /// Epoch (from 1) of the weights.
    pub epoch: usize,
}

/// Predicts cases of the fold that a run holds out, as its validations do, and passes each to `take`.
///
/// **Errors**: [`FitError`]; [`FitError::OtherRun`] where the weights belong to another training than the request.
pub fn predict_held_out(
    request: &FitRequest,
    names: &[&str],
    mut take: impl FnMut(HeldOut<'_>),
) -> Result<(), FitError> {
    let plans = Plans::read(request)?;
    let path = request.run_dir.join(WEIGHTS_FILE);
    let head: Option<WeightsHead> = tensor_file::read_head(&path)?;
    let Some(head) = head else {
        return Err(FitError::NoWeights { path });
    };
    if let Some(difference) = difference(&head.identity, &plans.identity) {
        return Err(FitError::OtherRun {
            run_dir: request.run_dir.clone(),
            difference,
        });
    }
    let cases: Vec<&TrainingCase> = request
        .cases
        .iter()
        .filter(|case| case.fold == request.fold && names.contains(&case.id.as_str()))
        .collect();
    let job = Job {
        request,
        plans: &plans,
        cases,
        epoch: head.score.epoch,
    };
    match request.devices.first() {
        TrainDevice::Cpu => job.run::<Autodiff<Flex>>(&Default::default(), &mut take),
        #[cfg(feature = "cuda")]
        TrainDevice::Cuda(_) => {
            let ranks = super::cuda_ranks::cuda_ranks(&request.devices)?;
            job.run::<Autodiff<vesal_kernels::cuda::Cuda>>(&ranks.first.device, &mut take)
        }
        #[cfg(not(feature = "cuda"))]
        device @ TrainDevice::Cuda(_) => Err(TrainDeviceError::NotBuilt { device }.into()),
    }
}

/// Input of the predictions.
struct Job<'a> {
    request: &'a FitRequest,
    plans: &'a Plans,
    cases: Vec<&'a TrainingCase>,
    epoch: usize,
}

impl Job<'_> {
    fn run<B>(&self, device: &B::Device, take: &mut dyn FnMut(HeldOut<'_>)) -> Result<(), FitError>
    where
        B: AutodiffBackend + DifferentiableOps,
        B::InnerBackend: BackendOps + DifferentiableOps,
    {
        let (train, deploy) = (&self.plans.train, &self.plans.deploy);
        let network = initialize::<B>(&train.network, train.seed, device)?;
        let path = self.request.run_dir.join(WEIGHTS_FILE);
        let network = read_weights(&path, network, device)?.valid();
        let mut predictor = BurnPredictor::<_, B::InnerBackend>::new(
            &network,
            train.network.out_channels(),
            device,
            self.request.devices.first().precision(train.use_amp),
            windows_at_once(self.request, self.plans),
        );
        for &case in &self.cases {
            let volume = load_validation(case, deploy)?;
            let prediction =
                segment(&volume, deploy, &mut predictor, &|| true).map_err(|error| {
                    FitError::Validate {
                        case: case.id.clone(),
                        epoch: self.epoch,
                        source: Box::new(error),
                    }
                })?;
            if let Some(prediction) = prediction {
                take(HeldOut {
                    case,
                    truth: volume.labels,
                    prediction,
                    epoch: self.epoch,
                });
            }
        }
        Ok(())
    }
}
