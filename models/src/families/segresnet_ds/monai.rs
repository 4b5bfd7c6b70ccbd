//! The arguments of MONAI's SegResNetDS in three dimensions.

use vesal_network::{NetworkConfig, SegResNetDsConfig};

use crate::monai::{Arguments, ArgumentsError, NormArgument, ResidualUNetArguments};

const NORM: NormArgument = NormArgument {
    names: &["INSTANCE", "INSTANCE_NVFUSER"],
    expected: "INSTANCE or INSTANCE_NVFUSER, affine",
};

/// Reads the arguments, with MONAI's defaults for absent ones.
///
/// **Source**: MONAI 1.6.1 `SegResNetDS.__init__`; anisotropic scales that Auto3DSeg states outside of the network are
/// added as in its segmenter.
pub(crate) fn read(
    config: &Arguments<'_>,
    network: &Arguments<'_>,
) -> Result<NetworkConfig, ArgumentsError> {
    if network.count("spatial_dims")?.is_some_and(|dims| dims != 3) {
        return Err(network.unsupported("spatial_dims", "3, or 2 with the norm BATCH"));
    }
    if network.get("norm").is_none() {
        // MONAI's own default is batch normalization.
        return Err(network.unsupported("norm", NORM.expected));
    }
    let arguments = ResidualUNetArguments::read(network, NORM)?;
    let mut resolution = network.numbers("resolution")?;
    if resolution.is_none() && config.flag("anisotropic_scales")? == Some(true) {
        resolution = config.numbers("resample_resolution")?;
    }
    Ok(SegResNetDsConfig {
        in_channels: arguments.in_channels,
        out_channels: arguments.out_channels,
        init_filters: arguments.init_filters,
        blocks_down: arguments.blocks_down,
        dsdepth: arguments.dsdepth,
        resolution,
    }
    .into())
}
