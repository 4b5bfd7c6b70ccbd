//! Keys, and signatures of bundles by them, in minisign's formats.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use minisign::{KeyPair, PError, SecretKey, SecretKeyBox};
use thiserror::Error;
use vesal_bundle::signature::SignatureError;
use vesal_bundle::{Bundle, BundleError, signature};
use vesal_files::regular;

/// Largest file of a secret key in bytes.
const MAX_KEY_BYTES: u64 = 4096;
/// Prefix of the second line of a secret key with a password: `EdSc`, signature and derivation, in base64.
const ENCRYPTED: &str = "RWRTY";

/// Why keys cannot be made, or a bundle cannot be signed.
#[derive(Debug, Error)]
pub enum SigningError {
    /// An error of minisign.
    #[error("cannot {what}")]
    Minisign { what: &'static str, source: PError },
    /// A file of a key cannot be read.
    #[error("cannot read the secret key `{}`", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file is not a secret key, or the password is wrong.
    #[error("cannot open the secret key `{}`", path.display())]
    Secret { path: PathBuf, source: PError },
    /// A file of a key cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// An empty password.
    #[error("the password is empty, expected one or more characters")]
    EmptyPassword,
    /// The secret key has a password.
    #[error("the secret key `{}` is protected by a password, expected the password", path.display())]
    Password { path: PathBuf },
    /// The bundle cannot be opened.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The signature cannot be written.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl SigningError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Minisign { .. } | Self::Secret { .. } => Some(
                "a secret key is the file that `vesal-export keygen` or `minisign -G` writes; its password has to be right",
            ),
            Self::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("keys are never replaced: choose another name, or move the file yourself")
            }
            Self::EmptyPassword => Some("a key without a password is made with `--no-password`"),
            Self::Password { .. } => Some("run it on a terminal, which asks for the password"),
            Self::Bundle(error) => error.hint(),
            Self::Signature(error) => error.hint(),
            Self::Read { .. } | Self::Write { .. } => None,
        }
    }
}

fn minisign(what: &'static str) -> impl FnOnce(PError) -> SigningError {
    move |source| SigningError::Minisign { what, source }
}

/// Makes a pair of keys and writes each to a new file: the secret key is readable by its owner alone, and protected by
/// the password if there is one.
///
/// **Errors**: [`SigningError`]; no new file remains in that case.
pub fn generate(
    secret: &Path,
    public: &Path,
    password: Option<String>,
) -> Result<(), SigningError> {
    let keys = match password {
        Some(password) if password.is_empty() => return Err(SigningError::EmptyPassword),
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password)),
        None => KeyPair::generate_unencrypted_keypair(),
    }
    .map_err(minisign("make a pair of keys"))?;
    let secret_text = keys
        .sk
        .to_box(None)
        .map_err(minisign("write the secret key"))?;
    let public_text = keys.pk.to_box().map_err(minisign("write the public key"))?;
    // Both files are created before keys are written, so that there is never half a pair.
    let secret_file = NewFile::create(secret, true)?;
    let public_file = NewFile::create(public, false)?;
    let secret_file = secret_file.fill(&secret_text.into_string())?;
    let public_file = public_file.fill(&public_text.into_string())?;
    secret_file.keep();
    public_file.keep();
    Ok(())
}

/// A new file, which is removed on drop unless it is kept.
struct NewFile<'a> {
    path: &'a Path,
    file: File,
    kept: bool,
}

impl<'a> NewFile<'a> {
    fn create(path: &'a Path, secret: bool) -> Result<Self, SigningError> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if secret {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        #[cfg(not(unix))]
        let _ = secret;
        let file = options.open(path).map_err(cannot_write(path))?;
        Ok(Self {
            path,
            file,
            kept: false,
        })
    }

    fn fill(mut self, text: &str) -> Result<Self, SigningError> {
        let written = self.file.write_all(text.as_bytes());
        written
            .and_then(|()| self.file.sync_all())
            .map_err(cannot_write(self.path))?;
        Ok(self)
    }

    fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if !self.kept {
            // Errors of removing are ignored because the cause is reported.
            let _ = fs::remove_file(self.path);
        }
    }
}

fn cannot_write(path: &Path) -> impl FnOnce(io::Error) -> SigningError {
    let path = path.to_path_buf();
    move |source| SigningError::Write { path, source }
}

/// A secret key, read and ready to sign.
pub struct Signer(SecretKey);

impl Signer {
    /// Reads a secret key; `password` is called if the key has a password.
    ///
    /// **Errors**: [`SigningError`].
    pub fn read(
        path: &Path,
        password: impl FnOnce() -> Option<String>,
    ) -> Result<Self, SigningError> {
        let read = || -> io::Result<String> {
            let mut text = String::new();
            let file: File = regular::open(path)?;
            file.take(MAX_KEY_BYTES).read_to_string(&mut text)?;
            Ok(text)
        };
        let text = read().map_err(|source| SigningError::Read {
            path: path.into(),
            source,
        })?;
        let second = text.lines().nth(1).unwrap_or_default();
        let password = if second.starts_with(ENCRYPTED) {
            let password = password();
            Some(password.ok_or_else(|| SigningError::Password { path: path.into() })?)
        } else {
            None
        };
        let key = SecretKeyBox::from_string(&text).and_then(|key| match password {
            Some(password) => key.into_secret_key(Some(password)),
            None => key.into_unencrypted_secret_key(),
        });
        key.map(Self).map_err(|source| SigningError::Secret {
            path: path.into(),
            source,
        })
    }

    /// Signs the manifest of a bundle, whose digests cover everything else, after checking the bundle. An existing
    /// signature is replaced; the bundle's digest does not change.
    ///
    /// **Errors**: [`SigningError`].
    pub fn sign(&self, directory: &Path) -> Result<Bundle, SigningError> {
        let bundle = Bundle::open(directory)?;
        // Shown when the signature is verified; it is signed as well.
        let comment = format!("vesal bundle, SHA-256 {}", bundle.digest());
        let signed = Cursor::new(bundle.manifest_bytes());
        let text = minisign::sign(None, &self.0, signed, Some(&comment), None)
            .map_err(minisign("sign the bundle"))?;
        signature::write(directory, &text.into_string())?;
        Ok(bundle)
    }
}
