//! Layouts whose files are paired by name: two folders, and one folder.

use super::channels::{ChosenChannels, choose};
use super::error::LayoutError;
use super::found::{FolderLayout, FoundCase, FoundDataset};
use super::oddity::{Oddity, OddityKind};
use super::options::LayoutOptions;
use super::pairing::pair;
use super::tree::{ImageTree, TreeFile};
use super::words::{
    IMAGE_FOLDERS, LABEL_FOLDERS, ONE_MODALITY, TEST_FOLDERS, TEST_LABEL_FOLDERS, label_case,
};

/// The folders of images and of label maps, where there are both.
pub(super) fn two_folders(tree: &ImageTree, options: &LayoutOptions) -> Option<(String, String)> {
    if let Some(folders) = &options.folders {
        return Some(folders.clone());
    }
    let images = tree.subfolder(IMAGE_FOLDERS)?;
    let labels = tree.subfolder(LABEL_FOLDERS)?;
    let has_files = |folder: &str| !tree.files(folder).is_empty();
    (has_files(images) && has_files(labels)).then(|| (images.to_owned(), labels.to_owned()))
}

/// Images in one folder, label maps in another one.
pub(super) fn in_two_folders(
    tree: &ImageTree,
    (images, labels): (String, String),
    options: &LayoutOptions,
) -> Result<FoundDataset, LayoutError> {
    for folder in [&images, &labels] {
        if tree.files(folder).is_empty() {
            let folder = folder.clone();
            return Err(LayoutError::EmptyFolder { folder });
        }
    }
    let is_label = |file: &&TreeFile| match &options.labels {
        Some(pattern) => pattern.fits(file.name()),
        None => true,
    };
    let maps: Vec<TreeFile> = tree
        .files(&labels)
        .iter()
        .filter(is_label)
        .cloned()
        .collect();
    let (mut chosen, mut testing) = paired(tree.files(&images), &maps, options, &options.channels)?;
    if let Some(folder) = tree.subfolder(TEST_FOLDERS) {
        let truth = tree
            .subfolder(TEST_LABEL_FOLDERS)
            .map_or(&[][..], |folder| tree.files(folder));
        testing.extend(tested(
            tree.files(folder),
            truth,
            &chosen.channels,
            &mut chosen.oddities,
        )?);
    }
    // A folder such as `ct` tells what the images are.
    let name = images.rsplit('/').next().unwrap_or_default();
    if ONE_MODALITY.contains(&name.to_ascii_lowercase().as_str())
        && let [channel] = chosen.channels.as_mut_slice()
    {
        *channel = name.to_owned();
    }
    let used = [images.as_str(), labels.as_str()];
    let used = used.into_iter().chain(tree.subfolder(TEST_FOLDERS));
    let used: Vec<&str> = used.chain(tree.subfolder(TEST_LABEL_FOLDERS)).collect();
    chosen.oddities.extend(other_folders(tree, &used));
    let layout = FolderLayout::TwoFolders {
        images: images.clone(),
        labels: labels.clone(),
    };
    Ok(dataset(layout, chosen, testing))
}

/// Images and label maps in the folder itself.
pub(super) fn in_one_folder(
    tree: &ImageTree,
    options: &LayoutOptions,
) -> Result<FoundDataset, LayoutError> {
    let is_label = |file: &&TreeFile| match &options.labels {
        Some(pattern) => pattern.fits(file.name()),
        None => label_case(&file.stem).is_some(),
    };
    let files = tree.files("").iter();
    let (labels, images): (Vec<_>, Vec<_>) = files.partition(is_label);
    let [labels, images] =
        [labels, images].map(|files| files.into_iter().cloned().collect::<Vec<TreeFile>>());
    let (mut chosen, testing) = paired(&images, &labels, options, &options.channels)?;
    chosen.oddities.extend(other_folders(tree, &[""]));
    Ok(dataset(FolderLayout::OneFolder, chosen, testing))
}

/// Cases with label maps, and those without.
pub(super) fn paired(
    images: &[TreeFile],
    labels: &[TreeFile],
    options: &LayoutOptions,
    wanted: &[String],
) -> Result<(ChosenChannels, Vec<FoundCase>), LayoutError> {
    let mut oddities = Vec::new();
    let drafts = pair(images, labels, options.labels.as_ref())?.without_bare_labels(&mut oddities);
    if drafts.labeled() == 0 {
        let (images, labels) = (images.len(), labels.len());
        return Err(LayoutError::NoPairs { images, labels });
    }
    let mut chosen = choose(drafts, wanted)?;
    oddities.append(&mut chosen.oddities);
    chosen.oddities = oddities;
    let testing = split_off_unlabeled(&mut chosen);
    Ok((chosen, testing))
}

/// Cases to test on, with label maps where there are any.
pub(super) fn tested(
    images: &[TreeFile],
    labels: &[TreeFile],
    channels: &[String],
    oddities: &mut Vec<Oddity>,
) -> Result<Vec<FoundCase>, LayoutError> {
    let mut drafts = pair(images, labels, None)?.without_bare_labels(oddities);
    if let [channel] = channels {
        // The one image of a case is its one channel, whatever its name goes on with.
        for draft in drafts
            .0
            .values_mut()
            .filter(|draft| draft.images.len() == 1)
        {
            let files = std::mem::take(&mut draft.images).into_values();
            draft.images = files.map(|files| (channel.clone(), files)).collect();
        }
    }
    if drafts.0.is_empty() {
        return Ok(Vec::new());
    }
    let mut chosen = choose(drafts, channels)?;
    oddities.append(&mut chosen.oddities);
    Ok(chosen.cases)
}

/// Cases without label maps, which become test cases.
pub(super) fn split_off_unlabeled(chosen: &mut ChosenChannels) -> Vec<FoundCase> {
    let cases = std::mem::take(&mut chosen.cases).into_iter();
    let (labeled, unlabeled): (Vec<_>, Vec<_>) = cases.partition(|case| case.label.is_some());
    chosen.cases = labeled;
    if !unlabeled.is_empty() {
        let names = unlabeled.iter().map(|case| case.images.join(", "));
        let kind = OddityKind::ImagesWithoutLabels;
        chosen.oddities.push(Oddity::new(kind, names.collect()));
    }
    unlabeled
}

/// Folders with images that a layout does not use.
pub(super) fn other_folders(tree: &ImageTree, used: &[&str]) -> Option<Oddity> {
    let others = tree
        .folders()
        .filter(|(folder, files)| !files.is_empty() && !used.contains(folder));
    let others: Vec<String> = others
        .map(|(folder, files)| {
            let folder = if folder.is_empty() { "." } else { folder };
            format!("{folder} ({})", files.len())
        })
        .collect();
    (!others.is_empty()).then(|| Oddity::new(OddityKind::OtherFolders, others))
}

fn dataset(layout: FolderLayout, chosen: ChosenChannels, testing: Vec<FoundCase>) -> FoundDataset {
    FoundDataset {
        layout,
        name: None,
        channels: chosen.channels,
        in_one_file: false,
        training: chosen.cases,
        testing,
        classes: None,
        splits: None,
        oddities: chosen.oddities,
    }
}
