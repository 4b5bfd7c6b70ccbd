//! Reads certificates and keys from PEM files, and makes the configurations of TLS.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, Error, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::{ClientTls, Config, ServerTls, TlsIdentity};
use crate::network::tls::trust::TrustedCertificates;

/// Why certificates and keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The system cannot read a file.
    #[error("cannot read `{}`: {reason}", path.display())]
    File { path: PathBuf, reason: io::Error },
    /// A file holds something else.
    #[error("`{}` holds no {expected} in PEM", path.display())]
    Content {
        path: PathBuf,
        expected: &'static str,
    },
    /// Certificate and key do not match, or cannot be used.
    #[error("certificate `{}` cannot be used with key `{}`: {reason}", certificate.display(), key.display())]
    Pair {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        reason: Error,
    },
}

impl SetupError {
    /// A remedy for the user.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::File { .. } => "the settings name PEM files that the node can read",
            Self::Content { .. } => {
                "certificates stand between `BEGIN CERTIFICATE` and `END CERTIFICATE`, keys without a password between `BEGIN PRIVATE KEY` and `END PRIVATE KEY`"
            }
            Self::Pair { .. } => {
                "the first certificate of the file has to be the key's; keys are RSA of 2048 bits or more, P-256, P-384 or Ed25519"
            }
        }
    }
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// The TLS configuration of a server port.
///
/// **Errors**: [`SetupError`].
pub fn server(settings: &ServerTls) -> Result<Arc<ServerConfig>, SetupError> {
    let provider = Arc::new(settings.profile.provider());
    let (chain, key) = identity(&settings.identity)?;
    let pair = pair(&settings.identity);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&VERSIONS)
        .map_err(&pair)?;
    let builder = match &settings.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let clients = listed(path)?.clients(&provider);
            builder.with_client_cert_verifier(clients.ok_or_else(|| no_certificate(path))?)
        }
    };
    let mut config = builder.with_single_cert(chain, key).map_err(&pair)?;
    config.ignore_client_order = true;
    Ok(Arc::new(config))
}

/// The TLS configuration of a client. Files are read for each connection, so that renewed certificates are used.
///
/// **Errors**: [`SetupError`].
pub fn client(settings: &ClientTls) -> Result<Arc<ClientConfig>, SetupError> {
    let provider = Arc::new(settings.profile.provider());
    let servers = listed(&settings.ca)?.servers(&provider);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&VERSIONS)
        .map_err(|_| no_certificate(&settings.ca))?
        .dangerous()
        .with_custom_certificate_verifier(servers.ok_or_else(|| no_certificate(&settings.ca))?);
    let config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let (chain, key) = identity(files)?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(pair(files))?
        }
    };
    Ok(Arc::new(config))
}

fn pair(files: &TlsIdentity) -> impl Fn(Error) -> SetupError {
    |reason| SetupError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        reason,
    }
}

type OwnIdentity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn identity(files: &TlsIdentity) -> Result<OwnIdentity, SetupError> {
    let chain = certificates(&files.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| fault(error, &files.key, "private key"))?;
    Ok((chain, key))
}

fn listed(path: &Path) -> Result<TrustedCertificates, SetupError> {
    TrustedCertificates::new(certificates(path)?).ok_or_else(|| no_certificate(path))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    let fault = |error| fault(error, path, "certificate");
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(fault)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(fault)?;
    if certificates.is_empty() {
        return Err(no_certificate(path));
    }
    Ok(certificates)
}

fn no_certificate(path: &Path) -> SetupError {
    SetupError::Content {
        path: path.to_owned(),
        expected: "certificate",
    }
}

fn fault(error: pem::Error, path: &Path, expected: &'static str) -> SetupError {
    let path = path.to_owned();
    match error {
        pem::Error::Io(reason) => SetupError::File { path, reason },
        _ => SetupError::Content { path, expected },
    }
}

/// Key files that other users may read.
pub fn open_keys(config: &Config) -> Vec<&Path> {
    let own = config.tls.iter().map(|tls| &tls.identity);
    let destinations = config.destinations.values();
    let sources = config.sources.iter().map(|source| &source.peer);
    let others = destinations
        .chain(sources)
        .filter_map(|peer| peer.tls.as_ref()?.identity.as_ref());
    own.chain(others)
        .map(|identity| identity.key.as_path())
        .filter(|key| is_open(key))
        .collect()
}

#[cfg(unix)]
fn is_open(key: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let mode = key.metadata().map(|found| found.permissions().mode());
    mode.is_ok_and(|mode| mode & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open(_: &Path) -> bool {
    false
}
