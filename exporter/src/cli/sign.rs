//! `vesal-export keygen` and `vesal-export sign`

use std::path::PathBuf;

use clap::Args;
use vesal_cli::{Exit, Failure, stderr};

use crate::signing::{self, Signer, SigningError};

/// Makes a pair of keys to sign bundles with
///
/// Keep the secret key private, and give the public key to those who run your bundles through a channel that they trust.
/// minisign reads and writes the same files.
#[derive(Debug, Args)]
pub(super) struct Keygen {
    /// File of the secret key
    #[arg(long, value_name = "FILE")]
    secret: PathBuf,
    /// File of the public key
    #[arg(long, value_name = "FILE")]
    public: PathBuf,
    /// Do not protect the secret key with a password: anyone who has the file can sign
    #[arg(long)]
    no_password: bool,
}

impl Keygen {
    pub fn run(self) -> Result<Exit, Failure> {
        let password = if self.no_password {
            None
        } else {
            let password = ask("Password for the new secret key: ")?;
            if password != ask("The same once more: ")? {
                return Err(Failure::new(Exit::Usage, Unequal));
            }
            Some(password)
        };
        signing::generate(&self.secret, &self.public, password).map_err(failure)?;
        stderr::say(format!(
            "secret key written to `{}`, public key to `{}`",
            self.secret.display(),
            self.public.display()
        ));
        Ok(Exit::Success)
    }
}

/// Signs a bundle
///
/// The signature is one more file in the bundle; its digest stays what it is. `vesal verify BUNDLE --bundle-key PUBLIC
/// --require-signature` checks it.
#[derive(Debug, Args)]
pub(super) struct Sign {
    /// File of the secret key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Directory of the bundle
    #[arg(value_name = "BUNDLE")]
    bundle: PathBuf,
}

impl Sign {
    pub fn run(self) -> Result<Exit, Failure> {
        let password = || rpassword::prompt_password("Password of the secret key: ").ok();
        let signer = Signer::read(&self.key, password).map_err(failure)?;
        let bundle = signer.sign(&self.bundle).map_err(|error| {
            failure(error).attempting(format!("cannot sign `{}`", self.bundle.display()))
        })?;
        stderr::say(format!("bundle `{}` signed", bundle.manifest().name));
        stderr::say(format!("SHA-256 {}", bundle.digest()));
        Ok(Exit::Success)
    }
}

/// Two passwords that differ.
#[derive(Debug, thiserror::Error)]
#[error("the passwords differ, expected the same twice")]
struct Unequal;

fn ask(prompt: &str) -> Result<String, Failure> {
    rpassword::prompt_password(prompt).map_err(|error| {
        Failure::new(Exit::Usage, error)
            .attempting("cannot ask for a password")
            .hint("run it on a terminal, or with `--no-password`".to_owned())
    })
}

fn failure(error: SigningError) -> Failure {
    let exit = match &error {
        SigningError::Minisign { .. }
        | SigningError::EmptyPassword
        | SigningError::Password { .. } => Exit::Usage,
        SigningError::Read { .. } => Exit::Input,
        SigningError::Write { .. } | SigningError::Signature(_) => Exit::Output,
        SigningError::Bundle(_) => Exit::Bundle,
        SigningError::Secret { .. } => Exit::Usage,
    };
    let hint = error.hint().map(str::to_owned);
    Failure::new(exit, error).hint(hint)
}
