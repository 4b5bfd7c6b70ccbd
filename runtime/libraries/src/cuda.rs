//! CUDA's libraries.
#![allow(unsafe_code, reason = "loads libraries, and names headers to them")]

use std::env;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libloading::Library;

use crate::environments::{environments, site_packages};
use crate::guard::check;

/// A library of CUDA that ONNX Runtime or the training needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CudaLibrary {
    /// Name of its file, without the version.
    pub stem: &'static str,
    /// Python package that has it, for CUDA 13.
    pub package: &'static str,
}

const CUDART: CudaLibrary = library("libcudart.so", "nvidia-cuda-runtime");
const NVRTC: CudaLibrary = library("libnvrtc.so", "nvidia-cuda-nvrtc");
const CUBLAS_LT: CudaLibrary = library("libcublasLt.so", "nvidia-cublas");
const CUBLAS: CudaLibrary = library("libcublas.so", "nvidia-cublas");
const NV_JIT_LINK: CudaLibrary = library("libnvJitLink.so", "nvidia-nvjitlink");
const CUFFT: CudaLibrary = library("libcufft.so", "nvidia-cufft");
const CURAND: CudaLibrary = library("libcurand.so", "nvidia-curand");
const CUDNN: CudaLibrary = library("libcudnn.so", "nvidia-cudnn-cu13");
const NCCL: CudaLibrary = library("libnccl.so", "nvidia-nccl-cu13");

/// Variable that names the folder above CUDA's headers.
const HEADERS: &str = "CUDA_PATH";

/// What ONNX Runtime's CUDA provider needs, each after what it needs itself.
pub const INFERENCE: &[CudaLibrary] = &[
    CUDART,
    NVRTC,
    CUBLAS_LT,
    CUBLAS,
    NV_JIT_LINK,
    CUFFT,
    CURAND,
    CUDNN,
];

/// What training on GPUs needs, each after what it needs itself.
pub const TRAINING: &[CudaLibrary] = &[CUDART, NVRTC, CUBLAS_LT, CUBLAS, CUDNN, NCCL];

const fn library(stem: &'static str, package: &'static str) -> CudaLibrary {
    CudaLibrary { stem, package }
}

/// Where a library was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaLibraryOrigin {
    /// In a Python environment.
    Environment(PathBuf),
    /// By the system's loader, under this name.
    System(String),
    Missing,
}

/// Loads of these libraries those that Python environments of this process have, and keeps them; the others are left to
/// the system's loader. Elsewhere than on Linux, where loaders have ways of their own, nothing is loaded.
pub fn load(libraries: &[CudaLibrary]) {
    let folders = folders();
    for library in libraries {
        load_from(folders, library.stem);
    }
}

/// Loads what training needs, as [`load`] does, and names the headers that a Python environment has in `CUDA_PATH`, where
/// that variable is not set: compilers of kernels look there.
pub fn load_for_training() {
    load(TRAINING);
    if env::var_os(HEADERS).is_none()
        && let Some(folder) = headers()
    {
        // SAFETY: called before a library is used that reads the environment without Rust's lock.
        unsafe { env::set_var(HEADERS, folder) };
    }
}

/// Whether this machine has a driver of NVIDIA GPUs.
pub fn has_driver() -> bool {
    load_for_all("libcuda.so.1".as_ref())
}

/// Finds a library as programs of this process do, by loading it.
pub fn locate(library: CudaLibrary) -> CudaLibraryOrigin {
    if let Some(path) = load_from(folders(), library.stem) {
        return CudaLibraryOrigin::Environment(path);
    }
    let versions = (2..=20).rev();
    let names = versions.map(|version| format!("{}.{version}", library.stem));
    let mut names = names.chain([library.stem.to_owned()]);
    names
        .find(|name| load_for_all(name.as_ref()))
        .map_or(CudaLibraryOrigin::Missing, CudaLibraryOrigin::System)
}

/// Folders with libraries of CUDA of the environments of this process.
fn folders() -> &'static [PathBuf] {
    static FOLDERS: OnceLock<Vec<PathBuf>> = OnceLock::new();
    FOLDERS.get_or_init(|| {
        let environments = environments().into_iter();
        environments
            .flat_map(|root| library_folders(&root))
            .collect()
    })
}

/// Folder above CUDA's headers, `include`, in the Python environments of this process.
fn headers() -> Option<PathBuf> {
    let packages = environments();
    let packages = packages.iter().flat_map(|root| nvidia_packages(root));
    packages
        .into_iter()
        .find(|package| package.join("include").join("cuda_runtime.h").is_file())
}

/// Folders of an environment with libraries of CUDA: those of NVIDIA's packages, then Conda's.
fn library_folders(root: &Path) -> Vec<PathBuf> {
    let packages = nvidia_packages(root).into_iter();
    let packages = packages.map(|package| package.join("lib"));
    let conda = root
        .join("conda-meta")
        .is_dir()
        .then(|| root.join("lib"))
        .into_iter();
    packages
        .chain(conda)
        .filter(|folder| folder.is_dir())
        .collect()
}

/// Folders `nvidia/*` of the packages of an environment; the newest CUDA first.
fn nvidia_packages(root: &Path) -> Vec<PathBuf> {
    let sites = site_packages(root).into_iter();
    let mut folders: Vec<PathBuf> = sites
        .filter_map(|site| site.join("nvidia").read_dir().ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders.reverse();
    folders
}

/// Loads a library from the first folder that has it.
fn load_from(folders: &[PathBuf], stem: &str) -> Option<PathBuf> {
    let found = folders.iter().flat_map(|folder| versions(folder, stem));
    // What others may have written is passed over, as is what does not load.
    let mut allowed = found.filter_map(|path| check(&path).ok());
    allowed.find(|path| load_for_all(path.as_os_str()))
}

/// Files of a library in a folder, the newest version first.
fn versions(folder: &Path, stem: &str) -> Vec<PathBuf> {
    let entries = folder.read_dir().into_iter().flatten();
    let mut files: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix(stem)?;
            let numbers = version.split('.').skip(1).map(str::parse);
            let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().ok()?;
            Some((numbers, entry.path()))
        })
        .collect();
    files.sort();
    files.into_iter().rev().map(|(_, path)| path).collect()
}

/// Loads a library so that later ones find its symbols; it stays loaded.
#[cfg(target_os = "linux")]
fn load_for_all(name: &std::ffi::OsStr) -> bool {
    use libloading::os::unix::{Library as UnixLibrary, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: initializers of CUDA's libraries have no preconditions.
    let loaded = unsafe { UnixLibrary::open(Some(name), RTLD_NOW | RTLD_GLOBAL) };
    loaded
        .map(|library| std::mem::forget(Library::from(library)))
        .is_ok()
}

#[cfg(not(target_os = "linux"))]
fn load_for_all(_name: &std::ffi::OsStr) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;

    use super::*;

    fn touch(path: PathBuf) {
        fs::create_dir_all(path.parent().expect("a folder")).expect("created");
        fs::write(path, "").expect("written");
    }

    #[test]
    fn folders_of_packages_and_of_conda_are_found() {
        let root = tempfile::tempdir().expect("a folder");
        let site = root.path().join("lib/python3.12/site-packages");
        touch(site.join("nvidia/cudnn/lib/libcudnn.so.9"));
        touch(site.join("nvidia/cu13/lib/libcublas.so.13"));
        touch(site.join("nvidia/cu13/include/cuda_runtime.h"));
        touch(site.join("nvidia/__init__.py"));
        let folders = |names: &[&str]| names.iter().map(|name| root.path().join(name)).collect();
        let mut expected: Vec<PathBuf> = folders(&[
            "lib/python3.12/site-packages/nvidia/cudnn/lib",
            "lib/python3.12/site-packages/nvidia/cu13/lib",
        ]);
        assert_eq!(library_folders(root.path()), expected);
        fs::create_dir(root.path().join("conda-meta")).expect("created");
        expected.push(root.path().join("lib"));
        assert_eq!(library_folders(root.path()), expected);
    }

    #[test]
    fn of_several_versions_the_newest_is_loaded_and_others_than_libraries_are_not() {
        let root = tempfile::tempdir().expect("a folder");
        for name in [
            "libcudnn.so.9",
            "libcudnn.so.9.10.2",
            "libcudnn.so",
            "libcudnn.so.9.bak",
            "libcudnn_graph.so.9",
        ] {
            touch(root.path().join(name));
        }
        let found = versions(root.path(), "libcudnn.so");
        let expected = ["libcudnn.so.9.10.2", "libcudnn.so.9", "libcudnn.so"];
        assert_eq!(found, expected.map(|name| root.path().join(name)));
        // They are empty.
        assert_eq!(load_from(&[root.path().into()], "libcudnn.so"), None);
    }
}
