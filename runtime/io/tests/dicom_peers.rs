//! Results checked and read by tools that nobody here wrote: dciodvfy, dcmtk, highdicom, dcmqi, dcmjs.
//!
//! A tool that is absent is told of and skipped; with `CI=true` it must be there. `VESAL_DICOM_PYTHON` names a Python
//! with highdicom, dcmqi and scikit-image (default: `python3`), `VESAL_DICOM_NODE` a folder whose `node_modules` has
//! dcmjs; `VESAL_DICOM_KEEP` a new folder in which results stay.

mod slices;
mod synthetic;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ndarray::Array3;
use slices::{Series, Written, algorithm, options, random_map, source, write_all};
use synthetic::shared_data;
use vesal_io::dicom::write::{Form, Segment, Segmented, Source, write_segmentation};
use vesal_io::dicom::{Policy, scan};
use vesal_volume::{Geometry, LabelMap};

/// Runs a program; `None` (printed) where it is absent, which with `CI=true` it must not be.
fn run(program: impl AsRef<Path>, arguments: &[&Path]) -> Option<(bool, String)> {
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

/// Writes results and the truth beside them.
fn write(folder: &Path, map: &LabelMap, source: &Source, segments: &[Segment]) -> Written {
    fs::create_dir_all(folder).unwrap();
    let written = write_all(folder, map, source, segments).unwrap();
    let values: Vec<u8> = map.data.iter().flat_map(|v| v.to_le_bytes()).collect();
    fs::write(folder.join("truth.raw"), values).unwrap();
    let rows: Vec<String> = map.affine.0.iter().map(|row| format!("{row:?}")).collect();
    let shape = map.data.shape();
    let segments: Vec<String> = segments
        .iter()
        .map(|segment| {
            format!(
                r#"{{"value": {}, "name": "{}"}}"#,
                segment.value, segment.name
            )
        })
        .collect();
    let truth = format!(
        r#"{{"shape": {shape:?}, "affine": [{}], "segments": [{}]}}"#,
        rows.join(", "),
        segments.join(", ")
    );
    fs::write(folder.join("truth.json"), truth).unwrap();
    written
}

/// A map on a grid: a ball, a shell around another, and scattered voxels.
fn shapes(grid: &Geometry) -> LabelMap {
    let [x, y, z] = grid.shape;
    let mut data = random_map([x, y, z], &[0, 0, 0, 5], 11);
    let center = [x, y, z].map(|n| n as f64 / 2.0 - 0.3);
    let data = Array3::from_shape_fn(data.dim(), |(i, j, k)| {
        let mut square = 0.0;
        for (axis, at) in [i, j, k].into_iter().enumerate() {
            square += ((at as f64 - center[axis]) / (0.42 * grid.shape[axis] as f64)).powi(2);
        }
        let noise = std::mem::take(&mut data[[i, j, k]]);
        match square.sqrt() {
            r if r < 0.3 => 1,
            r if (0.5..0.8).contains(&r) => 300,
            r if r > 0.95 => noise,
            _ => 0,
        }
    });
    LabelMap {
        data,
        affine: grid.affine,
    }
}

fn segments() -> Vec<Segment> {
    vec![
        Segment::named(1, "Hippocampus"),
        Segment::named(300, "left kidney"),
        Segment::named(5, "something else"),
    ]
}

/// Writes regions that overlap, and their bits beside them.
fn write_regions(folder: &Path, grid: &Geometry, source: &Source) {
    let map = LabelMap {
        data: random_map(grid.shape, &[1, 2, 3, 5, 7], 4),
        affine: grid.affine,
    };
    let segments: Vec<Segment> = [1, 2, 4]
        .map(|bit| Segment::named(bit, format!("{bit}")))
        .into();
    let segmented = Segmented {
        map: &map,
        segments: &segments,
        regions: true,
    };
    let path = folder.join("regions.dcm");
    write_segmentation(
        &path,
        &segmented,
        source,
        &algorithm(),
        Form::Binary,
        &options(),
    )
    .unwrap();
    let bits: Vec<u8> = map
        .data
        .iter()
        .flat_map(|bits| bits.to_le_bytes())
        .collect();
    fs::write(folder.join("regions.raw"), bits).unwrap();
}

/// Results about real series, and about made-up ones.
fn results(root: &Path) -> Vec<(PathBuf, Written)> {
    let mut results = Vec::new();
    let mut add = |name: &str, map: LabelMap, source: &Source| {
        let folder = root.join(name);
        let written = write(&folder, &map, source, &segments());
        results.push((folder, written));
    };
    let series = Series::oblique([37, 29, 13]);
    let folder = tempfile::tempdir().unwrap();
    series.save(folder.path());
    let grid = |folder: &Path, policy| {
        let scan = scan(&[folder]).unwrap();
        let assessment = scan.stacks[0].assess(policy).unwrap();
        assessment.geometry().unwrap()
    };
    let oblique = grid(folder.path(), Policy::Strict);
    let from = source(folder.path(), Policy::Strict);
    add("oblique", shapes(&oblique), &from);
    write_regions(&root.join("oblique"), &oblique, &from);
    let empty = LabelMap {
        data: Array3::zeros(oblique.shape),
        affine: oblique.affine,
    };
    add("empty", empty, &from);
    let mut gap = series;
    gap.places.remove(5);
    let folder = tempfile::tempdir().unwrap();
    gap.save(folder.path());
    let resampled = grid(folder.path(), Policy::Resample);
    add(
        "resampled",
        shapes(&resampled),
        &source(folder.path(), Policy::Resample),
    );
    for (name, folder) in [
        ("hippocrop1", "dicom/hippocrop/Study1"),
        ("hippocrop2", "dicom/hippocrop/Study2"),
        ("hippocrop3", "dicom/hippocrop/Study3"),
        ("ct", "sts/dicom/STS_001/CT/image"),
        ("mr", "sts/dicom/STS_001/MR_T1/image"),
    ] {
        if let Some(folder) = shared_data(folder) {
            let grid = grid(&folder, Policy::Strict);
            add(name, shapes(&grid), &source(&folder, Policy::Strict));
        }
    }
    results
}

#[test]
fn peers_accept_and_read_results() {
    // Dropped, and with it all results, at the end.
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("VESAL_DICOM_KEEP").map(PathBuf::from);
    let root = kept.unwrap_or_else(|| scratch.path().to_owned());
    let results = results(&root);
    let mut found_fault = false;
    for (folder, written) in &results {
        for path in [
            &written.segmentation.0,
            &written.structures.0,
            &written.report.0,
        ] {
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
        if let Some((passed, text)) = run("dsrdump", &[&written.report.0]) {
            assert!(passed, "dsrdump: {}: {text}", folder.display());
        }
    }
    assert!(!found_fault, "dciodvfy finds errors");
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let python = std::env::var_os("VESAL_DICOM_PYTHON").unwrap_or("python3".into());
    if let Some((passed, text)) = run(&python, &[&tests.join("dicom_peers.py"), &root]) {
        println!("{text}");
        assert!(passed || (!in_ci() && text.contains("ModuleNotFoundError")));
    }
    let node = std::env::var_os("VESAL_DICOM_NODE").map(PathBuf::from);
    let modules = node.unwrap_or_default().join("node_modules");
    let script = tests.join("dicom_peers.cjs");
    if let Some((passed, text)) = run("node", &[&script, &root, &modules]) {
        println!("{text}");
        assert!(passed || (!in_ci() && text.contains("MODULE_NOT_FOUND")));
    }
}
