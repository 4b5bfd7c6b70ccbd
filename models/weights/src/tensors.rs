//! Tensors of a checkpoint: views of storages, each of which is read once.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use burn::tensor::TensorData;

use crate::archive::Archive;
use crate::error::{CheckpointError, MAX_VIEWS};
use crate::pickle::{Arena, Id, Object, Storage, StorageType, Tensor};
use crate::state_dict::{self, StateDict};

/// Reads the tensors of a dictionary. A storage is decoded once and kept as long as further tensors are views of it.
pub(crate) fn read(
    archive: &mut Archive,
    arena: &Arena,
    dict: Id,
) -> Result<StateDict, CheckpointError> {
    let named = named(arena, dict)?;
    let mut storages = Storages::new(archive, &named)?;
    let mut tensors = StateDict::new();
    for (name, tensor) in named {
        let data = storages.with(archive, name, &tensor.storage, |elements| {
            read_tensor(elements, name, tensor)
        })?;
        tensors.insert(name.into(), data);
    }
    Ok(tensors)
}

/// The shapes of the tensors of a dictionary, whose storages have the stated sizes and are not read.
pub(crate) fn shapes(
    archive: &mut Archive,
    arena: &Arena,
    dict: Id,
) -> Result<BTreeMap<String, Vec<usize>>, CheckpointError> {
    let named = named(arena, dict)?;
    Storages::new(archive, &named)?;
    let shapes = named.into_iter().map(|(name, tensor)| {
        check_bounds(name, tensor, tensor.storage.elements)?;
        Ok((name.to_owned(), tensor.shape.clone()))
    });
    shapes.collect()
}

/// The tensors of a dictionary by their names in the network.
pub(crate) fn named(arena: &Arena, dict: Id) -> Result<Vec<(&str, &Tensor)>, CheckpointError> {
    let entries: &[_] = match arena.get(dict) {
        Object::Dict(entries) => entries,
        _ => &[],
    };
    let named: Vec<(&str, Option<&Tensor>)> = entries
        .iter()
        .filter_map(|&(key, value)| match (arena.get(key), arena.get(value)) {
            (Object::Text(name), Object::Tensor(tensor)) => Some((&**name, Some(&**tensor))),
            (Object::Text(name), _) => Some((&**name, None)),
            _ => None,
        })
        .filter(|(name, _)| !state_dict::is_counter(name))
        .collect();
    if let Some(start) = named
        .iter()
        .find_map(|(name, _)| state_dict::too_long(name))
    {
        return Err(CheckpointError::LongName { start });
    }
    let prefix = state_dict::prefix(|| named.iter().map(|(name, _)| *name));
    let named = named.into_iter().map(|(name, tensor)| {
        let name = &name[prefix..];
        let missing = || CheckpointError::NotATensor { name: name.into() };
        Ok((name, tensor.ok_or_else(missing)?))
    });
    named.collect()
}

/// The storages that tensors are views of, with those that are decoded.
struct Storages<'a> {
    by_key: HashMap<&'a str, Use<'a>>,
}

struct Use<'a> {
    storage: &'a Storage,
    /// Tensors that still need it.
    left: usize,
    decoded: Option<Vec<f32>>,
}

impl<'a> Storages<'a> {
    /// Counts the tensors of each storage, before any is read.
    ///
    /// **Errors**: a storage has no floats or another size than stated, tensors contradict each other about it, or have
    /// together many times the elements of all.
    fn new(archive: &mut Archive, named: &[(&str, &'a Tensor)]) -> Result<Self, CheckpointError> {
        let mut by_key = HashMap::new();
        let (mut stored, mut viewed) = (0_usize, 0_usize);
        for (name, tensor) in named {
            let storage = &tensor.storage;
            match by_key.entry(storage.key.as_str()) {
                Entry::Vacant(slot) => {
                    check_size(archive, name, storage)?;
                    stored = stored.saturating_add(storage.elements);
                    slot.insert(Use {
                        storage,
                        left: 1,
                        decoded: None,
                    });
                }
                Entry::Occupied(mut slot) if slot.get().storage == storage => {
                    slot.get_mut().left += 1;
                }
                Entry::Occupied(_) => {
                    let tensor = (*name).into();
                    return Err(CheckpointError::StorageType { tensor });
                }
            }
            // No tensor is larger than its storage, as reading it checks.
            let sizes = tensor.shape.iter();
            let elements = sizes.fold(1_usize, |count, &size| count.saturating_mul(size));
            viewed = viewed.saturating_add(elements.min(storage.elements));
        }
        if viewed > stored.saturating_mul(MAX_VIEWS) {
            return Err(CheckpointError::Shared { elements: stored });
        }
        Ok(Self { by_key })
    }

    /// Gives the elements of a storage to a tensor, and drops them after the last one.
    fn with<T>(
        &mut self,
        archive: &mut Archive,
        name: &str,
        storage: &Storage,
        read: impl FnOnce(&[f32]) -> Result<T, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        let known = self.by_key.get_mut(storage.key.as_str());
        let known = known.filter(|known| known.left > 0);
        let known = known.ok_or_else(|| CheckpointError::StorageType {
            tensor: name.into(),
        })?;
        known.left -= 1;
        let elements = match known.decoded.take() {
            Some(elements) => elements,
            None => decode(storage.kind, &archive.storage(&storage.key)?).ok_or_else(|| {
                CheckpointError::Type {
                    tensor: name.into(),
                }
            })?,
        };
        let found = read(&elements)?;
        if known.left > 0 {
            known.decoded = Some(elements);
        }
        Ok(found)
    }
}

/// Checks that a storage has the bytes of the elements that the checkpoint states.
fn check_size(archive: &mut Archive, name: &str, storage: &Storage) -> Result<(), CheckpointError> {
    let no_floats = || CheckpointError::Type {
        tensor: name.into(),
    };
    let bytes = storage.kind.bytes().ok_or_else(no_floats)?;
    let found = archive.reserve(&storage.key)?;
    if storage.elements.checked_mul(bytes) == Some(found) {
        Ok(())
    } else {
        Err(CheckpointError::StorageSize {
            tensor: name.into(),
            found,
            elements: storage.elements,
            bytes,
        })
    }
}

/// Checks that a tensor lies inside its storage and is not larger, and counts its elements.
fn check_bounds(name: &str, tensor: &Tensor, elements: usize) -> Result<usize, CheckpointError> {
    let outside = || CheckpointError::Bounds {
        tensor: name.into(),
        elements,
    };
    let count = tensor
        .shape
        .iter()
        .try_fold(1_usize, |count, &size| count.checked_mul(size))
        .filter(|&count| count <= elements)
        .ok_or_else(outside)?;
    let last = tensor
        .shape
        .iter()
        .zip(&tensor.strides)
        .try_fold(tensor.offset, |last, (&size, &stride)| {
            last.checked_add(stride.checked_mul(size.saturating_sub(1))?)
        });
    if count > 0 && last.is_none_or(|last| last >= elements) {
        return Err(outside());
    }
    Ok(count)
}

/// Reads a tensor's elements in C order from any strides; training in the channels-last format keeps its strides in
/// checkpoints.
fn read_tensor(
    storage: &[f32],
    name: &str,
    tensor: &Tensor,
) -> Result<TensorData, CheckpointError> {
    let count = check_bounds(name, tensor, storage.len())?;
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
