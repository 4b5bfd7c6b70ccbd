//! Cases among files and folders of images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use vesal_io::image::{case_name, has_ending};
use vesal_io::sniff::{self, Content};

use crate::candidate::{Candidate, CaseInput, FindError};

/// The cases at a path; `None` where it may be DICOM.
pub(crate) fn find_in(path: &Path, channels: &[String]) -> Option<Vec<Candidate>> {
    let failed = |error| Some(vec![Candidate::failed(path, error)]);
    let unreadable = |reason| FindError::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(reason) => return failed(unreadable(reason)),
    };
    if metadata.is_dir() {
        let Contents { images, has_dicom } = match Contents::of(path) {
            Ok(contents) => contents,
            Err(error) => return failed(error),
        };
        if images.is_empty() {
            return None;
        }
        if has_dicom {
            return failed(FindError::Both {
                path: path.to_owned(),
            });
        }
        if channels.len() == 1 {
            return Some(images.into_iter().map(single).collect());
        }
        let cases = group(path, images, channels);
        if cases.is_empty() {
            return failed(FindError::NoChannels {
                path: path.to_owned(),
                channels: channels.to_vec(),
            });
        }
        return Some(cases);
    }
    if sniff::sniff(path).is_ok_and(|found| found.content == Content::Dicom) {
        None
    } else if channels.len() == 1 {
        Some(vec![single(path.to_owned())])
    } else {
        failed(FindError::OneFile {
            path: path.to_owned(),
            channels: channels.to_vec(),
        })
    }
}

fn single(path: PathBuf) -> Candidate {
    match case_name(&path) {
        Some(name) => Candidate {
            name,
            input: Ok(CaseInput::Files(vec![path])),
        },
        None => Candidate::failed(&path.clone(), FindError::NoName { path }),
    }
}

/// The files of a folder that are images by their first bytes or by their names, sorted; hidden ones are left out.
///
/// A file that is an image by its name alone is damaged: its case fails, instead of being left out silently.
pub fn images_in(folder: &Path) -> Result<Vec<PathBuf>, FindError> {
    Ok(Contents::of(folder)?.images)
}

/// Content of a folder, without subfolders.
struct Contents {
    /// See [`images_in`].
    images: Vec<PathBuf>,
    /// Whether any file is DICOM.
    has_dicom: bool,
}

impl Contents {
    fn of(folder: &Path) -> Result<Self, FindError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |reason| FindError::Unreadable { path, reason }
        };
        let mut images = Vec::new();
        let mut has_dicom = false;
        for entry in folder.read_dir().map_err(unreadable(folder))? {
            let entry = entry.map_err(unreadable(folder))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = entry.path();
            if !path.is_file() {
                continue;
            }
            let content = sniff::sniff(&path).map(|found| found.content);
            has_dicom |= matches!(content, Ok(Content::Dicom));
            if name.starts_with('.') {
                continue;
            }
            if has_ending(&name) || matches!(content.map_err(unreadable(&path))?, Content::Image(_))
            {
                images.push(path);
            }
        }
        images.sort();
        Ok(Self { images, has_dicom })
    }
}

/// Groups images by the part of their names before `_CHANNEL`; images of no channel belong to no case.
fn group(folder: &Path, images: Vec<PathBuf>, channels: &[String]) -> Vec<Candidate> {
    let mut by_case: BTreeMap<String, BTreeMap<usize, Vec<PathBuf>>> = BTreeMap::new();
    for image in images {
        let Some(stem) = case_name(&image) else {
            continue;
        };
        let matching = channels.iter().enumerate().filter_map(|(index, channel)| {
            let case = stem.strip_suffix(channel.as_str())?.strip_suffix('_')?;
            (!case.is_empty()).then_some((channel.len(), index, case))
        });
        // Of `contrast` and `late_contrast`, the longer name is used.
        if let Some((_, index, case)) = matching.max() {
            by_case
                .entry(case.to_owned())
                .or_default()
                .entry(index)
                .or_default()
                .push(image);
        }
    }
    let complete = |case: &str, mut found: BTreeMap<usize, Vec<PathBuf>>| {
        let take = |(index, channel): (usize, &String)| {
            let mut files = found.remove(&index).unwrap_or_default().into_iter();
            match (files.next(), files.next()) {
                (Some(file), None) => Ok(file),
                (Some(first), Some(second)) => Err(FindError::TwoFiles {
                    channel: channel.clone(),
                    first,
                    second,
                }),
                (None, _) => {
                    let expected = folder.join(format!("{case}_{channel}.nii.gz"));
                    Err(FindError::MissingChannel {
                        channel: channel.clone(),
                        expected,
                    })
                }
            }
        };
        let files = channels.iter().enumerate().map(take);
        files.collect::<Result<_, _>>().map(CaseInput::Files)
    };
    by_case
        .into_iter()
        .map(|(name, found)| Candidate {
            input: complete(&name, found),
            name,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.to_owned()).collect()
    }

    fn paths(folder: &str, files: &[&str]) -> Vec<PathBuf> {
        files
            .iter()
            .map(|file| Path::new(folder).join(file))
            .collect()
    }

    #[test]
    fn files_are_grouped_by_what_stands_before_the_channel() {
        let channels = names(&["t2", "late_t2"]);
        let images = paths(
            "in",
            &[
                "a_late_t2.nii.gz",
                "a_seg.nii.gz",
                "a_t2.nii.gz",
                "b_1_t2.nii",
            ],
        );
        let cases = group(Path::new("in"), images, &channels);
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].name, "a");
        let Ok(CaseInput::Files(files)) = &cases[0].input else {
            panic!("{:?}", cases[0]);
        };
        assert_eq!(files, &paths("in", &["a_t2.nii.gz", "a_late_t2.nii.gz"]));
        assert_eq!(cases[1].name, "b_1");
        let error = cases[1].input.as_ref().unwrap_err();
        assert_eq!(
            error.to_string(),
            "channel `late_t2` is absent, expected `in/b_1_late_t2.nii.gz`"
        );
    }

    #[test]
    fn two_files_of_one_channel_are_refused() {
        let images = paths("in", &["a_t1.nii", "a_t1.nii.gz", "a_t2.nii"]);
        let cases = group(Path::new("in"), images, &names(&["t1", "t2"]));
        assert!(matches!(
            &cases[..],
            [Candidate {
                input: Err(FindError::TwoFiles { .. }),
                ..
            }]
        ));
    }
}
