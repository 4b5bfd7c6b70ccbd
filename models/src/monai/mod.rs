//! MONAI's descriptions of networks in configurations of checkpoints and bundles.

mod arguments;

pub use arguments::{Arguments, ArgumentsError};

use serde_json::Value;
use vesal_network::NetworkConfig;

use crate::families::segresnet_ds;

/// Reads the arguments of one family's network; `None` for another family.
type Reader =
    fn(config: &Arguments<'_>, network: &Arguments<'_>) -> Result<NetworkConfig, ArgumentsError>;

/// Names of MONAI's classes, with readers of their arguments.
const NETWORKS: &[(&str, Reader)] = &[("SegResNetDS", segresnet_ds::monai::read)];

/// Reads the network of a configuration; `None` if it describes none. Without a class name, which Auto3DSeg's template
/// leaves out, the arguments are those of the first class.
///
/// **Errors**: [`ArgumentsError`] for the first argument that is not supported.
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
