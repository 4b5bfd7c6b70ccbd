//! A folder for each case.

use super::channels::choose;
use super::error::LayoutError;
use super::found::{FolderLayout, FoundDataset};
use super::options::LayoutOptions;
use super::pairing::{CaseDraft, CaseDrafts, ONLY_CHANNEL};
use super::pairs::{other_folders, split_off_unlabeled};
use super::tree::{ImageTree, TreeFile};
use super::words::{channel_of, image_case, label_case};

/// Whether label maps and images lie together in folders directly below the root.
pub(super) fn is_layout(tree: &ImageTree, options: &LayoutOptions) -> bool {
    tree.subfolders().any(|folder| {
        let files = tree.files(folder);
        let labels = files.iter().filter(|file| is_label(file, options)).count();
        labels > 0 && labels < files.len()
    })
}

fn is_label(file: &TreeFile, options: &LayoutOptions) -> bool {
    match &options.labels {
        Some(pattern) => pattern.fits(file.name()),
        None => label_case(&file.stem).is_some(),
    }
}

pub(super) fn find(tree: &ImageTree, options: &LayoutOptions) -> Result<FoundDataset, LayoutError> {
    let mut drafts = CaseDrafts::default();
    let mut used = Vec::new();
    for folder in tree.subfolders() {
        let files = tree.files(folder);
        if !files.is_empty() {
            used.push(folder);
            drafts
                .0
                .insert(folder.to_owned(), draft(folder, files, options)?);
        }
    }
    let mut oddities = Vec::new();
    let drafts = drafts.without_bare_labels(&mut oddities);
    let mut chosen = choose(drafts, &options.channels)?;
    oddities.append(&mut chosen.oddities);
    chosen.oddities = oddities;
    let testing = split_off_unlabeled(&mut chosen);
    chosen.oddities.extend(other_folders(tree, &used));
    Ok(FoundDataset {
        layout: FolderLayout::CaseFolders,
        name: None,
        channels: chosen.channels,
        in_one_file: false,
        training: chosen.cases,
        testing,
        classes: None,
        splits: None,
        oddities: chosen.oddities,
    })
}

/// The files of the case in a folder.
fn draft(
    folder: &str,
    files: &[TreeFile],
    options: &LayoutOptions,
) -> Result<CaseDraft, LayoutError> {
    let (labels, images): (Vec<_>, Vec<_>) = files.iter().partition(|file| is_label(file, options));
    if labels.len() > 1 {
        return Err(LayoutError::SeveralLabels {
            case: folder.to_owned(),
            files: labels.iter().map(|file| file.path.clone()).collect(),
        });
    }
    let mut draft = CaseDraft {
        label: labels.first().map(|file| file.path.clone()),
        ..CaseDraft::default()
    };
    let of_label = labels.first().and_then(|file| match &options.labels {
        Some(pattern) => pattern.starred(file.name()),
        None => label_case(&file.stem),
    });
    let prefixes = [Some(folder.to_owned()), of_label];
    for image in images {
        let channel = prefixes
            .iter()
            .flatten()
            .find_map(|case| channel_of(&image.stem, case));
        let is_case = prefixes.iter().flatten().any(|case| *case == image.stem);
        let channel = match channel {
            Some(channel) => image_case(channel),
            None if is_case => ONLY_CHANNEL.to_owned(),
            None => image.stem.clone(),
        };
        draft.add(&channel, &image.path);
    }
    Ok(draft)
}
