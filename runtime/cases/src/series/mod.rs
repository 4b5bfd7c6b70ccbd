//! From DICOM files to cases: which series are the channels of one.
//!
//! With one channel, every stack of slices that it takes is a case. With several, a study is a case, and each channel
//! must take exactly one of its stacks.

pub(crate) mod choosing;
pub(crate) mod error;
mod taking;

use std::collections::BTreeMap;
use std::path::Path;

use vesal_bundle::deploy_plan::Channel;
use vesal_io::dicom::{self, DicomScan, Stack};

use self::choosing::Choosing;
use self::error::{SeriesError, some};
use self::taking::{Named, Taking};
use crate::candidate::{Candidate, FindError, Found};
use crate::skipped;

/// Makes cases of the DICOM series in files and folders.
pub(crate) fn find(paths: &[&Path], channels: &[Channel], choosing: Choosing) -> Found {
    let scan = match dicom::scan(paths) {
        Ok(scan) => scan,
        Err(error) => {
            let path = error.path().unwrap_or(paths[0]).to_owned();
            return Found {
                candidates: vec![Candidate::failed(&path, SeriesError::from(error).into())],
                notes: Vec::new(),
            };
        }
    };
    let mut found = Found::default();
    let without = paths
        .iter()
        .filter(|path| path.is_dir() && !holds(&scan, path));
    found.candidates.extend(without.map(|&path| {
        let path = path.to_owned();
        Candidate::failed(&path.clone(), FindError::NoImages { path })
    }));
    if !scan.has_dicom() {
        return found;
    }
    let skipped = skipped::told(scan.skipped.iter());
    if scan.stacks.is_empty() {
        let error = SeriesError::Unusable { reasons: skipped };
        let candidate = Candidate::failed(paths[0], error.into());
        found.candidates.push(candidate);
        return found;
    }
    found.notes.extend(skipped);
    found.notes.extend(mixed_studies(&scan.stacks));
    let taking = Taking { channels, choosing };
    let stacks = scan.stacks.iter();
    found
        .notes
        .extend(stacks.flat_map(|stack| taking.of_other_modality(stack)));
    let names = names(&scan.stacks);
    let named: Vec<Named> = scan.stacks.into_iter().zip(names).collect();
    let mut unread = scan.unread;
    unread.retain(|series| taking.takes_unread(&series.stated));
    let (mut cases, over) = match channels {
        [channel] => taking.each(channel, named),
        _ => taking.studies(named, &mut unread),
    };
    cases.extend(unread.into_iter().map(|unread| Candidate {
        name: unread.stated.series.clone(),
        input: Err(SeriesError::Unread { unread }.into()),
    }));
    if cases.is_empty() {
        let names = channels.iter().map(|channel| channel.name.clone());
        let modalities = channels.iter().map(|channel| channel.modality.in_dicom());
        let error = SeriesError::None {
            channels: names.collect(),
            modalities: modalities.collect(),
            found: over,
        };
        let path = paths[0];
        found.candidates.push(Candidate::failed(path, error.into()));
    } else if !over.is_empty() {
        let over = some(&over);
        found
            .notes
            .push(format!("skipped series that no channel takes: {over}"));
    }
    found.candidates.extend(cases);
    found
}

/// Studies whose series name several patients: each result has the patient of its own series.
fn mixed_studies(stacks: &[Stack]) -> Vec<String> {
    let mut studies: BTreeMap<&str, Vec<&Stack>> = BTreeMap::new();
    for stack in stacks {
        studies.entry(stack.study()).or_default().push(stack);
    }
    let mixed = studies.into_iter().filter_map(|(study, stacks)| {
        let patients = dicom::patients(stacks);
        (patients > 1)
            .then(|| format!("series of study {study} name different patients: {patients}"))
    });
    mixed.collect()
}

/// Whether anything below a folder is DICOM.
fn holds(scan: &DicomScan, folder: &Path) -> bool {
    let in_stacks = |stack: &Stack| {
        let mut files = stack.slices().iter().map(dicom::Slice::path);
        files.any(|file| file.starts_with(folder))
    };
    let mut skipped = scan.skipped.iter().filter(|file| file.reason.is_dicom());
    scan.stacks.iter().any(in_stacks) || skipped.any(|file| file.path.starts_with(folder))
}

/// Names for the files of stacks: the UID of the series, with a number appended from the second stack of a series on.
pub fn names(stacks: &[Stack]) -> Vec<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let name = |stack: &Stack, nth: usize| match nth {
        // A UID consists of digits and dots.
        1 => stack.series().to_owned(),
        _ => format!("{}_{nth}", stack.series()),
    };
    stacks
        .iter()
        .map(|stack| {
            let nth = seen.entry(stack.series()).or_insert(0);
            *nth += 1;
            name(stack, *nth)
        })
        .collect()
}
