//! Checking the networks of a bundle, without ONNX Runtime.

use vesal_bundle::Bundle;

use crate::error::EngineError;
use crate::predictor::load_network;

/// Checks the networks of a bundle against its manifest and the supported operators, one at a time.
///
/// **Errors**: a file that differs from the manifest, or a network that would not be run.
pub fn check_networks(bundle: &Bundle) -> Result<(), EngineError> {
    let manifest = bundle.manifest();
    for member in 0..manifest.members.len() {
        let file = bundle.member_bytes(member)?;
        load_network(&file, &manifest.network)
            .map_err(|source| EngineError::Member { member, source })?;
    }
    Ok(())
}
