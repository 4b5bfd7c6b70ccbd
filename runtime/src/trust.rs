//! Opening a bundle that has to be what the command line says.

use std::path::Path;

use vesal_bundle::signature::PublicKey;
use vesal_bundle::{Bundle, BundleError, Demands};

use crate::error::Error;
use crate::options::TrustOptions;

/// Opens a bundle for use.
///
/// **Errors**: it is damaged, another one than was named, not signed by the key, or the key cannot be read.
pub fn open(path: &Path, trust: &TrustOptions) -> Result<Bundle, Error> {
    let key = trust.bundle_key.as_deref().map(PublicKey::read).transpose();
    let key = key.map_err(Error::BundleKey)?;
    let demands = Demands {
        sha256: trust.bundle_sha256.clone(),
        key,
        signature: trust.require_signature,
    };
    Bundle::open_demanded(path, &demands).map_err(|error: BundleError| Error::bundle(path, error))
}

/// What has to be said of a bundle whose signature could have been verified, if it has none.
pub fn note(bundle: &Bundle, trust: &TrustOptions) -> Option<String> {
    (trust.bundle_key.is_some() && !bundle.is_signed()).then(|| {
        format!(
            "`{}` has no signature: `--require-signature` refuses such a bundle",
            bundle.manifest().name
        )
    })
}
