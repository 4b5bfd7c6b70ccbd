//! Which channels take which series.

use std::collections::{BTreeMap, BTreeSet};

use vesal_bundle::deploy_plan::Channel;
use vesal_io::dicom::{self, Stack, StatedSeries, UnreadSeries, frames_differ};

use super::choosing::{Choosing, Which};
use super::error::SeriesError;
use crate::candidate::{Candidate, CaseInput, FindError};

/// A stack, and the name of a case whose first channel it is.
pub(super) type Named = (Stack, String);

/// The assignment of stacks to channels.
pub(super) struct Taking<'a> {
    pub channels: &'a [Channel],
    pub choosing: Choosing<'a>,
}

impl Taking<'_> {
    /// Every stack that the channel takes is a case; the others are described.
    pub fn each(&self, channel: &Channel, stacks: Vec<Named>) -> (Vec<Candidate>, Vec<String>) {
        let mut over = Vec::new();
        let mut cases = Vec::new();
        for (stack, name) in stacks {
            if self.takes(channel, &stack) {
                let input = Ok(CaseInput::Stacks(vec![stack]));
                cases.push(Candidate { name, input });
            } else {
                over.push(described(&stack));
            }
        }
        (cases, over)
    }

    /// Every study with a stack that a channel takes is a case; other stacks are described. A case fails if its study
    /// has an unread series that a channel would take; that series is removed from `unread`.
    pub fn studies(
        &self,
        stacks: Vec<Named>,
        unread: &mut Vec<UnreadSeries>,
    ) -> (Vec<Candidate>, Vec<String>) {
        let mut studies: BTreeMap<String, Vec<Named>> = BTreeMap::new();
        for named in stacks {
            let study = studies.entry(named.0.study().to_owned()).or_default();
            study.push(named);
        }
        let mut cases = Vec::new();
        let mut over = Vec::new();
        for (study, stacks) in studies {
            let taken = |channel: &Channel| -> BTreeSet<usize> {
                let stacks = stacks.iter().enumerate();
                stacks
                    .filter(|(_, (stack, _))| self.takes(channel, stack))
                    .map(|(index, _)| index)
                    .collect()
            };
            let taken: Vec<BTreeSet<usize>> = self.channels.iter().map(taken).collect();
            for (index, (stack, _)) in stacks.iter().enumerate() {
                if !taken.iter().any(|taken| taken.contains(&index)) {
                    over.push(described(stack));
                }
            }
            let Some(any) = taken.iter().flatten().next() else {
                continue;
            };
            let first = taken.first().and_then(BTreeSet::first).unwrap_or(any);
            let of_study = |series: &UnreadSeries| series.stated.study.as_ref() == Some(&study);
            let chosen = match unread.iter().position(of_study) {
                Some(index) => Err(SeriesError::Unread {
                    unread: unread.remove(index),
                }),
                None => self.one_each(&study, &stacks, &taken),
            };
            cases.push(Candidate {
                name: stacks[*first].1.clone(),
                input: chosen.map(CaseInput::Stacks).map_err(FindError::from),
            });
        }
        (cases, over)
    }

    /// The stack of each channel.
    fn one_each(
        &self,
        study: &str,
        stacks: &[Named],
        taken: &[BTreeSet<usize>],
    ) -> Result<Vec<Stack>, SeriesError> {
        let describe = |indices: &BTreeSet<usize>| {
            let stacks = indices.iter().map(|&index| described(&stacks[index].0));
            stacks.collect()
        };
        let mut owners: BTreeMap<usize, &Channel> = BTreeMap::new();
        let mut chosen = Vec::new();
        for (channel, taken) in self.channels.iter().zip(taken) {
            let index = match (taken.first(), taken.len()) {
                (Some(&index), 1) => index,
                (None, _) => {
                    return Err(SeriesError::Missing {
                        study: study.to_owned(),
                        channel: channel.name.clone(),
                        found: describe(&(0..stacks.len()).collect()),
                    });
                }
                _ => {
                    let series: BTreeSet<&str> = taken
                        .iter()
                        .map(|&index| stacks[index].0.series())
                        .collect();
                    return Err(SeriesError::Several {
                        study: study.to_owned(),
                        channel: channel.name.clone(),
                        found: describe(taken),
                        phases: series.len() == 1,
                    });
                }
            };
            if let Some(first) = owners.insert(index, channel) {
                return Err(SeriesError::Same {
                    first: first.name.clone(),
                    second: channel.name.clone(),
                    series: stacks[index].0.series().to_owned(),
                });
            }
            chosen.push(stacks[index].0.clone());
        }
        let patients = dicom::patients(&chosen);
        if patients > 1 {
            return Err(SeriesError::Patients {
                study: study.to_owned(),
                patients,
            });
        }
        self.check_frames(study, &chosen)?;
        Ok(chosen)
    }

    /// Channels lie in the first one's frame of reference, including those that were chosen by hand, because choosing a
    /// series does not align it.
    fn check_frames(&self, study: &str, chosen: &[Stack]) -> Result<(), SeriesError> {
        if self.choosing.any_frame_of_reference {
            return Ok(());
        }
        for (channel, stack) in self.channels.iter().zip(chosen).skip(1) {
            let first = chosen[0].frame_of_reference();
            if frames_differ(first, stack.frame_of_reference()) {
                return Err(SeriesError::FrameOfReference {
                    study: study.to_owned(),
                    first: self.channels[0].name.clone(),
                    second: channel.name.clone(),
                });
            }
        }
        Ok(())
    }

    fn by_hand(&self, channel: &Channel) -> impl Iterator<Item = &Which> {
        let of_channel = self
            .choosing
            .series
            .iter()
            .filter(|chosen| chosen.channel == channel.name);
        of_channel.map(|chosen| &chosen.which)
    }

    /// Whether a channel would take a series of which no file can be used. The number of such a series is unknown.
    pub fn takes_unread(&self, series: &StatedSeries) -> bool {
        self.channels.iter().any(|channel| {
            let mut by_hand = self.by_hand(channel).peekable();
            if by_hand.peek().is_some() {
                let mut uids = by_hand.filter_map(|which| match which {
                    Which::Uid(uid) => Some(uid),
                    _ => None,
                });
                return uids.any(|uid| *uid == series.series);
            }
            may_be_of(channel, &series.modality)
                && channel.takes(channel.modality.in_dicom(), series.description.as_deref())
        })
    }

    /// Whether a channel takes a stack: by the user's choice or else by the plan.
    fn takes(&self, channel: &Channel, stack: &Stack) -> bool {
        let (modality, description) = (stack.modality(), stack.description());
        let mut by_hand = self.by_hand(channel).peekable();
        if by_hand.peek().is_none() {
            return channel.takes(modality, description);
        }
        by_hand.any(|which| match which {
            Which::Uid(uid) => stack.series() == uid,
            Which::Number(number) => {
                stack.series_number() == Some(*number) && may_be_of(channel, modality)
            }
            Which::Description(pattern) => {
                let mut of_hand = channel.clone();
                of_hand.series_descriptions = vec![pattern.clone()];
                may_be_of(channel, modality)
                    && of_hand.takes(channel.modality.in_dicom(), description)
            }
        })
    }

    /// Series that were chosen by UID, and are of another modality than the channel.
    pub fn of_other_modality<'b>(&'b self, stack: &'b Stack) -> impl Iterator<Item = String> + 'b {
        let modality = stack.modality();
        let chosen = self.channels.iter().filter(move |channel| {
            let mut by_hand = self.by_hand(channel);
            by_hand.any(|which| matches!(which, Which::Uid(uid) if uid == stack.series()))
                && !may_be_of(channel, modality)
        });
        chosen.map(move |channel| {
            format!(
                "series {} was chosen for channel `{}` by its UID; its modality is {modality}, the channel's is {}",
                stack.series(),
                channel.name,
                channel.modality.in_dicom()
            )
        })
    }
}

/// Whether a series of a modality may be a channel's: where none is stated, only the description counts.
fn may_be_of(channel: &Channel, modality: &str) -> bool {
    let stated = modality.trim();
    stated.is_empty() || stated == channel.modality.in_dicom()
}

/// Describes a stack for a choice: UID, number, modality, slices, and the keys that distinguish it from others of its
/// series.
fn described(stack: &Stack) -> String {
    let number = stack
        .series_number()
        .map_or(String::new(), |number| format!("number {number}, "));
    let modality = match stack.modality() {
        "" => "no modality",
        modality => modality,
    };
    let slices = stack.slices().len();
    let told: Vec<String> = stack
        .distinguishing_keys()
        .iter()
        .map(|(key, value)| format!(", {} {value}", key.name()))
        .collect();
    let series = stack.series();
    let told = told.concat();
    format!("{series} ({number}{modality}, slices: {slices}{told})")
}
