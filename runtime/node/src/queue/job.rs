//! What is noted of a job: one small file, written whole at every change of its state.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::clock::Time;
use crate::reason::{Reason, Undelivered};

/// Version of the file.
pub const VERSION: u32 = 2;

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

    /// Where it stands among [`State::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }

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

/// Why instances of a job may be missing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undone {
    /// The node ended, and whoever was sending was cut off. Anybody who sends makes that good.
    Restart,
    /// Earlier instances of the job cannot be read and were set aside. Nobody makes that good by sending on.
    Damage,
    /// An association of this caller that sent into the job broke off or had instances refused.
    Caller(String),
    /// The same, in an association that may have been about another job.
    Elsewhere(String),
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
    /// Who sent the first of them: AE title and address.
    #[serde(default)]
    pub caller: String,
    /// Whether instances may be missing: an association broke off, or some were refused, and nobody sent again.
    #[serde(default)]
    pub doubt: bool,
    /// Instances that its source has, where one could be asked.
    #[serde(default)]
    pub expected: Option<usize>,
    /// Why instances of it may be missing, where that has not been made good.
    #[serde(default)]
    pub undone: BTreeSet<Undone>,
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
    /// Why the last prediction failed.
    #[serde(default)]
    pub reason: Option<Reason>,
    /// Why destinations have not taken all results, by their names.
    #[serde(default)]
    pub undelivered: BTreeMap<String, Undelivered>,
    /// Folder of results that are whole.
    #[serde(default)]
    pub output: Option<String>,
    /// Results to be sent to each destination.
    #[serde(default)]
    pub results: usize,
    /// Digests of the names of results that a destination has taken.
    #[serde(default)]
    pub delivered: BTreeMap<String, Vec<String>>,
    /// What results were sent to each destination, whether or not it answered: by the digest of their UID, the
    /// digest of what they were made of; empty where the destination may have something else under that UID.
    #[serde(default)]
    pub sent: BTreeMap<String, BTreeMap<String, String>>,
    /// Digest of what the results were made of: instances, bundle, settings.
    #[serde(default)]
    pub made_of: String,
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
            caller: String::new(),
            doubt: false,
            expected: None,
            undone: BTreeSet::new(),
            again_at_start: false,
            attempts: 0,
            interrupted: 0,
            not_before: Time::default(),
            reason: None,
            undelivered: BTreeMap::new(),
            output: None,
            results: 0,
            delivered: BTreeMap::new(),
            sent: BTreeMap::new(),
            made_of: String::new(),
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
            undelivered: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// Whether its source has more instances than came.
    pub fn lacks(&self) -> bool {
        self.expected
            .is_some_and(|expected| expected > self.instances)
    }

    /// The same, failed, without results.
    pub fn failed(&self, reason: Reason, now: Time) -> Self {
        Self {
            reason: Some(reason),
            ..self.into_state(State::Failed, now).without_results()
        }
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

    /// The same after a try that failed, to be tried again.
    pub fn again(&self, not_before: Time) -> Self {
        Self {
            attempts: self.attempts + 1,
            not_before,
            ..self.clone()
        }
    }

    /// Why the last try failed, in words.
    pub fn why(&self) -> Option<String> {
        let reason = self.reason.iter().map(Reason::to_string);
        let undelivered = self.undelivered.iter();
        let destinations = undelivered.map(|(name, why)| format!("destination `{name}`: {why}"));
        let all: Vec<_> = reason.chain(destinations).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

/// Name of a job: a keyed digest of its service and what makes it one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub String);

impl Key {
    /// Takes the name of a folder.
    pub fn from_name(name: &str) -> Option<Self> {
        is_digest(name, DIGITS).then(|| Self(name.to_owned()))
    }
}

/// The first digits: enough for a log.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", &self.0[..12])
    }
}

/// Hexadecimal digits of a digest.
pub const DIGITS: usize = 32;

/// Hexadecimal digits of what tells callers apart.
const OWNER_DIGITS: usize = 16;

pub fn is_digest(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

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

/// An instance as it comes: keyed digests of its UID, its content and its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Digest of the UID.
    pub uid: String,
    /// Digest of the data set.
    pub content: String,
    /// Digest of who sends it.
    pub owner: String,
}

impl Arrival {
    /// Of digests; of that of the caller only the first digits are needed.
    pub fn new(uid: String, content: String, caller: &str) -> Self {
        Self {
            uid,
            content,
            owner: caller.chars().take(OWNER_DIGITS).collect(),
        }
    }
}

/// What is kept of an instance beside the digest of its UID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Digest of the data set.
    pub content: String,
    /// Digest of who sent it.
    pub owner: String,
    /// Counts the instances of a job: of two copies of an instance the one with the larger number counts.
    pub number: u64,
}

impl Copy {
    /// Name of the file of an instance.
    pub fn file(&self, uid: &str) -> String {
        let Self {
            content,
            owner,
            number,
        } = self;
        format!("{uid}.{content}.{owner}.{number:016x}.dcm")
    }

    /// Takes the name of a file: the digest of the UID, and the rest.
    pub fn from_file(name: &str) -> Option<(String, Self)> {
        let mut parts = name.strip_suffix(".dcm")?.split('.');
        let (uid, content, owner, number) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let fits = parts.next().is_none()
            && is_digest(uid, DIGITS)
            && is_digest(content, DIGITS)
            && is_digest(owner, OWNER_DIGITS)
            && is_digest(number, 16);
        let number = u64::from_str_radix(number, 16).ok()?;
        fits.then(|| {
            let (content, owner) = (content.to_owned(), owner.to_owned());
            let copy = Self {
                content,
                owner,
                number,
            };
            (uid.to_owned(), copy)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_as_they_were_put() {
        let copy = Copy {
            content: digest([b"x".as_slice()]),
            owner: "0123456789abcdef".to_owned(),
            number: 0xfeed,
        };
        let uid = digest([b"1.2.3".as_slice()]);
        assert_eq!(Copy::from_file(&copy.file(&uid)), Some((uid, copy)));
        for other in ["", ".dcm", "job.json", "a.b.dcm", "a.b.c.d.dcm"] {
            assert_eq!(Copy::from_file(other), None);
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
        assert_eq!(hexadecimal(&[0, 255]), "00ff");
    }
}
