//! Golden vectors that the reference implementation wrote.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use ndarray::ArrayD;
use ndarray_npy::NpzReader;
use serde_json::Value;
use vesal_exporter::import::{Checkpoint, InferenceSettings};
use vesal_network::NetworkConfig;

/// A golden file or folder; none when it is absent, which is a failure where `CI` is `true`.
pub fn find(name: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("VESAL_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")));
    let path = shared.join("golden").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "golden vectors are missing: {}",
        path.display()
    );
    println!("skipped: no golden vectors at {}", path.display());
    None
}

/// Places in C order and values of an array that is stored whole or in samples.
pub fn stored(arrays: &mut NpzReader<File>, name: &str) -> Vec<(usize, f32)> {
    let names = arrays.names().unwrap();
    if names.iter().any(|known| known == name) {
        let whole: ArrayD<f32> = arrays.by_name(name).unwrap();
        return whole.into_iter().enumerate().collect();
    }
    let places: ArrayD<i32> = arrays.by_name(&format!("{name}_index")).unwrap();
    let values: ArrayD<f32> = arrays.by_name(&format!("{name}_value")).unwrap();
    let places = places
        .into_iter()
        .map(|place| usize::try_from(place).unwrap());
    places.zip(values).collect()
}

/// The network that a checkpoint states.
pub fn network_config(checkpoint: &Checkpoint) -> NetworkConfig {
    let settings = InferenceSettings::from_config(checkpoint.config.as_ref().unwrap()).unwrap();
    settings.network.unwrap()
}

/// A golden checkpoint; one that is packed is unpacked into a folder.
pub fn unpacked(name: &str, place: &Path) -> PathBuf {
    let path = find(name).unwrap();
    if path.extension().is_none_or(|ending| ending != "gz") {
        return path;
    }
    let mut bytes = Vec::new();
    let packed = File::open(&path).unwrap();
    GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
    let file = place.join(path.file_stem().unwrap());
    std::fs::write(&file, bytes).unwrap();
    file
}

/// Facts, arrays and checkpoint of every network in the folder.
pub fn networks(folder: &Path, place: &Path) -> Vec<(Value, NpzReader<File>, PathBuf)> {
    let files = std::fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    let facts = files
        .iter()
        .filter(|file| file.extension().is_some_and(|ending| ending == "json"));
    let networks = facts.map(|path| {
        let facts: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let file = facts["checkpoint"]["file"].as_str().unwrap();
        let mut bytes = Vec::new();
        let packed = File::open(folder.join(file)).unwrap();
        GzDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, facts["checkpoint"]["plain_bytes"]);
        let checkpoint = place.join(file.strip_suffix(".gz").unwrap());
        std::fs::write(&checkpoint, bytes).unwrap();
        let arrays = NpzReader::new(File::open(path.with_extension("npz")).unwrap()).unwrap();
        (facts, arrays, checkpoint)
    });
    let networks: Vec<_> = networks.collect();
    assert!(!networks.is_empty());
    networks
}

/// Four times the error of PyTorch's own single precision.
pub fn tolerance(case: &Value) -> f32 {
    (4. * case["float32_error"].as_f64().unwrap() + 1e-5) as f32
}
