//! The places that are searched for plugins.

use std::env;
use std::path::{Path, PathBuf};

use vesal_libraries::{GuardError, site_packages};

use super::{PluginError, Provider};
use crate::library::LibrarySearch;

/// The environment variable that names a plugin, its folder, or a folder of plugins.
pub const VARIABLE: &str = "VESAL_PLUGIN_DIR";

/// Options and variables that determine where plugins are searched.
#[derive(Debug, Clone, Default)]
pub struct Locations {
    /// Value of [`VARIABLE`].
    pub explicit: Option<PathBuf>,
    /// Folder of the executable.
    pub executable: Option<PathBuf>,
    /// Folder of this program in the user's cache.
    pub cache: Option<PathBuf>,
    /// Roots of Python environments.
    pub python: Vec<PathBuf>,
}

impl Locations {
    /// Reads them from the process.
    pub fn of_this_process() -> Self {
        let LibrarySearch {
            executable,
            cache,
            python,
            ..
        } = LibrarySearch::of_this_process(None);
        Self {
            explicit: env::var_os(VARIABLE)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            executable,
            cache,
            python,
        }
    }

    /// Finds the plugin of a provider in the first place that has one: what [`VARIABLE`] names, beside the executable,
    /// the user's cache, the Python environments. In each, the plugin is searched in the folder of its Python
    /// package and directly.
    ///
    /// **Errors**: [`VARIABLE`] names no absolute path, or a place without it (others are then not searched), or it is
    /// in no place.
    pub fn find(&self, provider: Provider) -> Result<PathBuf, PluginError> {
        let Some(names) = names(provider) else {
            return Err(PluginError::NotFound {
                provider,
                searched: Vec::new(),
            });
        };
        if let Some(path) = &self.explicit {
            if !path.is_absolute() {
                let path = path.clone();
                return Err(PluginError::Place {
                    provider,
                    source: Box::new(GuardError::Relative { path }.into()),
                });
            }
            let file = Some(path.clone()).filter(|path| path.is_file());
            return file
                .or_else(|| plugin_in(path, &names))
                .ok_or_else(|| PluginError::NotThere {
                    provider,
                    path: path.clone(),
                });
        }
        let environments = self.python.iter().flat_map(|root| site_packages(root));
        let folders: Vec<PathBuf> = (self.executable.iter().cloned())
            .chain(self.cache.iter().cloned())
            .chain(environments)
            .collect();
        folders
            .iter()
            .find_map(|folder| plugin_in(folder, &names))
            .ok_or(PluginError::NotFound {
                provider,
                searched: folders,
            })
    }
}

/// Names of a plugin's files.
struct Names {
    /// Folder of its Python package.
    folder: &'static str,
    /// Name of its library, without the system's prefix and suffix.
    library: &'static str,
}

fn names(provider: Provider) -> Option<Names> {
    match provider {
        Provider::Native => None,
        Provider::OpenVino => Some(Names {
            folder: "onnxruntime_ep_openvino",
            library: "onnxruntime_providers_openvino_plugin",
        }),
        Provider::TensorRtRtx => Some(Names {
            folder: "onnxruntime_ep_nv_tensorrt_rtx",
            library: "onnxruntime_providers_nv_tensorrt_rtx",
        }),
    }
}

fn plugin_in(folder: &Path, names: &Names) -> Option<PathBuf> {
    let file = format!(
        "{}{}{}",
        env::consts::DLL_PREFIX,
        names.library,
        env::consts::DLL_SUFFIX
    );
    [folder.join(names.folder).join(&file), folder.join(&file)]
        .into_iter()
        .find(|path| path.is_file())
}
