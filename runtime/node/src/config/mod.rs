//! The settings of a node: one TOML file.

mod check;
mod document;
mod error;
mod peers;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::log;

pub use error::{ConfigError, Fault};
pub use peers::{ClientTls, Destination, Identity, ServerTls, Source};
pub use read::EXAMPLE;

/// Everything that a node is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Folder of the queue.
    pub storage: PathBuf,
    /// Address to listen at for associations.
    pub bind: IpAddr,
    /// Port to listen at for associations; 0 takes a free one.
    pub port: u16,
    /// Predictions at once.
    pub workers: usize,
    /// What is logged, and how.
    pub log: log::Settings,
    /// TLS for associations that others ask for; `None` for none.
    pub tls: Option<ServerTls>,
    /// Where health, queue and metrics are told; `None` for nowhere.
    pub http: Option<Http>,
    /// How much at once.
    pub limits: Limits,
    /// When to try again, and how often.
    pub retry: Retry,
    /// How long things are kept.
    pub retention: Retention,
    /// Who may send.
    pub callers: Callers,
    /// Where results go, by name.
    pub destinations: BTreeMap<String, Destination>,
    /// Who can be asked how many instances there are.
    pub sources: Vec<Source>,
    /// What is done with what is sent, one for each called AE title.
    pub services: Vec<Service>,
}

/// Where health, queue and metrics are told.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// Address to listen at.
    pub bind: IpAddr,
    /// Port to listen at; 0 takes a free one.
    pub port: u16,
    /// Names that requests may give this host, besides its address and `localhost`.
    pub host_names: Vec<String>,
}

/// How much at once, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Associations at once.
    pub associations: usize,
    /// Associations of one caller at once.
    pub associations_per_caller: usize,
    /// Connections of one address at once.
    pub connections_per_address: usize,
    /// Time for the first byte of a connection.
    pub first_byte: Duration,
    /// Time to ask for an association, TLS included, and for the other side's answer.
    pub negotiation: Duration,
    /// Time without a whole PDU.
    pub idle: Duration,
    /// Time of an association in all.
    pub association: Duration,
    /// Bytes of an instance.
    pub instance_bytes: u64,
    /// Share of the file system that may be used before instances are refused.
    pub disk_share: f64,
    /// Bytes of the storage folder before instances are refused.
    pub storage_bytes: Option<u64>,
    /// Jobs on their way before instances of further ones are refused.
    pub jobs: usize,
    /// Time that associations and jobs get to end when the node stops.
    pub shutdown: Duration,
    /// Time of a prediction.
    pub run: Duration,
    /// Bytes of memory of a prediction; `None` where nobody says.
    pub run_ram: Option<u64>,
    /// Age of a waiting job from which the node counts as unhealthy.
    pub stuck: Duration,
}

/// When to try again.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Tries of a prediction.
    pub run_attempts: u32,
    /// Pause behind the first failed prediction; it doubles.
    pub run_pause: Duration,
    /// Tries to send before a job counts as undelivered.
    pub send_attempts: u32,
    /// Pause behind the first failed try to send; it doubles.
    pub send_pause: Duration,
    /// The longest pause between tries to send.
    pub send_pause_max: Duration,
    /// Pause between tries of an undelivered job.
    pub undelivered_pause: Duration,
}

/// How long things are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// What stays of a job that is done.
    pub keep: Keep,
    /// For how long.
    pub kept: Duration,
    /// How long the files of a failed job stay.
    pub failed: Duration,
    /// How long the results of an undelivered job stay.
    pub undelivered: Duration,
    /// How long a job is remembered after its files are gone.
    pub ledger: Duration,
}

/// What stays of a job that is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Nothing but its entry in the ledger.
    None,
    /// The results.
    Results,
    /// The results and what they were made of.
    All,
}

/// Who may send.
#[derive(Debug, Clone, PartialEq)]
pub enum Callers {
    /// Anybody.
    Any,
    /// These; none refuses all.
    Listed(Vec<Caller>),
}

/// One who may send.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    /// Its AE title.
    pub ae_title: String,
    /// Its address; `None` for any.
    pub address: Option<IpAddr>,
}

impl Callers {
    /// The addresses that may connect, where every caller has one; `None` where others may be right.
    pub fn addresses(&self) -> Option<BTreeSet<IpAddr>> {
        match self {
            Self::Listed(callers) if !callers.is_empty() => {
                callers.iter().map(|caller| caller.address).collect()
            }
            _ => None,
        }
    }

    /// Whether this one may send.
    pub fn allow(&self, ae_title: &str, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(callers) => callers.iter().any(|caller| {
                caller.ae_title == ae_title
                    && caller
                        .address
                        .is_none_or(|allowed| allowed == address.to_canonical())
            }),
        }
    }
}

/// What is done with what is sent to an AE title.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// The AE title.
    pub ae_title: String,
    /// Folder of the bundle.
    pub bundle: PathBuf,
    /// SHA-256 that the bundle must have, in hexadecimal digits.
    pub bundle_sha256: Option<String>,
    /// File of the public key that the bundle's signature is checked with.
    pub bundle_key: Option<PathBuf>,
    /// Whether a bundle without a signature is refused.
    pub require_signature: bool,
    /// What makes a job.
    pub unit: Grouping,
    /// Time without a new instance after which a job is complete.
    pub quiet: Duration,
    /// The same after an association broke off, or the node did.
    pub cut_quiet: Duration,
    /// How long an open association that has sent into a job holds it back, from its last instance on.
    pub hold: Duration,
    /// What to do with jobs of which instances may be missing.
    pub doubtful: Doubtful,
    /// Kinds of results, as `vesal predict --format` names them.
    pub formats: Vec<String>,
    /// Names of destinations.
    pub destinations: Vec<String>,
    /// What to do with uneven or tilted slices, as `vesal predict --geometry` names it.
    pub geometry: String,
    /// File of rules for channels.
    pub dicom_rules: Option<PathBuf>,
    /// Which series is which channel, as `vesal predict --series` takes it.
    pub series: Vec<String>,
    /// Further options of `vesal predict`.
    pub options: Vec<String>,
}

/// What to do with jobs of which instances may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doubtful {
    /// Fail them.
    Fail,
    /// Predict them; the results say it.
    Mark,
    /// Predict them as any other.
    Send,
}

/// What makes a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grouping {
    /// A series.
    Series,
    /// All series of a study.
    Study,
}
