//! MONAI's descriptions of networks in configurations of checkpoints and bundles.

mod arguments;
mod residual_unet;

pub use crate::families::dints::{DintsFileError, read_architecture};
pub use arguments::{Arguments, ArgumentsError, class_of, flag};
pub(crate) use residual_unet::{NormArgument, ResidualUNetArguments, name_of};

use serde_json::Value;
use vesal_network::NetworkConfig;

use crate::families::{dints, segresnet_ds, segresnet2d, swinunetr};

/// How the arguments of a family's network are told and read.
struct Description {
    /// Name of MONAI's class.
    class: &'static str,
    /// Whether arguments of that class are those of the family.
    describes: fn(network: &Arguments<'_>) -> bool,
    read: fn(
        config: &Arguments<'_>,
        network: &Arguments<'_>,
    ) -> Result<NetworkConfig, ArgumentsError>,
}

/// The first of a class that describes a network reads it.
const NETWORKS: &[Description] = &[
    Description {
        class: "SegResNetDS",
        describes: segresnet2d::monai::describes,
        read: segresnet2d::monai::read,
    },
    Description {
        class: "SegResNetDS",
        describes: |_| true,
        read: segresnet_ds::monai::read,
    },
    Description {
        class: "DiNTS",
        describes: |_| true,
        read: dints::monai::read,
    },
    Description {
        class: "SwinUNETR",
        describes: |_| true,
        read: swinunetr::monai::read,
    },
];

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
    let class = match network.text("_target_")? {
        None => Some(NETWORKS[0].class),
        Some(target) => class_of(target),
    };
    let mut known = NETWORKS.iter();
    let found = known.find(|known| Some(known.class) == class && (known.describes)(&network));
    const CLASSES: &str = "MONAI's SegResNetDS, SwinUNETR or DiNTS";
    let found = found.ok_or_else(|| network.unsupported("_target_", CLASSES))?;
    (found.read)(config, &network).map(Some)
}
