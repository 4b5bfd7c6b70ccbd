//! Writes what is read of each image of a folder, for `tests/reference/compare_with_simpleitk.py`: the voxels of `a.mha`
//! as `a.mha.f32`, in the order `[C, X, Y, Z]`, and its shape and affine as `a.mha.json`.

use std::fs;
use std::path::{Path, PathBuf};

use vesal_io::image::{has_ending, read_channels};

fn main() {
    let folder = std::env::args().nth(1).expect("a folder as argument");
    let entries = fs::read_dir(folder).expect("a folder that can be read");
    for entry in entries {
        let path = entry.expect("an entry that can be read").path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if has_ending(&name) {
            dump(&path);
        }
    }
}

fn dump(path: &Path) {
    let beside = |ending: &str| PathBuf::from(format!("{}.{ending}", path.display()));
    let text = match read_channels(path) {
        Ok(volume) => {
            let voxels = volume.data.iter().flat_map(|value| value.to_le_bytes());
            fs::write(beside("f32"), voxels.collect::<Vec<u8>>()).expect("voxels are written");
            let shape = volume.data.shape();
            format!(
                "{{\"shape\": {shape:?}, \"affine\": {:?}}}",
                volume.affine.0
            )
        }
        Err(error) => format!("{{\"error\": {:?}}}", error.to_string()),
    };
    fs::write(beside("json"), text).expect("shape and affine are written");
}
