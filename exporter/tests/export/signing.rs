//! Keys and signatures of bundles on the command line.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::work_dir::{destination, work_dir};
use minisign::{KeyPair, SecretKeyBox};
use vesal_bundle::signature::PublicKey;
use vesal_bundle::{Bundle, Demands};
use vesal_exporter::package::package;
use vesal_exporter::selection::SelectionOptions;
use vesal_exporter::signing::{self, Signer, SigningError};

fn export(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vesal-export"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn keys_are_made_once_and_the_secret_one_is_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, public) = (folder.path().join("key"), folder.path().join("key.pub"));
    let arguments = ["keygen", "--no-password", "--secret"].map(Path::new);
    let arguments = [&arguments[..], &[&secret, Path::new("--public"), &public]].concat();
    let made = export(&arguments);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    PublicKey::read(&public).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(
            fs::metadata(&secret).unwrap().permissions().mode() & 0o777,
            0o600
        );
    }
    let before = fs::read(&secret).unwrap();
    let again = export(&arguments);
    assert_eq!(again.status.code(), Some(6), "{again:?}");
    assert_eq!(fs::read(&secret).unwrap(), before);
}

#[test]
fn a_pair_of_keys_is_made_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, public) = (folder.path().join("key"), folder.path().join("key.pub"));
    fs::write(&public, "somebody's").unwrap();
    assert!(matches!(
        signing::generate(&secret, &public, None),
        Err(SigningError::Write { path, .. }) if path == public
    ));
    assert!(!secret.exists());
    assert_eq!(fs::read_to_string(&public).unwrap(), "somebody's");
    assert!(signing::generate(&secret, &secret, None).is_err());
    assert!(!secret.exists());
    // An empty password.
    assert!(matches!(
        signing::generate(
            &secret,
            &folder.path().join("other.pub"),
            Some(String::new())
        ),
        Err(SigningError::EmptyPassword)
    ));
    assert!(!secret.exists());
    signing::generate(&secret, &folder.path().join("other.pub"), None).unwrap();
    assert!(Signer::read(&secret, || None).is_ok());
}

#[test]
fn a_key_with_a_password_opens_with_it_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, public) = (folder.path().join("key"), folder.path().join("key.pub"));
    signing::generate(&secret, &public, Some("right".into())).unwrap();
    assert!(Signer::read(&secret, || Some("right".into())).is_ok());
    assert!(matches!(
        Signer::read(&secret, || Some("wrong".into())),
        Err(SigningError::Secret { path, .. }) if path == secret
    ));
    assert!(matches!(
        Signer::read(&secret, || None),
        Err(SigningError::Password { .. })
    ));
    // A signature that minisign reads.
    let text = fs::read_to_string(&secret).unwrap();
    let key = SecretKeyBox::from_string(&text).unwrap();
    assert!(key.into_secret_key(Some("right".into())).is_ok());
    fs::write(&secret, "no key").unwrap();
    let error = Signer::read(&secret, || None).err().unwrap();
    assert!(
        matches!(&error, SigningError::Secret { path, .. } if *path == secret),
        "{error}"
    );
    let said = format!("cannot open the secret key `{}`", secret.display());
    assert_eq!(error.to_string(), said);
}

#[test]
fn a_signed_bundle_is_its_makers() {
    let work = work_dir(&[0]);
    let bundle = work.path().join("bundle");
    let destination = destination(bundle.clone());
    let options = SelectionOptions {
        folds: Some(vec![0]),
        ..SelectionOptions::default()
    };
    package(work.path(), &options, None, &destination, &mut |_| {}).unwrap();
    let before = Bundle::open(&bundle).unwrap();
    let (secret, public) = (work.path().join("key"), work.path().join("key.pub"));
    signing::generate(&secret, &public, None).unwrap();
    let demands = Demands {
        key: Some(PublicKey::read(&public).unwrap()),
        signature: true,
        ..Demands::default()
    };
    assert!(Bundle::open_demanded(&bundle, &demands).is_err());
    // Signed again, it has one signature.
    for _ in 0..2 {
        let signed = export(&[Path::new("sign"), Path::new("--key"), &secret, &bundle]);
        assert_eq!(signed.status.code(), Some(0), "{signed:?}");
        let after = Bundle::open_demanded(&bundle, &demands).unwrap();
        assert!(after.is_signed());
        assert_eq!(after.digest(), before.digest());
    }
}

#[test]
fn only_a_whole_bundle_is_signed() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let keys = KeyPair::generate_unencrypted_keypair().unwrap();
    fs::write(&key, keys.sk.to_box(None).unwrap().into_string()).unwrap();
    let bundle = folder.path().join("bundle");
    fs::create_dir(&bundle).unwrap();
    let none = export(&[Path::new("sign"), Path::new("--key"), &key, &bundle]);
    assert_eq!(none.status.code(), Some(4), "{none:?}");
    assert_eq!(bundle.read_dir().unwrap().count(), 0);
}
