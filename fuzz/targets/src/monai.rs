//! Configurations in folders of MONAI bundles and of Auto3DSeg's algorithms.

#[path = "../../../exporter/tests/support/folders.rs"]
#[allow(dead_code, reason = "each user uses a part of it")]
mod made;

use std::fs;

use serde_json::{Value, json};
use vesal_exporter::import::read_folder;
use vesal_network::{NetworkConfig, SegResNetDsConfig};

use crate::scratch::{ScratchFolder, files, joined};
use crate::target::Target;

/// Files of `configs`: the first is `inference.json` or `inference.yaml` of a bundle beside a `metadata.json`, or
/// `hyper_parameters.yaml` of an algorithm, by its first byte; further ones are those beside it.
pub const CONFIGURATION: Target = Target {
    name: "monai_configuration",
    run: |bytes| {
        let Some((kind, bytes)) = bytes.split_first() else {
            return;
        };
        let names = match kind {
            b'{' => ["inference.json", "metadata.json", "unused"],
            b'-' => ["inference.yaml", "metadata.json", "unused"],
            _ => [
                "hyper_parameters.yaml",
                "network.yaml",
                "transforms_infer.yaml",
            ],
        };
        let folder = ScratchFolder::new();
        let configs = folder.path().join("configs");
        fs::create_dir(&configs).expect("a folder of a fuzzer");
        for (name, bytes) in names.iter().zip(files(bytes)) {
            fs::write(configs.join(name), bytes).expect("a file of a fuzzer");
        }
        let network = NetworkConfig::SegresnetDs(SegResNetDsConfig {
            in_channels: 1,
            out_channels: 3,
            init_filters: 4,
            blocks_down: vec![1, 1],
            dsdepth: 1,
            resolution: None,
        });
        match read_folder(folder.path(), &network) {
            Ok(read) => assert!(
                read.network
                    .is_none_or(|network| network.in_channels() < 1 << 32)
            ),
            Err(error) => drop(error.to_string()),
        }
    },
    seeds: || {
        let network = json!({
            "_target_": "SegResNetDS", "init_filters": 4, "blocks_down": [1, 1], "in_channels": 1, "out_channels": 3,
            "dsdepth": 1, "norm": "INSTANCE",
        });
        let bundle = made::inference(network.clone());
        let metadata = made::metadata("CT", &["background", "spleen", "liver"]);
        let algorithm = json!({
            "roi_size": [8, 8, 16], "modality": "ct", "intensity_bounds": [-50.5, 200], "resample": "yes",
            "resample_resolution": "@target", "target": [1, 1, 2.5], "class_names": ["a", "b"], "network": network,
        });
        let transforms = made::template_transforms([-100., 200.], "@training#resample_to_spacing");
        let yaml =
            b"roi_size: &size [8, 8, 8]\ntraining: {roi_size: *size, softmax: on}\n".to_vec();
        [
            (b'{', vec![text(&bundle), text(&metadata)]),
            (b'-', vec![text(&bundle), text(&metadata)]),
            (
                b'a',
                vec![
                    text(&algorithm),
                    text(&json!({"network": network})),
                    text(&transforms),
                ],
            ),
            (b'a', vec![yaml]),
        ]
        .map(|(kind, files)| [vec![kind], joined(&files)].concat())
        .to_vec()
    },
    wrapping: None,
};

fn text(value: &Value) -> Vec<u8> {
    value.to_string().into_bytes()
}
