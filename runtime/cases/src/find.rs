//! From paths to cases.
//!
//! With one channel, every image file is a case. With several, a case is one file per channel in one folder, named
//! `CASE_CHANNEL.nii.gz`; a folder may hold many cases. DICOM files of all paths are grouped together: see
//! [`crate::series`].

use std::path::{Path, PathBuf};

use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::Channel;

use crate::candidate::{Candidate, CaseInput, FindError, Found};
use crate::datalist::List;
use crate::datalist::listed::{self, ListError, ListedCase};
use crate::folder::find_in;
use crate::series;
use crate::series::choosing::Choosing;

/// Finds the cases that `paths` name, in their order; the files of a folder are sorted by name.
///
/// A folder without image files is searched for DICOM recursively.
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

/// The cases of a list of a datalist, of the training list only those of `fold` if it is given; images on grids of their
/// own are listed under the names of their channels.
///
/// **Errors**: the datalist cannot be used. A case that lacks an image is not an error but a candidate without files.
pub fn find_listed(
    path: &Path,
    list: List,
    dataroot: Option<&Path>,
    fold: Option<usize>,
    plan: &DeployPlan,
) -> Result<Vec<Candidate>, ListError> {
    let names = plan.channels.iter().map(|channel| channel.name.clone());
    let mut channels: Vec<String> = names.collect();
    let further = channels.split_off(plan.image_channels()[0]);
    let files = |case: ListedCase| {
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
        Ok(CaseInput::Files(files))
    };
    let candidate = |case: ListedCase| Candidate {
        name: case.names().into_iter().next().unwrap_or_default(),
        input: files(case),
    };
    let mut cases = listed::read(path, list, dataroot)?;
    if let (Some(fold), List::Training) = (fold, list) {
        cases.retain(|case| case.fold == Some(fold));
        if cases.is_empty() {
            return Err(ListError::NoFold {
                path: path.to_owned(),
                list: list.key(),
                fold,
            });
        }
    }
    Ok(cases.into_iter().map(candidate).collect())
}

#[cfg(test)]
mod tests {
    use vesal_bundle::deploy_plan::Modality;

    use super::*;

    #[test]
    fn a_bad_path_is_a_failed_case_and_others_stay() {
        let channel = Channel {
            name: "image".into(),
            modality: Modality::Ct,
            series_descriptions: Vec::new(),
        };
        let found = find(
            &["a.nii", "b.nii"].map(|file| Path::new("no-such-folder").join(file)),
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
