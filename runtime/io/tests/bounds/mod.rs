//! Bounds on the cost of inspecting files: for files of n bytes together, 64 MiB plus 16 n of memory, and 2 s plus 2 s
//! per MiB on one core.

mod cost;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use vesal_io::dicom::{Instance, Policy, read_structure_references, read_structures, scan};
use vesal_io::image::{ImageFile, OpenOptions, ReadLimits, read_header};
use vesal_io::sniff::{Content, sniff};

use cost::{Cost, cost, excess};

/// Bytes of a file, or of all below a folder.
pub fn bytes_of(path: &Path) -> u64 {
    let metadata = path.metadata().unwrap();
    if !metadata.is_dir() {
        return metadata.len();
    }
    let entries = fs::read_dir(path).unwrap();
    entries.map(|entry| bytes_of(&entry.unwrap().path())).sum()
}

/// The violations of all inspected files.
#[derive(Default)]
pub struct Complaints(Vec<String>);

impl Complaints {
    /// Inspects a file or folder, and records where that costs too much or gives an unexpected result.
    pub fn look(&mut self, name: &str, path: &Path, expected: &str) {
        let (told, cost) = look(name, path);
        println!("{name}: {} bytes, {cost:?}, {told:?}", bytes_of(path));
        if !told.iter().any(|told| told.contains(expected)) {
            self.0
                .push(format!("{name}: {told:?}, expected {expected}"));
        }
        let excess = excess(bytes_of(path), cost).into_iter();
        self.0
            .extend(excess.map(|excess| format!("{name}: {excess}")));
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        assert!(
            self.0.is_empty() || std::thread::panicking(),
            "{:#?}",
            self.0
        );
    }
}

/// Environment variables that give a child process the path to inspect and the file for its result.
const PATH: &str = "VESAL_TEST_LOOK";
const RESULT: &str = "VESAL_TEST_LOOK_RESULT";

/// Inspects a file or folder in every way that reads no pixels; returns the result and its cost.
///
/// This runs in a new process, without earlier allocations: the test `looks_in_a_child` at the root of the same binary,
/// which has to call [`child`].
fn look(name: &str, path: &Path) -> (Vec<String>, Cost) {
    let folder = tempfile::tempdir().unwrap();
    let result = folder.path().join("result");
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "looks_in_a_child"])
        .env(PATH, path)
        .env(RESULT, &result)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{name}: {status}");
    let text = fs::read_to_string(result).unwrap();
    let mut lines = text.lines();
    let mut number = || lines.next().unwrap().to_owned();
    let cost = Cost {
        memory: number().parse().unwrap(),
        seconds: number().parse().unwrap(),
    };
    (lines.map(str::to_owned).collect(), cost)
}

/// Inspects the path that a parent process requests, if there is one.
pub fn child() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    // Starts the threads of the pool before anything is measured.
    rayon::join(|| (), || ());
    let (told, Cost { memory, seconds }) = cost(|| looked(Path::new(&path)));
    let told: Vec<String> = told
        .iter()
        .map(|told| told.escape_debug().to_string())
        .collect();
    let text = format!("{memory}\n{seconds}\n{}", told.join("\n"));
    fs::write(std::env::var_os(RESULT).unwrap(), text).unwrap();
}

/// The report about a file or folder.
fn looked(path: &Path) -> Vec<String> {
    let mut told = Vec::new();
    if path.is_file() && sniff(path).is_ok_and(|found| found.content != Content::Dicom) {
        match read_header(path) {
            Ok(header) => told.push(format!("{:?}", header.dimensions)),
            Err(error) => told.push(error.to_string()),
        }
        if let Err(error) = ImageFile::open(path, OpenOptions::default())
            .and_then(|file| file.intensities(&ReadLimits::default()))
        {
            told.push(error.to_string());
        }
        return told;
    }
    if path.is_file()
        && let Err(error) = Instance::read(path)
    {
        told.push(error.to_string());
    }
    let found = match scan(&[path]) {
        Ok(found) => found,
        Err(error) => return vec![error.to_string()],
    };
    for set in found.structure_sets() {
        let read = read_structures(set).map(|set| set.regions.len());
        told.push(read.map_or_else(
            |error| error.to_string(),
            |count| format!("{count} regions"),
        ));
        let _ = read_structure_references(set);
    }
    told.push(format!("{} stacks", found.stacks.len()));
    let reasons = found.skipped.iter().map(|file| file.reason.to_string());
    told.extend(reasons.take(10));
    for (index, stack) in found.stacks.iter().enumerate() {
        for policy in [Policy::Strict, Policy::Resample] {
            let said = match stack.assess(policy) {
                Ok(assessment) => assessment.refusal().map(ToString::to_string),
                Err(error) => Some(error.to_string()),
            };
            if index < 10 {
                told.extend(said);
            }
        }
    }
    told
}
