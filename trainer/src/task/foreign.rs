//! Keys of Auto3DSeg's task files that are no settings here.

mod meaning;

use serde_yaml_ng::{Mapping, Value};

use super::error::TaskError;
use super::value::describe;
use crate::yaml;
use meaning::KEYS;
use meaning::Meaning::{Called, Refused, Setting, Unused};

/// Mappings whose entries are settings: `network: {init_filters: 16}` is `network#init_filters: 16`.
const NESTED: [&str; 3] = ["network", "optimizer", "training"];
/// The mapping whose entries have names without it.
const TRAINING: &str = "training#";

/// A key that has no effect, with the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnusedKey {
    pub key: &'static str,
    pub reason: &'static str,
}

/// Names for suggestions.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let keys = KEYS.iter();
    let keys = keys.filter(|(meaning, _)| !matches!(meaning, Refused(_) | Called(_)));
    keys.flat_map(|(_, keys)| keys.iter().copied())
}

/// Entries of the mappings [`NESTED`] by their whole names; empty values are left out.
pub(super) fn flatten(entries: Mapping) -> Mapping {
    let mut flat = Mapping::new();
    for (key, value) in entries {
        match (key.as_str(), value) {
            (_, Value::Null) => {}
            (Some(outer), Value::Mapping(inner)) if NESTED.contains(&outer) => {
                for (key, value) in inner {
                    let name = key.as_str().map(|name| format!("{outer}#{name}"));
                    if !value.is_null() {
                        flat.insert(name.map_or(key, Value::String), value);
                    }
                }
            }
            (_, value) => {
                flat.insert(key, value);
            }
        }
    }
    flat
}

/// Removes the keys of Auto3DSeg that are no settings, and gives settings the names that they have here. Returns the keys
/// without effect.
///
/// **Errors**: [`TaskError::Refused`]; [`TaskError::UnknownKey`] for what other programs call a key.
pub(super) fn take(entries: Mapping) -> Result<(Mapping, Vec<UnusedKey>), TaskError> {
    let mut settings = Mapping::new();
    let mut unused = Vec::new();
    for (key, value) in flatten(entries) {
        let Some(name) = key.as_str() else {
            settings.insert(key, value);
            continue;
        };
        let name = name.strip_prefix(TRAINING).unwrap_or(name);
        let found = KEYS.iter().find_map(|(meaning, keys)| {
            let known = keys.iter().find(|known| known.eq_ignore_ascii_case(name))?;
            Some((*meaning, *known))
        });
        match found {
            None => {
                settings.insert(name.into(), value);
            }
            Some((Setting(setting), _)) => {
                settings.insert(setting.into(), value);
            }
            Some((Called(name), key)) => {
                return Err(TaskError::UnknownKey {
                    key: key.to_owned(),
                    suggestion: Some(name),
                });
            }
            Some((Unused(reason), key)) => unused.push(UnusedKey { key, reason }),
            Some((Refused(_), key)) if is_usual(key, &value) => unused.push(UnusedKey {
                key,
                reason: "it is so anyway",
            }),
            Some((Refused(remedy), key)) => {
                return Err(TaskError::Refused {
                    key,
                    found: describe(&value),
                    remedy,
                });
            }
        }
    }
    unused.sort_unstable();
    Ok((settings, unused))
}

/// Whether a value says what is done without it.
fn is_usual(key: &str, value: &Value) -> bool {
    let expected = match key {
        "crop_foreground" | "orientation_ras" => Some(true),
        "quick" => Some(false),
        _ => None,
    };
    let disabled = |name: &str| value.get(name).and_then(yaml::flag) == Some(false);
    match key {
        "finetune" => ["enabled", "activate", "activate_finetune"]
            .into_iter()
            .any(disabled),
        _ => expected.is_some() && yaml::flag(value) == expected,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::settings;

    fn taken(text: &str) -> Result<(Mapping, Vec<UnusedKey>), TaskError> {
        take(serde_yaml_ng::from_str(text).unwrap())
    }

    #[test]
    fn every_key_has_one_meaning() {
        let all: Vec<_> = KEYS.iter().flat_map(|(_, keys)| keys.iter()).collect();
        let distinct: BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        for (meaning, keys) in KEYS {
            for key in keys {
                assert!(settings::find(key).is_none(), "`{key}` is a setting");
            }
            if let Setting(name) = meaning {
                assert!(settings::find(name).is_some(), "{name}");
            }
        }
    }

    #[test]
    fn keys_without_effect_are_told_and_settings_found() {
        let (settings, unused) = taken(
            "multigpu: true\nnum_workers: 4\nrandom_seed: 7\nloss:\nquick: no\nCache_Rate: 1\n\
             finetune: {enabled: false, ckpt_name: x}\n\
             network: {init_filters: 8}\ntraining: {num_epochs: 3, input_channels: 2}\nodd: 1\n",
        )
        .unwrap();
        let expected = "seed: 7\nnetwork#init_filters: 8\nnum_epochs: 3\nodd: 1\n";
        assert_eq!(settings, serde_yaml_ng::from_str(expected).unwrap());
        let keys: Vec<_> = unused.iter().map(|unused| unused.key).collect();
        let expected = [
            "cache_rate",
            "finetune",
            "input_channels",
            "multigpu",
            "num_workers",
            "quick",
        ];
        assert_eq!(keys, expected);
    }

    #[test]
    fn what_would_change_results_is_refused() {
        for (text, expected) in [
            (
                "custom_data_transforms: [{key: after_crop}]",
                "`custom_data_transforms` of the task is a list of 1, which does not exist here",
            ),
            (
                "loss: {_target_: DiceLoss}",
                "`loss` of the task is a mapping of 1",
            ),
            (
                "optimizer: {_target_: torch.optim.SGD}",
                "`optimizer#_target_` of the task is \"torch.optim.SGD\"",
            ),
            (
                "training: {overlap_ratio: 0.5}",
                "`overlap_ratio` of the task is 0.5",
            ),
            (
                "orientation_ras: off",
                "`orientation_ras` of the task is \"off\"",
            ),
        ] {
            let error = taken(text).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
            assert!(error.hint().is_some());
        }
    }
}
