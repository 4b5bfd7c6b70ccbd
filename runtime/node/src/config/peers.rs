//! Peers in the network: destinations, sources, and TLS.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustls_pki_types::ServerName;
use serde::Deserialize;

use crate::config::error::ValueFault;
use crate::config::value::{SettingResult, ae_title, pause};
use crate::network::tls::TlsProfile;

/// A DICOM peer: a destination of results, or a source that is queried.
#[derive(Debug, Clone, PartialEq)]
pub struct Peer {
    pub ae_title: String,
    /// Its host name or address.
    pub host: String,
    pub port: u16,
    /// The AE title that the node uses as calling AE title.
    pub calling_ae_title: String,
    /// TLS; `None` for none.
    pub tls: Option<ClientTls>,
}

/// A source of images that can be queried for the number of instances.
#[derive(Debug, Clone, PartialEq)]
pub struct SourcePeer {
    pub name: String,
    /// Where it is queried.
    pub peer: Peer,
    /// AE titles of the callers that it answers for; empty for all.
    pub callers: BTreeSet<String>,
    /// Time without a new instance after which it is queried.
    pub rest: Duration,
}

impl SourcePeer {
    /// Whether it answers for all of these callers. The callers of instances that came before the node started are
    /// unknown.
    pub fn answers_for(&self, callers: &BTreeSet<String>) -> bool {
        self.callers.is_empty() || !callers.is_empty() && callers.is_subset(&self.callers)
    }
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq)]
pub struct TlsIdentity {
    /// File of the certificate and of intermediate certificates, in PEM.
    pub certificate: PathBuf,
    /// File of its key, in PEM, without a password.
    pub key: PathBuf,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ServerTls {
    /// The node's own certificate.
    pub identity: TlsIdentity,
    /// File of certificates of callers or their authorities; if set, callers without such a certificate are refused.
    pub client_ca: Option<PathBuf>,
    /// Versions and cipher suites.
    pub profile: TlsProfile,
    /// A port beside the plain one; without it, the only port accepts TLS alone. 0 takes a free one.
    pub port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ClientTls {
    /// File of certificates of the peer or its authorities.
    pub ca: PathBuf,
    /// The node's own certificate, where the peer requires one.
    pub identity: Option<TlsIdentity>,
    /// The name that the peer's certificate must have.
    pub server_name: ServerName<'static>,
    /// Versions and cipher suites.
    pub profile: TlsProfile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerTlsTable {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    #[serde(default)]
    profile: TlsProfile,
    port: Option<u16>,
}

impl ServerTlsTable {
    pub fn check(self, folder: &Path) -> ServerTls {
        ServerTls {
            identity: TlsIdentity {
                certificate: folder.join(self.certificate),
                key: folder.join(self.key),
            },
            client_ca: self.client_ca.map(|path| folder.join(path)),
            profile: self.profile,
            port: self.port,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClientTlsTable {
    ca: PathBuf,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    server_name: Option<String>,
    #[serde(default)]
    profile: TlsProfile,
}

impl ClientTlsTable {
    fn check(self, key: &str, host: &str, folder: &Path) -> SettingResult<ClientTls> {
        let name = self.server_name.unwrap_or_else(|| host.to_owned());
        let Ok(server_name) = ServerName::try_from(name.clone()) else {
            let fault = ValueFault::Word {
                found: name,
                expected: "host names and addresses",
            };
            return Err((format!("{key}.server_name"), fault));
        };
        let identity = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some(TlsIdentity {
                certificate: folder.join(certificate),
                key: folder.join(key),
            }),
            (None, None) => None,
            (certificate, _) => {
                let lacks = if certificate.is_some() {
                    "key"
                } else {
                    "certificate"
                };
                let expected = "a file: `certificate` and `key` go together";
                return Err((format!("{key}.{lacks}"), ValueFault::Empty { expected }));
            }
        };
        Ok(ClientTls {
            ca: folder.join(self.ca),
            identity,
            server_name,
            profile: self.profile,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DestinationTable {
    name: String,
    ae_title: String,
    host: String,
    port: u16,
    #[serde(default = "own_title")]
    calling_ae_title: String,
    tls: Option<ClientTlsTable>,
}

fn own_title() -> String {
    "VESAL".to_owned()
}

impl DestinationTable {
    /// The name and the peer; `table` is the key of the table in the settings.
    fn check(self, table: &str, folder: &Path) -> SettingResult<(String, Peer)> {
        let key = |name: &str| format!("{table}.{name}");
        let is_name = |text: &str| {
            !text.is_empty()
                && text.len() <= 64
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if !is_name(&self.name) {
            return Err((
                key("name"),
                ValueFault::Word {
                    found: self.name,
                    expected: "names of up to 64 letters, digits, `-`, `_` and `.`",
                },
            ));
        }
        let host = self.host.trim();
        if host.is_empty() {
            let expected = "a host name or an address";
            return Err((key("host"), ValueFault::Empty { expected }));
        }
        if self.port == 0 {
            let (found, expected) = (0.0, "a port of 1 to 65535");
            return Err((key("port"), ValueFault::Number { found, expected }));
        }
        let destination = Peer {
            ae_title: ae_title(&key("ae_title"), &self.ae_title)?,
            host: host.to_owned(),
            port: self.port,
            calling_ae_title: ae_title(&key("calling_ae_title"), &self.calling_ae_title)?,
            tls: self
                .tls
                .map(|tls| tls.check(&key("tls"), host, folder))
                .transpose()?,
        };
        Ok((self.name, destination))
    }
}

pub(super) fn destinations(
    tables: Vec<DestinationTable>,
    folder: &Path,
) -> SettingResult<BTreeMap<String, Peer>> {
    let mut destinations = BTreeMap::new();
    for (index, table) in tables.into_iter().enumerate() {
        let at = format!("destination[{index}]");
        let (name, destination) = table.check(&at, folder)?;
        if destinations.insert(name.clone(), destination).is_some() {
            return Err((format!("{at}.name"), ValueFault::Twice { found: name }));
        }
    }
    Ok(destinations)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SourceTable {
    name: String,
    ae_title: String,
    host: String,
    port: u16,
    #[serde(default = "own_title")]
    calling_ae_title: String,
    tls: Option<ClientTlsTable>,
    #[serde(default)]
    callers: Vec<String>,
    #[serde(default = "rest")]
    rest_seconds: f64,
}

fn rest() -> f64 {
    3.0
}

pub(super) fn sources(tables: Vec<SourceTable>, folder: &Path) -> SettingResult<Vec<SourcePeer>> {
    let mut sources: Vec<SourcePeer> = Vec::new();
    for (index, table) in tables.into_iter().enumerate() {
        let at = format!("source[{index}]");
        let callers = table.callers.iter().enumerate();
        let callers = callers
            .map(|(index, caller)| ae_title(&format!("{at}.callers[{index}]"), caller))
            .collect::<SettingResult<_>>()?;
        let rest = pause(&format!("{at}.rest_seconds"), table.rest_seconds)?;
        let peer = DestinationTable {
            name: table.name,
            ae_title: table.ae_title,
            host: table.host,
            port: table.port,
            calling_ae_title: table.calling_ae_title,
            tls: table.tls,
        };
        let (name, peer) = peer.check(&at, folder)?;
        if sources.iter().any(|known| known.name == name) {
            return Err((format!("{at}.name"), ValueFault::Twice { found: name }));
        }
        sources.push(SourcePeer {
            name,
            peer,
            callers,
            rest,
        });
    }
    Ok(sources)
}
