//! Opening a bundle with the requirements of the command line.

use std::path::Path;

use vesal_bundle::signature::PublicKey;
use vesal_bundle::{Bundle, BundleError, Demands};

use crate::error::Error;
use crate::options::TrustOptions;

/// Opens a bundle for use.
///
/// **Errors**: it is damaged, another one than required, not signed by the key, or the key cannot be read.
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

/// The note about an unsigned bundle where a key was given.
pub fn note(bundle: &Bundle, trust: &TrustOptions) -> Option<String> {
    (trust.bundle_key.is_some() && !bundle.is_signed()).then(|| {
        format!(
            "`{}` has no signature: `--require-signature` refuses such a bundle",
            bundle.manifest().name
        )
    })
}
