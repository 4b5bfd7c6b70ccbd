//! MONAI checkpoints: a state dict, and optionally the configuration of its training.

use std::path::Path;

use burn::tensor::TensorData;
use serde_json::{Map, Number, Value};
use thiserror::Error;

use crate::archive::{Archive, ArchiveError};
use crate::pickle::{self, Arena, Id, Object, PickleError, StorageType, Tensor};
use crate::state_dict::StateDict;

/// Keys of the state dict; without any of them, the checkpoint itself is a state dict.
const STATE_DICT_KEYS: [&str; 2] = ["state_dict", "model"];
/// Prefix of names from distributed training.
const PARALLEL_PREFIX: &str = "module.";
/// End of the names of batch normalizations' counters of batches, integers that matter only without momentum.
const BATCH_COUNTER: &str = ".num_batches_tracked";
/// End of the names of indices of relative positions, integers that follow from the sizes of windows.
const POSITION_INDEX: &str = ".relative_position_index";
/// Most values and bytes of text of a configuration: shared parts count as often as they are referred to.
const MAX_CONFIG_SIZE: usize = 1 << 20;
/// Deepest nesting of a configuration.
const MAX_CONFIG_DEPTH: usize = 32;

/// Why a checkpoint cannot be read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// The archive is unusable.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The pickle is unusable.
    #[error(transparent)]
    Pickle(#[from] PickleError),
    /// No state dict.
    #[error(
        "the checkpoint has no state dict, expected tensors under `state_dict`, `model` or at the top"
    )]
    NoStateDict,
    /// A state dict with an entry that is not a tensor.
    #[error("the state dict has `{name}`, which is not a tensor")]
    NotATensor { name: String },
    /// A tensor that reaches outside its storage, or is larger than it.
    #[error("tensor `{tensor}` does not lie inside its storage of {elements} elements")]
    Bounds {
        tensor: String,
        /// Elements of the storage.
        elements: usize,
    },
    /// A tensor of integers and the like.
    #[error("tensor `{tensor}` has no floats")]
    Type { tensor: String },
    /// A configuration larger than the limit.
    #[error(
        "the checkpoint's configuration has more than {MAX_CONFIG_SIZE} values and bytes of text, or {MAX_CONFIG_DEPTH} levels"
    )]
    ConfigSize,
}

impl CheckpointError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Archive(error) => error.hint(),
            Self::Pickle(PickleError::Forbidden { .. }) => Some(
                "a whole module or foreign objects were saved: save `{\"state_dict\": model.state_dict(), \"config\": {\"network\": {...}}}` with numbers, texts, lists and dictionaries only",
            ),
            _ => None,
        }
    }
}

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
    /// Reads a checkpoint without executing code.
    ///
    /// **Errors**: [`CheckpointError`].
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let (mut archive, pickle) = Archive::open(path)?;
        let (arena, top) = pickle::read(&pickle)?;
        let state_dict = STATE_DICT_KEYS
            .iter()
            .find_map(|key| arena.entry(top, key))
            .unwrap_or(top);
        let tensors = read_tensors(&mut archive, &arena, state_dict)?;
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

fn read_tensors(
    archive: &mut Archive,
    arena: &Arena,
    dict: Id,
) -> Result<StateDict, CheckpointError> {
    let Object::Dict(entries) = arena.get(dict) else {
        return Err(CheckpointError::NoStateDict);
    };
    let named: Vec<(&str, Option<&Tensor>)> = entries
        .iter()
        .filter_map(|&(key, value)| match (arena.get(key), arena.get(value)) {
            (Object::Text(name), Object::Tensor(tensor)) => Some((&**name, Some(&**tensor))),
            (Object::Text(name), _) => Some((&**name, None)),
            _ => None,
        })
        .filter(|(name, _)| !name.ends_with(BATCH_COUNTER) && !name.ends_with(POSITION_INDEX))
        .collect();
    if !named.iter().any(|(_, tensor)| tensor.is_some()) {
        return Err(CheckpointError::NoStateDict);
    }
    let parallel = named
        .iter()
        .all(|(name, _)| name.starts_with(PARALLEL_PREFIX));
    let prefix = if parallel { PARALLEL_PREFIX.len() } else { 0 };
    let mut tensors = StateDict::new();
    for (name, tensor) in named {
        let name = &name[prefix..];
        let tensor = tensor.ok_or_else(|| CheckpointError::NotATensor { name: name.into() })?;
        tensors.insert(name.into(), read_tensor(archive, name, tensor)?);
    }
    Ok(tensors)
}

/// Reads a tensor's elements in C order from any strides; training in the channels-last format keeps its strides in
/// checkpoints.
fn read_tensor(
    archive: &mut Archive,
    name: &str,
    tensor: &Tensor,
) -> Result<TensorData, CheckpointError> {
    let bytes = archive.storage(&tensor.storage.key)?;
    let storage = decode(tensor.storage.kind, &bytes).ok_or_else(|| CheckpointError::Type {
        tensor: name.into(),
    })?;
    let outside = || CheckpointError::Bounds {
        tensor: name.into(),
        elements: storage.len(),
    };
    let count = tensor
        .shape
        .iter()
        .try_fold(1_usize, |count, &size| count.checked_mul(size))
        .filter(|&count| count <= storage.len())
        .ok_or_else(outside)?;
    let last = tensor
        .shape
        .iter()
        .zip(&tensor.strides)
        .try_fold(tensor.offset, |last, (&size, &stride)| {
            last.checked_add(stride.checked_mul(size.saturating_sub(1))?)
        });
    if count > 0 && last.is_none_or(|last| last >= storage.len()) {
        return Err(outside());
    }

    let mut values = Vec::with_capacity(count);
    let mut index = vec![0; tensor.shape.len()];
    for _ in 0..count {
        let place: usize = index
            .iter()
            .zip(&tensor.strides)
            .map(|(i, stride)| i * stride)
            .sum();
        values.push(storage[tensor.offset + place]);
        for axis in (0..index.len()).rev() {
            index[axis] += 1;
            if index[axis] < tensor.shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    Ok(TensorData::new(values, tensor.shape.clone()))
}

/// Elements of a storage as 32-bit floats.
fn decode(kind: StorageType, bytes: &[u8]) -> Option<Vec<f32>> {
    Some(match kind {
        StorageType::Float => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f32::from_le_bytes(b))
            .collect(),
        StorageType::Double => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| f64::from_le_bytes(b) as f32)
            .collect(),
        StorageType::BFloat16 => {
            let wide = |&[low, high]: &[u8; 2]| f32::from_le_bytes([0, 0, low, high]);
            bytes.as_chunks().0.iter().map(wide).collect()
        }
        StorageType::Half => bytes
            .as_chunks()
            .0
            .iter()
            .map(|&b| half(u16::from_le_bytes(b)))
            .collect(),
        StorageType::Other => return None,
    })
}

/// Value of an IEEE 754 half-precision float.
fn half(bits: u16) -> f32 {
    let sign = if bits >> 15 == 1 { -1. } else { 1. };
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    sign * match exponent {
        0 => fraction * 2_f32.powi(-24),
        31 if fraction == 0. => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024. + fraction) * 2_f32.powi(exponent - 25),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_floats_have_their_values() {
        for (bits, value) in [
            (0, 0.),
            (0x3c00, 1.),
            (0xc000, -2.),
            (0x7bff, 65504.),
            (1, 5.960_464_5e-8),
            (0x3555, 0.333_251_95),
        ] {
            assert_eq!(half(bits), value);
        }
        assert_eq!(half(0xfc00), f32::NEG_INFINITY);
        assert!(half(0x7e00).is_nan());
        assert_eq!(
            decode(StorageType::BFloat16, &[0x80, 0x3f, 0x20, 0xc1]),
            Some(vec![1., -10.])
        );
    }
}
