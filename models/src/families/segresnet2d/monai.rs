//! The arguments of MONAI's SegResNetDS in two dimensions.

use vesal_network::{NetworkConfig, SegResNet2dConfig};

use crate::monai::{Arguments, ArgumentsError, NormArgument, ResidualUNetArguments, name_of};

const NORM: NormArgument = NormArgument {
    names: &["BATCH"],
    expected: "BATCH, affine",
};

/// Whether the arguments are those of this family: two dimensions and batch normalization, which is MONAI's default.
pub(crate) fn describes(network: &Arguments<'_>) -> bool {
    let norm = network.get("norm").map(name_of);
    let is_batch = norm.is_none_or(|norm| norm.is_some_and(|(name, _)| name == "BATCH"));
    let dimensions = network.get("spatial_dims").and_then(|dims| dims.as_u64());
    dimensions == Some(2) && is_batch
}

/// Reads the arguments, with MONAI's defaults for absent ones.
///
/// **Source**: MONAI 1.6.1 `SegResNetDS.__init__`.
pub(crate) fn read(
    _: &Arguments<'_>,
    network: &Arguments<'_>,
) -> Result<NetworkConfig, ArgumentsError> {
    let arguments = ResidualUNetArguments::read(network, NORM)?;
    if network.get("resolution").is_some() {
        return Err(network.unsupported("resolution", "none in two dimensions"));
    }
    Ok(SegResNet2dConfig {
        in_channels: arguments.in_channels,
        out_channels: arguments.out_channels,
        init_filters: arguments.init_filters,
        blocks_down: arguments.blocks_down,
        dsdepth: arguments.dsdepth,
    }
    .into())
}
