//! MONAI checkpoints: a state dict, and optionally the configuration of its training.

use std::path::Path;

use serde_json::{Map, Number, Value};
use vesal_files::regular;

use crate::archive::{Archive, ArchiveError};
use crate::candidates::{self, StateDictChoice};
use crate::error::{CheckpointError, MAX_CONFIG_DEPTH, MAX_CONFIG_SIZE};
use crate::header::WeightsHeader;
use crate::pickle::{self, Arena, Id, Object};
use crate::state_dict::StateDict;
use crate::{stored, tensors};

/// The weights of a network, with what else the file says about them.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub tensors: StateDict,
    /// The configuration, if any; tensors and other objects in it are texts.
    pub config: Option<Map<String, Value>>,
    /// Epoch of the weights, if stated.
    pub epoch: Option<u64>,
    /// Score of the weights, if stated.
    pub best_metric: Option<f64>,
    /// Where the tensors were, if there are others.
    pub choice: Option<StateDictChoice>,
}

impl Checkpoint {
    /// Reads a checkpoint without executing code; a safetensors file is one of tensors alone.
    ///
    /// **Errors**: [`CheckpointError`].
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        if stored::is_safetensors(path).map_err(ArchiveError::Read)? {
            let bytes = regular::read(path).map_err(ArchiveError::Read)?;
            return Ok(Self {
                tensors: stored::from_safetensors(&bytes)?,
                config: None,
                epoch: None,
                best_metric: None,
                choice: None,
            });
        }
        let (mut archive, pickle) = Archive::open(path)?;
        let (arena, top) = pickle::read(&pickle)?;
        let (weights, choice) = candidates::choose(&arena, top)?;
        let tensors = tensors::read(&mut archive, &arena, weights)?;
        let config = match arena.entry(top, "config") {
            Some(config) => {
                let mut budget = MAX_CONFIG_SIZE;
                match to_json(&arena, config, MAX_CONFIG_DEPTH, &mut budget)? {
                    Value::Object(config) => Some(config),
                    _ => None,
                }
            }
            None => None,
        };
        let epoch = arena
            .entry(top, "epoch")
            .and_then(|id| match arena.get(id) {
                Object::Int(epoch) => u64::try_from(*epoch).ok(),
                _ => None,
            });
        let best_metric = arena
            .entry(top, "best_metric")
            .and_then(|id| match arena.get(id) {
                Object::Float(score) if score.is_finite() => Some(*score),
                Object::Int(score) => Some(*score as f64),
                _ => None,
            });
        Ok(Self {
            tensors,
            config,
            epoch,
            best_metric,
            choice,
        })
    }
}

/// The shapes of a checkpoint's tensors, which are not read.
///
/// **Errors**: as [`Checkpoint::read`], as far as they do not depend on the tensors' values or the configuration.
pub(crate) fn read_header(path: &Path) -> Result<WeightsHeader, CheckpointError> {
    let (mut archive, pickle) = Archive::open(path)?;
    let (arena, top) = pickle::read(&pickle)?;
    let (weights, choice) = candidates::choose(&arena, top)?;
    let shapes = tensors::shapes(&mut archive, &arena, weights)?;
    Ok(WeightsHeader { shapes, choice })
}

/// The plain data of an object. Numbers and objects that JSON lacks become texts that name them, so that no setting is taken
/// for absent that cannot be read.
fn to_json(
    arena: &Arena,
    id: Id,
    depth: usize,
    budget: &mut usize,
) -> Result<Value, CheckpointError> {
    let text = |id| {
        if let Object::Text(text) = arena.get(id) {
            text.len()
        } else {
            0
        }
    };
    let keys = match arena.get(id) {
        Object::Dict(entries) => entries.iter().map(|&(key, _)| text(key)).sum(),
        _ => 0,
    };
    *budget = budget
        .checked_sub(1 + text(id) + keys)
        .ok_or(CheckpointError::ConfigSize)?;
    let deeper = depth.checked_sub(1).ok_or(CheckpointError::ConfigSize);
    Ok(match arena.get(id) {
        Object::Bool(value) => Value::Bool(*value),
        Object::Int(value) => Value::Number((*value).into()),
        Object::Float(value) => match Number::from_f64(*value) {
            Some(number) => Value::Number(number),
            None => Value::String(value.to_string()),
        },
        Object::Text(value) => Value::String(value.to_string()),
        Object::Sequence(items) => {
            let deeper = deeper?;
            let items = items
                .iter()
                .map(|&item| to_json(arena, item, deeper, budget));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Object::Dict(entries) => {
            let deeper = deeper?;
            let mut map = Map::new();
            for &(key, value) in entries {
                let value = to_json(arena, value, deeper, budget)?;
                if let Object::Text(key) = arena.get(key) {
                    map.insert(key.to_string(), value);
                }
            }
            Value::Object(map)
        }
        Object::None => Value::Null,
        Object::Tensor(_) => Value::String("a tensor".into()),
        _ => Value::String("an object".into()),
    })
}
