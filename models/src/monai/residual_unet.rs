//! The arguments that all of MONAI's residual U-Nets have.

use serde_json::Value;

use super::{Arguments, ArgumentsError};

/// What the arguments say, with MONAI's defaults for absent ones.
pub(crate) struct ResidualUNetArguments {
    pub in_channels: usize,
    pub out_channels: usize,
    pub init_filters: usize,
    pub blocks_down: Vec<usize>,
    pub dsdepth: usize,
}

/// A normalization that a family has.
#[derive(Clone, Copy)]
pub(crate) struct NormArgument {
    /// MONAI's names of it.
    pub names: &'static [&'static str],
    /// What to expect, in messages.
    pub expected: &'static str,
}

impl ResidualUNetArguments {
    /// Reads them, and refuses what no family has.
    ///
    /// **Source**: MONAI 1.6.1 `SegResNetDS.__init__`.
    pub fn read(network: &Arguments<'_>, norm: NormArgument) -> Result<Self, ArgumentsError> {
        network.allow(&[
            "spatial_dims",
            "init_filters",
            "in_channels",
            "out_channels",
            "act",
            "norm",
            "blocks_down",
            "blocks_up",
            "dsdepth",
            "preprocess",
            "upsample_mode",
            "resolution",
        ])?;
        check_named(network, "act", &["RELU"], &["inplace"], "relu")?;
        check_named(network, "norm", norm.names, &["affine"], norm.expected)?;
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
        Ok(Self {
            in_channels: network.count("in_channels")?.unwrap_or(1),
            out_channels: network.count("out_channels")?.unwrap_or(2),
            init_filters: network.count("init_filters")?.unwrap_or(32),
            blocks_down,
            dsdepth: network.count("dsdepth")?.unwrap_or(1),
        })
    }
}

/// Name of an argument that is a name, or a name with arguments of its own, in capitals; none: it is something else.
pub(crate) fn name_of(value: &Value) -> Option<(String, Option<&serde_json::Map<String, Value>>)> {
    let (name, arguments) = match value {
        Value::String(name) => (name, None),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(name)] => (name, None),
            [Value::String(name), Value::Object(arguments)] => (name, Some(arguments)),
            _ => return None,
        },
        _ => return None,
    };
    Some((name.to_ascii_uppercase(), arguments))
}

/// Checks an argument that is a name, or a name with arguments of its own, of which only harmless ones are allowed.
fn check_named(
    network: &Arguments<'_>,
    field: &str,
    names: &[&str],
    harmless: &[&str],
    expected: &'static str,
) -> Result<(), ArgumentsError> {
    let Some(value) = network.get(field) else {
        return Ok(());
    };
    let known = name_of(value).is_some_and(|(found, arguments)| {
        let harmless = arguments.is_none_or(|arguments| {
            arguments.iter().all(|(argument, value)| {
                harmless.contains(&argument.as_str())
                    && (argument != "affine" || value == &Value::Bool(true))
            })
        });
        names.contains(&found.as_str()) && harmless
    });
    if known {
        Ok(())
    } else {
        Err(network.unsupported(field, expected))
    }
}
