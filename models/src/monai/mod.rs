//! How MONAI describes networks in the configurations of its checkpoints and bundles.

mod arguments;

pub use arguments::{Arguments, ArgumentsError};

use serde_json::Value;
use vesal_network::NetworkConfig;

use crate::families::segresnet_ds;

/// Reads the arguments of one family's network; none: they name another family.
type Reader =
    fn(config: &Arguments<'_>, network: &Arguments<'_>) -> Result<NetworkConfig, ArgumentsError>;

/// Names of MONAI's classes, and how the arguments of each are read.
const NETWORKS: &[(&str, Reader)] = &[("SegResNetDS", segresnet_ds::monai::read)];

/// Reads what a configuration says about its network; none: it describes no network. Without a class, which
/// Auto3DSeg leaves to its template's code, the arguments are those of the first class known here.
///
/// **Errors**: [`ArgumentsError`] for the first argument that cannot be honored.
pub fn network(config: &Arguments<'_>) -> Result<Option<NetworkConfig>, ArgumentsError> {
    let map = match config.get("network") {
        None => return Ok(None),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(config.broken("network", "a dictionary of arguments")),
    };
    let network = Arguments {
        path: "config.network",
        map,
        root: config.root,
    };
    let read = match network.text("_target_")? {
        None => NETWORKS[0].1,
        Some(target) => {
            let class = target.rsplit('.').next();
            let known = NETWORKS.iter().find(|(name, _)| class == Some(*name));
            known
                .ok_or_else(|| network.unsupported("_target_", "SegResNetDS"))?
                .1
        }
    };
    read(config, &network).map(Some)
}
