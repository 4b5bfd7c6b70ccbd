//! Loading ONNX Runtime: once per process.

use std::env;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use super::error::LibraryError;
use super::places::{FoundLibrary, LibraryOrigin, find};
use super::{binary, installed};
use crate::release::MIN_VERSION;

/// Environment variable that disables ONNX Runtime's telemetry database.
const NO_TELEMETRY: &str = "ORT_DISABLE_TELEMETRY";

/// ONNX Runtime, loaded and started, for the rest of the process.
#[derive(Debug)]
pub struct Runtime {
    pub(crate) environment: Environment,
    path: PathBuf,
    origin: LibraryOrigin,
    version: String,
}

impl Runtime {
    /// File that it was loaded from.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn origin(&self) -> LibraryOrigin {
        self.origin
    }

    /// Version of the library, as in `1.31.1`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

/// The library that this process has loaded.
struct Loaded {
    library: Option<PathBuf>,
    runtime: Option<&'static Runtime>,
}

static LOADED: Mutex<Loaded> = Mutex::new(Loaded {
    library: None,
    runtime: None,
});

/// Loads the library that was found and starts ONNX Runtime without telemetry; returns the loaded one when called again.
///
/// **Errors**: the file cannot be used, or another one is in use.
pub fn load(found: &FoundLibrary) -> Result<&'static Runtime, LibraryError> {
    let path = vesal_libraries::check(&found.path)?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    match (&loaded.library, loaded.runtime) {
        (Some(library), _) if *library != path => {
            return Err(LibraryError::AlreadyLoaded {
                loaded: library.clone(),
                requested: path,
            });
        }
        (_, Some(runtime)) => return Ok(runtime),
        _ => {}
    }
    if found.origin == LibraryOrigin::Cache {
        installed::check(&path)?;
    }
    without_telemetry();
    let (version, _loaded) = version_of(&path)?;
    if !is_new_enough(&version) {
        return Err(LibraryError::TooOld {
            path,
            found: version,
        });
    }
    let builder = ort::init_from(&path).map_err(|error| match error {
        ort::LoadDynamicError::Dlopen { error, path } => LibraryError::Load {
            path,
            source: error,
        },
        ort::LoadDynamicError::BadVersion { version_str, path } => LibraryError::TooOld {
            path,
            found: version_str,
        },
        ort::LoadDynamicError::MissingApi { path } => LibraryError::NotOnnxRuntime { path },
        ort::LoadDynamicError::InvalidVersionString => {
            LibraryError::NotOnnxRuntime { path: path.clone() }
        }
    })?;
    loaded.library = Some(path.clone());
    let environment = builder
        .with_name("vesal")
        .with_telemetry(false)
        .build()
        .map_err(|source| LibraryError::Start { source })?;
    let runtime: &'static Runtime = Box::leak(Box::new(Runtime {
        environment,
        path,
        origin: found.origin,
        version,
    }));
    loaded.runtime = Some(runtime);
    Ok(runtime)
}

/// Disables ONNX Runtime's telemetry.
///
/// Its builds for Linux store their starts and errors, with the program's path and the machine, in a database in the
/// user's cache for upload. Disabling it after loading, which [`load`] does as well, keeps the entries until then.
fn without_telemetry() {
    if env::var_os(NO_TELEMETRY).is_none() {
        // SAFETY: called once, before any library is loaded that reads the environment without Rust's lock.
        unsafe { env::set_var(NO_TELEMETRY, "1") };
    }
}

/// Returns ONNX Runtime: the loaded one if no library is named, otherwise finds and loads one.
///
/// **Errors**: see [`find`] and [`load`].
pub fn runtime(explicit: Option<&Path>) -> Result<&'static Runtime, LibraryError> {
    if explicit.is_none()
        && let Some(runtime) = LOADED
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .runtime
    {
        return Ok(runtime);
    }
    load(&find(explicit)?)
}

/// Reads the version of a library.
///
/// The library stays loaded while the returned handle exists, so that loading it again costs nothing.
fn version_of(path: &Path) -> Result<(String, libloading::Library), LibraryError> {
    let expected = binary::expected();
    let found = binary::describe(path).unwrap_or_else(|error| format!("unreadable ({error})"));
    if found != expected && !is_universal(path) {
        return Err(LibraryError::Binary {
            path: path.into(),
            found,
            expected,
        });
    }
    let not_onnx_runtime = || LibraryError::NotOnnxRuntime { path: path.into() };
    // SAFETY: loading a library runs its initializers. The user named or installed it as ONNX Runtime, whose
    // initializers only set up its own globals.
    let library =
        unsafe { libloading::Library::new(path) }.map_err(|source| LibraryError::Load {
            path: path.into(),
            source,
        })?;
    // SAFETY: ONNX Runtime exports this symbol with this signature in every release since 1.0.
    let api_base = unsafe {
        library.get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase\0")
    }
    .map_err(|_| not_onnx_runtime())?;
    // SAFETY: the function takes nothing and returns a pointer to a static of the library, which is still loaded.
    let base = unsafe { api_base().as_ref() }.ok_or_else(not_onnx_runtime)?;
    // SAFETY: the pointer comes from the table of the library itself; the function takes nothing.
    let version = unsafe { (base.GetVersionString)() };
    if version.is_null() {
        return Err(not_onnx_runtime());
    }
    // SAFETY: a static, zero-terminated text of the library, which is still loaded; it is copied at once.
    let version = unsafe { CStr::from_ptr(version) };
    let version = version.to_string_lossy().into_owned();
    Ok((version, library))
}

/// A Mach-O file for several processors, among which the system picks.
fn is_universal(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = std::fs::File::open(path)
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut magic));
    cfg!(target_os = "macos") && read.is_ok() && magic == [0xca, 0xfe, 0xba, 0xbe]
}

fn is_new_enough(version: &str) -> bool {
    let numbers = |text: &str| -> Vec<u32> {
        text.split('.')
            .map_while(|part| part.parse().ok())
            .collect()
    };
    numbers(version) >= numbers(MIN_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_new_enough("1.24.0"));
        assert!(is_new_enough("1.31.1"));
        assert!(is_new_enough("2.0.0"));
        assert!(!is_new_enough("1.9.2"));
        assert!(!is_new_enough("1.23.9"));
        assert!(!is_new_enough("nonsense"));
    }

    #[test]
    fn the_oldest_version_is_that_of_the_bindings() {
        assert_eq!(MIN_VERSION, format!("1.{}", ort::MINOR_VERSION));
    }

    #[test]
    fn a_file_that_is_no_library_is_said_to_be_none() {
        let folder = tempfile::tempdir().expect("temporary directory");
        let path = folder.path().join("library.so");
        std::fs::write(&path, "text").expect("written");
        let found = FoundLibrary {
            path,
            origin: LibraryOrigin::Explicit,
        };
        assert!(matches!(load(&found), Err(LibraryError::Binary { .. })));
    }

    #[test]
    fn a_library_that_is_another_one_is_said_to_be_another_one() {
        // An executable is position-independent code without the symbol; some systems refuse to load it.
        let found = FoundLibrary {
            path: std::env::current_exe().expect("known"),
            origin: LibraryOrigin::Explicit,
        };
        let error = load(&found).expect_err("not ONNX Runtime");
        assert!(
            matches!(
                error,
                LibraryError::NotOnnxRuntime { .. } | LibraryError::Load { .. }
            ),
            "{error:?}"
        );
    }
}
