//! The arguments of MONAI's SwinUNETR.

use serde_json::{Value, json};
use vesal_network::{NetworkConfig, PatchMerging, SwinUnetrConfig};

use crate::monai::{Arguments, ArgumentsError, name_of};

/// All arguments; those of former versions included.
const ARGUMENTS: [&str; 23] = [
    "img_size",
    "in_channels",
    "out_channels",
    "patch_size",
    "depths",
    "num_heads",
    "window_size",
    "qkv_bias",
    "mlp_ratio",
    "feature_size",
    "norm_name",
    "drop_rate",
    "attn_drop_rate",
    "dropout_path_rate",
    "normalize",
    "norm_layer",
    "patch_norm",
    "use_checkpoint",
    "spatial_dims",
    "downsample",
    "use_v2",
    "use_hyena",
    "hyena_stages",
];

/// Reads the arguments, with MONAI's defaults for absent ones; those that matter to training only are skipped. The
/// order of patch merging is that of current versions: no argument tells it.
///
/// **Source**: MONAI 1.6.1 `SwinUNETR.__init__`.
pub(crate) fn read(
    _: &Arguments<'_>,
    network: &Arguments<'_>,
) -> Result<NetworkConfig, ArgumentsError> {
    network.allow(&ARGUMENTS)?;
    for (argument, allowed, expected) in [
        ("spatial_dims", vec![json!(3)], "3"),
        ("patch_size", vec![json!(2), json!([2, 2, 2])], "2"),
        ("depths", vec![json!([2, 2, 2, 2])], "[2, 2, 2, 2]"),
        ("num_heads", vec![json!([3, 6, 12, 24])], "[3, 6, 12, 24]"),
        ("window_size", vec![json!(7), json!([7, 7, 7])], "7"),
        ("qkv_bias", vec![json!(true)], "true"),
        ("mlp_ratio", vec![json!(4)], "4"),
        ("normalize", vec![json!(true)], "true"),
        ("norm_layer", vec![json!("torch.nn.LayerNorm")], "LayerNorm"),
        ("patch_norm", vec![json!(false)], "false"),
        ("downsample", vec![json!("merging")], "merging"),
        ("use_v2", vec![json!(false)], "false"),
        ("use_hyena", vec![json!(false)], "false"),
        ("hyena_stages", Vec::new(), "none"),
    ] {
        if let Some(found) = network.get(argument)
            && !allowed.iter().any(|allowed| is_same(found, allowed))
        {
            return Err(network.unsupported(argument, expected));
        }
    }
    if network.get("norm_name").is_some_and(|norm| !is_plain(norm)) {
        return Err(network.unsupported("norm_name", "instance, not affine"));
    }
    let channels = |argument| {
        let count = network.count(argument)?;
        count.ok_or_else(|| network.broken(argument, "a whole number of at least 1"))
    };
    Ok(SwinUnetrConfig {
        in_channels: channels("in_channels")?,
        out_channels: channels("out_channels")?,
        feature_size: network.count("feature_size")?.unwrap_or(24),
        patch_merging: PatchMerging::default(),
    }
    .into())
}

/// Whether two values are the same; numbers may be whole or floats.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

/// Whether a norm is an instance norm without weights.
fn is_plain(norm: &Value) -> bool {
    name_of(norm).is_some_and(|(name, arguments)| {
        let is_affine = arguments.and_then(|arguments| arguments.get("affine"));
        name == "INSTANCE" && is_affine.is_none_or(|affine| affine == false)
    })
}

#[cfg(test)]
mod tests {
    use vesal_network::Family;

    use super::*;

    fn read_from(network: &Value) -> Result<NetworkConfig, ArgumentsError> {
        let config = json!({ "network": network });
        let map = config.as_object().unwrap();
        let arguments = Arguments {
            path: "config",
            map,
            root: map,
        };
        crate::monai::network(&arguments).map(Option::unwrap)
    }

    #[test]
    fn the_shipped_form_is_read() {
        let arguments = json!({
            "_target_": "monai.networks.nets.SwinUNETR", "in_channels": 1, "out_channels": 14,
            "feature_size": 48, "img_size": [96, 96, 96], "spatial_dims": 3, "use_checkpoint": true, "use_v2": false,
            "window_size": [7, 7, 7], "mlp_ratio": 4, "drop_rate": 0.1, "norm_name": ["instance", {"affine": false}],
            "downsample": "merging", "hyena_stages": null,
        });
        let expected = SwinUnetrConfig {
            in_channels: 1,
            out_channels: 14,
            feature_size: 48,
            patch_merging: PatchMerging::Monai15,
        };
        assert_eq!(expected.validate(), Ok(()));
        assert_eq!(read_from(&arguments), Ok(expected.into()));
    }

    #[test]
    fn other_forms_are_refused_by_the_name_of_the_argument() {
        for (argument, value) in [
            ("use_v2", json!(true)),
            ("depths", json!([2, 4, 2, 2])),
            ("num_heads", json!([3, 6, 12])),
            ("window_size", json!(8)),
            ("window_size", json!([7, 7])),
            ("patch_size", json!(4)),
            ("normalize", json!(false)),
            ("spatial_dims", json!(2)),
            ("downsample", json!("mergingv2")),
            ("norm_name", json!("batch")),
            ("norm_name", json!(["instance", {"affine": true}])),
            ("patch_norm", json!(true)),
            ("qkv_bias", json!(false)),
            ("mlp_ratio", json!(3.5)),
            ("use_hyena", json!(true)),
            ("hyena_stages", json!([true, false, true, false])),
            ("in_channels", json!("one")),
            ("rope", json!(true)),
            ("_mode_", json!("callable")),
            ("_target_", json!("scripts.mynet.SwinUNETR")),
            ("_target_", json!("monai_like.SwinUNETR")),
        ] {
            let mut arguments = json!({
                "_target_": "SwinUNETR", "in_channels": 1, "out_channels": 2,
            });
            arguments[argument] = value;
            let error = read_from(&arguments).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`config.network.{argument}`")),
                "{error}"
            );
        }
        let error = read_from(&json!({ "_target_": "SwinUNETR", "in_channels": 1 })).unwrap_err();
        assert!(error.to_string().contains("out_channels"), "{error}");
    }
}
