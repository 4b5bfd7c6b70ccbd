//! Folders with a `dataset.json`: which of its forms it is, and what all forms share.

use vesal_io::image::has_ending;

use super::channels::ChosenChannels;
use super::dataset_json::DatasetJson;
use super::error::LayoutError;
use super::found::{FolderLayout, FoundDataset};
use super::oddity::{Oddity, OddityKind};
use super::options::LayoutOptions;
use super::pairs::{paired, tested};
use super::tree::{ImageTree, TreeFile};
use super::words::{IMAGES, LABELS, TEST_FOLDERS, TEST_LABEL_FOLDERS, numbered_channel};
use super::{decathlon, splits};

pub(super) fn find(tree: &ImageTree, options: &LayoutOptions) -> Result<FoundDataset, LayoutError> {
    let mut json = DatasetJson::read(&tree.root)?;
    if let Some(ending) = json
        .file_ending
        .clone()
        .filter(|ending| !has_ending(&format!("a{ending}")))
    {
        return Err(LayoutError::Ending { found: ending });
    }
    if let Some(value) = json.ignored {
        if !options.ignored_as_background {
            return Err(LayoutError::Ignored { value });
        }
        let about = vec![format!("label {value}")];
        json.oddities
            .push(Oddity::new(OddityKind::IgnoredAsBackground, about));
    }
    let is_numbered = |file: &TreeFile| numbered_channel(&file.stem).is_some();
    let is_listed = |path: &String| tree.root.join(path).is_file();
    let listed = json.training.iter().flat_map(|case| &case.images);
    let mut found = if listed.into_iter().any(is_listed) {
        decathlon::find(tree, &json, options)?
    } else if json.is_nnunet2 || tree.files(IMAGES).iter().any(is_numbered) {
        nnunet(tree, &json, options)?
    } else {
        decathlon::find(tree, &json, options)?
    };
    counts(&json, &mut found);
    found.oddities.append(&mut json.oddities);
    found.name = json.name.take();
    found.classes = Some(json.classes);
    splits::assign(tree, options, &mut found)?;
    Ok(found)
}

/// nnU-Net's files: `imagesTr/CASE_0000.nii.gz`, `labelsTr/CASE.nii.gz`.
fn nnunet(
    tree: &ImageTree,
    json: &DatasetJson,
    options: &LayoutOptions,
) -> Result<FoundDataset, LayoutError> {
    let mut other_endings = Vec::new();
    let mut files = |folder: &str| -> Vec<TreeFile> {
        let (right, wrong): (Vec<_>, Vec<_>) =
            tree.files(folder).iter().cloned().partition(|file| {
                json.file_ending
                    .as_deref()
                    .is_none_or(|ending| file.name().ends_with(ending))
            });
        other_endings.extend(wrong.into_iter().map(|file| file.path));
        right
    };
    let (mut images, labels) = (files(IMAGES), files(LABELS));
    let mut oddities = Vec::new();
    if images.is_empty() {
        let folder = IMAGES.to_owned();
        return Err(LayoutError::EmptyFolder { folder });
    }
    unlisted(json, &mut images, &mut oddities);
    let numbers = numbers(json, options, &images)?;
    let (mut chosen, mut testing) = paired(&images, &labels, options, &numbers)?;
    oddities.append(&mut chosen.oddities);
    if let Some(folder) = tree.subfolder(TEST_FOLDERS) {
        let truth = tree
            .subfolder(TEST_LABEL_FOLDERS)
            .map_or(Vec::new(), &mut files);
        let images = files(folder);
        testing.extend(tested(&images, &truth, &chosen.channels, &mut oddities)?);
    }
    if !other_endings.is_empty() {
        oddities.push(Oddity::new(OddityKind::OtherEnding, other_endings));
    }
    let ChosenChannels {
        channels, cases, ..
    } = chosen;
    Ok(FoundDataset {
        layout: match json.is_nnunet2 {
            true => FolderLayout::NnUnet2,
            false => FolderLayout::NnUnet1,
        },
        name: None,
        channels: channels.iter().map(|number| named(json, number)).collect(),
        in_one_file: false,
        training: cases,
        testing,
        classes: None,
        splits: None,
        oddities,
    })
}

/// Removes images of cases that a list of nnU-Net v1 lacks, and reports cases that are only listed.
fn unlisted(json: &DatasetJson, images: &mut Vec<TreeFile>, oddities: &mut Vec<Oddity>) {
    if json.training.is_empty() {
        return;
    }
    let listed: Vec<String> = json
        .training
        .iter()
        .filter_map(|case| case.label.as_ref().or(case.images.first()))
        .map(|path| vesal_cases::datalist::stem(path))
        .collect();
    let case = |file: &TreeFile| match numbered_channel(&file.stem) {
        Some((case, _)) => case.to_owned(),
        None => file.stem.clone(),
    };
    let absent: Vec<String> = listed
        .iter()
        .filter(|name| !images.iter().any(|file| case(file) == **name))
        .cloned()
        .collect();
    let mut extra = Vec::new();
    images.retain(|file| {
        let is_listed = listed.contains(&case(file));
        if !is_listed {
            extra.push(file.path.clone());
        }
        is_listed
    });
    for (kind, about) in [
        (OddityKind::NotOnDisk, absent),
        (OddityKind::NotListed, extra),
    ] {
        if !about.is_empty() {
            oddities.push(Oddity::new(kind, about));
        }
    }
}

/// The numbers of the wanted channels as in file names.
fn numbers(
    json: &DatasetJson,
    options: &LayoutOptions,
    images: &[TreeFile],
) -> Result<Vec<String>, LayoutError> {
    let number = |at: usize| format!("{at:04}");
    if options.channels.is_empty() {
        let has_numbers = images
            .iter()
            .any(|file| numbered_channel(&file.stem).is_some());
        // One channel may go without a number.
        return Ok(match json.channels.len() {
            1 if !has_numbers => Vec::new(),
            count => (0..count).map(number).collect(),
        });
    }
    let position = |wanted: &String| {
        let mut names = json.channels.iter();
        names
            .position(|name| name.eq_ignore_ascii_case(wanted))
            .map(number)
    };
    let wanted: Option<Vec<String>> = options.channels.iter().map(position).collect();
    wanted.ok_or_else(|| LayoutError::NoChannels {
        wanted: options.channels.clone(),
        found: json.channels.clone(),
    })
}

/// The name of a channel by its number in file names.
fn named(json: &DatasetJson, number: &str) -> String {
    let at: Option<usize> = number.parse().ok();
    let name = match json.channels.as_slice() {
        [only] => Some(only),
        several => at.and_then(|at| several.get(at)),
    };
    name.map_or_else(|| number.to_owned(), Clone::clone)
}

/// Compares the numbers of cases with those that the file states.
fn counts(json: &DatasetJson, found: &mut FoundDataset) {
    let mut about = Vec::new();
    for (key, stated, found) in [
        ("numTraining", json.num_training, found.training.len()),
        ("numTest", json.num_test, found.testing.len()),
    ] {
        if let Some(stated) = stated.filter(|stated| *stated != found as u64) {
            about.push(format!("`{key}` is {stated}, listed are {found}"));
        }
    }
    if !about.is_empty() {
        let kind = OddityKind::OtherCounts;
        found.oddities.push(Oddity::new(kind, about));
    }
}
