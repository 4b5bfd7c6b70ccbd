//! Finds the layout of a folder.

use std::collections::BTreeMap;
use std::path::Path;

use vesal_io::image::read_header;

use super::dataset_json::DATASET_JSON;
use super::error::LayoutError;
use super::found::FoundDataset;
use super::oddity::{Oddity, OddityKind};
use super::options::LayoutOptions;
use super::tree::{ImageTree, TreeFile};
use super::{bids, case_folders, json_folder, pairs};

/// Finds the cases of a folder.
///
/// **Definition**: in this order: a `dataset.json` (Medical Segmentation Decathlon, nnU-Net), BIDS, a folder of images
/// beside one of label maps, a folder for each case, all files in the folder itself.
///
/// **Errors**: [`LayoutError`].
pub fn find(folder: &Path, options: &LayoutOptions) -> Result<FoundDataset, LayoutError> {
    if !folder.is_dir() {
        let path = folder.to_owned();
        return Err(LayoutError::NoFolder { path });
    }
    let tree = ImageTree::read(folder)?;
    let with_json = tree.with_file(DATASET_JSON);
    if tree.images() == 0 && with_json.is_empty() {
        let path = folder.to_owned();
        return Err(LayoutError::NoImages { path });
    }
    let is_json = options.folders.is_none() && with_json.contains(&"");
    let mut found = if is_json {
        json_folder::find(&tree, options)?
    } else if options.folders.is_none() && bids::is_layout(&tree) {
        bids::find(&tree, options)?
    } else if let Some(folders) = pairs::two_folders(&tree, options) {
        pairs::in_two_folders(&tree, folders, options)?
    } else if case_folders::is_layout(&tree, options) {
        case_folders::find(&tree, options)?
    } else if !tree.files("").is_empty() {
        pairs::in_one_folder(&tree, options)?
    } else if !with_json.is_empty() {
        let folders = with_json.into_iter().map(str::to_owned).collect();
        return Err(LayoutError::SeveralDatasets { folders });
    } else {
        let folders = tree.folders().filter(|(_, files)| !files.is_empty());
        let folders = folders.map(|(folder, _)| folder.to_owned()).collect();
        return Err(LayoutError::UnknownLayout { folders });
    };
    found.oddities.extend(tree.oddities());
    if !is_json {
        found.oddities.extend(endings(&found));
    }
    frames(folder, &mut found);
    found.oddities.sort_by_key(|oddity| oddity.kind);
    Ok(found)
}

/// Reports images with different endings.
fn endings(found: &FoundDataset) -> Option<Oddity> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for path in found.training.iter().flat_map(|case| &case.images) {
        let file = TreeFile::new(path.clone());
        *counts
            .entry(file.ending().to_ascii_lowercase())
            .or_default() += 1;
    }
    let about = counts
        .iter()
        .map(|(ending, count)| format!("{count} {ending}"));
    (counts.len() > 1).then(|| Oddity::new(OddityKind::MixedEndings, about.collect()))
}

/// Compares the number of channels of each file with that of the others, where a case has one file.
fn frames(root: &Path, found: &mut FoundDataset) {
    if found.training.iter().any(|case| case.images.len() != 1) {
        return;
    }
    let mut counts: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for path in found.training.iter().flat_map(|case| &case.images) {
        // A file that cannot be read is a finding of the analysis.
        if let Ok(header) = read_header(root.join(path)) {
            counts.entry(header.frames).or_default().push(path.clone());
        }
    }
    let most = counts.iter().max_by_key(|(_, files)| files.len());
    let expected = match (found.in_one_file, most) {
        (true, _) => found.channels.len(),
        (false, Some((frames, _))) => *frames,
        (false, None) => return,
    };
    let others = counts.iter().filter(|(frames, _)| **frames != expected);
    let others: Vec<String> = others
        .flat_map(|(frames, files)| files.iter().map(move |file| format!("{file} ({frames})")))
        .collect();
    if !others.is_empty() {
        found
            .oddities
            .push(Oddity::new(OddityKind::FrameCount, others));
    }
    if expected > 1 {
        if !found.in_one_file {
            let name = found.channels.first().cloned().unwrap_or_default();
            found.channels = (0..expected).map(|at| format!("{name} {at}")).collect();
            found.in_one_file = true;
        }
        let about = vec![format!("{expected} channels")];
        found
            .oddities
            .push(Oddity::new(OddityKind::FourDimensions, about));
    }
}
