//! Settings of a node, from a TOML file.

mod check;
mod error;
mod peers;
mod read;
mod tables;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::log;

pub use error::{NodeConfigError, ValueFault};
pub use peers::{ClientTls, Peer, ServerTls, SourcePeer, TlsIdentity};
pub use read::EXAMPLE;

/// Settings of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Folder of the queue.
    pub storage: PathBuf,
    /// Address to listen at for associations.
    pub bind: IpAddr,
    /// Port to listen at for associations; 0 takes a free one.
    pub port: u16,
    /// Most concurrent predictions.
    pub workers: usize,
    /// Level and format of the log.
    pub log: log::LogSettings,
    /// TLS of the listener; `None` for none.
    pub tls: Option<ServerTls>,
    /// The HTTP server for health, queue and metrics; `None` for none.
    pub http: Option<Http>,
    /// Limits of connections, time, memory and disk.
    pub limits: NodeLimits,
    /// Attempts and the pauses between them.
    pub retry: Retry,
    /// Retention of files and entries.
    pub retention: Retention,
    /// The callers that may send.
    pub callers: Callers,
    /// Destinations of results, by name.
    pub destinations: BTreeMap<String, Peer>,
    /// Sources that can be queried for the number of instances.
    pub sources: Vec<SourcePeer>,
    /// Services, one for each called AE title.
    pub services: Vec<Service>,
}

/// The HTTP server for health, queue and metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    pub bind: IpAddr,
    /// Port to listen at; 0 takes a free one.
    pub port: u16,
    /// Names that requests may give this host, besides its address and `localhost`.
    pub host_names: Vec<String>,
}

/// Limits of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeLimits {
    pub associations: usize,
    /// Most concurrent associations of one caller.
    pub associations_per_caller: usize,
    /// Most concurrent connections from one address.
    pub connections_per_address: usize,
    /// Time limit for the first byte of a connection.
    pub first_byte: Duration,
    /// Time limit for the request of an association, TLS included, and for its answer.
    pub negotiation: Duration,
    /// Time limit for a PDU.
    pub idle: Duration,
    /// Time limit for an association.
    pub association: Duration,
    /// Largest instance in bytes.
    pub instance_bytes: u64,
    /// Used share of the file system, 0 to 1, from which instances are refused.
    pub disk_share: f64,
    /// Size of the storage folder in bytes from which instances are refused.
    pub storage_bytes: Option<u64>,
    /// Unfinished jobs from which instances of new jobs are refused.
    pub jobs: usize,
    /// Grace period of associations and jobs when the node stops.
    pub shutdown: Duration,
    /// Time limit for a prediction.
    pub run: Duration,
    /// Memory limit of a prediction in bytes; `None` where not set.
    pub run_ram: Option<u64>,
    /// Age of a waiting job from which the node counts as unhealthy.
    pub stuck: Duration,
}

/// Attempts and the pauses between them.
#[derive(Debug, Clone, PartialEq)]
pub struct Retry {
    /// Most attempts of a prediction.
    pub run_attempts: u32,
    /// Pause after the first failed prediction; it doubles with each.
    pub run_pause: Duration,
    /// Attempts to send after which a job counts as undelivered.
    pub send_attempts: u32,
    /// Pause after the first failed attempt to send; it doubles with each.
    pub send_pause: Duration,
    /// Longest pause between attempts to send.
    pub send_pause_max: Duration,
    /// Pause between attempts to send an undelivered job.
    pub undelivered_pause: Duration,
}

/// Retention of files and entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    /// The files of a done job that are kept.
    pub keep: Keep,
    /// How long the files of a done job are kept.
    pub kept: Duration,
    /// How long the files of a failed job are kept.
    pub failed: Duration,
    /// How long the results of an undelivered job are kept.
    pub undelivered: Duration,
    /// How long a job is remembered after its files are gone.
    pub ledger: Duration,
}

/// The files of a done job that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Only its entry in the ledger.
    None,
    Results,
    /// The results and the images.
    All,
}

/// The callers that may send.
#[derive(Debug, Clone, PartialEq)]
pub enum Callers {
    Any,
    /// These; an empty list refuses all.
    Listed(Vec<Caller>),
}

/// A caller that may send.
#[derive(Debug, Clone, PartialEq)]
pub struct Caller {
    pub ae_title: String,
    /// Its address; `None` for any.
    pub address: Option<IpAddr>,
}

impl Callers {
    /// The addresses that may connect, if every caller has one; otherwise `None`.
    pub fn addresses(&self) -> Option<BTreeSet<IpAddr>> {
        match self {
            Self::Listed(callers) if !callers.is_empty() => {
                callers.iter().map(|caller| caller.address).collect()
            }
            _ => None,
        }
    }

    /// Whether this caller may send.
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

/// A service: how instances sent to an AE title are processed.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    pub ae_title: String,
    /// Folder of the bundle.
    pub bundle: PathBuf,
    /// SHA-256 that the bundle must have, in hexadecimal digits.
    pub bundle_sha256: Option<String>,
    /// File of the public key that verifies the bundle's signature.
    pub bundle_key: Option<PathBuf>,
    /// Whether a bundle without a signature is refused.
    pub require_signature: bool,
    /// Unit of a job.
    pub unit: Grouping,
    /// Time without a new instance after which a job is complete.
    pub quiet: Duration,
    /// As `quiet`, after an association broke off or the node restarted.
    pub cut_quiet: Duration,
    /// How long an open association holds back the jobs that it has sent instances of, from the last instance on.
    pub hold: Duration,
    /// How to treat jobs that may lack instances.
    pub doubtful: Doubtful,
    /// Formats of results, as in `vesal predict --format`.
    pub formats: Vec<String>,
    pub destinations: Vec<String>,
    /// How to treat uneven or tilted slices, as in `vesal predict --geometry`.
    pub geometry: String,
    /// File of rules for channels.
    pub dicom_rules: Option<PathBuf>,
    /// Patterns of the series of each channel, as in `vesal predict --series`.
    pub series: Vec<String>,
    /// Further options of `vesal predict`.
    pub options: Vec<String>,
}

/// How to treat jobs that may lack instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Doubtful {
    Fail,
    /// Predict them; results state it.
    Mark,
    /// Predict them like any other.
    Send,
}

/// Unit of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Grouping {
    Series,
    /// All series of a study.
    Study,
}
