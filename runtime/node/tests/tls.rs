//! TLS in both directions: trusted and untrusted peers, and the log of both.
#![cfg(unix)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "../../io/tests/dicom_files/mod.rs"]
mod dicom_files;
mod support;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use certificates::{Authority, Files, self_signed};
use dicom_files::CT;
use support::{Said, Sender, StandIn, config, free_port, slice, start, states, wait_for};
use vesal_io::dicom::Instance;
use vesal_node::config::{ClientTls, NodeLimits, Peer, ServerTls, TlsIdentity};
use vesal_node::network::tls::TlsProfile;
use vesal_node::send::{SendError, Sends};
use vesal_node::stop::Stop;
use vesal_node::{Config, Node, log, send};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Collects the log of this process.
struct Collect;

impl Write for Collect {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn collect_log() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| log::install(log::LogSettings::default(), Box::new(Collect)));
}

fn wait_for_log(line: &str) {
    wait_for(line, || {
        let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&log).contains(line)
    });
}

fn identity(files: &Files) -> TlsIdentity {
    TlsIdentity {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    }
}

/// Settings of a node with TLS at its only port.
fn with_tls(folder: &Path, own: &Files, client_ca: Option<&Path>) -> Config {
    collect_log();
    let mut config = config(&folder.join("storage"), free_port(), "", "");
    config.tls = Some(ServerTls {
        identity: identity(own),
        client_ca: client_ca.map(Path::to_owned),
        profile: TlsProfile::default(),
        port: None,
    });
    config
}

/// A peer at an address, with these trusted certificates.
fn peer(address: SocketAddr, ca: &Path, own: Option<&Files>) -> Peer {
    Peer {
        ae_title: "VESAL".to_owned(),
        host: "127.0.0.1".to_owned(),
        port: address.port(),
        calling_ae_title: "SENDER".to_owned(),
        tls: Some(ClientTls {
            ca: ca.to_owned(),
            identity: own.map(identity),
            server_name: "127.0.0.1".try_into().unwrap(),
            profile: TlsProfile::default(),
        }),
    }
}

fn limits() -> NodeLimits {
    config(Path::new("x"), 1, "", "").limits
}

fn echo(peer: &Peer) -> Result<(), String> {
    send::echo(peer, &limits(), &Arc::<Stop>::default()).map_err(|error| error.to_string())
}

/// The file of a slice.
fn image(folder: &Path, k: usize) -> PathBuf {
    let (uid, elements) = slice(1, k);
    let path = folder.join(format!("{k}.dcm"));
    fs::write(&path, support::file(&elements, CT, &uid)).unwrap();
    path
}

/// Counts accepted results.
struct Taken(usize);

impl Sends for Taken {
    fn begins(&mut self, _: usize, _: &Instance) -> Result<(), SendError> {
        Ok(())
    }

    fn answered(&mut self, _: usize, _: &Instance, status: u16) -> Result<(), SendError> {
        assert_eq!(status, 0);
        self.0 += 1;
        Ok(())
    }
}

#[test]
fn images_come_over_tls_and_nothing_comes_without() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let own = authority.issue("node");
    let node = start(with_tls(folder.path(), &own, None));
    let peer = peer(node.address(), &authority.certificate, None);
    let paths: Vec<_> = (0..20).map(|k| image(folder.path(), k)).collect();
    let paths: Vec<_> = paths.iter().map(PathBuf::as_path).collect();
    let mut taken = Taken(0);
    send::store(&peer, &limits(), &Arc::default(), &paths, &mut taken).unwrap();
    assert_eq!(taken.0, 20);
    wait_for("it is complete", || states(&node) != ["collecting"]);
    assert_eq!(node.shared().queue.jobs(9)[0].instances, 20);
    // Without TLS, the connection is aborted, with a line in the log.
    let mut plain = Sender::connect(node.address());
    assert_eq!(plain.ask("SENDER", "VESAL", CT), Said::Aborted);
    wait_for_log("TLS: the peer speaks DICOM without TLS, and this port requires TLS");
    node.stop();
}

#[test]
fn a_plain_port_stays_beside_one_with_tls() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let mut config = with_tls(folder.path(), &authority.issue("node"), None);
    if let Some(tls) = &mut config.tls {
        tls.port = Some(0);
    }
    let node = start(config);
    let ca = &authority.certificate;
    Sender::open(node.address()).release();
    let secure = node.tls_address().unwrap();
    assert_eq!(echo(&peer(secure, ca, None)), Ok(()));
    // TLS to the plain port.
    let told = echo(&peer(node.address(), ca, None)).unwrap_err();
    assert!(told.contains("does not answer with TLS"), "{told}");
    wait_for_log("a TLS handshake arrived at a port without TLS");
    node.stop();
}

#[test]
fn every_profile_meets_every_other() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let own = authority.issue("node");
    let profiles = [
        TlsProfile::Bcp195,
        TlsProfile::Modified,
        TlsProfile::NonDowngrading,
    ];
    for (index, server) in profiles.into_iter().enumerate() {
        let mut config = with_tls(&folder.path().join(index.to_string()), &own, None);
        if let Some(tls) = &mut config.tls {
            tls.profile = server;
        }
        let node = start(config);
        for client in profiles {
            let mut peer = peer(node.address(), &authority.certificate, None);
            if let Some(tls) = &mut peer.tls {
                tls.profile = client;
            }
            assert_eq!(echo(&peer), Ok(()), "{server:?} {client:?}");
        }
        node.stop();
    }
}

#[test]
fn certificates_that_are_not_trusted_are_refused_and_both_sides_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let stranger = Authority::new(folder.path(), "stranger");
    let own = authority.issue("node");
    let node = start(with_tls(folder.path(), &own, None));
    let told = echo(&peer(node.address(), &stranger.certificate, None)).unwrap_err();
    let reason = "it is not listed, and no listed authority has signed it";
    assert_eq!(
        told,
        format!("TLS: the peer's certificate is refused: {reason}")
    );
    wait_for_log("no association: TLS: the peer refuses with the alert UnknownCA");
    // The right authority, but the certificate of another host.
    let mut other = peer(node.address(), &authority.certificate, None);
    if let Some(tls) = &mut other.tls {
        tls.server_name = "archive.example".try_into().unwrap();
    }
    let told = echo(&other).unwrap_err();
    assert!(told.contains("it does not have the name"), "{told}");
    assert!(told.contains("archive.example"), "{told}");
    node.stop();
}

#[test]
fn callers_need_a_certificate_where_one_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let stranger = Authority::new(folder.path(), "stranger");
    let (own, scanner) = (authority.issue("node"), authority.issue("scanner"));
    let other = stranger.issue("other");
    let ca = authority.certificate.as_path();
    let node = start(with_tls(folder.path(), &own, Some(ca)));
    assert_eq!(echo(&peer(node.address(), ca, Some(&scanner))), Ok(()));
    let told = echo(&peer(node.address(), ca, None)).unwrap_err();
    assert!(told.contains("alert CertificateRequired"), "{told}");
    wait_for_log("TLS: the peer sent no certificate, and one is required");
    let told = echo(&peer(node.address(), ca, Some(&other))).unwrap_err();
    assert!(told.contains("refuses with the alert"), "{told}");
    wait_for_log("TLS: the peer's certificate is refused");
    node.stop();
}

/// A self-signed certificate, as most devices have.
#[test]
fn a_certificate_that_is_listed_itself_is_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let node_files = self_signed(folder.path(), "node");
    let scanner = self_signed(folder.path(), "scanner");
    let other = self_signed(folder.path(), "other");
    let node = start(with_tls(
        folder.path(),
        &node_files,
        Some(&scanner.certificate),
    ));
    let ask = |ca: &Files, own: &Files| echo(&peer(node.address(), &ca.certificate, Some(own)));
    assert_eq!(ask(&node_files, &scanner), Ok(()));
    let refused = "the peer's certificate is refused: it is not listed itself";
    let told = ask(&other, &scanner).unwrap_err();
    assert!(told.contains(refused), "{told}");
    assert!(ask(&node_files, &other).is_err());
    wait_for_log(refused);
    node.stop();
}

#[test]
fn who_does_not_answer_may_take_tls_alone_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || listener.incoming().take(2).for_each(drop));
    let with = peer(address, &authority.certificate, None);
    let told = echo(&with).unwrap_err();
    assert!(told.contains("is this a port without TLS?"), "{told}");
    let told = echo(&Peer { tls: None, ..with }).unwrap_err();
    assert!(told.contains("does this port require TLS?"), "{told}");
}

/// The record of a ClientHello that offers this version and no other, with one old cipher suite.
fn old_hello(version: [u8; 2]) -> Vec<u8> {
    let body = [&version[..], &[7; 32], &[0], &[0, 2, 0, 0x2f], &[1, 0]].concat();
    let handshake = [&[1, 0, 0, body.len() as u8][..], &body].concat();
    [&[22, 3, 1, 0, handshake.len() as u8][..], &handshake].concat()
}

#[test]
fn handshakes_end_in_time_and_size_and_are_not_downgraded() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let mut config = with_tls(folder.path(), &authority.issue("node"), None);
    config.limits.negotiation = Duration::from_millis(1500);
    config.limits.first_byte = Duration::from_millis(500);
    let node = start(config);
    let connections = || node.shared().slots.connections();
    // TLS 1.1.
    let mut old = Sender::connect(node.address());
    old.put(&old_hello([3, 2]));
    wait_for_log("TLS: the peer offers no version or cipher suite of the profile");
    // Silence, and a byte now and then.
    let start = Instant::now();
    let silent = Sender::connect(node.address());
    wait_for("the silent one is closed", || connections() == 0);
    drop(silent);
    let mut slow = Sender::connect(node.address());
    for byte in old_hello([3, 3]) {
        if !slow.put(&[byte]) {
            break;
        }
        thread::sleep(Duration::from_millis(100));
    }
    wait_for("the slow one is closed", || connections() == 0);
    assert!(start.elapsed() < Duration::from_secs(8));
    // A handshake message with a stated length of 16 MiB.
    let mut endless = Sender::connect(node.address());
    let mut record = vec![22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff];
    record.resize(5 + 0x4000, 0);
    let start = Instant::now();
    while endless.put(&record) {
        record[5..9].fill(0);
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    wait_for("it is closed", || connections() == 0);
    // Many of them do not affect others.
    let crowd: Vec<_> = (0..40).map(|_| Sender::connect(node.address())).collect();
    let start = Instant::now();
    assert_eq!(
        echo(&peer(node.address(), &authority.certificate, None)),
        Ok(())
    );
    assert!(start.elapsed() < Duration::from_secs(2));
    drop(crowd);
    node.stop();
}

#[test]
fn files_that_cannot_be_used_are_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let (own, other) = (authority.issue("node"), authority.issue("other"));
    let pause = Duration::ZERO;
    let fails = |config: Config| match Node::start(config, Arc::new(StandIn { pause })) {
        Ok(_) => panic!("it starts"),
        Err(error) => std::error::Error::source(&error).unwrap().to_string(),
    };
    let mixed = Files {
        certificate: own.certificate.clone(),
        key: other.key.clone(),
    };
    let told = fails(with_tls(folder.path(), &mixed, None));
    assert!(told.contains("cannot be used with key"), "{told}");
    let swapped = Files {
        certificate: own.key.clone(),
        key: own.certificate.clone(),
    };
    let told = fails(with_tls(folder.path(), &swapped, None));
    assert!(told.contains("holds no certificate in PEM"), "{told}");
    let mut config = with_tls(folder.path(), &own, None);
    let address = "127.0.0.1:1".parse().unwrap();
    let archive = peer(address, &folder.path().join("absent"), None);
    config.destinations.insert("archive".to_owned(), archive);
    let told = fails(config);
    assert!(told.contains("cannot read"), "{told}");
    // A key that others may read is used, with a warning.
    fs::set_permissions(&own.key, fs::Permissions::from_mode(0o640)).unwrap();
    let node = start(with_tls(folder.path(), &own, None));
    wait_for_log("users other than its owner may read the key");
    node.stop();
}
