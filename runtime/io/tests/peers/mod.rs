//! Independent tools.
//!
//! A tool that is absent is reported and skipped; with `CI=true` it must be installed. `VESAL_DICOM_PYTHON` names a
//! Python with highdicom, dcmqi and scikit-image (default: `python3`), `VESAL_DICOM_NODE` a folder whose `node_modules`
//! has dcmjs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use vesal_volume::LabelMap;

/// Runs a program; `None` (printed) where it is absent, which with `CI=true` it must not be.
pub fn run(program: impl AsRef<Path>, arguments: &[&Path]) -> Option<(bool, String)> {
    let program = program.as_ref();
    match Command::new(program).args(arguments).output() {
        Ok(output) => {
            let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
            text += &String::from_utf8_lossy(&output.stderr);
            Some((output.status.success(), text))
        }
        Err(reason) => {
            assert!(!in_ci(), "{}: {reason}", program.display());
            println!("skipped: {}: {reason}", program.display());
            None
        }
    }
}

fn in_ci() -> bool {
    std::env::var("CI").as_deref() == Ok("true")
}

/// Writes the expected content of results: the map, and value and name of each segment.
pub fn write_truth(folder: &Path, map: &LabelMap, segments: &[(u16, &str)]) {
    let values: Vec<u8> = map.data.iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(folder.join("truth.raw"), values).unwrap();
    let rows: Vec<String> = map.affine.0.iter().map(|row| format!("{row:?}")).collect();
    let shape = map.data.shape();
    let segment =
        |(value, name): &(u16, &str)| format!(r#"{{"value": {value}, "name": "{name}"}}"#);
    let segments: Vec<String> = segments.iter().map(segment).collect();
    let truth = format!(
        r#"{{"shape": {shape:?}, "affine": [{}], "segments": [{}]}}"#,
        rows.join(", "),
        segments.join(", ")
    );
    fs::write(folder.join("truth.json"), truth).unwrap();
}

/// Has results checked and read by all of them; each folder below `root` has those of one series as `seg.dcm`,
/// `labelmap.dcm`, `structures.dcm` and `report.dcm`, and the truth beside them.
pub fn check(root: &Path, folders: &[&Path]) {
    let mut found_fault = false;
    for folder in folders {
        for name in ["seg.dcm", "structures.dcm", "report.dcm"] {
            let path = &folder.join(name);
            if let Some((_, text)) = run("dciodvfy", &[path]) {
                for line in text.lines().filter(|line| line.starts_with("Error")) {
                    println!("dciodvfy: {}: {line}", path.display());
                    found_fault = true;
                }
            }
            for tool in ["dcmdump", "dcmftest"] {
                if let Some((passed, text)) = run(tool, &[path]) {
                    assert!(passed, "{tool}: {}: {text}", path.display());
                }
            }
        }
        if let Some((passed, text)) = run("dsrdump", &[&folder.join("report.dcm")]) {
            assert!(passed, "dsrdump: {}: {text}", folder.display());
        }
    }
    assert!(!found_fault, "dciodvfy finds errors");
    let scripts = tempfile::tempdir().unwrap();
    let script = |name: &str, text: &str| {
        let path = scripts.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let python = std::env::var_os("VESAL_DICOM_PYTHON").unwrap_or("python3".into());
    if let Some((passed, text)) = run(
        &python,
        &[&script("read.py", include_str!("read.py")), root],
    ) {
        println!("{text}");
        assert!(passed || (!in_ci() && text.contains("ModuleNotFoundError")));
    }
    let node = std::env::var_os("VESAL_DICOM_NODE").map(PathBuf::from);
    let modules = node.unwrap_or_default().join("node_modules");
    let script = script("read.cjs", include_str!("read.cjs"));
    if let Some((passed, text)) = run("node", &[&script, root, &modules]) {
        println!("{text}");
        assert!(passed || (!in_ci() && text.contains("MODULE_NOT_FOUND")));
    }
}
