//! The tables of a settings file, with their defaults.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use serde::Deserialize;

use crate::config::peers::{DestinationTable, ServerTlsTable, SourceTable};
use crate::config::{Doubtful, Grouping, Keep};
use crate::log;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigTables {
    pub node: NodeTable,
    #[serde(default)]
    pub log: log::LogSettings,
    pub tls: Option<ServerTlsTable>,
    #[serde(default)]
    pub http: HttpTable,
    #[serde(default)]
    pub limits: LimitsTable,
    #[serde(default)]
    pub retry: RetryTable,
    #[serde(default)]
    pub retention: RetentionTable,
    #[serde(default)]
    pub callers: CallersTable,
    #[serde(default)]
    pub caller: Vec<CallerTable>,
    #[serde(default)]
    pub destination: Vec<DestinationTable>,
    #[serde(default)]
    pub source: Vec<SourceTable>,
    #[serde(default)]
    pub service: Vec<ServiceTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeTable {
    pub storage: PathBuf,
    #[serde(default = "loopback")]
    pub bind: IpAddr,
    #[serde(default = "dicom_port")]
    pub port: u16,
    #[serde(default = "one")]
    pub workers: usize,
}

fn loopback() -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}

fn dicom_port() -> u16 {
    11112
}

fn one() -> usize {
    1
}

/// A table all of whose keys have defaults.
macro_rules! table {
    ($name:ident { $($key:ident: $type:ty = $default:expr),* $(,)? }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name { $(pub $key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }
    };
}

table!(HttpTable {
    enabled: bool = true,
    bind: IpAddr = loopback(),
    port: u16 = 11180,
    host_names: Vec<String> = Vec::new(),
});

table!(LimitsTable {
    associations: usize = 20,
    associations_per_caller: usize = 8,
    connections_per_address: usize = 10,
    first_byte_seconds: f64 = 3.0,
    negotiation_seconds: f64 = 10.0,
    idle_seconds: f64 = 60.0,
    association_seconds: f64 = 3600.0,
    instance_mib: u64 = 2048,
    disk_share: f64 = 0.9,
    storage_mib: Option<u64> = None,
    jobs: usize = 10_000,
    shutdown_seconds: f64 = 10.0,
    run_minutes: f64 = 60.0,
    run_ram_mib: Option<u64> = None,
    stuck_minutes: f64 = 120.0,
});

table!(RetryTable {
    run_attempts: u32 = 3,
    run_pause_seconds: f64 = 60.0,
    send_attempts: u32 = 10,
    send_pause_seconds: f64 = 10.0,
    send_pause_max_seconds: f64 = 1800.0,
    undelivered_pause_hours: f64 = 6.0,
});

table!(RetentionTable {
    keep: Keep = Keep::None,
    keep_hours: f64 = 24.0,
    failed_hours: f64 = 72.0,
    undelivered_days: f64 = 30.0,
    ledger_days: f64 = 90.0,
});

table!(CallersTable { any: bool = false });

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CallerTable {
    pub ae_title: String,
    pub address: Option<IpAddr>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceTable {
    pub ae_title: String,
    pub bundle: PathBuf,
    pub bundle_sha256: Option<String>,
    pub bundle_key: Option<PathBuf>,
    #[serde(default)]
    pub require_signature: bool,
    #[serde(default = "series")]
    pub unit: Grouping,
    #[serde(default = "quiet")]
    pub quiet_seconds: f64,
    #[serde(default = "long")]
    pub cut_quiet_seconds: f64,
    #[serde(default = "long")]
    pub hold_seconds: f64,
    #[serde(default = "mark")]
    pub doubtful: Doubtful,
    #[serde(default = "formats")]
    pub formats: Vec<String>,
    #[serde(default)]
    pub destinations: Vec<String>,
    #[serde(default = "strict")]
    pub geometry: String,
    pub dicom_rules: Option<PathBuf>,
    #[serde(default)]
    pub series: Vec<String>,
    #[serde(default)]
    pub options: Vec<String>,
}

fn series() -> Grouping {
    Grouping::Series
}

fn mark() -> Doubtful {
    Doubtful::Mark
}

fn quiet() -> f64 {
    30.0
}

fn long() -> f64 {
    300.0
}

fn formats() -> Vec<String> {
    vec!["seg".to_owned()]
}

fn strict() -> String {
    "strict".to_owned()
}
