//! Refused bundles: unsupported networks, other digests, other makers.

use std::ffi::OsStr;
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use crate::support::{Ran, bundle, run, scan, with_runtime, write_scan};
use crate::synthetic::shared_data;
use minisign::KeyPair;
use serde_json::Value;
use tempfile::tempdir;
use vesal_bundle::{Bundle, signature};
use vesal_files::digest;

/// Changes the first network of a bundle and states its new digest.
fn change_network(bundle: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let (member, manifest) = (bundle.join("members/0.onnx"), bundle.join("manifest.json"));
    let network = change(fs::read(&member).unwrap());
    let mut value: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let entry = &mut value["files"]["members/0.onnx"];
    entry["bytes"] = network.len().into();
    entry["sha256"] = digest::sha256(&network).into();
    fs::write(&member, network).unwrap();
    fs::write(&manifest, serde_json::to_vec(&value).unwrap()).unwrap();
}

fn with(arguments: &[&OsStr]) -> Ran {
    with_runtime().args(arguments).output().unwrap().into()
}

/// Settings of a node with one service.
fn node_settings(folder: &Path, bundle: &Path, service: &str) -> PathBuf {
    let settings = folder.join("node.toml");
    let text = format!(
        "[node]\nstorage = {:?}\n[callers]\nany = true\n\
         [[destination]]\nname = \"archive\"\nae_title = \"ARCHIVE\"\nhost = \"127.0.0.1\"\nport = 4242\n\
         [[service]]\nae_title = \"VESAL\"\nbundle = {bundle:?}\ndestinations = [\"archive\"]\n{service}",
        folder.join("storage"),
    );
    fs::write(&settings, text).unwrap();
    settings
}

/// Output about it of every command with a bundle, except `inspect`.
fn all_commands(folder: &Path, bundle: &Path) -> Vec<Ran> {
    let (input, output) = (folder.join("a.nii.gz"), folder.join("out"));
    write_scan(&input, &scan([9, 7, 5]));
    let settings = node_settings(folder, bundle, "");
    let s = OsStr::new;
    vec![
        with(&[s("inspect"), bundle.as_ref()]),
        with(&[s("verify"), bundle.as_ref()]),
        with(&[
            s("predict"),
            s("--bundle"),
            bundle.as_ref(),
            s("--input"),
            input.as_ref(),
            s("--output"),
            output.as_ref(),
        ]),
        with(&[s("serve"), s("--config"), settings.as_ref(), s("--check")]),
    ]
}

#[test]
fn networks_with_other_operators_are_refused_by_every_command() {
    let folder = tempdir().unwrap();
    let path = bundle(folder.path());
    change_network(&path, |network| {
        let at = network.windows(4).position(|four| four == b"Conv").unwrap();
        [&network[..at], b"Loop", &network[at + 4..]].concat()
    });
    for ran in all_commands(folder.path(), &path) {
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert!(
            ran.stderr.contains("the operator \"Loop\""),
            "{}",
            ran.stderr
        );
        assert!(
            ran.stderr.contains("hint: export the network without it"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn networks_that_others_would_read_otherwise_are_refused_by_every_command() {
    let folder = tempdir().unwrap();
    let path = bundle(folder.path());
    // The producer's name again, under a key of 35 bits.
    change_network(&path, |network| {
        [&network[..], b"\x92\x80\x80\x80\x80\x01\x01x"].concat()
    });
    for ran in all_commands(folder.path(), &path) {
        assert_eq!(ran.code, Some(4), "{ran:?}");
        assert!(
            ran.stderr.contains("a key of more than 32 bits"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn hostile_bundles_are_refused_wherever_they_are_opened() {
    let Some(folder) = shared_data("hostile/node") else {
        return;
    };
    for name in ["bundle_ext", "bundle_ext_plain", "bundle_loop"] {
        for place in ["cwdA", "cwdB"] {
            for command in ["inspect", "verify"] {
                let ran = with_runtime()
                    .current_dir(folder.join(place))
                    .arg(command)
                    .arg(folder.join(name))
                    .output();
                let ran = Ran::from(ran.unwrap());
                assert_eq!(ran.code, Some(4), "{command} {name} in {place}: {ran:?}");
            }
        }
    }
}

fn sign(keys: &KeyPair, bundle: &Path) {
    let manifest = Cursor::new(fs::read(bundle.join("manifest.json")).unwrap());
    let made = minisign::sign(None, &keys.sk, manifest, None, None).unwrap();
    signature::write(bundle, &made.into_string()).unwrap();
}

fn public(keys: &KeyPair, path: PathBuf) -> PathBuf {
    fs::write(&path, keys.pk.to_box().unwrap().into_string()).unwrap();
    path
}

#[test]
fn a_bundle_must_have_the_digest_and_the_maker_that_are_named() {
    let folder = tempdir().unwrap();
    let path = bundle(folder.path());
    let digest = Bundle::open(&path).unwrap().digest().to_owned();
    let (input, output) = (folder.path().join("a.nii.gz"), folder.path().join("out"));
    write_scan(&input, &scan([9, 7, 5]));
    let s = OsStr::new;
    let verify = |flags: &[&OsStr]| with(&[&[s("verify"), path.as_ref()][..], flags].concat());
    let predict = |flags: &[&OsStr]| {
        let arguments: [&OsStr; 8] = [
            s("predict"),
            s("--overwrite"),
            s("--bundle"),
            path.as_ref(),
            s("--input"),
            input.as_ref(),
            s("--output"),
            output.as_ref(),
        ];
        with(&[&arguments[..], flags].concat())
    };
    let (ours, others) = (
        KeyPair::generate_unencrypted_keypair().unwrap(),
        KeyPair::generate_unencrypted_keypair().unwrap(),
    );
    let our_key = public(&ours, folder.path().join("ours.pub"));
    let other_key = public(&others, folder.path().join("others.pub"));
    let key = |key: &'static str| {
        let path = if key == "ours" { &our_key } else { &other_key };
        [
            s("--bundle-key"),
            path.as_os_str(),
            s("--require-signature"),
        ]
    };
    // Flags of `vesal predict` are keys of a service, which are checked at the start of the node.
    let serve = |flags: &[&OsStr]| {
        let mut service = String::new();
        let mut flags = flags.iter().map(|flag| flag.to_str().unwrap()).peekable();
        while let Some(flag) = flags.next() {
            let key = flag.trim_start_matches("--").replace('-', "_");
            match flags.next_if(|next| !next.starts_with("--")) {
                Some(value) => service += &format!("{key} = {value:?}\n"),
                None => service += &format!("{key} = true\n"),
            }
        }
        let settings = node_settings(folder.path(), &path, &service);
        with(&[s("serve"), s("--config"), settings.as_ref(), s("--check")])
    };
    let check = |flags: &[&OsStr], code: i32, says: &str| {
        for ran in [verify(flags), predict(flags), serve(flags)] {
            assert_eq!(ran.code, Some(code), "{flags:?}: {ran:?}");
            assert!(ran.stderr.contains(says), "{flags:?}: {}", ran.stderr);
        }
    };
    let upper = digest.to_uppercase();
    check(&[s("--bundle-sha256"), s(&digest)], 0, "");
    check(&[s("--bundle-sha256"), s(&upper)], 0, "");
    let other = "0".repeat(64);
    check(
        &[s("--bundle-sha256"), s(&other)],
        4,
        &format!("expected {other}"),
    );
    check(
        &[s("--bundle-sha256"), s("abc")],
        2,
        "64 hexadecimal digits",
    );
    let alone = [s("--require-signature")];
    for ran in [verify(&alone), predict(&alone), serve(&alone)] {
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let of = ran.stderr.replace('_', "-");
        assert!(of.contains("bundle-key"), "{ran:?}");
    }
    check(&key("ours")[..2], 0, "note: `ramps-1` has no signature");
    check(&key("ours"), 4, "has no `signature.minisig`");
    sign(&ours, &path);
    check(&key("ours"), 0, "");
    check(&key("others"), 4, "does not verify");
    check(&key("others")[..2], 4, "does not verify");
    check(&[s("--bundle-sha256"), s(&digest)], 0, "");
    let ran = run(["inspect".as_ref(), path.as_os_str(), "--json".as_ref()]);
    assert!(
        ran.stdout.contains(&digest),
        "a signature changes no digest: {ran:?}"
    );
    let missing = folder.path().join("missing.pub");
    check(&[s("--bundle-key"), missing.as_ref()], 2, "missing.pub");
}
