//! MONAI checkpoints: a state dict, and optionally the configuration of its training.

use std::path::Path;

use serde_json::{Map, Number, Value};
use vesal_files::regular;

use crate::archive::{Archive, ArchiveError};
use crate::error::{CheckpointError, MAX_CONFIG_DEPTH, MAX_CONFIG_SIZE};
use crate::pickle::{self, Arena, Id, Object};
use crate::state_dict::StateDict;
use crate::{stored, tensors};

/// Keys of the state dict that take precedence over others.
const STATE_DICT_KEYS: [&str; 2] = ["state_dict", "model"];
/// Most keys that a message lists, and their longest part that it has.
const LISTED: usize = 8;
const LISTED_CHARS: usize = 40;

/// Content of a checkpoint.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    pub tensors: StateDict,
    /// The configuration, if any; tensors and other objects in it are texts.
    pub config: Option<Map<String, Value>>,
    /// Epoch of the weights, if stated.
    pub epoch: Option<u64>,
    /// Score of the weights, if stated.
    pub best_metric: Option<f64>,
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
            });
        }
        let (mut archive, pickle) = Archive::open(path)?;
        let (arena, top) = pickle::read(&pickle)?;
        let tensors = tensors::read(&mut archive, &arena, state_dict(&arena, top)?)?;
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
        })
    }
}

/// The state dict of a checkpoint: under an agreed key, the checkpoint itself, or the only dictionary of tensors in it.
fn state_dict(arena: &Arena, top: Id) -> Result<Id, CheckpointError> {
    let has_tensors = |id: Id| match arena.get(id) {
        Object::Dict(entries) => {
            let mut values = entries.iter().map(|&(_, value)| arena.get(value));
            values.any(|value| matches!(value, Object::Tensor(_)))
        }
        _ => false,
    };
    let mut agreed = STATE_DICT_KEYS
        .iter()
        .filter_map(|key| arena.entry(top, key));
    if let Some(found) = agreed.find(|&id| has_tensors(id)) {
        return Ok(found);
    }
    if has_tensors(top) {
        return Ok(top);
    }
    let entries: &[_] = match arena.get(top) {
        Object::Dict(entries) => entries,
        _ => &[],
    };
    let named = entries
        .iter()
        .filter_map(|&(key, value)| match arena.get(key) {
            Object::Text(key) => Some((&**key, value)),
            _ => None,
        });
    let listed = |found: &mut dyn Iterator<Item = (&str, Id)>| {
        let keys = found.take(LISTED);
        keys.map(|(key, _)| key.chars().take(LISTED_CHARS).collect())
            .collect()
    };
    let mut found = named.clone().filter(|&(_, value)| has_tensors(value));
    match (found.next(), found.next()) {
        (Some((_, only)), None) => Ok(only),
        (None, _) => Err(CheckpointError::NoStateDict {
            keys: listed(&mut named.clone()),
        }),
        (Some(first), Some(second)) => Err(CheckpointError::StateDicts {
            keys: listed(&mut [first, second].into_iter().chain(found)),
        }),
    }
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
