//! Opening a bundle that has to be what the command line says.

use std::path::Path;

use vesal_bundle::signature::PublicKey;
use vesal_bundle::{Bundle, BundleError, Demands};
use vesal_cli::{Exit, Failure};

use crate::cli::TrustArguments;
use crate::failure;

/// Opens a bundle for use.
///
/// **Errors**: it is damaged, another one than was named, not signed by the key, or the key cannot be read.
pub fn open(path: &Path, trust: &TrustArguments) -> Result<Bundle, Failure> {
    let key = trust.bundle_key.as_deref().map(PublicKey::read).transpose();
    let key = key.map_err(|error| {
        let hint = error.hint().map(str::to_owned);
        Failure::new(Exit::Usage, error).hint(hint)
    })?;
    let demands = Demands {
        sha256: trust.bundle_sha256.clone(),
        key,
        signature: trust.require_signature,
    };
    Bundle::open_demanded(path, &demands).map_err(|error: BundleError| failure::bundle(path, error))
}

/// What has to be said of a bundle whose signature could have been verified, if it has none.
pub fn note(bundle: &Bundle, trust: &TrustArguments) -> Option<String> {
    (trust.bundle_key.is_some() && !bundle.is_signed()).then(|| {
        format!(
            "`{}` has no signature: `--require-signature` refuses such a bundle",
            bundle.manifest().name
        )
    })
}
