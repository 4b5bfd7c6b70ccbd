//! From paths to cases.
//!
//! With one channel, every image file is a case. With several, a case is one file per channel in one folder, named
//! `CASE_CHANNEL.nii.gz`; a folder may hold many cases. What is DICOM is looked at together, wherever it lies: see
//! [`super::series`].

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::Channel;
use vesal_io::dicom::Stack;
use vesal_io::image::{case_name, format_names, has_ending};
use vesal_io::sniff::{self, Content};

use super::series::{self, Choosing, SeriesError};
use crate::cli::DatalistPart;
use crate::datalist::{self, DatalistError, Listed};

/// What was asked for.
#[derive(Debug, Default)]
pub struct Found {
    /// The cases, in the order of the paths.
    pub candidates: Vec<Candidate>,
    /// What was found and is part of no case.
    pub notes: Vec<String>,
}

/// A case that was asked for, or why there is none.
#[derive(Debug)]
pub struct Candidate {
    /// What its outputs are named after.
    pub name: String,
    /// What it is read from.
    pub input: Result<Input, FindError>,
}

/// What a case is read from, in the order of the channels.
#[derive(Debug)]
pub enum Input {
    /// An image file for each channel.
    Files(Vec<PathBuf>),
    /// DICOM slices for each channel.
    Stacks(Vec<Stack>),
}

/// Why a path is no case.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The path does not exist or may not be read.
    #[error("cannot read `{}`: {reason}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system answered.
        reason: io::Error,
    },
    /// A path without a name, such as `..` or `.nii.gz`.
    #[error("`{}` gives no name to call its output after", path.display())]
    NoName {
        /// The path.
        path: PathBuf,
    },
    /// DICOM files from which no case can be made.
    #[error(transparent)]
    Series(#[from] SeriesError),
    /// A folder of which no one can say what is meant.
    #[error("folder `{}` holds {} and DICOM files, expected one of them", path.display(), format_names())]
    Both {
        /// The folder.
        path: PathBuf,
    },
    /// A folder without images.
    #[error("folder `{}` has no {} files, and no DICOM files in it or below", path.display(), format_names())]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// One file where a folder with several is needed.
    #[error("`{}` is one file, the bundle expects {} channels: {}", path.display(), channels.len(), list(channels))]
    OneFile {
        /// The file.
        path: PathBuf,
        /// Names of the bundle's channels.
        channels: Vec<String>,
    },
    /// No file of the folder is named after a channel.
    #[error("no {} file in `{}` is named after a channel of the bundle: {}", format_names(), path.display(), list(channels))]
    NoChannels {
        /// The folder.
        path: PathBuf,
        /// Names of the bundle's channels.
        channels: Vec<String>,
    },
    /// A case without one of the channels.
    #[error("channel `{channel}` is absent, expected `{}`", expected.display())]
    MissingChannel {
        /// Name of the channel.
        channel: String,
        /// The file that was looked for.
        expected: PathBuf,
    },
    /// A case of a datalist with too few or too many images.
    #[error("the datalist gives {found} images under `image`, the bundle expects {}: {}", channels.len(), list(channels))]
    ListedImages {
        /// How many there are.
        found: usize,
        /// Names of the channels on the first grid.
        channels: Vec<String>,
    },
    /// A case of a datalist without one of the further images.
    #[error("the datalist gives no image under `{channel}`, which the bundle expects")]
    NotListed {
        /// Name of the channel.
        channel: String,
    },
    /// Two files for one channel, such as `a_t1.nii` and `a_t1.nii.gz`.
    #[error("channel `{channel}` has two files, `{}` and `{}`", first.display(), second.display())]
    TwoFiles {
        /// Name of the channel.
        channel: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
}

impl FindError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::OneFile { channels, .. } | Self::NoChannels { channels, .. } => {
                let names: Vec<_> = channels
                    .iter()
                    .map(|name| format!("`CASE_{name}.nii.gz`"))
                    .collect();
                Some(format!(
                    "put the files of a case into a folder as {} and give the folder",
                    names.join(", ")
                ))
            }
            Self::NoImages { .. } => Some(format!(
                "subfolders are not searched for {} files: give the folder that holds them",
                format_names()
            )),
            Self::Both { .. } => Some(format!(
                "give the {} files one by one, or move them out of the way of the DICOM files",
                format_names()
            )),
            Self::TwoFiles { .. } => Some("remove one of them".into()),
            Self::Series(error) => error.hint(),
            _ => None,
        }
    }
}

/// Finds the cases that `paths` name, in their order; the files of a folder are sorted by name.
///
/// A folder without image files is searched for DICOM, with all that is below it.
pub fn find(paths: &[PathBuf], channels: &[Channel], choosing: Choosing) -> Found {
    let names: Vec<String> = channels
        .iter()
        .map(|channel| channel.name.clone())
        .collect();
    let mut found = Found::default();
    let mut dicom: Vec<&Path> = Vec::new();
    let mut place = 0;
    for path in paths {
        match find_in(path, &names) {
            Some(candidates) => found.candidates.extend(candidates),
            None => {
                if dicom.is_empty() {
                    place = found.candidates.len();
                }
                dicom.push(path);
            }
        }
    }
    if !dicom.is_empty() {
        let Found { candidates, notes } = series::find(&dicom, channels, choosing);
        found.candidates.splice(place..place, candidates);
        found.notes.extend(notes);
    } else if !choosing.series.is_empty() {
        let note = "`--series` chooses among DICOM series, and no input is DICOM";
        found.notes.push(note.into());
    }
    found
}

/// The cases of a list of a datalist; images on grids of their own stand under the names of their channels.
///
/// **Errors**: the datalist cannot be used. A case that lacks an image is no error but a candidate without files.
pub fn find_listed(
    path: &Path,
    part: DatalistPart,
    dataroot: Option<&Path>,
    plan: &DeployPlan,
) -> Result<Vec<Candidate>, DatalistError> {
    let names = plan.channels.iter().map(|channel| channel.name.clone());
    let mut channels: Vec<String> = names.collect();
    let further = channels.split_off(plan.image_channels()[0]);
    let files = |case: Listed| {
        if case.images.len() != channels.len() {
            return Err(FindError::ListedImages {
                found: case.images.len(),
                channels: channels.clone(),
            });
        }
        let mut files = case.images;
        for channel in &further {
            let file = case.further.get(channel);
            files.push(file.cloned().ok_or_else(|| FindError::NotListed {
                channel: channel.clone(),
            })?);
        }
        Ok(Input::Files(files))
    };
    let candidate = |case: Listed| Candidate {
        name: case.names().into_iter().next().unwrap_or_default(),
        input: files(case),
    };
    let cases = datalist::read(path, part, dataroot)?;
    Ok(cases.into_iter().map(candidate).collect())
}

/// The cases at a path; `None` where it may be DICOM.
fn find_in(path: &Path, channels: &[String]) -> Option<Vec<Candidate>> {
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

impl Candidate {
    /// What was asked for at a path, and is no case.
    pub(super) fn failed(path: &Path, error: FindError) -> Self {
        Self {
            name: case_name(path).unwrap_or_else(|| path.display().to_string()),
            input: Err(error),
        }
    }
}

fn single(path: PathBuf) -> Candidate {
    match case_name(&path) {
        Some(name) => Candidate {
            name,
            input: Ok(Input::Files(vec![path])),
        },
        None => Candidate::failed(&path.clone(), FindError::NoName { path }),
    }
}

/// The files of a folder that are images by their first bytes or by their names, sorted; hidden ones are left out.
///
/// A file that only its name declares is damaged: it is to fail, not to be missing without a word.
pub fn images_in(folder: &Path) -> Result<Vec<PathBuf>, FindError> {
    Ok(Contents::of(folder)?.images)
}

/// What a folder itself holds.
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

/// Groups images by what stands before `_CHANNEL` in their names; images of no channel belong to no case.
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
        // Of `contrast` and `late_contrast`, the longer name is meant.
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
        files.collect::<Result<_, _>>().map(Input::Files)
    };
    by_case
        .into_iter()
        .map(|(name, found)| Candidate {
            input: complete(&name, found),
            name,
        })
        .collect()
}

pub(super) fn list(names: &[String]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use vesal_bundle::deploy_plan::Modality;

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
        let Ok(Input::Files(files)) = &cases[0].input else {
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

    #[test]
    fn a_bad_path_is_a_failed_case_and_others_stay() {
        let channel = Channel {
            name: "image".into(),
            modality: Modality::Ct,
            series_descriptions: Vec::new(),
        };
        let found = find(
            &paths("no-such-folder", &["a.nii", "b.nii"]),
            &[channel],
            Choosing::default(),
        )
        .candidates;
        assert_eq!(
            found
                .iter()
                .map(|case| case.name.as_str())
                .collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert!(
            found
                .iter()
                .all(|case| matches!(case.input, Err(FindError::Unreadable { .. })))
        );
    }
}
