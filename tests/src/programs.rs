//! The three programs, built once and run as processes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Paths of the built programs.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `vesal`.
    pub vesal: PathBuf,
    /// `vesal-train`.
    pub train: PathBuf,
    /// `vesal-export`.
    pub export: PathBuf,
}

/// Builds the programs with Cargo (once per process) and makes sure that ONNX Runtime is there.
///
/// # Panics
///
/// When Cargo fails or ONNX Runtime cannot be had: neither demo nor tests can go on.
pub fn programs() -> &'static Programs {
    static PROGRAMS: OnceLock<Programs> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let programs = build();
        let setup = Command::new(&programs.vesal).arg("setup").output().expect("vesal starts");
        assert!(setup.status.success(), "vesal setup: {}", String::from_utf8_lossy(&setup.stderr));
        programs
    })
}

fn build() -> Programs {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(workspace())
        .args(["build", "--message-format=json-render-diagnostics", "--bins"])
        .args(["-p", "vesal", "-p", "vesal-trainer", "-p", "vesal-exporter"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "cargo build of the programs failed");
    let executables: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .collect();
    let find = |name: &str| {
        let found = executables.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
        found.unwrap_or_else(|| panic!("cargo built no `{name}`")).clone()
    };
    Programs { vesal: find("vesal"), train: find("vesal-train"), export: find("vesal-export") }
}

/// The workspace's root.
pub fn workspace() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// Runs a command to its end and returns its standard output.
///
/// # Panics
///
/// When it does not exit with 0; the message carries its standard error.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} exits with {}\n{stderr}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
