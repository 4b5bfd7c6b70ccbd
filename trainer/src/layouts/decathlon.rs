//! The Medical Segmentation Decathlon: `dataset.json` lists the files.

use std::collections::BTreeSet;

use super::dataset_json::DatasetJson;
use super::error::LayoutError;
use super::found::{FolderLayout, FoundCase, FoundDataset};
use super::listed_files::ListedFiles;
use super::oddity::{Oddity, OddityKind};
use super::options::LayoutOptions;
use super::tree::ImageTree;
use super::words::{IMAGES, LABELS, TEST_FOLDERS};

pub(super) fn find(
    tree: &ImageTree,
    json: &DatasetJson,
    options: &LayoutOptions,
) -> Result<FoundDataset, LayoutError> {
    if !options.channels.is_empty() {
        return Err(LayoutError::NoChannels {
            wanted: options.channels.clone(),
            found: json.channels.clone(),
        });
    }
    let is_file = |path: &String| tree.root.join(path).is_file();
    let case = |images: &[String], label: Option<&String>| FoundCase {
        name: images
            .first()
            .map(|path| vesal_cases::datalist::stem(path))
            .unwrap_or_default(),
        images: images.to_vec(),
        label: label.cloned(),
        ..FoundCase::default()
    };
    let mut found = FoundDataset {
        layout: match json.is_nnunet2 {
            true => FolderLayout::NnUnet2,
            false => FolderLayout::Decathlon,
        },
        name: None,
        channels: json.channels.clone(),
        in_one_file: false,
        training: Vec::new(),
        testing: Vec::new(),
        classes: None,
        splits: None,
        oddities: Vec::new(),
    };
    let (mut absent, mut unlabeled) = (Vec::new(), Vec::new());
    for ListedFiles { images, label } in &json.training {
        let missing: Vec<&String> = images.iter().filter(|path| !is_file(path)).collect();
        if !missing.is_empty() || images.is_empty() {
            absent.extend(missing.into_iter().cloned());
            continue;
        }
        match label.as_ref().filter(|path| is_file(path)) {
            Some(label) => found.training.push(case(images, Some(label))),
            None => {
                unlabeled.extend(images.iter().cloned());
                found.testing.push(case(images, None));
            }
        }
    }
    for image in &json.test {
        match is_file(image) {
            true => found.testing.push(case(std::slice::from_ref(image), None)),
            false => absent.push(image.clone()),
        }
    }
    if found.training.is_empty() {
        return Err(LayoutError::NoPairs {
            images: found.testing.len(),
            labels: tree.files(LABELS).len(),
        });
    }
    found.in_one_file = json.channels.len() > 1 && found.training[0].images.len() == 1;
    for (kind, about) in [
        (OddityKind::NotOnDisk, absent),
        (OddityKind::ImagesWithoutLabels, unlabeled),
        (OddityKind::NotListed, unlisted(tree, json)),
    ] {
        if !about.is_empty() {
            found.oddities.push(Oddity::new(kind, about));
        }
    }
    Ok(found)
}

/// Files in the folders of the layout that `dataset.json` does not list.
fn unlisted(tree: &ImageTree, json: &DatasetJson) -> Vec<String> {
    let training = json.training.iter();
    let listed: BTreeSet<&String> = training
        .flat_map(|case| case.images.iter().chain(&case.label))
        .chain(&json.test)
        .collect();
    let folders = [IMAGES, LABELS]
        .into_iter()
        .chain(tree.subfolder(TEST_FOLDERS));
    let files = folders.flat_map(|folder| tree.files(folder));
    files
        .map(|file| &file.path)
        .filter(|path| !listed.contains(path))
        .cloned()
        .collect()
}
