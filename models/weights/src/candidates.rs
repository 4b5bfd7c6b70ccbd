//! Which dictionary of a checkpoint is the state dict.

use std::fmt;

use crate::error::CheckpointError;
use crate::pickle::{Arena, Id, Object};
use crate::tensors;

/// Keys of the state dict that take precedence over others, the first over the second.
const AGREED: [&str; 2] = ["state_dict", "model"];
/// Most keys that a message lists, and their longest part that it has.
const LISTED: usize = 8;
const LISTED_CHARS: usize = 40;

/// The state dict that was taken of a checkpoint that has several dictionaries of tensors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDictChoice {
    pub taken: String,
    /// The first keys of the others.
    pub others: Vec<String>,
}

impl fmt::Display for StateDictChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others = self.others.iter();
        let others: Vec<_> = others
            .map(|key| format!("`{}`", key.escape_debug()))
            .collect();
        write!(
            f,
            "the weights under `{}` are taken, not those under {}",
            self.taken.escape_debug(),
            others.join(", ")
        )
    }
}

/// The state dict of a checkpoint: under an agreed key, the checkpoint itself, or the only dictionary of tensors in it.
///
/// **Errors**: there is none, there are several without an agreed key, or both agreed keys have weights, and those of
/// different networks.
pub(crate) fn choose(
    arena: &Arena,
    top: Id,
) -> Result<(Id, Option<StateDictChoice>), CheckpointError> {
    let found = candidates(arena, top);
    let keys = |found: &[(&str, Id)]| found.iter().take(LISTED).map(|(key, _)| cut(key)).collect();
    let of_key = |key: &str| found.iter().rev().find(|(found, _)| *found == key).copied();
    let mut agreed = AGREED.iter().filter_map(|key| of_key(key));
    let (taken, weights) = match (agreed.next(), agreed.next(), &*found) {
        (Some(first), Some(second), _) if !same_network(arena, first.1, second.1) => {
            let keys = keys(&[first, second]);
            return Err(CheckpointError::OtherNetworks { keys });
        }
        (Some(first), ..) => first,
        (None, ..) if has_tensors(arena, top) => return Ok((top, None)),
        (None, _, [only]) => *only,
        (None, _, []) => {
            let keys = keys(&entries(arena, top).collect::<Vec<_>>());
            return Err(CheckpointError::NoStateDict { keys });
        }
        (None, _, several) => {
            let keys = keys(several);
            return Err(CheckpointError::StateDicts { keys });
        }
    };
    let others = found.iter().filter(|(key, _)| *key != taken);
    let others: Vec<_> = others.take(LISTED).map(|(key, _)| cut(key)).collect();
    let choice = (!others.is_empty()).then(|| StateDictChoice {
        taken: cut(taken),
        others,
    });
    Ok((weights, choice))
}

fn cut(key: &str) -> String {
    key.chars().take(LISTED_CHARS).collect()
}

/// What is stored under keys that are texts; the last one counts, as in a dictionary of Python.
fn entries(arena: &Arena, top: Id) -> impl Iterator<Item = (&str, Id)> {
    let entries: &[_] = match arena.get(top) {
        Object::Dict(entries) => entries,
        _ => &[],
    };
    entries
        .iter()
        .filter_map(|&(key, value)| match arena.get(key) {
            Object::Text(key) => Some((&**key, value)),
            _ => None,
        })
}

/// The dictionaries of tensors in a checkpoint by key.
fn candidates(arena: &Arena, top: Id) -> Vec<(&str, Id)> {
    entries(arena, top)
        .filter(|&(_, value)| has_tensors(arena, value))
        .collect()
}

fn has_tensors(arena: &Arena, id: Id) -> bool {
    match arena.get(id) {
        Object::Dict(entries) => {
            let mut entries = entries
                .iter()
                .map(|&(key, value)| (arena.get(key), arena.get(value)));
            entries.any(|entry| matches!(entry, (Object::Text(_), Object::Tensor(_))))
        }
        _ => false,
    }
}

/// Whether two dictionaries have tensors of the same names and shapes.
fn same_network(arena: &Arena, a: Id, b: Id) -> bool {
    let shapes = |dict| {
        let named = tensors::named(arena, dict).ok()?;
        let mut shapes: Vec<_> = named
            .iter()
            .map(|(name, tensor)| (*name, &tensor.shape))
            .collect();
        shapes.sort();
        Some(shapes)
    };
    shapes(a) == shapes(b)
}
