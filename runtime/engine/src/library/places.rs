//! The places that are searched for ONNX Runtime's library.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use vesal_libraries::{GuardError, environments, site_packages};

use super::error::LibraryError;
use super::installed;
use crate::release::Variant;

/// Place where a library was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LibraryOrigin {
    /// Named by the user.
    Explicit,
    /// Named by `ORT_DYLIB_PATH`.
    Environment,
    /// Beside the executable.
    Executable,
    /// In the user's cache, where `vesal setup` puts it.
    Cache,
    /// In a Python environment: the executable's own, or an active one.
    Python,
    /// In a folder of the system.
    System,
}

/// A library that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundLibrary {
    pub path: PathBuf,
    pub origin: LibraryOrigin,
}

/// Options and variables that determine where the library is searched.
#[derive(Debug, Clone, Default)]
pub struct LibrarySearch {
    /// File or folder that the user named.
    pub explicit: Option<PathBuf>,
    /// Value of `ORT_DYLIB_PATH`: a file or folder.
    pub environment: Option<PathBuf>,
    /// Folder of the executable.
    pub executable: Option<PathBuf>,
    /// Folder of this program in the user's cache.
    pub cache: Option<PathBuf>,
    /// Roots of Python environments.
    pub python: Vec<PathBuf>,
    /// The system's folders of libraries.
    pub system: Vec<PathBuf>,
}

/// The system's folders of libraries, without those of the loader's own configuration.
const SYSTEM: &[&str] = if cfg!(target_os = "macos") {
    &["/opt/homebrew/lib", "/usr/local/lib"]
} else if cfg!(target_os = "linux") {
    &[
        "/usr/local/lib",
        "/usr/lib64",
        if cfg!(target_arch = "aarch64") {
            "/usr/lib/aarch64-linux-gnu"
        } else {
            "/usr/lib/x86_64-linux-gnu"
        },
        "/usr/lib",
    ]
} else {
    &[]
};

impl LibrarySearch {
    /// Reads them from the process.
    pub fn of_this_process(explicit: Option<&Path>) -> Self {
        let folder = |name| {
            env::var_os(name)
                .filter(|value: &OsString| !value.is_empty())
                .map(PathBuf::from)
        };
        Self {
            explicit: explicit.map(Path::to_path_buf),
            environment: folder("ORT_DYLIB_PATH"),
            executable: env::current_exe()
                .ok()
                .and_then(|path| Some(path.parent()?.to_path_buf())),
            cache: cache_directory(),
            python: environments(),
            system: SYSTEM.iter().map(PathBuf::from).collect(),
        }
    }

    /// Finds the library in the first place that has one: what the user named, `ORT_DYLIB_PATH`, beside the executable,
    /// the user's cache (where setup installs it), the `onnxruntime` package of the Python environments, the system's
    /// folders.
    ///
    /// **Errors**: a variable without an absolute path; a named place without a library (others are then not searched);
    /// no library in any place; a record of fetched files that this user may not read.
    pub fn find(&self) -> Result<FoundLibrary, LibraryError> {
        let named = [
            (&self.explicit, LibraryOrigin::Explicit, "the command line"),
            (
                &self.environment,
                LibraryOrigin::Environment,
                "`ORT_DYLIB_PATH`",
            ),
        ];
        for (path, origin, named_by) in named {
            if let Some(path) = path {
                if origin == LibraryOrigin::Environment && !path.is_absolute() {
                    return Err(GuardError::Relative { path: path.clone() }.into());
                }
                let found = if path.is_file() {
                    Some(path.clone())
                } else {
                    library_in(path)
                };
                return match found {
                    Some(path) => Ok(FoundLibrary { path, origin }),
                    None => Err(LibraryError::NotThere {
                        named_by,
                        path: path.clone(),
                    }),
                };
            }
        }
        let mut folders: Vec<(PathBuf, LibraryOrigin)> = Vec::new();
        folders.extend(
            self.executable
                .iter()
                .map(|folder| (folder.clone(), LibraryOrigin::Executable)),
        );
        for variant in [Variant::Cuda, Variant::Cpu] {
            folders.extend(
                self.cache
                    .iter()
                    .map(|cache| (cache.join(variant.folder()), LibraryOrigin::Cache)),
            );
        }
        for root in &self.python {
            folders.extend(
                python_packages(root)
                    .into_iter()
                    .map(|folder| (folder, LibraryOrigin::Python)),
            );
        }
        let system = self.system.iter();
        folders.extend(system.map(|folder| (folder.clone(), LibraryOrigin::System)));
        for (folder, origin) in &folders {
            let Some(path) = library_in(folder) else {
                continue;
            };
            if *origin != LibraryOrigin::Cache || installed::has_record(folder)? {
                return Ok(FoundLibrary {
                    path,
                    origin: *origin,
                });
            }
        }
        Err(LibraryError::NotFound {
            searched: folders.into_iter().map(|(folder, _)| folder).collect(),
        })
    }
}

/// Finds the library in the places of this process; see [`LibrarySearch::find`].
///
/// **Errors**: see [`LibrarySearch::find`].
pub fn find(explicit: Option<&Path>) -> Result<FoundLibrary, LibraryError> {
    LibrarySearch::of_this_process(explicit).find()
}

/// Folder of this program in the user's cache, if the user has a home.
///
/// `$XDG_CACHE_HOME/vesal` or `~/.cache/vesal`; on macOS `~/Library/Caches/vesal`; on Windows `%LOCALAPPDATA%\vesal`.
pub fn cache_directory() -> Option<PathBuf> {
    let folder = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let root = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|home| home.join("Library").join("Caches"))
    } else {
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
    };
    root.map(|root| root.join("vesal"))
}

/// Finds the library in one folder: the one without a version in its name, else the newest.
pub fn library_in(folder: &Path) -> Option<PathBuf> {
    let mut names: Vec<String> = folder
        .read_dir()
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| library_version(name).is_some())
        .collect();
    names.sort_by_key(|name| library_version(name));
    let best = if names
        .iter()
        .any(|name| library_version(name).is_some_and(|version| version.is_empty()))
    {
        names.first()
    } else {
        names.last()
    };
    best.map(|name| folder.join(name))
        .filter(|path| path.is_file())
}

/// Numbers in the name of a library, none for a name without them; `None` for any other file.
fn library_version(name: &str) -> Option<Vec<u32>> {
    let version = if cfg!(windows) {
        return (name == "onnxruntime.dll").then(Vec::new);
    } else if cfg!(target_os = "macos") {
        name.strip_prefix("libonnxruntime")?
            .strip_suffix(".dylib")?
    } else {
        name.strip_prefix("libonnxruntime.so")?
    };
    if version.is_empty() {
        return Some(Vec::new());
    }
    version
        .strip_prefix('.')?
        .split('.')
        .map(|number| number.parse().ok())
        .collect()
}

/// Folders of the `onnxruntime` package below the root of a Python environment.
fn python_packages(root: &Path) -> Vec<PathBuf> {
    let package = |site: PathBuf| site.join("onnxruntime").join("capi");
    site_packages(root).into_iter().map(package).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    use super::*;

    fn touch(path: PathBuf) -> PathBuf {
        fs::create_dir_all(path.parent().expect("parent")).expect("created");
        fs::write(&path, "").expect("written");
        path
    }

    #[test]
    fn places_are_searched_in_their_order() {
        let root = tempfile::tempdir().expect("temporary directory");
        let at = |path: &str| root.path().join(path);
        let places = LibrarySearch {
            explicit: None,
            environment: None,
            executable: Some(at("bin")),
            cache: Some(at("cache")),
            python: vec![at("venv")],
            system: vec![at("system")],
        };
        let LibraryError::NotFound { searched } = places.find().expect_err("empty") else {
            panic!("not found")
        };
        assert_eq!(
            searched,
            [
                at("bin"),
                at("cache/onnxruntime-1.31.1-cuda"),
                at("cache/onnxruntime-1.31.1"),
                at("system")
            ]
        );
        touch(at("system/libonnxruntime.so.1.31.1"));
        assert_eq!(places.find().expect("found").origin, LibraryOrigin::System);
        let python = touch(at(
            "venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime.so.1.31.1",
        ));
        touch(at(
            "venv/lib/python3.12/site-packages/onnxruntime/capi/libonnxruntime_providers_shared.so",
        ));
        assert_eq!(
            places.find().expect("found"),
            FoundLibrary {
                path: python,
                origin: LibraryOrigin::Python
            }
        );
        let cache = touch(at("cache/onnxruntime-1.31.1/libonnxruntime.so.1.31.1"));
        // An unknown name.
        assert_eq!(places.find().expect("found").origin, LibraryOrigin::Python);
        installed::record(&at("cache/onnxruntime-1.31.1")).expect("recorded");
        assert_eq!(
            places.find().expect("found"),
            FoundLibrary {
                path: cache,
                origin: LibraryOrigin::Cache
            }
        );
        let beside = touch(at("bin/libonnxruntime.so"));
        assert_eq!(
            places.find().expect("found"),
            FoundLibrary {
                path: beside,
                origin: LibraryOrigin::Executable
            }
        );
        let environment = touch(at("env/libonnxruntime.so.1"));
        let places = LibrarySearch {
            environment: Some(at("env")),
            ..places
        };
        assert_eq!(
            places.find().expect("found"),
            FoundLibrary {
                path: environment,
                origin: LibraryOrigin::Environment
            }
        );
        let explicit = touch(at("mine.so"));
        let places = LibrarySearch {
            explicit: Some(explicit.clone()),
            ..places
        };
        assert_eq!(
            places.find().expect("found"),
            FoundLibrary {
                path: explicit,
                origin: LibraryOrigin::Explicit
            }
        );
    }

    #[test]
    fn a_variable_names_an_absolute_path() {
        let places = LibrarySearch {
            environment: Some("lib".into()),
            ..LibrarySearch::default()
        };
        assert!(matches!(
            places.find(),
            Err(LibraryError::Guard(GuardError::Relative { .. }))
        ));
    }

    #[test]
    fn a_named_place_without_a_library_is_an_error() {
        let root = tempfile::tempdir().expect("temporary directory");
        touch(root.path().join("bin/libonnxruntime.so"));
        let places = LibrarySearch {
            explicit: Some(root.path().join("nowhere")),
            executable: Some(root.path().join("bin")),
            ..LibrarySearch::default()
        };
        assert!(matches!(
            places.find(),
            Err(LibraryError::NotThere {
                named_by: "the command line",
                ..
            })
        ));
    }

    #[test]
    fn of_several_libraries_the_unversioned_or_newest_is_taken() {
        let root = tempfile::tempdir().expect("temporary directory");
        for name in [
            "libonnxruntime.so.1.9.0",
            "libonnxruntime.so.1.31.1",
            "libonnxruntime.so.1.31.1.bak",
            "libonnxruntime_providers_cuda.so",
        ] {
            touch(root.path().join(name));
        }
        assert_eq!(
            library_in(root.path()),
            Some(root.path().join("libonnxruntime.so.1.31.1"))
        );
        touch(root.path().join("libonnxruntime.so"));
        assert_eq!(
            library_in(root.path()),
            Some(root.path().join("libonnxruntime.so"))
        );
    }
}
