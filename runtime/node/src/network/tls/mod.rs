//! TLS beneath DICOM's upper layer, as server and client (PS3.15 annex B).

mod setup;
mod stream;
mod trust;

pub use setup::{SetupError, client, open_keys, server};
pub use stream::TlsStream;

use std::fmt;

use rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use rustls::{CertificateError, Error, SupportedCipherSuite};

/// Profiles of secure transport connections (PS3.15 annex B).
///
/// All of them use TLS 1.3 or 1.2, ephemeral keys on elliptic curves of 256 bits or more, ciphers that authenticate
/// what they encrypt, and certificates with SHA-256 or better and RSA of 2048 bits or more or P-256 or P-384.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
pub enum TlsProfile {
    /// BCP 195 RFC 8996, 9325 (B.12): the cipher suites that RFC 9325 recommends.
    #[default]
    #[serde(rename = "bcp-195-rfc-8996-9325")]
    Bcp195,
    /// Modified BCP 195 RFC 8996, 9325 (B.13): 256 bits first, ChaCha20 as well, keys on P-256 and P-384 alone. The
    /// mandatory suites of servers with CCM and Camellia are not supported.
    #[serde(rename = "modified-bcp-195-rfc-8996-9325")]
    Modified,
    /// Non-downgrading BCP 195 (B.10, retired): as [`TlsProfile::Bcp195`]. Its suites with finite fields (DHE) are not
    /// supported.
    #[serde(rename = "non-downgrading-bcp-195")]
    NonDowngrading,
}

impl TlsProfile {
    /// Cipher suites, the preferred ones first.
    pub fn suites(self) -> Vec<SupportedCipherSuite> {
        use ring::cipher_suite::*;
        match self {
            Self::Bcp195 | Self::NonDowngrading => vec![
                TLS13_AES_128_GCM_SHA256,
                TLS13_AES_256_GCM_SHA384,
                TLS13_CHACHA20_POLY1305_SHA256,
                TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
            ],
            Self::Modified => vec![
                TLS13_AES_256_GCM_SHA384,
                TLS13_CHACHA20_POLY1305_SHA256,
                TLS13_AES_128_GCM_SHA256,
                TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
                TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
            ],
        }
    }

    fn groups(self) -> Vec<&'static dyn SupportedKxGroup> {
        use ring::kx_group::{SECP256R1, SECP384R1, X25519};
        match self {
            Self::Bcp195 | Self::NonDowngrading => vec![X25519, SECP256R1, SECP384R1],
            Self::Modified => vec![SECP256R1, SECP384R1],
        }
    }

    fn provider(self) -> CryptoProvider {
        CryptoProvider {
            cipher_suites: self.suites(),
            kx_groups: self.groups(),
            ..ring::default_provider()
        }
    }
}

/// Why a TLS connection fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsFault {
    /// An association request without TLS.
    #[error("the peer speaks DICOM without TLS, and this port requires TLS")]
    PlainRequest,
    /// The answer is not TLS.
    #[error("the peer does not answer with TLS; is this a port without TLS?")]
    PlainAnswer,
    /// The handshake is too long.
    #[error("the handshake is longer than {limit} bytes")]
    TooLong {
        /// Limit in bytes.
        limit: usize,
    },
    /// The peer's certificate is not trusted.
    #[error("the peer's certificate is refused: {reason}")]
    Certificate { reason: String },
    /// The peer sent no certificate.
    #[error("the peer sent no certificate, and one is required")]
    NoCertificate,
    /// The peer sent an alert (RFC 8446 section 6.2).
    #[error("the peer refuses with the alert {alert}")]
    Refused { alert: String },
    /// There is no common version or cipher suite.
    #[error("the peer offers no version or cipher suite of the profile: {reason}")]
    Incompatible { reason: String },
    #[error("{reason}")]
    Broken { reason: String },
}

impl From<Error> for TlsFault {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidCertificate(reason) => Self::Certificate {
                reason: refusal(&reason),
            },
            Error::NoCertificatesPresented => Self::NoCertificate,
            Error::AlertReceived(alert) => Self::Refused {
                alert: short(&format_args!("{alert:?}")),
            },
            Error::PeerIncompatible(reason) => Self::Incompatible {
                reason: short(&format_args!("{reason:?}")),
            },
            other => Self::Broken {
                reason: short(&other),
            },
        }
    }
}

/// Why a certificate is refused, in a sentence.
fn refusal(reason: &CertificateError) -> String {
    use CertificateError::*;
    let sentence = match reason {
        UnknownIssuer => "it is not listed, and no listed authority has signed it",
        // The library treats a self-signed certificate from `openssl req -x509` as one of an authority.
        Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            "it is not listed itself, and is one of an authority or signed by itself"
        }
        Expired | ExpiredContext { .. } => "it has expired",
        NotValidYet | NotValidYetContext { .. } => "it is not valid yet",
        Revoked => "it was revoked",
        BadEncoding => "it cannot be read",
        BadSignature => "its signature is wrong",
        InvalidPurpose | InvalidPurposeContext { .. } => {
            "it is for another purpose: servers need one for servers, callers one for clients"
        }
        NotValidForName => "it does not have the name that is connected to",
        NotValidForNameContext { expected, .. } => {
            let expected = expected.to_str();
            return short(&format_args!(
                "it does not have the name that is connected to, `{expected}`"
            ));
        }
        other => return short(other),
    };
    sentence.to_owned()
}

const REASON_LENGTH: usize = 200;

/// A text for the log, sanitized because names in certificates are foreign.
fn short(text: &dyn fmt::Display) -> String {
    let text = text.to_string();
    text.chars()
        .take(REASON_LENGTH)
        .map(|c| if matches!(c, ' '..='~') { c } else { '?' })
        .collect()
}
