//! Requirements on signature and digest: a bundle that does not meet them is not opened.

use crate::example;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use minisign::KeyPair;
use vesal_bundle::manifest::ManifestError;
use vesal_bundle::signature::{self, FILE_NAME, PublicKey, SignatureError};
use vesal_bundle::{Bundle, BundleError, Demands};

fn keys() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().expect("keys")
}

fn public(keys: &KeyPair, folder: &Path) -> PublicKey {
    let path = folder.join("key.pub");
    let text = keys.pk.to_box().expect("a key").into_string();
    fs::write(&path, text).expect("written");
    PublicKey::read(&path).expect("a key")
}

/// Signs the manifest of a bundle.
fn sign(keys: &KeyPair, bundle: &Path) {
    let manifest = Cursor::new(fs::read(bundle.join("manifest.json")).expect("read"));
    let made = minisign::sign(Some(&keys.pk), &keys.sk, manifest, Some("a bundle"), None);
    signature::write(bundle, &made.expect("signed").into_string()).expect("written");
}

fn demands(key: PublicKey) -> Demands {
    Demands {
        key: Some(key),
        signature: true,
        ..Demands::default()
    }
}

fn refused(bundle: &Path, demands: &Demands) -> SignatureError {
    match Bundle::open_demanded(bundle, demands) {
        Err(BundleError::Signature(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_signed_bundle_opens_and_keeps_its_digest() {
    let (parent, path) = example::written();
    let before = Bundle::open(&path).expect("opens");
    let keys = keys();
    sign(&keys, &path);
    let after =
        Bundle::open_demanded(&path, &demands(public(&keys, parent.path()))).expect("opens");
    assert_eq!(after.digest(), before.digest());
    assert!(after.is_signed() && !before.is_signed());
    // Without a key, a signature is not checked.
    assert!(!Bundle::open(&path).expect("opens").is_signed());
}

#[test]
fn another_key_verifies_nothing() {
    let (parent, path) = example::written();
    sign(&keys(), &path);
    let other = public(&keys(), parent.path());
    let error = refused(&path, &demands(other.clone()));
    assert!(
        matches!(error, SignatureError::Unverified { .. }),
        "{error:?}"
    );
    // An existing signature has to be valid even where none is required.
    let lax = Demands {
        signature: false,
        ..demands(other)
    };
    let error = refused(&path, &lax);
    assert!(
        matches!(error, SignatureError::Unverified { .. }),
        "{error:?}"
    );
}

#[test]
fn a_changed_manifest_is_not_the_signed_one() {
    let (parent, path) = example::written();
    let keys = keys();
    sign(&keys, &path);
    let manifest = path.join("manifest.json");
    let mut bytes = fs::read(&manifest).expect("read");
    // White space, which does not change the content.
    bytes.push(b'\n');
    fs::write(&manifest, bytes).expect("written");
    Bundle::open(&path).expect("whole");
    let error = refused(&path, &demands(public(&keys, parent.path())));
    assert!(
        matches!(error, SignatureError::Unverified { .. }),
        "{error:?}"
    );
}

#[test]
fn a_changed_member_is_not_the_one_of_the_signed_manifest() {
    let (parent, path) = example::written();
    let keys = keys();
    sign(&keys, &path);
    let member = path.join("members/model.onnx");
    let mut bytes = fs::read(&member).expect("read");
    bytes[0] ^= 1;
    fs::write(&member, bytes).expect("written");
    let bundle =
        Bundle::open_demanded(&path, &demands(public(&keys, parent.path()))).expect("opens");
    assert!(matches!(
        bundle.member_bytes(1),
        Err(BundleError::Digest { .. })
    ));
}

#[test]
fn the_signature_of_another_bundle_is_none_of_this_one() {
    let (parent, path) = example::written();
    let (_other_parent, other) = example::written();
    let manifest = other.join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("read");
    fs::write(
        &manifest,
        text.replace("\"weight\": 0.5", "\"weight\": 0.25"),
    )
    .expect("written");
    let keys = keys();
    sign(&keys, &other);
    fs::copy(other.join(FILE_NAME), path.join(FILE_NAME)).expect("copied");
    let key = public(&keys, parent.path());
    Bundle::open_demanded(&other, &demands(key.clone())).expect("signed");
    let error = refused(&path, &demands(key));
    assert!(
        matches!(error, SignatureError::Unverified { .. }),
        "{error:?}"
    );
}

#[test]
fn a_missing_signature_is_refused_where_one_is_required() {
    let (parent, path) = example::written();
    let key = public(&keys(), parent.path());
    let error = refused(&path, &demands(key.clone()));
    assert!(matches!(error, SignatureError::Missing), "{error:?}");
    let lax = Demands {
        key: Some(key),
        ..Demands::default()
    };
    assert!(
        !Bundle::open_demanded(&path, &lax)
            .expect("opens")
            .is_signed()
    );
    let keyless = Demands {
        signature: true,
        ..Demands::default()
    };
    let error = refused(&path, &keyless);
    assert!(matches!(error, SignatureError::NoKey), "{error:?}");
}

#[test]
fn what_is_no_signature_or_key_is_said_to_be_none() {
    let (parent, path) = example::written();
    let keys = keys();
    let key = public(&keys, parent.path());
    for text in ["", "text", "a\nb\nc\nd\n"] {
        fs::write(path.join(FILE_NAME), text).expect("written");
        let error = refused(&path, &demands(key.clone()));
        assert!(
            matches!(error, SignatureError::Malformed { .. }),
            "{error:?}"
        );
        let file = parent.path().join("broken.pub");
        fs::write(&file, text).expect("written");
        assert!(matches!(
            PublicKey::read(&file),
            Err(SignatureError::Key { .. })
        ));
    }
    fs::write(path.join(FILE_NAME), vec![b'a'; 1 << 20]).expect("written");
    let error = refused(&path, &demands(key));
    assert!(matches!(error, SignatureError::Document(_)), "{error:?}");
}

#[test]
fn another_digest_than_the_demanded_one_is_refused() {
    let (_parent, path) = example::written();
    let digest = Bundle::open(&path).expect("opens").digest().to_owned();
    let pinned = |sha256: &str| Demands {
        sha256: Some(sha256.into()),
        ..Demands::default()
    };
    Bundle::open_demanded(&path, &pinned(&digest)).expect("the same");
    let other = "0".repeat(64);
    let error = refused(&path, &pinned(&other));
    assert!(
        matches!(&error, SignatureError::Digest { found, expected } if *found == digest && *expected == other),
        "{error:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_signature_is_a_file_of_the_bundle() {
    let (parent, path) = example::written();
    let outside = parent.path().join("outside");
    fs::write(&outside, "text").expect("written");
    std::os::unix::fs::symlink(&outside, path.join(FILE_NAME)).expect("linked");
    assert!(matches!(
        Bundle::open(&path),
        Err(BundleError::NotPlain { .. })
    ));
}

#[test]
fn a_manifest_does_not_list_its_signature() {
    let (_parent, path) = example::written();
    sign(&keys(), &path);
    let manifest = path.join("manifest.json");
    let bytes = fs::read(&manifest).expect("read");
    let mut value: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
    value["files"]["Signature.minisig"] = value["files"]["members/model.onnx"].clone();
    fs::write(&manifest, serde_json::to_vec(&value).expect("JSON")).expect("written");
    let error = Bundle::open(&path).expect_err("refused");
    assert!(
        matches!(
            error,
            BundleError::Manifest(ManifestError::ListsItself { file: FILE_NAME })
        ),
        "{error:?}"
    );
}
