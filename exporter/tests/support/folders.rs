//! Folders like those of MONAI's bundles and of Auto3DSeg's algorithms.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Writes files of a folder's `configs`: JSON, which is YAML as well.
pub fn configs(root: &Path, files: &[(&str, &Value)]) {
    fs::create_dir_all(root.join("configs")).unwrap();
    for (name, value) in files {
        let text = serde_json::to_string_pretty(value).unwrap();
        fs::write(root.join("configs").join(name), text).unwrap();
    }
}

/// Where a folder's checkpoint is.
pub fn models(root: &Path, folder: &str, file: &str) -> PathBuf {
    fs::create_dir_all(root.join(folder)).unwrap();
    root.join(folder).join(file)
}

/// The inference of a bundle with this network, in the form of MONAI's model zoo.
pub fn inference(network: Value) -> Value {
    json!({
        "imports": ["$import glob"],
        "bundle_root": ".",
        "image": "image",
        "spacing": [1.5, 1.5, 2.0],
        "window": [16, 16, 8],
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": network,
        "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "@image", "reader": "ITKReader"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image"},
            {"_target_": "Orientationd", "keys": "@image", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "@image", "pixdim": "$@spacing", "mode": "bilinear"},
            {"_target_": "ScaleIntensityRanged", "keys": "@image", "a_min": -175, "a_max": 250,
                "b_min": 0.0, "b_max": 1.0, "clip": true},
            {"_target_": "EnsureTyped", "keys": "@image", "device": "@device"},
        ]},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@window", "sw_batch_size": 4, "overlap": 0.5},
        "postprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": true},
            {"_target_": "Invertd", "keys": "pred", "transform": "@preprocessing", "orig_keys": "@image",
                "nearest_interp": false, "to_tensor": true},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": true},
            {"_target_": "SaveImaged", "keys": "pred", "output_dir": "$@bundle_root + '/eval'"},
        ]},
        "evaluator": {"_target_": "SupervisedEvaluator", "network": "@network", "missing": "@nothing"},
        "run": ["$@evaluator.run()"],
    })
}

/// A bundle's metadata with these names of outputs.
pub fn metadata(modality: &str, names: &[&str]) -> Value {
    let names = names.iter().enumerate();
    let names = names.map(|(class, name)| (class.to_string(), json!(name)));
    let names: serde_json::Map<String, Value> = names.collect();
    json!({
        "version": "0.3.7",
        "monai_version": "1.0.1",
        "network_data_format": {
            "inputs": {"image": {"modality": modality, "num_channels": 1}},
            "outputs": {"pred": {"channel_def": names}},
        },
    })
}

/// The transforms of Auto3DSeg's swinunetr and dints for CT, with the spacing at this key.
pub fn template_transforms(bounds: [f64; 2], spacing: &str) -> Value {
    json!({
        "image_key": "image",
        "transforms_infer": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key", "image_only": true},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Compose", "transforms": [
                {"_target_": "ScaleIntensityRanged", "keys": "@image_key", "a_min": bounds[0], "a_max": bounds[1],
                    "b_min": 0.0, "b_max": 1.0, "clip": true},
                {"_target_": "CropForegroundd", "keys": "@image_key", "source_key": "@image_key",
                    "allow_smaller": true},
            ]},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "@image_key", "pixdim": spacing, "mode": "bilinear",
                "align_corners": true},
            {"_target_": "CastToTyped", "keys": "@image_key", "dtype": "$torch.float32"},
        ]},
    })
}
