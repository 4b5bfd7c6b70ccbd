//! State of a training: network, optimizer and position.

use std::path::Path;

use burn::module::{AutodiffModule, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::ops::FloatTensor;
use burn::tensor::{Tensor, TensorData, TensorMetadata, TensorPrimitive};
use serde::{Deserialize, Serialize};
use vesal_bundle::case_scores::CaseScore;
use vesal_bundle::run_record::Score;
use vesal_kernels::BackendOps;

use super::optimizer::{GradientDescent, State};
use super::tensor_file::{TensorFile, TensorFileError, Tensors, Values};

/// File of the latest state, in the run directory.
pub const CHECKPOINT_FILE: &str = "checkpoint.safetensors";
/// File of the best weights, in the run directory.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// Identifies a training; a state can only be resumed by a training of the same identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub fold: usize,
    /// SHA-256 of `deploy_plan.json`.
    pub deploy_plan: String,
    /// SHA-256 of the train plan without the settings that only end a training early.
    pub train_plan: String,
    /// SHA-256 over the names and folds of all cases.
    pub cases: String,
}

/// Progress of a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Finished epochs, validation included.
    pub epochs: usize,
    /// Finished steps of the next epoch.
    pub steps: usize,
}

/// Metadata of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckpointHead {
    pub identity: Identity,
    pub position: Position,
    pub num_epochs: usize,
    /// Number of steps in the optimizer's moments.
    pub optimizer_steps: u32,
    pub loss_scale: f32,
    /// Validations so far: epoch (from 1) and mean Dice.
    #[serde(default)]
    pub history: Vec<(usize, f64)>,
    /// Number of steps in the average of the weights; 0 without averaging.
    #[serde(default)]
    pub averaged_steps: u32,
}

/// Metadata of the best weights. The scores are kept here, in one file with the weights, so that they cannot disagree;
/// the end of the training copies them into files of their own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WeightsHead {
    pub identity: Identity,
    pub score: Score,
    /// Scores of every case.
    #[serde(default)]
    pub cases: Vec<CaseScore>,
}

/// Collects the weights alone.
pub fn weights<N: AutodiffModule<B>, B: AutodiffBackend>(network: &N) -> Vec<(String, Values)> {
    prefixed(network, "")
}

/// Collects the average of the weights, as part of a checkpoint.
pub fn averaged_weights<N: AutodiffModule<B>, B: AutodiffBackend>(
    network: &N,
) -> Vec<(String, Values)> {
    prefixed(network, AVERAGE)
}

fn prefixed<N: AutodiffModule<B>, B: AutodiffBackend>(
    network: &N,
    prefix: &'static str,
) -> Vec<(String, Values)> {
    let mut collector = Collector {
        modules: Vec::new(),
        prefix,
        state: |_| Vec::new(),
        tensors: Vec::new(),
    };
    network.visit(&mut collector);
    collector.tensors
}

/// Collects the whole state.
pub fn whole_state<N, B>(
    network: &N,
    optimizer: &GradientDescent<B::InnerBackend>,
) -> Vec<(String, Values)>
where
    N: AutodiffModule<B>,
    B: AutodiffBackend,
    B::InnerBackend: BackendOps,
{
    let mut collector = Collector {
        modules: Vec::new(),
        prefix: WEIGHTS,
        state: |id| {
            let state = optimizer.states.get(&id).into_iter().flatten().cloned();
            let names = optimizer.state_names().iter().copied();
            names.zip(state.map(values::<B::InnerBackend>)).collect()
        },
        tensors: Vec::new(),
    };
    network.visit(&mut collector);
    collector.tensors
}

/// Reads the whole state into a network and an optimizer of the same plan.
///
/// **Errors**: [`TensorFileError`].
pub fn read_checkpoint<N, B>(
    path: &Path,
    network: N,
    optimizer: &mut GradientDescent<B::InnerBackend>,
    device: &B::Device,
) -> Result<N, TensorFileError>
where
    N: AutodiffModule<B>,
    B: AutodiffBackend,
    B::InnerBackend: BackendOps,
{
    restore(path, network, WEIGHTS, Some(optimizer), device)
}

/// Reads the average of the weights into a network of the same plan.
///
/// **Errors**: [`TensorFileError`].
pub fn read_average<N, B>(path: &Path, network: N, device: &B::Device) -> Result<N, TensorFileError>
where
    N: AutodiffModule<B>,
    B: AutodiffBackend,
    B::InnerBackend: BackendOps,
{
    restore(path, network, AVERAGE, None, device)
}

/// Reads the best weights into a network of the same plan.
///
/// **Errors**: [`TensorFileError`].
pub fn read_weights<N, B>(path: &Path, network: N, device: &B::Device) -> Result<N, TensorFileError>
where
    N: AutodiffModule<B>,
    B: AutodiffBackend,
    B::InnerBackend: BackendOps,
{
    restore(path, network, "", None, device)
}

fn restore<N, B>(
    path: &Path,
    network: N,
    prefix: &'static str,
    optimizer: Option<&mut GradientDescent<B::InnerBackend>>,
    device: &B::Device,
) -> Result<N, TensorFileError>
where
    N: AutodiffModule<B>,
    B: AutodiffBackend,
    B::InnerBackend: BackendOps,
{
    let file = TensorFile::read(path)?;
    let mut restorer = Restorer::<B> {
        modules: Vec::new(),
        prefix,
        tensors: file.tensors()?,
        device,
        optimizer,
        error: None,
    };
    let network = network.map(&mut restorer);
    match restorer.error {
        Some(error) => Err(error),
        None => Ok(network),
    }
}

/// Prefixes of tensor names in a checkpoint; the tensors of optimizer states have their own names as prefixes.
const WEIGHTS: &str = "weights.";
const AVERAGE: &str = "average.";

/// Collects the values of all parameters, and of their optimizer states.
struct Collector<F> {
    modules: Vec<String>,
    prefix: &'static str,
    state: F,
    tensors: Vec<(String, Values)>,
}

impl<B, F> ModuleVisitor<B> for Collector<F>
where
    B: AutodiffBackend,
    F: Fn(ParamId) -> Vec<(&'static str, Values)>,
{
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.modules.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.modules.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let path = self.modules.join(".");
        let weights = param.val().inner().into_primitive().tensor();
        self.tensors.push((
            format!("{}{path}", self.prefix),
            values::<B::InnerBackend>(weights),
        ));
        let state = (self.state)(param.id).into_iter();
        self.tensors
            .extend(state.map(|(name, values)| (format!("{name}.{path}"), values)));
    }
}

/// Replaces all parameters by stored values, and restores the states of their optimizer, if there is one.
struct Restorer<'a, B: AutodiffBackend>
where
    B::InnerBackend: BackendOps,
{
    modules: Vec<String>,
    prefix: &'static str,
    tensors: Tensors<'a>,
    device: &'a B::Device,
    optimizer: Option<&'a mut GradientDescent<B::InnerBackend>>,
    error: Option<TensorFileError>,
}

impl<B: AutodiffBackend> Restorer<'_, B>
where
    B::InnerBackend: BackendOps,
{
    /// A stored tensor, flattened because backends may pad the rows of other tensors.
    fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Tensor<B::InnerBackend, D>, TensorFileError> {
        let values = self.tensors.values(name, &shape)?;
        let count = values.len();
        let flat =
            Tensor::<B::InnerBackend, 1>::from_data(TensorData::new(values, [count]), self.device);
        Ok(flat.reshape(shape))
    }

    fn state<const D: usize>(
        &self,
        path: &str,
        shape: [usize; D],
    ) -> Result<Option<State<B::InnerBackend>>, TensorFileError> {
        let optimizer = self.optimizer.as_ref();
        let names = optimizer.map_or(&[][..], |optimizer| optimizer.state_names());
        let names: Vec<_> = names.iter().map(|name| format!("{name}.{path}")).collect();
        if !names.iter().any(|name| self.tensors.contains(name)) {
            return Ok(None);
        }
        let state = names.iter().map(|name| {
            let tensor = self.tensor(name, shape)?;
            Ok(tensor.into_primitive().tensor())
        });
        state.collect::<Result<_, _>>().map(Some)
    }
}

impl<B: AutodiffBackend> ModuleMapper<B> for Restorer<'_, B>
where
    B::InnerBackend: BackendOps,
{
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
            .tensor(&format!("{}{path}", self.prefix), shape)
            .and_then(|weights| {
                let state = self.state(&path, shape)?;
                Ok((weights, state))
            });
        let tensor = match restored {
            Ok((weights, state)) => {
                if let (Some(state), Some(optimizer)) = (state, &mut self.optimizer) {
                    optimizer.states.insert(id, state);
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

fn values<B: Backend>(tensor: FloatTensor<B>) -> Values {
    let shape = tensor.shape().to_vec();
    let count = tensor.shape().num_elements();
    let flat = B::float_reshape(tensor, [count].into());
    let flat = Tensor::<B, 1>::from_primitive(TensorPrimitive::Float(flat));
    let values: Vec<f32> = flat.into_data().iter().collect();
    Values::from_f32(shape, &values)
}

#[cfg(test)]
mod tests;
