//! From DICOM files to cases: which series are the channels of one.
//!
//! With one channel, every stack of slices that it takes is a case. With several, a study is a case, and each channel
//! must take exactly one of its stacks.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use vesal_bundle::deploy_plan::Channel;
use vesal_io::dicom::{
    self, DicomError, DicomScan, Stack, StatedSeries, UnreadSeries, frames_differ,
};

use super::find::{Candidate, FindError, Found, Input, list};
use crate::skipped;

/// Series that a message lists before it counts.
const LISTED: usize = 6;

/// A series that was chosen by hand for a channel: `CHANNEL=WHICH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenSeries {
    /// Name of the channel.
    pub channel: String,
    /// Which series.
    pub which: Which,
}

/// What the user says about series.
#[derive(Debug, Clone, Copy, Default)]
pub struct Choosing<'a> {
    /// Which series are which channels, by hand.
    pub series: &'a [ChosenSeries],
    /// Whether the series of a case may lie in different frames of reference.
    pub any_frame_of_reference: bool,
}

/// How a series is chosen by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// By its UID, whatever made it.
    Uid(String),
    /// By its number, among those of the channel's modality.
    Number(i64),
    /// By a pattern of its description, among those of the channel's modality.
    Description(String),
}

impl FromStr for ChosenSeries {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (channel, which) = match text.split_once('=') {
            Some((channel, which)) if !channel.trim().is_empty() && !which.trim().is_empty() => {
                (channel.trim(), which.trim())
            }
            _ => return Err("expected CHANNEL=SERIES, as in `t1=*T1*`, `t1=4` or `t1=1.2.840.7`"),
        };
        let is_uid = |text: &str| {
            text.contains('.')
                && text
                    .bytes()
                    .all(|byte| byte == b'.' || byte.is_ascii_digit())
        };
        let which = match which.parse() {
            Ok(number) => Which::Number(number),
            Err(_) if is_uid(which) => Which::Uid(which.to_owned()),
            Err(_) => Which::Description(which.to_owned()),
        };
        Ok(Self {
            channel: channel.to_owned(),
            which,
        })
    }
}

/// Why no case can be made of DICOM files. Series are named by UID and modality, never by texts of their operators.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// The files cannot be looked at.
    #[error(transparent)]
    Dicom(#[from] DicomError),
    /// No file is a slice that can be used.
    #[error("no DICOM file holds a slice that can be used: {}", some(reasons))]
    Unusable {
        /// Why not, with files.
        reasons: Vec<String>,
    },
    /// A series of which no file can be used.
    #[error(
        "no file of series {} can be used; there are {}, the first of them is `{}`",
        unread.stated.series,
        unread.files.len(),
        unread.files[0].display()
    )]
    Unread {
        /// The series.
        unread: UnreadSeries,
    },
    /// No series is one of the bundle's.
    #[error(
        "no series is taken by {} (modality {}); there are {}",
        list(channels),
        modalities.iter().copied().collect::<Vec<_>>().join(", "),
        some(found)
    )]
    None {
        /// Names of the channels.
        channels: Vec<String>,
        /// Their modalities, each once.
        modalities: BTreeSet<&'static str>,
        /// The series that there are.
        found: Vec<String>,
    },
    /// A study without a series for one of the channels.
    #[error(
        "no series of study {study} is taken by channel `{channel}`; there are {}",
        some(found)
    )]
    Missing {
        /// UID of the study.
        study: String,
        /// The channel.
        channel: String,
        /// The series that there are.
        found: Vec<String>,
    },
    /// Several series for one channel.
    #[error("channel `{channel}` takes {} series of study {study}: {}", found.len(), some(found))]
    Several {
        /// UID of the study.
        study: String,
        /// The channel.
        channel: String,
        /// The series that it takes.
        found: Vec<String>,
        /// Whether they are parts of one series.
        phases: bool,
    },
    /// One series for two channels.
    #[error("channels `{first}` and `{second}` both take series {series}")]
    Same {
        /// A channel.
        first: String,
        /// Another.
        second: String,
        /// UID of the series.
        series: String,
    },
    /// Series of different patients under the UID of one study.
    #[error(
        "series that are channels of study {study} name different patients: {patients}; expected one"
    )]
    Patients {
        /// UID of the study.
        study: String,
        /// How many, at least.
        patients: usize,
    },
    /// Series whose places nothing relates.
    #[error(
        "series of channels `{first}` and `{second}` have different frames of reference, expected one for all channels of study {study}"
    )]
    FrameOfReference {
        /// UID of the study.
        study: String,
        /// The first channel.
        first: String,
        /// The deviating one.
        second: String,
    },
}

impl SeriesError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        let choose = |channel: &str| {
            format!(
                "`vesal inspect` lists the series; choose one with `--series {channel}=UID`, or by number or description"
            )
        };
        match self {
            Self::Dicom(error) => error.hint().map(str::to_owned),
            Self::Unusable { .. } | Self::Unread { .. } => {
                Some("`vesal inspect` lists every file with its reason".to_owned())
            }
            Self::None { channels, .. } => Some(choose(channels.first()?)),
            Self::Several { phases: true, .. } => {
                Some("give only the files of one phase or acquisition".to_owned())
            }
            Self::Missing { channel, .. } | Self::Several { channel, .. } => Some(choose(channel)),
            Self::Same { second, .. } => Some(choose(second)),
            Self::Patients { .. } => Some(
                "give only the files of one patient; if the patient's name or ID was corrected, export all series of the study again".to_owned(),
            ),
            Self::FrameOfReference { .. } => Some(
                "if somebody has made sure that they are aligned all the same, pass `--any-frame-of-reference`: results will say so".to_owned(),
            ),
        }
    }
}

/// Makes cases of what files and folders hold.
pub(super) fn find(paths: &[&Path], channels: &[Channel], choosing: Choosing) -> Found {
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
            .push(format!("series that no channel takes, passed over: {over}"));
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

/// A stack and what a case is called whose first channel it is.
type Named = (Stack, String);

/// Whether anything below a folder is DICOM.
fn holds(scan: &DicomScan, folder: &Path) -> bool {
    let in_stacks = |stack: &Stack| {
        let mut files = stack.slices().iter().map(dicom::Slice::path);
        files.any(|file| file.starts_with(folder))
    };
    let mut skipped = scan.skipped.iter().filter(|file| file.reason.is_dicom());
    scan.stacks.iter().any(in_stacks) || skipped.any(|file| file.path.starts_with(folder))
}

/// Names for the files of stacks: the UID of the series, and a number behind it from the second stack of a series on.
pub fn names(stacks: &[Stack]) -> Vec<String> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let name = |stack: &Stack, nth: usize| match nth {
        // Of a UID there are digits and dots alone.
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

/// Which channels take what.
struct Taking<'a> {
    channels: &'a [Channel],
    choosing: Choosing<'a>,
}

impl Taking<'_> {
    /// Every stack that the channel takes is a case; the others are described.
    fn each(&self, channel: &Channel, stacks: Vec<Named>) -> (Vec<Candidate>, Vec<String>) {
        let mut over = Vec::new();
        let mut cases = Vec::new();
        for (stack, name) in stacks {
            if self.takes(channel, &stack) {
                let input = Ok(Input::Stacks(vec![stack]));
                cases.push(Candidate { name, input });
            } else {
                over.push(described(&stack));
            }
        }
        (cases, over)
    }

    /// Every study of which a channel takes something is a case; what no channel takes is described. A case fails whose
    /// study has one of the unread series, which is removed from these.
    fn studies(
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
                input: chosen.map(Input::Stacks).map_err(FindError::from),
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

    /// Channels lie in the first one's frame of reference, also those that were chosen by hand: that a series is the
    /// one that is meant does not say where it lies.
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

    /// Whether a channel would take a series of which no file can be used. Its number is not known.
    fn takes_unread(&self, series: &StatedSeries) -> bool {
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

    /// Whether a channel takes a stack: by hand, and otherwise by the plan.
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
    fn of_other_modality<'b>(&'b self, stack: &'b Stack) -> impl Iterator<Item = String> + 'b {
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

/// Whether a series of a modality may be a channel's: where none is stated, the description is all that there is.
fn may_be_of(channel: &Channel, modality: &str) -> bool {
    let stated = modality.trim();
    stated.is_empty() || stated == channel.modality.in_dicom()
}

/// A stack for those who have to choose: UID, number, modality, slices, and what tells it from others of its series.
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

/// The first few of a list.
fn some(found: &[String]) -> String {
    let listed = found.iter().take(LISTED).cloned().collect::<Vec<_>>();
    let more = match found.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", listed.join(", "))
}
