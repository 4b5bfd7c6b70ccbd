//! nnU-Net's `splits_final.json` as folds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::dataset_json::read_json;
use super::error::LayoutError;
use super::found::FoundDataset;
use super::oddity::{Oddity, OddityKind};
use super::options::LayoutOptions;
use super::tree::ImageTree;

const SPLITS: &str = "splits_final.json";

/// Assigns folds by the splits that the user names, that lie in the folder, or that nnU-Net put beside it in
/// `nnUNet_preprocessed`. Splits that are no folds are reported and not used.
///
/// **Errors**: the file cannot be read, or is not JSON.
pub(super) fn assign(
    tree: &ImageTree,
    options: &LayoutOptions,
    found: &mut FoundDataset,
) -> Result<(), LayoutError> {
    let Some(path) = options.splits.clone().or_else(|| beside(&tree.root)) else {
        return Ok(());
    };
    let value = read_json(&path, &mut found.oddities)?;
    match folds(&value, found) {
        Ok(folds) => {
            for case in &mut found.training {
                case.fold = folds.get(&case.name).copied();
            }
            found.splits = Some(path.display().to_string());
        }
        Err(reason) => {
            let about = vec![format!("{}: {reason}", path.display())];
            found
                .oddities
                .push(Oddity::new(OddityKind::UnusedSplits, about));
        }
    }
    Ok(())
}

fn beside(root: &Path) -> Option<PathBuf> {
    let root = root.canonicalize().ok()?;
    let preprocessed = root
        .parent()
        .and_then(Path::parent)
        .map(|folder| folder.join("nnUNet_preprocessed"));
    let of_name = preprocessed
        .zip(root.file_name())
        .map(|(folder, name)| folder.join(name).join(SPLITS));
    let places = [Some(root.join(SPLITS)), of_name];
    places.into_iter().flatten().find(|path| path.is_file())
}

/// The fold of each case, or the reason why splits are no folds: each case has to be held out once, and every split has
/// to train on all others.
fn folds(value: &Value, found: &FoundDataset) -> Result<BTreeMap<String, usize>, String> {
    let Value::Array(splits) = value else {
        return Err("expected a list of splits".to_owned());
    };
    let cases = |split: &Value, key: &str| -> Option<Vec<String>> {
        let names = split.get(key)?.as_array()?.iter();
        names.map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let mut folds = BTreeMap::new();
    let mut trained = Vec::new();
    for (fold, split) in splits.iter().enumerate() {
        let (Some(train), Some(held_out)) = (cases(split, "train"), cases(split, "val")) else {
            return Err(format!("split {fold} has no lists `train` and `val`"));
        };
        trained.push(train.len());
        for case in held_out {
            if let Some(first) = folds.insert(case.clone(), fold) {
                return Err(format!(
                    "`{case}` is held out by the splits {first} and {fold}"
                ));
            }
        }
    }
    if splits.len() < 2 {
        return Err("expected at least two splits".to_owned());
    }
    if let Some(case) = found
        .training
        .iter()
        .find(|case| !folds.contains_key(&case.name))
    {
        return Err(format!("no split holds out `{}`", case.name));
    }
    for (fold, trained) in trained.into_iter().enumerate() {
        let held_out = folds.values().filter(|of_case| **of_case == fold).count();
        if trained + held_out != folds.len() {
            return Err(format!(
                "split {fold} trains on {trained} cases, expected all {} that it does not hold out",
                folds.len() - held_out
            ));
        }
        let present = found.training.iter();
        if !present.into_iter().any(|case| folds[&case.name] == fold) {
            return Err(format!("none of the cases of split {fold} is there"));
        }
    }
    Ok(folds)
}
