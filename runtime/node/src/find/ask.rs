//! C-FIND as requester: the number of instances of a series or study.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{NodeLimits, Peer};
use crate::find::identifier::{self, Identifier};
use crate::network::command::{CommandSet, field, status};
use crate::network::error::ConnectionError;
use crate::network::requester::{Association, ClassAndSyntax, PeerError};
use crate::stop::Stop;

/// The class of searches by study (PS3.4 C.6.2.1).
pub const FIND: &str = "1.2.840.10008.5.1.4.1.2.2.1";

/// Implicit VR Little Endian, which every peer supports.
const IMPLICIT: &str = "1.2.840.10008.1.2";

/// Most answers to one query: instances of a series, as a rule.
const ANSWERS_MAX: usize = 100_000;

/// Longest answer in bytes; real ones have some hundred.
const ANSWER_BYTES_MAX: usize = 1 << 14;

/// Time limit for all queries about a job.
const TIME: Duration = Duration::from_secs(60);

/// Modalities of the objects that are accepted. Studies have others as well, which are not sent here: reports,
/// segmentations, captures.
const MODALITIES: [&str; 6] = ["CT", "MR", "PT", "XA", "DX", "PX"];

/// A query for the number of instances.
#[derive(Debug)]
pub struct CountQuery<'a> {
    pub study: &'a str,
    /// UID of the series; `None` for the whole study.
    pub series: Option<&'a str>,
    /// Number of instances received.
    pub instances: usize,
}

/// Why a source did not state the number of instances. Messages contain no UID of a study.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The source is not reachable, or does not support the query.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// It refused the query.
    #[error("it answered with status {status:04X}")]
    Status { status: u16 },
    /// It has no such series or study.
    #[error("it does not have the series or study")]
    Unknown,
}

impl From<ConnectionError> for AskError {
    fn from(error: ConnectionError) -> Self {
        Self::Peer(error.into())
    }
}

impl AskError {
    /// Whether the node is stopping.
    pub fn is_stop(&self) -> bool {
        matches!(
            self,
            Self::Peer(PeerError::Connection(ConnectionError::Stopped))
        )
    }
}

/// Queries the number of instances: the number that the source states or, where it states none, the number that it
/// lists. For a study whose number differs from `instances`, only series of images are counted.
///
/// **Errors**: [`AskError`].
pub fn count(
    source: &Peer,
    limits: &NodeLimits,
    stop: &Arc<Stop>,
    question: &CountQuery<'_>,
) -> Result<usize, AskError> {
    let kinds: [ClassAndSyntax; 1] = [(FIND.to_owned(), IMPLICIT.to_owned())];
    let limits = NodeLimits {
        association: limits.association.min(TIME),
        ..limits.clone()
    };
    let mut association = Association::open(source, &limits, stop, &kinds)?;
    association.end_with_node();
    let counted = association
        .context(&kinds[0])
        .map_err(AskError::from)
        .and_then(|context| {
            let mut search = InstanceSearch {
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

struct InstanceSearch<'a, 'b> {
    association: &'a mut Association<'b>,
    context: u8,
    message: u16,
}

impl InstanceSearch<'_, '_> {
    fn series(&mut self, study: &str, series: &str) -> Result<usize, AskError> {
        let mut keys = Identifier::at("SERIES");
        keys.put(identifier::STUDY, study);
        keys.put(identifier::SERIES, series);
        keys.put(identifier::SERIES_INSTANCES, "");
        let found = self.find(&keys)?;
        // A source that ignores the key returns other series as well.
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
            // A response must contain the unique key (PS3.4 C.2.2.1.1).
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

    /// Counts the instances of a series that the source lists.
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

    /// The matches of these keys.
    fn find(&mut self, keys: &Identifier) -> Result<Vec<Identifier>, AskError> {
        self.message += 1;
        let command = CommandSet {
            field: field::FIND,
            message: self.message,
            class: FIND.to_owned(),
            has_data: true,
            ..CommandSet::default()
        };
        self.association
            .send(self.context, true, &command.encode())?;
        self.association.send(self.context, false, &keys.encode())?;
        let (mut found, mut last) = (Vec::new(), status::SUCCESS);
        let mut take = |answer: crate::network::requester::ResponseMessage| {
            let code = answer.command.status.unwrap_or(status::UNREADABLE);
            if !status::PENDING.contains(&code) {
                last = code;
                return Ok(false);
            }
            if found.len() == ANSWERS_MAX {
                return Err(ConnectionError::Malformed("a search has too many answers"));
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

const BROKEN: ConnectionError = ConnectionError::Malformed("an answer to a search cannot be read");
