//! The channels that all cases have.

use std::collections::BTreeMap;

use super::error::LayoutError;
use super::found::FoundCase;
use super::oddity::{Oddity, OddityKind};
use super::pairing::{CaseDrafts, ONLY_CHANNEL};

/// Cases with the same channels.
#[derive(Debug, Default)]
pub(super) struct ChosenChannels {
    pub channels: Vec<String>,
    pub cases: Vec<FoundCase>,
    pub oddities: Vec<Oddity>,
}

/// Chooses the channels that are `wanted`, or else those that most cases with a label map have.
///
/// **Errors**: a case has two files of one channel; as many cases have some channels as have others; no case has the
/// wanted ones.
pub(super) fn choose(drafts: CaseDrafts, wanted: &[String]) -> Result<ChosenChannels, LayoutError> {
    let mut drafts = drafts;
    for (case, draft) in &drafts.0 {
        if let Some((channel, files)) = draft.images.iter().find(|(_, files)| files.len() > 1) {
            return Err(LayoutError::SeveralImages {
                case: case.clone(),
                channel: channel.clone(),
                files: files.clone(),
            });
        }
    }
    if wanted.is_empty() && drafts.0.values().all(|draft| draft.images.len() == 1) {
        // With one image in each case, names of channels are no more than parts of file names.
        let mut names: Vec<&String> = drafts
            .0
            .values()
            .flat_map(|draft| draft.images.keys())
            .collect();
        names.sort();
        names.dedup();
        let name = match names.as_slice() {
            [name] => (*name).clone(),
            _ => ONLY_CHANNEL.to_owned(),
        };
        for draft in drafts.0.values_mut() {
            let files = std::mem::take(&mut draft.images).into_values();
            draft.images = files.map(|files| (name.clone(), files)).collect();
        }
    }
    let channels = match wanted {
        [] => common(&drafts)?,
        wanted => spelled(wanted, &drafts)?,
    };
    let mut chosen = ChosenChannels::default();
    let (mut lacking, mut others) = (Vec::new(), Vec::new());
    for (name, draft) in drafts.0 {
        let files = channels.iter().map(|channel| draft.images.get(channel));
        let files: Option<Vec<&Vec<String>>> = files.collect();
        let unused = draft
            .images
            .iter()
            .filter(|(channel, _)| !channels.contains(channel));
        match files {
            Some(files) => {
                others.extend(unused.flat_map(|(_, files)| files.iter().cloned()));
                chosen.cases.push(FoundCase {
                    images: files.into_iter().flatten().cloned().collect(),
                    name,
                    label: draft.label,
                    patient: draft.patient,
                    fold: None,
                });
            }
            None => {
                let missing: Vec<&str> = channels
                    .iter()
                    .filter(|channel| !draft.images.contains_key(*channel))
                    .map(String::as_str)
                    .collect();
                lacking.push(format!("{name} lacks {}", missing.join(", ")));
            }
        }
    }
    for (kind, about) in [
        (OddityKind::MissingChannels, lacking),
        (OddityKind::OtherImages, others),
    ] {
        if !about.is_empty() {
            chosen.oddities.push(Oddity::new(kind, about));
        }
    }
    chosen.channels = channels;
    Ok(chosen)
}

/// The channels that most cases with a label map have.
fn common(drafts: &CaseDrafts) -> Result<Vec<String>, LayoutError> {
    let mut sets: BTreeMap<Vec<&String>, usize> = BTreeMap::new();
    let any = drafts.labeled() == 0;
    for draft in drafts
        .0
        .values()
        .filter(|draft| any || draft.label.is_some())
    {
        *sets.entry(draft.images.keys().collect()).or_default() += 1;
    }
    let most = sets.values().max().copied().unwrap_or_default();
    let mut best = sets.iter().filter(|(_, count)| **count == most);
    match (best.next(), best.next()) {
        (Some((set, _)), None) => Ok(set.iter().map(|name| (*name).clone()).collect()),
        _ => {
            let described = |(set, count): (&Vec<&String>, &usize)| {
                let names: Vec<&str> = set.iter().map(|name| name.as_str()).collect();
                format!("{count} with {}", names.join(", "))
            };
            let sets = sets.iter().take(6).map(described).collect();
            Err(LayoutError::ChannelSets { sets })
        }
    }
}

/// The wanted channels as the files spell them.
fn spelled(wanted: &[String], drafts: &CaseDrafts) -> Result<Vec<String>, LayoutError> {
    let mut found: Vec<&String> = drafts
        .0
        .values()
        .flat_map(|draft| draft.images.keys())
        .collect();
    found.sort();
    found.dedup();
    let spelled = wanted.iter().map(|name| {
        let exact = found.iter().find(|known| *known == &name);
        let any_case = || found.iter().find(|known| known.eq_ignore_ascii_case(name));
        exact.or_else(any_case).map(|name| (*name).clone())
    });
    let channels: Option<Vec<String>> = spelled.collect();
    channels.ok_or_else(|| LayoutError::NoChannels {
        wanted: wanted.to_vec(),
        found: found.into_iter().cloned().collect(),
    })
}
