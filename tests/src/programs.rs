//! The three programs, built once and run as processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

/// Paths of the built programs.
#[derive(Debug, Clone)]
pub struct Programs {
    pub vesal: PathBuf,
    pub train: PathBuf,
    pub export: PathBuf,
}

/// Finds the programs, builds them with Cargo where they are missing or older than their sources, and makes sure that
/// ONNX Runtime is installed. Done once per process. `VESAL_PROGRAMS` names a folder to take them from instead, such as
/// `target/release`.
///
/// # Panics
///
/// When Cargo fails or ONNX Runtime cannot be installed.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let chosen = std::env::var_os("VESAL_PROGRAMS").map(|folder| {
            let folder = PathBuf::from(folder);
            in_folder(&folder).unwrap_or_else(|| panic!("{} lacks a program", folder.display()))
        });
        let programs = chosen.or_else(beside_this_test).unwrap_or_else(build);
        let setup = Command::new(&programs.vesal)
            .arg("setup")
            .output()
            .expect("vesal starts");
        assert!(
            setup.status.success(),
            "vesal setup: {}",
            String::from_utf8_lossy(&setup.stderr)
        );
        programs
    })
}

/// The programs that `cargo test` built for the whole workspace: `target/debug/vesal` beside `target/debug/deps/TEST`.
///
/// A build of the programs alone would compile their dependencies once more, with fewer features.
fn beside_this_test() -> Option<Programs> {
    let test = std::env::current_exe().ok()?;
    let folder = test
        .parent()
        .filter(|folder| folder.ends_with("deps"))?
        .parent()?;
    let programs = in_folder(folder)?;
    let built = [&programs.vesal, &programs.train, &programs.export].map(|path| modified(path));
    let oldest = built.into_iter().min()?;
    let sources = ["runtime", "models", "trainer", "exporter"]
        .map(|name| newest_source(&workspace().join(name)));
    (sources.into_iter().max()? < oldest).then_some(programs)
}

/// The programs in this folder, if all exist.
fn in_folder(folder: &Path) -> Option<Programs> {
    let find = |name: &str| {
        let path = folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
        path.is_file().then_some(path)
    };
    Some(Programs {
        vesal: find("vesal")?,
        train: find("vesal-train")?,
        export: find("vesal-export")?,
    })
}

fn modified(path: &Path) -> SystemTime {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Time of the last change to a Rust file under this folder, tests aside.
fn newest_source(folder: &Path) -> SystemTime {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let times = entries
        .map(|entry| entry.path())
        .filter(|path| !path.ends_with("tests"))
        .map(|path| {
            if path.is_dir() {
                newest_source(&path)
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                modified(&path)
            } else {
                SystemTime::UNIX_EPOCH
            }
        });
    times.max().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn build() -> Programs {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args([
            "build",
            "--message-format=json-render-diagnostics",
            "--bins",
        ])
        .args(["-p", "vesal", "-p", "vesal-trainer", "-p", "vesal-exporter"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(
        output.status.success(),
        "cargo build of the programs failed"
    );
    let executables: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect();
    let find = |name: &str| {
        let found = executables
            .iter()
            .find(|path| path.file_stem().is_some_and(|stem| stem == name));
        found
            .unwrap_or_else(|| panic!("cargo built no `{name}`"))
            .clone()
    };
    Programs {
        vesal: find("vesal"),
        train: find("vesal-train"),
        export: find("vesal-export"),
    }
}

pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs a command to its end and returns its standard output.
///
/// # Panics
///
/// When it does not exit with 0; the message carries its standard error.
pub fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{command:?} exits with {}\n{stderr}",
        output.status
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}
