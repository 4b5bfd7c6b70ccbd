//! Golden vectors that the reference implementation wrote.

use std::fs::File;
use std::path::PathBuf;

use ndarray::ArrayD;
use ndarray_npy::NpzReader;
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
