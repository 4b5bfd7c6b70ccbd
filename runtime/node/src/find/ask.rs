//! C-FIND as requester: how many instances a series or study has.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Destination, Limits};
use crate::find::identifier::{self, Identifier};
use crate::network::command::{Command, field, status};
use crate::network::requester::{Association, Kind, PeerError};
use crate::network::wire::WireError;
use crate::stop::Stop;

/// The class of searches by study (PS3.4 C.6.2.1).
pub const FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";

/// Implicit little endian, which every peer has.
const IMPLICIT: &str = "1.2.840.10008.1.2";

/// Answers that are taken to one search: instances of a series, as a rule.
const ANSWERS_MAX: usize = 100_000;

/// Bytes of an answer; real ones have some hundred.
const ANSWER_BYTES_MAX: usize = 1 << 14;

/// Time for all searches about a job.
const TIME: Duration = Duration::from_secs(60);

/// Modalities of the objects that are taken in. Studies have others as well, which nobody sends here: reports,
/// segmentations, captures.
const MODALITIES: [&str; 6] = ["CT", "MR", "PT", "XA", "DX", "PX"];

/// What is asked about.
#[derive(Debug)]
pub struct Question<'a> {
    /// UID of the study.
    pub study: &'a str,
    /// UID of the series; `None` for the whole study.
    pub series: Option<&'a str>,
    /// Instances that are here.
    pub instances: usize,
}

/// Why a source did not say how many instances there are. Messages hold no UID of a study.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The source cannot be talked to, or does not search.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// It refused to search.
    #[error("it answered with status {status:04X}")]
    Status {
        /// The status.
        status: u16,
    },
    /// It has no such series or study.
    #[error("it does not know the series or study")]
    Unknown,
}

impl From<WireError> for AskError {
    fn from(error: WireError) -> Self {
        Self::Peer(error.into())
    }
}

impl AskError {
    /// Whether the node itself stops.
    pub fn is_stop(&self) -> bool {
        matches!(self, Self::Peer(PeerError::Wire(WireError::Stopped)))
    }
}

/// Asks how many instances there are: by the number that the source states, or where it states none, by having them
/// listed. Of a study whose number is not what is here, series of images alone are counted.
///
/// **Errors**: [`AskError`].
pub fn count(
    source: &Destination,
    limits: &Limits,
    stop: &Arc<Stop>,
    question: &Question<'_>,
) -> Result<usize, AskError> {
    let kinds: [Kind; 1] = [(FIND.to_owned(), IMPLICIT.to_owned())];
    let limits = Limits {
        association: limits.association.min(TIME),
        ..limits.clone()
    };
    let mut association = Association::open(source, &limits, stop, &kinds)?;
    association.end_with_node();
    let counted = association
        .context(&kinds[0])
        .map_err(AskError::from)
        .and_then(|context| {
            let mut search = Search {
                association: &mut association,
                context,
                message: 0,
            };
            match question.series {
                Some(series) => search.series(question.study, series),
                None => search.study(question.study, question.instances),
            }
        });
    let ended_well = matches!(
        counted,
        Ok(_) | Err(AskError::Unknown | AskError::Status { .. })
    );
    association.close(ended_well);
    counted
}

struct Search<'a, 'b> {
    association: &'a mut Association<'b>,
    context: u8,
    message: u16,
}

impl Search<'_, '_> {
    fn series(&mut self, study: &str, series: &str) -> Result<usize, AskError> {
        let mut keys = Identifier::at("SERIES");
        keys.put(identifier::STUDY, study);
        keys.put(identifier::SERIES, series);
        keys.put(identifier::SERIES_INSTANCES, "");
        let found = self.find(&keys)?;
        // One that does not look at the key answers with others, too.
        let is_ours = |one: &&Identifier| {
            one.is(identifier::STUDY, study) && one.names(identifier::SERIES, series)
        };
        let ours = found.iter().find(is_ours);
        match ours.map(|one| one.number(identifier::SERIES_INSTANCES)) {
            None => Err(AskError::Unknown),
            Some(Some(number)) => Ok(number),
            Some(None) => self.list(study, series),
        }
    }

    fn study(&mut self, study: &str, instances: usize) -> Result<usize, AskError> {
        let mut keys = Identifier::at("STUDY");
        keys.put(identifier::STUDY, study);
        keys.put(identifier::STUDY_INSTANCES, "");
        let found = self.find(&keys)?;
        let ours = found.iter().find(|one| one.names(identifier::STUDY, study));
        match ours.map(|one| one.number(identifier::STUDY_INSTANCES)) {
            None => return Err(AskError::Unknown),
            Some(Some(number)) if number == instances => return Ok(number),
            Some(_) => {}
        }
        let mut keys = Identifier::at("SERIES");
        keys.put(identifier::MODALITY, "");
        keys.put(identifier::STUDY, study);
        keys.put(identifier::SERIES, "");
        keys.put(identifier::SERIES_INSTANCES, "");
        let mut sum = 0_usize;
        let found = self.find(&keys)?;
        for one in found.iter().filter(|one| one.is(identifier::STUDY, study)) {
            let modality = one.text(identifier::MODALITY);
            if modality.is_some_and(|modality| !MODALITIES.contains(&modality)) {
                continue;
            }
            // Which series it is about, an answer has to say (PS3.4 C.2.2.1.1).
            let Some(series) = one.text(identifier::SERIES) else {
                continue;
            };
            let number = match one.number(identifier::SERIES_INSTANCES) {
                Some(number) => number,
                None => self.list(study, series)?,
            };
            sum = sum.saturating_add(number);
        }
        Ok(sum)
    }

    /// Has the instances of a series listed.
    fn list(&mut self, study: &str, series: &str) -> Result<usize, AskError> {
        let mut keys = Identifier::at("IMAGE");
        keys.put(identifier::INSTANCE, "");
        keys.put(identifier::STUDY, study);
        keys.put(identifier::SERIES, series);
        let found = self.find(&keys)?;
        let instances: BTreeSet<&str> = found
            .iter()
            .filter(|one| one.is(identifier::STUDY, study))
            .filter(|one| one.is(identifier::SERIES, series))
            .filter_map(|one| one.text(identifier::INSTANCE))
            .collect();
        if instances.is_empty() {
            return Err(AskError::Unknown);
        }
        Ok(instances.len())
    }

    /// What matches some keys.
    fn find(&mut self, keys: &Identifier) -> Result<Vec<Identifier>, AskError> {
        self.message += 1;
        let command = Command {
            field: field::FIND,
            message: self.message,
            class: FIND.to_owned(),
            has_data: true,
            ..Command::default()
        };
        self.association
            .send(self.context, true, &command.encode())?;
        self.association.send(self.context, false, &keys.encode())?;
        let (mut found, mut last) = (Vec::new(), status::SUCCESS);
        let mut take = |answer: crate::network::requester::Message| {
            let code = answer.command.status.unwrap_or(status::UNREADABLE);
            if !status::PENDING.contains(&code) {
                last = code;
                return Ok(false);
            }
            if found.len() == ANSWERS_MAX {
                return Err(WireError::Malformed("a search has too many answers"));
            }
            found.push(Identifier::decode(&answer.data).ok_or(BROKEN)?);
            Ok(true)
        };
        self.association
            .answers(self.context, &command, ANSWER_BYTES_MAX, &mut take)?;
        match last {
            status::SUCCESS => Ok(found),
            status => Err(AskError::Status { status }),
        }
    }
}

const BROKEN: WireError = WireError::Malformed("an answer to a search cannot be read");
