//! Named tensors.

use std::collections::BTreeMap;

use burn::tensor::TensorData;

/// Tensors of 32-bit floats by parameter path.
pub type StateDict = BTreeMap<String, TensorData>;

/// Most characters of a tensor's name; those of networks have less than a hundred.
pub(crate) const MAX_NAME_CHARS: usize = 512;

/// The start of a name that is too long for any network, for messages.
pub(crate) fn too_long(name: &str) -> Option<String> {
    let is_long = name.chars().nth(MAX_NAME_CHARS).is_some();
    is_long.then(|| name.chars().take(40).collect())
}

/// What all names begin with after training on several devices (`DistributedDataParallel`), and with `torch.compile`.
const PREFIXES: [&str; 2] = ["module.", "_orig_mod."];
/// Ends of the names of integers that are no weights: counters of batch normalizations, which matter only without
/// momentum, and indices of relative positions, which follow from the sizes of windows.
const COUNTERS: [&str; 2] = [".num_batches_tracked", ".relative_position_index"];

/// Whether a name is that of integers that a network does not need.
pub(crate) fn is_counter(name: &str) -> bool {
    COUNTERS.iter().any(|end| name.ends_with(end))
}

/// Length of what all names begin with and no network has.
pub(crate) fn prefix<'a, I: Iterator<Item = &'a str>>(names: impl Fn() -> I) -> usize {
    let mut length = 0;
    if names().next().is_none() {
        return length;
    }
    let next = |from: usize| {
        let mut known = PREFIXES.iter();
        known.find(|known| names().all(|name| name[from..].starts_with(**known)))
    };
    while let Some(found) = next(length) {
        length += found.len();
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_of_all_names_are_found_in_any_order() {
        let found = |names: &[&str]| prefix(|| names.iter().copied());
        assert_eq!(found(&["module.a", "module.b"]), 7);
        assert_eq!(
            found(&["_orig_mod.module.a", "_orig_mod.module.module.b"]),
            17
        );
        assert_eq!(found(&["module._orig_mod.a"]), 17);
        assert_eq!(found(&["module.a", "b"]), 0);
        assert_eq!(found(&[]), 0);
    }
}
