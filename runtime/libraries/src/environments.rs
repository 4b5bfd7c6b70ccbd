//! Python environments of this process.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Variables that name the root of an active environment.
const VARIABLES: [&str; 2] = ["VIRTUAL_ENV", "CONDA_PREFIX"];

/// Folder of an environment's programs, below its root.
const PROGRAMS: &str = if cfg!(windows) { "Scripts" } else { "bin" };

/// Roots of the environments of this process: of the executable first, then the active ones; each once.
pub fn environments() -> Vec<PathBuf> {
    let mut roots: Vec<PathBuf> = Vec::new();
    for root in of_executable().into_iter().chain(active()) {
        if !roots.contains(&root) {
            roots.push(root);
        }
    }
    roots
}

/// Root of the environment that this process' executable is installed in, links resolved.
pub fn of_executable() -> Option<PathBuf> {
    environment_of(&env::current_exe().ok()?.canonicalize().ok()?)
}

/// Root of the environment that has a program, if there are packages.
fn environment_of(program: &Path) -> Option<PathBuf> {
    let folder = program.parent()?;
    let root = folder.parent()?;
    let is_programs = folder
        .file_name()
        .is_some_and(|name| name.eq_ignore_ascii_case(PROGRAMS));
    (is_programs && !site_packages(root).is_empty()).then(|| root.to_path_buf())
}

/// Roots of the active environments. Relative ones are left out: they depend on the current folder.
pub fn active() -> Vec<PathBuf> {
    let root = |name| {
        env::var_os(name)
            .filter(|value: &OsString| !value.is_empty())
            .map(PathBuf::from)
    };
    VARIABLES
        .into_iter()
        .filter_map(root)
        .filter(|root| root.is_absolute())
        .collect()
}

/// Folders with packages of an environment, below its root; of several versions of Python the newest first.
pub fn site_packages(root: &Path) -> Vec<PathBuf> {
    if cfg!(windows) {
        let site = root.join("Lib").join("site-packages");
        return Some(site)
            .filter(|site| site.is_dir())
            .into_iter()
            .collect();
    }
    let mut versions: Vec<(Vec<u32>, PathBuf)> = root
        .join("lib")
        .read_dir()
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix("python3")?.to_owned();
            let version = version.split('.').map(|part| part.parse().unwrap_or(0));
            Some((version.collect(), entry.path()))
        })
        .collect();
    versions.sort();
    let sites = versions.into_iter().rev().flat_map(|(_, version)| {
        // Debian keeps packages of its own, and those installed into the system, in the second.
        ["site-packages", "dist-packages"].map(|name| version.join(name))
    });
    sites.filter(|site| site.is_dir()).collect()
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_newest_python_is_first() {
        let root = tempfile::tempdir().expect("a folder");
        for version in ["python3.9", "python3.12", "python3", "perl"] {
            let site = root.path().join("lib").join(version).join("site-packages");
            fs::create_dir_all(site).expect("created");
        }
        fs::create_dir_all(root.path().join("lib/python3/dist-packages")).expect("created");
        let found = site_packages(root.path());
        let names: Vec<_> = found
            .iter()
            .map(|site| site.strip_prefix(root.path().join("lib")).expect("below"))
            .collect();
        assert_eq!(
            names,
            [
                "python3.12/site-packages",
                "python3.9/site-packages",
                "python3/site-packages",
                "python3/dist-packages"
            ]
            .map(Path::new)
        );
    }

    #[test]
    fn a_program_belongs_to_the_environment_that_has_packages() {
        let root = tempfile::tempdir().expect("a folder");
        let program = root.path().join("bin").join("vesal");
        assert_eq!(environment_of(&program), None);
        fs::create_dir_all(root.path().join("lib/python3.12/site-packages")).expect("created");
        assert_eq!(environment_of(&program), Some(root.path().into()));
        assert_eq!(environment_of(&root.path().join("release/vesal")), None);
    }
}
