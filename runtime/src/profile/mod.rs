//! Profiles: the fastest settings of a bundle on a machine, found by `vesal tune`.

mod open;

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use vesal_bundle::Bundle;
use vesal_engine::library::cache_directory;
use vesal_engine::{
    ConvolutionSearch, Convolutions, Device, EngineOptions, InferencePrecision, Provider,
};
use vesal_files::document::{self, VersionedDocument};
use vesal_files::{DocumentError, digest};

pub use self::open::{Opened, open};
use crate::machine::Processors;

/// The key of a profile, which must match exactly.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileKey {
    /// SHA-256 of the bundle's manifest.
    pub bundle: String,
    /// Processors of the machine.
    pub machine: Processors,
    pub onnxruntime: String,
    /// The requested device.
    #[serde(with = "text")]
    pub device: Device,
}

/// Options for running networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutionSettings {
    /// The device; never `auto`.
    #[serde(with = "text")]
    pub device: Device,
    #[serde(with = "text")]
    pub provider: Provider,
    /// Precision of the computation.
    pub precision: InferencePrecision,
    /// Search for convolution algorithms on a GPU.
    pub search: ConvolutionSearch,
    /// Processor threads of the networks; null for one per core.
    pub threads: Option<NonZeroUsize>,
    /// Windows per call; null for what the device gets by default.
    pub batch: Option<NonZeroUsize>,
}

/// The best settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Bundle, machine and device of the settings.
    #[serde(rename = "subject")]
    pub key: ProfileKey,
    pub settings: ExecutionSettings,
    /// Milliseconds per window with them.
    pub window_ms: f64,
    /// Version of the program that measured.
    pub vesal: String,
}

/// Why a profile cannot be stored or removed.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The user has no cache folder.
    #[error(
        "there is no folder for the profile: neither a home nor a cache folder of the user is known"
    )]
    NoCache,
    /// The folder or a file in it cannot be changed.
    #[error("cannot change the profiles in `{}`", folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    /// The file cannot be written.
    #[error(transparent)]
    Write(#[from] DocumentError),
}

impl ProfileKey {
    /// The key of a profile on this machine.
    pub fn new(bundle: &Bundle, onnxruntime: &str, device: Device) -> Self {
        Self {
            bundle: bundle.digest().to_owned(),
            machine: Processors::here(),
            onnxruntime: onnxruntime.to_owned(),
            device,
        }
    }

    /// Its file: the name distinguishes profiles, the content states the key.
    fn file(&self) -> Option<PathBuf> {
        let text = serde_json::to_vec(self).ok()?;
        let name = &digest::sha256(&text)[..32];
        Some(folder()?.join(format!("{name}.json")))
    }
}

impl ExecutionSettings {
    /// The settings as options of the engine.
    pub fn engine_options(self, library: Option<&Path>) -> EngineOptions {
        EngineOptions {
            device: self.device,
            threads: self.threads,
            batch: self.batch,
            provider: self.provider,
            precision: self.precision,
            search: self.search,
            convolutions: Convolutions::default(),
            max_vram: None,
            library: library.map(Path::to_path_buf),
        }
    }
}

impl VersionedDocument for Profile {
    const FORMAT: &str = "vesal-profile";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 1 << 16;
}

impl Profile {
    /// Settings that were measured.
    pub fn new(key: ProfileKey, settings: ExecutionSettings, window_ms: f64) -> Self {
        Self {
            key,
            settings,
            window_ms,
            vesal: env!("CARGO_PKG_VERSION").into(),
        }
    }

    /// Reads the profile of a key; absent, damaged or other files give none.
    fn find(key: &ProfileKey) -> Option<(PathBuf, Self)> {
        let path = key.file()?;
        let profile = read(&path)?;
        (profile.key == *key).then_some((path, profile))
    }

    /// Stores it in the user's cache, replacing one of the same key; returns the file.
    ///
    /// **Errors**: [`ProfileError`].
    pub fn keep(&self) -> Result<PathBuf, ProfileError> {
        let path = self.key.file().ok_or(ProfileError::NoCache)?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let failed = |source| ProfileError::Folder {
            folder: folder.clone(),
            source,
        };
        fs::create_dir_all(&folder).map_err(failed)?;
        document::write(&path, self)?;
        Ok(path)
    }
}

/// Removes all profiles of a bundle; returns their files.
///
/// **Errors**: a file cannot be removed.
pub fn forget(bundle: &Bundle) -> Result<Vec<PathBuf>, ProfileError> {
    let folder = folder().ok_or(ProfileError::NoCache)?;
    let mut forgotten = Vec::new();
    for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if read(&path).is_some_and(|profile| profile.key.bundle == bundle.digest()) {
            fs::remove_file(&path).map_err(|source| ProfileError::Folder {
                folder: folder.clone(),
                source,
            })?;
            forgotten.push(path);
        }
    }
    forgotten.sort();
    Ok(forgotten)
}

fn folder() -> Option<PathBuf> {
    Some(cache_directory()?.join("profiles"))
}

fn read(path: &Path) -> Option<Profile> {
    let profile: Profile = document::read(path).ok()?;
    (profile.settings.device != Device::Auto).then_some(profile)
}

/// Values in the form of the command line.
mod text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub fn deserialize<'de, T, D>(from: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub fn profile() -> Profile {
        let key = ProfileKey {
            bundle: "0".repeat(64),
            machine: Processors {
                cpu: "some processor".into(),
                cores: 4,
                gpus: vec!["some GPU".into()],
            },
            onnxruntime: "1.31.1".into(),
            device: Device::Auto,
        };
        let settings = ExecutionSettings {
            device: Device::Cuda(0),
            provider: Provider::Native,
            precision: InferencePrecision::Float16,
            search: ConvolutionSearch::Exhaustive,
            threads: None,
            batch: NonZeroUsize::new(4),
        };
        Profile::new(key, settings, 2.5)
    }

    #[test]
    fn a_profile_is_read_as_it_was_written_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        let profile = profile();
        let text = document::to_compact_json(&profile, "a.json").unwrap();
        let text = String::from_utf8(text).unwrap();
        for (change, readable) in [
            (text.clone(), true),
            (
                text.replace("\"format_version\":1", "\"format_version\":2"),
                false,
            ),
            (
                text.replace("\"device\":\"cuda:0\"", "\"device\":\"auto\""),
                false,
            ),
            (text.replace("\"f16\"", "\"f8\""), false),
            (text.replace("\"batch\":4", "\"batch\":0"), false),
            (text[..text.len() / 2].to_owned(), false),
        ] {
            fs::write(&path, &change).unwrap();
            assert_eq!(read(&path).is_some(), readable, "{change}");
            if readable {
                assert_eq!(read(&path), Some(profile.clone()));
            }
        }
    }

    #[test]
    fn another_key_has_another_file() {
        let key = profile().key;
        let mut others = vec![key.clone(); 5];
        others[0].bundle.replace_range(..1, "1");
        others[1].machine.cores = 8;
        others[2].machine.gpus.clear();
        others[3].onnxruntime = "1.32.0".into();
        others[4].device = Device::Cpu;
        for other in others {
            assert_ne!(other.file(), key.file(), "{other:?}");
        }
    }
}
