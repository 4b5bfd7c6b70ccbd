//! Folders that checkpoints lie in: those of Auto3DSeg's algorithms, and MONAI's bundles.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;
use vesal_models::monai::{self, Arguments, ArgumentsError};
use vesal_network::NetworkConfig;

use super::configuration::{self, Configuration, ConfigurationError};

const TEMPLATE_SETTINGS: &str = "hyper_parameters.yaml";
/// Files of an algorithm, in the order in which later ones take precedence.
const TEMPLATE_FILES: [&str; 3] = [TEMPLATE_SETTINGS, "network.yaml", "transforms_infer.yaml"];
const BUNDLE_FILES: [&str; 3] = ["inference.json", "inference.yaml", "inference.yml"];
const BUNDLE_METADATA: &str = "metadata.json";
/// Where checkpoints of a bundle are, and its usual one.
const BUNDLE_MODELS: &str = "models";
const BUNDLE_MODEL: &str = "model.pt";
/// Where those of an algorithm are: for a fold, and of Auto3DSeg's segresnet.
const FOLD_MODELS: &str = "model_fold";
const FOLD_MODEL: &str = "best_metric_model.pt";
const SEGRESNET_MODELS: &str = "model";
/// Most algorithms that a message lists.
const LISTED: usize = 12;

/// Why a folder cannot be imported.
#[derive(Debug, Error)]
pub enum FolderError {
    #[error("`{}` has neither `configs/{TEMPLATE_SETTINGS}` of an Auto3DSeg algorithm nor `configs/inference.json` of a MONAI bundle", folder.display())]
    NoConfiguration { folder: PathBuf },
    /// A work folder of Auto3DSeg, with those of its algorithms.
    #[error(
        "`{}` holds {} folders of Auto3DSeg's algorithms, expected a checkpoint or one of them",
        folder.display(),
        algorithms.len()
    )]
    WorkFolder {
        folder: PathBuf,
        algorithms: Vec<PathBuf>,
    },
    /// The folder's entries cannot be listed.
    #[error("cannot list `{}`", folder.display())]
    List {
        folder: PathBuf,
        source: std::io::Error,
    },
    /// A checkpoint or settings that are no file of the folder.
    #[error("`{}` {problem}, expected a file of the folder", path.display())]
    Outside {
        path: PathBuf,
        problem: &'static str,
    },
    /// No checkpoint where one is expected, or several.
    #[error("`{}` has {found} checkpoints, expected 1 as {expected}", folder.display())]
    Checkpoints {
        folder: PathBuf,
        found: usize,
        expected: &'static str,
    },
    /// A configuration that cannot be read.
    #[error(transparent)]
    Configuration(#[from] ConfigurationError),
    /// The network's arguments cannot be honored.
    #[error(transparent)]
    Arguments(#[from] ArgumentsError),
}

impl FolderError {
    /// A remedy for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::WorkFolder { algorithms, .. } => {
                let shown = algorithms.iter().take(LISTED);
                let mut names: Vec<_> = shown.map(|path| path.display().to_string()).collect();
                if algorithms.len() > LISTED {
                    names.push("...".into());
                }
                return Some(format!("name those to import: `{}`", names.join(" ")));
            }
            Self::NoConfiguration { .. } => {
                Some("a checkpoint without a folder of settings is imported by its own name")
            }
            Self::Outside { .. } => {
                Some("copy the folder with `cp -rL`, which copies what links point to")
            }
            Self::Checkpoints { .. } => Some("name the checkpoints themselves"),
            Self::Configuration(error) => error.hint(),
            Self::List { .. } | Self::Arguments(_) => None,
        };
        hint.map(str::to_owned)
    }
}

/// A folder with the settings of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Folder {
    /// An algorithm that Auto3DSeg generated.
    Template(Configuration),
    /// A bundle, with its metadata.
    Bundle(Configuration, Configuration),
}

/// Finds the checkpoint that a path of the command line means, and the folder that it lies in; for a file, the folder is
/// looked for where programs of MONAI put theirs.
///
/// **Errors**: [`FolderError`].
pub(super) fn find(path: &Path) -> Result<(PathBuf, Option<PathBuf>), FolderError> {
    if path.is_dir() {
        let checkpoint = if configs(path, &BUNDLE_FILES)?.is_some() {
            let checkpoint = path.join(BUNDLE_MODELS).join(BUNDLE_MODEL);
            only(path, vec![checkpoint], "`models/model.pt`")?
        } else if configs(path, &[TEMPLATE_SETTINGS])?.is_some() {
            only(
                path,
                of_folds(path)?,
                "`model_fold*/best_metric_model.pt` or `model/model.pt`",
            )?
        } else {
            let folder = path.to_owned();
            let algorithms = algorithms(path)?;
            return Err(if algorithms.is_empty() {
                FolderError::NoConfiguration { folder }
            } else {
                FolderError::WorkFolder { folder, algorithms }
            });
        };
        return Ok((checkpoint, Some(path.to_owned())));
    }
    let models = path
        .parent()
        .and_then(|models| Some((models.file_name()?.to_str()?, models.parent()?)));
    let beside = match models {
        Some((BUNDLE_MODELS, root)) => configs(root, &BUNDLE_FILES)?.map(|_| root),
        Some((name, root)) if name == SEGRESNET_MODELS || name.starts_with(FOLD_MODELS) => {
            configs(root, &[TEMPLATE_SETTINGS])?.map(|_| root)
        }
        _ => None,
    };
    Ok((path.to_owned(), beside.map(Path::to_owned)))
}

/// The first of these files in a folder's `configs`.
///
/// **Errors**: as [`is_file_of`].
fn configs(root: &Path, files: &[&str]) -> Result<Option<PathBuf>, FolderError> {
    for file in files {
        let file = root.join("configs").join(file);
        if is_file_of(root, &file)? {
            return Ok(Some(file));
        }
    }
    Ok(None)
}

/// Whether there is this file in a folder.
///
/// **Errors**: it is no regular file, or a link to one outside of the folder, which was not made for it.
fn is_file_of(root: &Path, file: &Path) -> Result<bool, FolderError> {
    let refused = |problem| FolderError::Outside {
        path: file.to_owned(),
        problem,
    };
    let is_link = match file.symlink_metadata() {
        Ok(found) => found.is_symlink(),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(source) => {
            let folder = root.to_owned();
            return Err(FolderError::List { folder, source });
        }
    };
    match file.metadata() {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(refused("is not a regular file")),
        Err(_) if is_link => return Err(refused("is a link to nothing")),
        Err(_) => return Err(refused("cannot be read")),
    }
    match (root.canonicalize(), file.canonicalize()) {
        (Ok(root), Ok(file)) if file.starts_with(&root) => Ok(true),
        _ => Err(refused("is a link out of the folder")),
    }
}

/// The folders of algorithms in a folder, by name.
fn algorithms(root: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let failed = |source| FolderError::List {
        folder: root.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in root.read_dir().map_err(failed)? {
        let folder = entry.map_err(failed)?.path();
        // Only named, not read.
        if folder.join("configs").join(TEMPLATE_SETTINGS).is_file() {
            found.push(folder);
        }
    }
    found.sort();
    Ok(found)
}

fn of_folds(root: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let failed = |source| FolderError::List {
        folder: root.to_owned(),
        source,
    };
    let mut found = vec![root.join(SEGRESNET_MODELS).join(BUNDLE_MODEL)];
    for entry in root.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(FOLD_MODELS) {
            found.push(entry.path().join(FOLD_MODEL));
        }
    }
    Ok(found)
}

fn only(
    root: &Path,
    checkpoints: Vec<PathBuf>,
    expected: &'static str,
) -> Result<PathBuf, FolderError> {
    let mut present = Vec::new();
    for checkpoint in checkpoints {
        if is_file_of(root, &checkpoint)? {
            present.push(checkpoint);
        }
    }
    let found = present.len();
    match present.pop() {
        Some(checkpoint) if found == 1 => Ok(checkpoint),
        _ => Err(FolderError::Checkpoints {
            folder: root.to_owned(),
            found,
            expected,
        }),
    }
}

impl Folder {
    /// Reads the configuration of a folder.
    ///
    /// **Errors**: [`FolderError`].
    pub fn read(root: &Path) -> Result<Self, FolderError> {
        if let Some(inference) = configs(root, &BUNDLE_FILES)? {
            let metadata = match configs(root, &[BUNDLE_METADATA])? {
                Some(metadata) => configuration::read(&[metadata])?,
                None => Configuration::default(),
            };
            return Ok(Self::Bundle(configuration::read(&[inference])?, metadata));
        }
        let files = TEMPLATE_FILES.map(|file| configs(root, &[file]));
        let files: Vec<_> = files
            .into_iter()
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?;
        Ok(Self::Template(configuration::read(&files)?))
    }

    /// Whether the configuration describes a network, of which some may be in another file.
    pub fn has_network(&self) -> bool {
        let (configuration, keys) = self.network_keys();
        keys.iter()
            .any(|key| matches!(configuration.get(key), Ok(Some(Value::Object(_)))))
    }

    fn network_keys(&self) -> (&Configuration, [&'static str; 2]) {
        match self {
            Self::Template(configuration) => {
                (configuration, ["training_network#network", "network"])
            }
            Self::Bundle(configuration, _) => (configuration, ["network_def", "network"]),
        }
    }

    /// The network that the configuration describes; none where it describes none, or one whose architecture is in
    /// another file.
    ///
    /// **Errors**: arguments that no family has.
    pub fn network(&self) -> Result<Option<NetworkConfig>, FolderError> {
        let (configuration, keys) = self.network_keys();
        let Some(network @ Value::Object(_)) = configuration.first(&keys)? else {
            return Ok(None);
        };
        let searched = |value: &Value| contains_code(value);
        let elsewhere = network.get("node_a").is_some_and(searched)
            || network
                .pointer("/dints_space/arch_code")
                .is_some_and(searched);
        if network.get("_target_").is_none() || elsewhere {
            return Ok(None);
        }
        let map = Map::from_iter([("network".to_owned(), network)]);
        let fields = Arguments {
            path: "config",
            map: &map,
            root: &map,
        };
        Ok(monai::network(&fields)?)
    }

    /// The version of MONAI that a bundle states.
    pub fn monai_version(&self) -> Option<String> {
        let Self::Bundle(_, metadata) = self else {
            return None;
        };
        let version = metadata.get("monai_version").ok()??;
        let version = version.as_str()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-');
        (version.len() <= 20 && version.chars().all(plain)).then(|| version.to_owned())
    }
}

/// Whether a value, or one in it, is code that is not run.
fn contains_code(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with('$'),
        Value::Array(items) => items.iter().any(contains_code),
        Value::Object(map) => map.values().any(contains_code),
        _ => false,
    }
}
