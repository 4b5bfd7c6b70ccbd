//! TLS and queries with independent programs: dcmtk's tools and Orthanc.
#![cfg(unix)]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "../../io/tests/dicom_files/mod.rs"]
mod dicom_files;
#[path = "../../tests/support/orthanc.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod orthanc;
mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use certificates::{Authority, Files};
use dicom_files::CT;
use orthanc::{Orthanc, Running, program};
use support::{config, free_port, slice, start, states, wait_for};
use vesal_node::config::{ClientTls, ServerTls, TlsIdentity};
use vesal_node::network::tls::TlsProfile;
use vesal_node::{Config, Node};

fn identity(files: &Files) -> TlsIdentity {
    TlsIdentity {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    }
}

/// A node that accepts TLS only, from callers with a certificate, and sends with TLS.
fn secure(config: &mut Config, authority: &Authority, own: &Files) {
    config.tls = Some(ServerTls {
        identity: identity(own),
        client_ca: Some(authority.certificate.clone()),
        profile: TlsProfile::default(),
        port: None,
    });
    let client = ClientTls {
        ca: authority.certificate.clone(),
        identity: Some(identity(own)),
        server_name: "localhost".try_into().unwrap(),
        profile: TlsProfile::default(),
    };
    for destination in config.destinations.values_mut() {
        destination.tls = Some(client.clone());
    }
    for source in &mut config.sources {
        source.peer.tls = Some(client.clone());
    }
}

fn write_series(folder: &Path, series: usize, slices: usize) {
    fs::create_dir_all(folder).unwrap();
    for k in 0..slices {
        let (uid, elements) = slice(series, k);
        let path = folder.join(format!("{series}-{k}.dcm"));
        fs::write(path, support::file(&elements, CT, &uid)).unwrap();
    }
}

fn are_done(node: &Node) -> bool {
    states(node).iter().all(|state| state == "done") && !states(node).is_empty()
}

#[test]
fn tools_of_dcmtk_speak_tls_with_a_node() {
    let programs = ["echoscu", "storescu", "storescp"].map(program);
    let [Some(echoscu), Some(storescu), Some(storescp)] = programs else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let stranger = Authority::new(folder.path(), "stranger");
    let (own, scanner) = (authority.issue("node"), authority.issue("scanner"));
    let (archive, other) = (authority.issue("archive"), stranger.issue("other"));
    let (images, results) = (folder.path().join("images"), folder.path().join("results"));
    write_series(&images, 1, 4);
    fs::create_dir(&results).unwrap();
    let archive_port = free_port();
    let _archive = Running::start(
        Command::new(storescp)
            .args(["-aet", "ARCHIVE", "+xa", "-od"])
            .arg(&results)
            .arg("+tls")
            .args([&archive.key, &archive.certificate])
            .arg("+cf")
            .arg(&authority.certificate)
            .arg(archive_port.to_string()),
    );
    let mut config = config(&folder.path().join("storage"), archive_port, "", "");
    secure(&mut config, &authority, &own);
    let node = start(config);
    let port = node.address().port().to_string();
    let ask = |program: &Path, tls: &[&str], own: Option<&Files>, ca: &Path, more: &[&str]| {
        let mut command = Command::new(program);
        if let Some(own) = own {
            command.arg("+tls").args([&own.key, &own.certificate]);
            command.arg("+cf").arg(ca).args(tls);
        }
        command.args([
            "-to",
            "5",
            "-aec",
            "VESAL",
            "-aet",
            "SENDER",
            "127.0.0.1",
            &port,
        ]);
        command.args(more).output().unwrap().status.success()
    };
    let ca = authority.certificate.as_path();
    // Its profiles: non-downgrading, the one before it, extended.
    for profile in ["+py", "+px", "+pz"] {
        let said = ask(&echoscu, &[profile], Some(&scanner), ca, &[]);
        assert!(said, "{profile}");
    }
    // A foreign certificate; an untrusted node; no TLS.
    assert!(!ask(&echoscu, &[], Some(&other), ca, &[]));
    assert!(!ask(
        &echoscu,
        &[],
        Some(&scanner),
        &stranger.certificate,
        &[]
    ));
    assert!(!ask(&echoscu, &[], None, ca, &[]));
    let images = images.to_str().unwrap();
    assert!(ask(&storescu, &[], Some(&scanner), ca, &["+sd", images]));
    wait_for("it is done", || are_done(&node));
    assert_eq!(fs::read_dir(&results).unwrap().count(), 1);
    node.stop();
}

#[test]
fn orthanc_speaks_tls_and_says_how_many_instances_there_are() {
    let Some(program) = program("Orthanc") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let (own, archive) = (authority.issue("node"), authority.issue("archive"));
    let port = free_port();
    let tls = format!(
        r#", "DicomTlsEnabled": true, "DicomTlsCertificate": {:?}, "DicomTlsPrivateKey": {:?},
           "DicomTlsTrustedCertificates": {:?}, "DicomTlsRemoteCertificateRequired": true"#,
        archive.certificate, archive.key, authority.certificate
    );
    let orthanc = Orthanc::start_with(
        &program,
        &folder.path().join("orthanc"),
        port,
        &tls,
        r#", "UseDicomTls": true"#,
    );
    for k in 0..7 {
        let (uid, elements) = slice(1, k);
        let file = support::file(&elements, CT, &uid);
        assert_eq!(orthanc.post("/instances", &file).0, 200);
    }
    let source = format!(
        "[[source]]\nname = \"archive\"\nae_title = \"ARCHIVE\"\nhost = \"127.0.0.1\"\nport = {}",
        orthanc.dicom
    );
    let mut config = config(&folder.path().join("storage"), orthanc.dicom, "", &source);
    // It waits for the count rather than the quiet period.
    config.services[0].quiet = Duration::from_secs(600);
    config.port = port;
    secure(&mut config, &authority, &own);
    let vesal_node::config::Callers::Listed(callers) = &mut config.callers else {
        panic!("callers are listed");
    };
    callers[0].ae_title = "ARCHIVE".to_owned();
    let node = start(config);
    let series = orthanc.json("/series");
    let body = format!(r#"{{"Resources": [{}], "Synchronous": true}}"#, series[0]);
    let (status, said) = orthanc.post("/modalities/node/store", body.as_bytes());
    assert_eq!(status, 200, "{said}");
    wait_for("it is done", || are_done(&node));
    let job = node.shared().queue.jobs(9).remove(0);
    assert_eq!(
        (job.instances, job.expected, job.doubt),
        (7, Some(7), false)
    );
    assert_eq!(orthanc.instances(), 8);
    let all = orthanc.json("/series?expand");
    let all = all.as_array().unwrap();
    let modalities: Vec<_> = all
        .iter()
        .map(|one| &one["MainDicomTags"]["Modality"])
        .collect();
    assert!(modalities.iter().any(|one| *one == "SEG"), "{modalities:?}");
    node.stop();
}
