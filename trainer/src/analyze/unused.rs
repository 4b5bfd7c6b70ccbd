//! Label maps in the dataset's folders that no case uses and that have no image.

use std::collections::BTreeSet;
use std::path::Path;

use vesal_cases::datalist::{Case, stem};

use super::findings::{Finding, FindingKind};

/// Finds label maps without an image in the folders of the cases' label maps.
///
/// **Definition**: a label map belongs to an image if the name of one begins with the name of the other. Folders are
/// searched only where all cases follow this rule and images are in other folders than label maps; elsewhere names are
/// no evidence.
pub(super) fn labels_without_image(cases: &[Case], dataroot: &Path) -> Option<Finding> {
    let pairs: Vec<(&String, &String)> = cases
        .iter()
        .filter_map(|case| Some((case.images.first()?, case.label.as_ref()?)))
        .collect();
    let belong = |a: &str, b: &str| a.starts_with(b) || b.starts_with(a);
    if !pairs
        .iter()
        .all(|(image, label)| belong(&stem(image), &stem(label)))
    {
        return None;
    }
    let image_folders: BTreeSet<&str> = pairs.iter().map(|(image, _)| folder(image)).collect();
    let label_folders: BTreeSet<&str> = pairs.iter().map(|(_, label)| folder(label)).collect();
    if !image_folders.is_disjoint(&label_folders) {
        return None;
    }
    let used: BTreeSet<&String> = cases
        .iter()
        .filter_map(|case| case.label.as_ref())
        .collect();
    let images: Vec<String> = image_folders
        .iter()
        .flat_map(|folder| image_files(dataroot, folder))
        .map(|file| stem(&file))
        .collect();
    let files: Vec<String> = label_folders
        .iter()
        .flat_map(|folder| image_files(dataroot, folder))
        .filter(|file| !used.contains(file))
        .filter(|file| images.iter().all(|image| !belong(image, &stem(file))))
        .collect();
    let count = files.len();
    (count > 0).then(|| {
        let these = match files.as_slice() {
            [file] => format!("`{file}` has"),
            files => format!("{count} label maps, `{}` among them, have", files[0]),
        };
        Finding {
            files,
            ..Finding::about_dataset(
                FindingKind::LabelWithoutImage,
                format!(
                    "{these} no image, and no case uses {}",
                    if count == 1 { "it" } else { "them" }
                ),
            )
        }
    })
}

/// The folder of a file; `""` is the data root.
fn folder(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// Image files of a folder in order, relative to the data root; none where the folder cannot be read.
fn image_files(dataroot: &Path, folder: &str) -> Vec<String> {
    let Ok(entries) = dataroot.join(folder).read_dir() else {
        return Vec::new();
    };
    let mut files: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.') && stem(name) != *name)
        .map(|name| {
            if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            }
        })
        .collect();
    files.sort_unstable();
    files
}
