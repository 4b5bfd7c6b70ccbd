//! The arguments of MONAI's DiNTS, and architectures in files.

use serde_json::{Map, Value, json};
use thiserror::Error;
use vesal_network::{
    DintsArchitecture, DintsArchitectureError, DintsCodes, DintsConfig, NetworkConfig,
};

use crate::monai::{Arguments, ArgumentsError, class_of, name_of};

/// Channels of the stem of `channel_mul` 1.
const FILTERS: f64 = 32.;

/// Arguments of `DiNTS`; the matrices of an architecture may be beside them.
const NETWORK: [&str; 10] = [
    "dints_space",
    "in_channels",
    "num_classes",
    "act_name",
    "norm_name",
    "spatial_dims",
    "use_downsample",
    "node_a",
    "code_a",
    "code_c",
];
/// Arguments of `TopologyInstance`.
const SPACE: [&str; 9] = [
    "arch_code",
    "channel_mul",
    "num_blocks",
    "num_depths",
    "use_downsample",
    "device",
    "spatial_dims",
    "act_name",
    "norm_name",
];

/// Why a file states no architecture.
#[derive(Debug, Error)]
pub enum DintsFileError {
    /// Another document than the three matrices.
    #[error(
        "an architecture is a JSON object of the matrices `node_a`, `code_a` and `code_c`: {problem}"
    )]
    Document {
        /// What the reader says.
        problem: String,
    },
    #[error("the matrices are no architecture")]
    Architecture(#[from] DintsArchitectureError),
}

impl DintsFileError {
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Document { .. } => {
                "docs/importing.md has the lines of Python that write this file from a `search_code_*.pt`"
            }
            Self::Architecture(error) => error.hint(),
        }
    }
}

/// Reads an architecture from JSON: an object of the matrices `node_a`, `code_a` and `code_c`, whose rows are lists of
/// numbers or texts of digits.
///
/// **Errors**: [`DintsFileError`].
pub fn read_architecture(json: &[u8]) -> Result<DintsArchitecture, DintsFileError> {
    let codes: DintsCodes =
        serde_json::from_slice(json).map_err(|error| DintsFileError::Document {
            problem: error.to_string(),
        })?;
    Ok(codes.try_into()?)
}

/// Reads the arguments. Those of `TopologyInstance` are in `dints_space` or beside the others; matrices that are absent,
/// or expressions as in Auto3DSeg's template, are those of the template.
///
/// **Source**: MONAI 1.6.1 `DiNTS.__init__`, `TopologyInstance.__init__`.
pub(crate) fn read(
    _: &Arguments<'_>,
    network: &Arguments<'_>,
) -> Result<NetworkConfig, ArgumentsError> {
    let space = space(network)?;
    if network.get("dints_space").is_some_and(Value::is_object) {
        network.allow(&NETWORK)?;
        space.allow(&SPACE)?;
    } else {
        network.allow(&[&NETWORK[..], &SPACE].concat())?;
    }
    for (field, only, expected) in [("num_blocks", 12, "12"), ("num_depths", 4, "4")] {
        if space.count(field)?.is_some_and(|found| found != only) {
            return Err(space.unsupported(field, expected));
        }
    }
    for arguments in [&space, network] {
        check_layers(arguments)?;
    }
    let multiple = match space.get("channel_mul") {
        None => 1.,
        Some(value) => value
            .as_f64()
            .filter(|multiple| (1. / FILTERS..=128.).contains(multiple))
            .ok_or_else(|| space.broken("channel_mul", "a number from 1/32 to 128"))?,
    };
    Ok(DintsConfig {
        in_channels: network.count("in_channels")?.unwrap_or(1),
        out_channels: network.count("num_classes")?.unwrap_or(2),
        // As MONAI truncates.
        filters: (FILTERS * multiple) as usize,
        architecture: architecture(network, &space)?,
    }
    .into())
}

/// The arguments of `TopologyInstance`.
fn space<'a>(network: &Arguments<'a>) -> Result<Arguments<'a>, ArgumentsError> {
    let map = match network.get("dints_space") {
        None | Some(Value::String(_)) => return Ok(*network),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(network.broken("dints_space", "a dictionary of arguments")),
    };
    let space = Arguments {
        path: "config.network.dints_space",
        map,
        root: network.root,
    };
    let target = space.text("_target_")?;
    if target.is_some_and(|target| class_of(target) != Some("TopologyInstance")) {
        return Err(space.unsupported("_target_", "TopologyInstance"));
    }
    for (field, expected) in [("num_blocks", "12"), ("num_depths", "4")] {
        if space.get(field).is_none() {
            // MONAI's own defaults are 6 and 3.
            return Err(space.unsupported(field, expected));
        }
    }
    Ok(space)
}

/// Refuses layers that the family does not have.
fn check_layers(arguments: &Arguments<'_>) -> Result<(), ArgumentsError> {
    if arguments
        .count("spatial_dims")?
        .is_some_and(|dims| dims != 3)
    {
        return Err(arguments.unsupported("spatial_dims", "3"));
    }
    if arguments.flag("use_downsample")? == Some(false) {
        return Err(arguments.unsupported("use_downsample", "true"));
    }
    let act = arguments.get("act_name").map(name_of);
    if act.is_some_and(|act| act.is_none_or(|(name, _)| name != "RELU")) {
        return Err(arguments.unsupported("act_name", "RELU"));
    }
    let norm = arguments.get("norm_name").map(name_of);
    let is_known = |norm: Option<(String, Option<&Map<String, Value>>)>| {
        // PyTorch's own default is a normalization without weights.
        norm.is_some_and(|(name, arguments)| {
            let affine = arguments.and_then(|arguments| arguments.get("affine"));
            let alone = arguments.is_some_and(|arguments| arguments.len() == 1);
            name == "INSTANCE" && alone && affine == Some(&Value::Bool(true))
        })
    };
    if norm.is_some_and(|norm| !is_known(norm)) {
        return Err(arguments.unsupported("norm_name", "INSTANCE with affine alone, true"));
    }
    Ok(())
}

/// The architecture that the matrices state.
fn architecture(
    network: &Arguments<'_>,
    space: &Arguments<'_>,
) -> Result<DintsArchitecture, ArgumentsError> {
    let both = match space.get("arch_code") {
        Some(Value::Array(both)) if both.len() == 2 => Some([&both[0], &both[1]]),
        None | Some(Value::String(_)) => None,
        Some(_) => return Err(space.broken("arch_code", "two matrices, or an expression")),
    };
    let [code_a, code_c] = match both {
        Some(both) => both.map(Some),
        None => ["code_a", "code_c"].map(|field| network.get(field)),
    };
    let (Some(code_a), Some(code_c)) = (code_a, code_c) else {
        return Ok(DintsArchitecture::default());
    };
    if code_a.is_string() && code_c.is_string() {
        return Ok(DintsArchitecture::default());
    }
    let node_a = network.get("node_a").filter(|node_a| node_a.is_array());
    let node_a = node_a.ok_or_else(|| network.broken("node_a", "a matrix, as `code_a` is one"))?;
    let matrices = json!({ "node_a": node_a, "code_a": code_a, "code_c": code_c });
    serde_json::from_value(matrices).map_err(|_| {
        let expected =
            "with `code_a` and `code_c` the matrices of an architecture of 12 blocks and 4 depths";
        network.unsupported("node_a", expected)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(network: Value) -> Result<Option<NetworkConfig>, ArgumentsError> {
        let config = json!({ "network": network, "classes": 5 });
        let map = config.as_object().unwrap();
        crate::monai::network(&Arguments {
            path: "config",
            map,
            root: map,
        })
    }

    fn template() -> Value {
        let code = |name: &str| format!("$@training_network#arch_ckpt['{name}']");
        json!({
            "_target_": "monai.networks.nets.DiNTS",
            "dints_space": {
                "_target_": "TopologyInstance",
                "channel_mul": 0.5,
                "num_blocks": 12,
                "num_depths": 4,
                "use_downsample": true,
                "arch_code": [code("code_a"), code("code_c")],
                "device": "$torch.device('cuda')",
            },
            "in_channels": 3,
            "num_classes": "@classes",
            "use_downsample": true,
            "node_a": code("node_a"),
        })
    }

    #[test]
    fn expressions_of_the_template_are_its_architecture() {
        let expected = DintsConfig {
            in_channels: 3,
            out_channels: 5,
            filters: 16,
            architecture: DintsArchitecture::default(),
        };
        assert_eq!(config(template()), Ok(Some(expected.into())));
    }

    #[test]
    fn matrices_are_the_architecture() {
        let codes = serde_json::to_value(DintsArchitecture::default()).unwrap();
        let mut stated = template();
        stated["dints_space"]["arch_code"] = json!([codes["code_a"], codes["code_c"]]);
        let lacking = config(stated.clone()).unwrap_err();
        assert!(lacking.to_string().contains("node_a"), "{lacking}");
        stated["node_a"] = codes["node_a"].clone();
        assert_eq!(config(stated.clone()), config(template()));
        // The image leads to no node.
        stated["node_a"][0] = "0000".into();
        let broken = config(stated).unwrap_err();
        assert!(broken.to_string().contains("config.network.node_a"));
    }

    #[test]
    fn what_the_family_does_not_have_is_refused_by_name() {
        for (place, value) in [
            ("/dints_space/num_blocks", json!(6)),
            ("/dints_space/num_depths", json!(3)),
            ("/dints_space/use_downsample", json!(false)),
            ("/dints_space/_target_", json!("TopologySearch")),
            ("/dints_space/channel_mul", json!(0.01)),
            ("/use_downsample", json!(false)),
            ("/dints_space", json!(["TopologyInstance"])),
        ] {
            let mut network = template();
            *network.pointer_mut(place).unwrap() = value;
            let error = config(network).unwrap_err().to_string();
            let field = place.rsplit('/').next().unwrap();
            assert!(error.contains(&format!(".{field}`")), "{error}");
        }
        for (field, value) in [
            ("spatial_dims", json!(2)),
            ("act_name", json!("PRELU")),
            ("norm_name", json!("BATCH")),
            ("norm_name", json!("INSTANCE")),
            ("norm_name", json!(["INSTANCE", { "affine": false }])),
        ] {
            let mut network = template();
            network[field] = value;
            let error = config(network).unwrap_err().to_string();
            assert!(
                error.contains(&format!("config.network.{field}`")),
                "{error}"
            );
        }
        let mut affine = template();
        affine["norm_name"] = json!(["instance", { "affine": true }]);
        affine["act_name"] = json!(["RELU", { "inplace": true }]);
        assert_eq!(config(affine), config(template()));
    }

    #[test]
    fn files_that_are_no_architecture_say_why() {
        let text = |codes: &Value| codes.to_string().into_bytes();
        let mut codes = serde_json::to_value(DintsArchitecture::default()).unwrap();
        assert_eq!(
            read_architecture(&text(&codes)).unwrap(),
            DintsArchitecture::default()
        );
        assert!(matches!(
            read_architecture(b"[]"),
            Err(DintsFileError::Document { .. })
        ));
        codes["code_c"][3] = "123".into();
        let error = read_architecture(&text(&codes)).unwrap_err();
        assert!(matches!(
            error,
            DintsFileError::Architecture(DintsArchitectureError::Columns { row: 3, .. })
        ));
        assert!(error.hint().contains("search_code_"));
    }
}
