//! The arguments of MONAI's SegResNetDS.

use serde_json::Value;
use vesal_network::{NetworkConfig, SegResNetDsConfig};

use crate::monai::{Arguments, ArgumentsError};

/// Reads the arguments, with MONAI's defaults for absent ones.
///
/// **Source**: MONAI 1.6.1 `SegResNetDS.__init__`; anisotropic scales that Auto3DSeg states outside of the network are
/// added as in its segmenter.
pub(crate) fn read(
    config: &Arguments<'_>,
    network: &Arguments<'_>,
) -> Result<NetworkConfig, ArgumentsError> {
    if network.count("spatial_dims")?.is_some_and(|dims| dims != 3) {
        return Err(network.unsupported("spatial_dims", "3"));
    }
    check_named(network, "act", "RELU", &["inplace"], "relu")?;
    let norm = "INSTANCE or INSTANCE_NVFUSER, affine";
    if network.get("norm").is_none() {
        // MONAI's own default is batch normalization.
        return Err(network.unsupported("norm", norm));
    }
    check_named(network, "norm", "INSTANCE", &["affine"], norm)?;
    if network
        .text("upsample_mode")?
        .is_some_and(|mode| mode != "deconv")
    {
        return Err(network.unsupported("upsample_mode", "deconv"));
    }
    if network.get("preprocess").is_some() {
        return Err(network.unsupported("preprocess", "none"));
    }
    let blocks_down = network
        .counts("blocks_down")?
        .unwrap_or_else(|| vec![1, 2, 2, 4]);
    if let Some(blocks_up) = network.counts("blocks_up")?
        && blocks_up.iter().any(|&blocks| blocks != 1)
    {
        return Err(network.unsupported("blocks_up", "1 per level"));
    }
    let mut resolution = network.numbers("resolution")?;
    if resolution.is_none() && config.flag("anisotropic_scales")? == Some(true) {
        resolution = config.numbers("resample_resolution")?;
    }
    Ok(SegResNetDsConfig {
        in_channels: network.count("in_channels")?.unwrap_or(1),
        out_channels: network.count("out_channels")?.unwrap_or(2),
        init_filters: network.count("init_filters")?.unwrap_or(32),
        blocks_down,
        dsdepth: network.count("dsdepth")?.unwrap_or(1),
        resolution,
    }
    .into())
}

/// Checks an argument that is a name, or a name with arguments of its own, of which only harmless ones are accepted.
fn check_named(
    network: &Arguments<'_>,
    field: &str,
    name: &str,
    harmless: &[&str],
    expected: &'static str,
) -> Result<(), ArgumentsError> {
    let (found, arguments) = match network.get(field) {
        None => return Ok(()),
        Some(Value::String(found)) => (found, None),
        Some(Value::Array(parts)) => match parts.as_slice() {
            [Value::String(found)] => (found, None),
            [Value::String(found), Value::Object(arguments)] => (found, Some(arguments)),
            _ => return Err(network.unsupported(field, expected)),
        },
        Some(_) => return Err(network.unsupported(field, expected)),
    };
    let found = found.to_ascii_uppercase();
    let known = found == name || (name == "INSTANCE" && found == "INSTANCE_NVFUSER");
    let arguments_known = arguments.is_none_or(|arguments| {
        arguments.iter().all(|(argument, value)| {
            harmless.contains(&argument.as_str())
                && (argument != "affine" || value == &Value::Bool(true))
        })
    });
    if known && arguments_known {
        Ok(())
    } else {
        Err(network.unsupported(field, expected))
    }
}
