//! What is noted of a job: one small file, written whole at every change of its state.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Time;
use crate::config::{Grouping, Service};

/// Version of the file.
pub const VERSION: u32 = 1;

/// Where a job is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Instances arrive.
    Collecting,
    /// It is complete and waits for its prediction.
    Queued,
    /// It is predicted.
    Running,
    /// Its results are sent, or wait for that.
    Sending,
    /// Its results were not taken in many tries; they are tried again now and then.
    Undelivered,
    /// It is done.
    Done,
    /// It cannot be done.
    Failed,
}

impl State {
    /// All states, on the way.
    pub const ALL: [Self; 7] = [
        Self::Collecting,
        Self::Queued,
        Self::Running,
        Self::Sending,
        Self::Undelivered,
        Self::Done,
        Self::Failed,
    ];

    /// Whether nothing is going to happen with it by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Failed)
    }

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Collecting => "collecting",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Sending => "sending",
            Self::Undelivered => "undelivered",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// What is noted of a job. No UID and nothing else of its data sets is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Version of the file.
    pub version: u32,
    /// Called AE title.
    pub service: String,
    /// Where it is on its way.
    pub state: State,
    /// When its first instance came.
    pub created: Time,
    /// When it came into its state.
    pub changed: Time,
    /// Instances that are predicted.
    #[serde(default)]
    pub instances: usize,
    /// Whether instances may be missing: an association broke off, or some were refused, and nobody sent again.
    #[serde(default)]
    pub doubt: bool,
    /// Instances that its source has, where one could be asked.
    #[serde(default)]
    pub expected: Option<usize>,
    /// Whether a failure is none of its images': it is tried again when the node starts.
    #[serde(default)]
    pub again_at_start: bool,
    /// Tries in its state that failed.
    #[serde(default)]
    pub attempts: u32,
    /// Predictions that ended with the node.
    #[serde(default)]
    pub interrupted: u32,
    /// When the next try is due.
    #[serde(default)]
    pub not_before: Time,
    /// Why the last try failed.
    #[serde(default)]
    pub reason: Option<String>,
    /// Folder of results that are whole.
    #[serde(default)]
    pub output: Option<String>,
    /// Results to be sent to each destination.
    #[serde(default)]
    pub results: usize,
    /// Digests of the names of results that a destination has taken.
    #[serde(default)]
    pub delivered: BTreeMap<String, Vec<String>>,
    /// Digest of the bundle and the settings that the results were made with.
    #[serde(default)]
    pub settings: String,
}

impl Job {
    /// A job whose first instance is about to come.
    pub fn new(service: &str, now: Time) -> Self {
        Self {
            version: VERSION,
            service: service.to_owned(),
            state: State::Collecting,
            created: now,
            changed: now,
            instances: 0,
            doubt: false,
            expected: None,
            again_at_start: false,
            attempts: 0,
            interrupted: 0,
            not_before: Time::default(),
            reason: None,
            output: None,
            results: 0,
            delivered: BTreeMap::new(),
            settings: String::new(),
        }
    }

    /// The same in another state, where nothing was tried yet.
    pub fn into_state(&self, state: State, now: Time) -> Self {
        Self {
            state,
            changed: now,
            attempts: 0,
            again_at_start: false,
            not_before: Time::default(),
            reason: None,
            ..self.clone()
        }
    }

    /// Whether its source has more instances than came.
    pub fn lacks(&self) -> bool {
        self.expected
            .is_some_and(|expected| expected > self.instances)
    }

    /// The same without results.
    pub fn without_results(self) -> Self {
        Self {
            output: None,
            results: 0,
            delivered: BTreeMap::new(),
            ..self
        }
    }

    /// The same, to be tried again.
    pub fn again(&self, state: State, reason: &str, not_before: Time) -> Self {
        Self {
            state,
            attempts: self.attempts + 1,
            reason: Some(reason.to_owned()),
            not_before,
            ..self.clone()
        }
    }
}

/// Name of a job: a digest of its service and what makes it one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub String);

impl Key {
    /// The job of a service that an instance with these UIDs belongs to.
    pub fn new(service: &Service, study: &str, series: &str) -> Self {
        let series = match service.unit {
            Grouping::Series => series,
            Grouping::Study => "",
        };
        Self(digest(
            [&service.ae_title, study, series].map(str::as_bytes),
        ))
    }

    /// Takes the name of a folder.
    pub fn from_name(name: &str) -> Option<Self> {
        let is_key = name.len() == DIGITS && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_key.then(|| Self(name.to_owned()))
    }
}

/// The first digits: enough for a log.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", &self.0[..12])
    }
}

const DIGITS: usize = 32;

/// Digest of byte strings; where one ends and the next begins counts.
pub fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hexadecimal(&hash.finalize()[..DIGITS / 2])
}

/// Bytes as digits.
pub fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Name of the file of an instance: digests of its UID and of its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// Digest of the UID.
    pub uid: String,
    /// Digest of the data set.
    pub content: String,
}

impl Name {
    /// Of a UID and the digest of a data set.
    pub fn new(uid: &str, content: &[u8]) -> Self {
        Self {
            uid: digest([uid.as_bytes()]),
            content: hexadecimal(&content[..content.len().min(8)]),
        }
    }

    /// The name of the file.
    pub fn file(&self) -> String {
        format!("{}.{}.dcm", self.uid, self.content)
    }

    /// Takes the name of a file.
    pub fn from_file(name: &str) -> Option<Self> {
        let (uid, content) = name.strip_suffix(".dcm")?.split_once('.')?;
        let is_digest = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        (uid.len() == DIGITS && content.len() == 16 && is_digest(uid) && is_digest(content)).then(
            || Self {
                uid: uid.to_owned(),
                content: content.to_owned(),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were_put() {
        let name = Name::new("1.2.3", &[0xab; 32]);
        assert_eq!(Name::from_file(&name.file()), Some(name));
        for other in ["", ".dcm", "job.json", "a.b.dcm"] {
            assert_eq!(Name::from_file(other), None);
        }
        let key = digest([b"a".as_slice()]);
        assert_eq!(Key::from_name(&key), Some(Key(key)));
        assert_eq!(Key::from_name("../../../../etc/passwd/aaaaaaaaa"), None);
    }

    #[test]
    fn digests_depend_on_where_parts_end() {
        assert_ne!(
            digest([b"ab".as_slice(), b"c"]),
            digest([b"a".as_slice(), b"bc"])
        );
    }

    #[test]
    fn a_job_survives_its_file() {
        let job = Job::new("VESAL", Time(5)).again(State::Queued, "no", Time(9));
        let text = serde_json::to_string(&job).unwrap();
        assert_eq!(serde_json::from_str::<Job>(&text).unwrap(), job);
    }
}
