//! The state of a training: network, optimizer and position.

use std::path::Path;

use burn::module::{AutodiffModule, ModuleMapper, ModuleVisitor, Param};
use burn::optim::adaptor::OptimizerAdaptor;
use burn::optim::record::AdaptorRecord;
use burn::optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, Optimizer};
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use serde::{Deserialize, Serialize};
use vesal_bundle::run_record::Score;

use super::tensor_file::{self, TensorFile, TensorFileError, Tensors, Values};

/// File of the latest state, in the run directory.
pub const CHECKPOINT_FILE: &str = "checkpoint.safetensors";
/// File of the best weights, in the run directory.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// Optimizer of a network.
pub type AdamOf<N, B> = OptimizerAdaptor<AdamW, N, B>;
type Record<N, B> = <AdamOf<N, B> as Optimizer<N, B>>::Record;

/// What a training was made from: a state of another one is of no use to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Fold held out.
    pub fold: usize,
    /// SHA-256 of `deploy_plan.json`.
    pub deploy_plan: String,
    /// SHA-256 of `train_plan.json`.
    pub train_plan: String,
    /// SHA-256 over the names and folds of all cases.
    pub cases: String,
}

/// How far a training is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Epochs done, validation included.
    pub epochs: usize,
    /// Steps done in the next epoch.
    pub steps: usize,
}

/// Facts in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointHead {
    /// Training that it belongs to.
    pub identity: Identity,
    /// How far it is.
    pub position: Position,
    /// Epochs in all.
    pub num_epochs: usize,
}

/// Facts beside the best weights. The score lives here and nowhere else, so that it cannot disagree with them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightsHead {
    /// Training that they come from.
    pub identity: Identity,
    /// Their score.
    pub score: Score,
}

/// The reference's optimizer: AdamW with PyTorch's defaults.
pub fn adam<N: AutodiffModule<B>, B: AutodiffBackend>(weight_decay: f64) -> AdamOf<N, B> {
    AdamWConfig::new()
        .with_epsilon(1e-8)
        .with_weight_decay(weight_decay as f32)
        .init()
}

/// Writes the weights alone.
///
/// **Errors**: [`TensorFileError`].
pub fn write_weights<N: AutodiffModule<B>, B: AutodiffBackend>(
    path: &Path,
    head: &WeightsHead,
    network: &N,
) -> Result<(), TensorFileError> {
    tensor_file::write(
        path,
        head,
        &collect(network, &Record::<N, B>::default(), ""),
    )
}

/// Writes the whole state.
///
/// **Errors**: [`TensorFileError`].
pub fn write_checkpoint<N: AutodiffModule<B>, B: AutodiffBackend>(
    path: &Path,
    head: &CheckpointHead,
    network: &N,
    optimizer: &AdamOf<N, B>,
) -> Result<(), TensorFileError> {
    tensor_file::write(
        path,
        head,
        &collect(network, &optimizer.to_record(), WEIGHTS),
    )
}

/// Reads the whole state into a network and an optimizer of the same plan.
///
/// **Errors**: [`TensorFileError`].
pub fn read_checkpoint<N: AutodiffModule<B>, B: AutodiffBackend>(
    path: &Path,
    network: N,
    optimizer: AdamOf<N, B>,
    device: &B::Device,
) -> Result<(N, AdamOf<N, B>), TensorFileError> {
    let file = TensorFile::read(path)?;
    let mut restorer = Restorer::<N, B> {
        modules: Vec::new(),
        tensors: file.tensors()?,
        device,
        record: Default::default(),
        error: None,
    };
    let network = network.map(&mut restorer);
    match restorer.error {
        Some(error) => Err(error),
        None => Ok((network, optimizer.load_record(restorer.record))),
    }
}

/// Prefixes of tensor names in a checkpoint.
const WEIGHTS: &str = "weights.";
const MOMENT_1: &str = "moment_1.";
const MOMENT_2: &str = "moment_2.";
const TIME: &str = "time.";

fn collect<N: AutodiffModule<B>, B: AutodiffBackend>(
    network: &N,
    record: &Record<N, B>,
    prefix: &'static str,
) -> Vec<(String, Values)> {
    let mut collector = Collector::<N, B> {
        modules: Vec::new(),
        prefix,
        record,
        tensors: Vec::new(),
    };
    network.visit(&mut collector);
    collector.tensors
}

/// Gathers the values of all parameters, and of their optimizer states.
struct Collector<'a, N: AutodiffModule<B>, B: AutodiffBackend> {
    modules: Vec<String>,
    prefix: &'static str,
    record: &'a Record<N, B>,
    tensors: Vec<(String, Values)>,
}

impl<N: AutodiffModule<B>, B: AutodiffBackend> ModuleVisitor<B> for Collector<'_, N, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.modules.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.modules.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let path = self.modules.join(".");
        self.tensors.push((
            format!("{}{path}", self.prefix),
            values(param.val().inner()),
        ));
        if let Some(record) = self.record.get(&param.id) {
            let AdamWState { momentum } = record.clone().into_state::<D>();
            self.tensors
                .push((format!("{MOMENT_1}{path}"), values(momentum.moment_1)));
            self.tensors
                .push((format!("{MOMENT_2}{path}"), values(momentum.moment_2)));
            self.tensors.push((
                format!("{TIME}{path}"),
                Values::from_count(momentum.time as u64),
            ));
        }
    }
}

/// Puts stored values into all parameters, and rebuilds their optimizer states.
struct Restorer<'a, N: AutodiffModule<B>, B: AutodiffBackend> {
    modules: Vec<String>,
    tensors: Tensors<'a>,
    device: &'a B::Device,
    record: Record<N, B>,
    error: Option<TensorFileError>,
}

impl<N: AutodiffModule<B>, B: AutodiffBackend> Restorer<'_, N, B> {
    fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Tensor<B::InnerBackend, D>, TensorFileError> {
        let values = self.tensors.values(name, &shape)?;
        Ok(Tensor::from_data(
            TensorData::new(values, shape),
            self.device,
        ))
    }

    fn state<const D: usize>(
        &self,
        path: &str,
        shape: [usize; D],
    ) -> Result<Option<AdamWState<B::InnerBackend, D>>, TensorFileError> {
        let time = format!("{TIME}{path}");
        if !self.tensors.contains(&time) {
            return Ok(None);
        }
        let momentum = AdaptiveMomentumState {
            time: self.tensors.count(&time)? as usize,
            moment_1: self.tensor(&format!("{MOMENT_1}{path}"), shape)?,
            moment_2: self.tensor(&format!("{MOMENT_2}{path}"), shape)?,
            max_moment_2: None,
        };
        Ok(Some(AdamWState { momentum }))
    }
}

impl<N: AutodiffModule<B>, B: AutodiffBackend> ModuleMapper<B> for Restorer<'_, N, B> {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.modules.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.modules.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        let (id, tensor, mapper) = param.consume();
        let (path, shape) = (self.modules.join("."), tensor.dims());
        let restored = self
            .tensor(&format!("{WEIGHTS}{path}"), shape)
            .and_then(|weights| {
                let state = self.state(&path, shape)?;
                Ok((weights, state))
            });
        let tensor = match restored {
            Ok((weights, state)) => {
                if let Some(state) = state {
                    self.record.insert(id, AdaptorRecord::from_state(state));
                }
                Tensor::from_inner(weights).set_require_grad(tensor.is_require_grad())
            }
            Err(error) => {
                self.error.get_or_insert(error);
                tensor
            }
        };
        Param::from_mapped_value(id, tensor, mapper)
    }
}

fn values<B: burn::tensor::backend::Backend, const D: usize>(tensor: Tensor<B, D>) -> Values {
    let shape = tensor.dims().to_vec();
    let values: Vec<f32> = tensor.into_data().iter().collect();
    Values::from_f32(shape, &values)
}
