//! The folder of a job.
//!
//! `job.json` says where the job is; `arrived/` takes instances at any time; `input/` is what is predicted and does
//! not change meanwhile; `run-*/` takes the results of one try, and `job.json` names the one that counts; `known` lists
//! the instances of the last success.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::queue::files::Files;
use crate::queue::job::{Job, Name, VERSION};

/// A job's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(pub PathBuf);

/// Instances: digests of UIDs with digests of contents.
pub type Instances = BTreeMap<String, String>;

impl Folder {
    pub fn document(&self) -> PathBuf {
        self.0.join("job.json")
    }

    pub fn arrived(&self) -> PathBuf {
        self.0.join("arrived")
    }

    pub fn input(&self) -> PathBuf {
        self.0.join("input")
    }

    fn known_file(&self) -> PathBuf {
        self.0.join("known")
    }

    /// Reads what is noted.
    pub fn job(&self) -> io::Result<Job> {
        let job: Job = serde_json::from_slice(&fs::read(self.document())?)?;
        if job.version == VERSION {
            Ok(job)
        } else {
            Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("version {}, expected {VERSION}", job.version),
            ))
        }
    }

    /// Notes where the job is.
    pub fn note(&self, files: &Files, job: &Job) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(job)?;
        text.push(b'\n');
        files.write(&self.document(), &text)
    }

    /// The instances in one of its folders. Of two contents of one UID, which a crash can leave, the later counts.
    pub fn instances(&self, of: &Path) -> io::Result<Instances> {
        let mut found: BTreeMap<String, (std::time::SystemTime, String)> = BTreeMap::new();
        for (name, path) in names(of)? {
            let Some(name) = Name::from_file(&name) else {
                continue;
            };
            let written = path.metadata()?.modified()?;
            match found.get(&name.uid) {
                Some((other, _)) if *other > written => {}
                _ => {
                    found.insert(name.uid, (written, name.content));
                }
            }
        }
        let plain = found.into_iter().map(|(uid, (_, content))| (uid, content));
        Ok(plain.collect())
    }

    /// Moves what has arrived to what is predicted.
    pub fn merge(&self, files: &Files) -> io::Result<()> {
        files.create_folder(&self.input())?;
        for (uid, content) in self.instances(&self.arrived())? {
            let file = Name { uid, content }.file();
            files.rename(&self.arrived().join(&file), &self.input().join(&file))?;
        }
        files.sync_folder(&self.input())?;
        files.remove_folder(&self.arrived())?;
        // Contents that were replaced.
        let kept = self.instances(&self.input())?;
        for (name, path) in names(&self.input())? {
            let counts = Name::from_file(&name)
                .is_some_and(|name| kept.get(&name.uid) == Some(&name.content));
            if !counts {
                files.remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// The instances of the last success; `None` before there was one.
    pub fn known(&self) -> io::Result<Option<Instances>> {
        match fs::read_to_string(self.known_file()) {
            Ok(text) => Ok(Some(
                text.lines()
                    .filter_map(Name::from_file)
                    .map(|name| (name.uid, name.content))
                    .collect(),
            )),
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(reason) => Err(reason),
        }
    }

    /// Notes the instances of a success.
    pub fn remember(&self, files: &Files, instances: &Instances) -> io::Result<()> {
        let lines: String = instances
            .iter()
            .map(|(uid, content)| {
                let (uid, content) = (uid.clone(), content.clone());
                Name { uid, content }.file() + "\n"
            })
            .collect();
        files.write(&self.known_file(), lines.as_bytes())
    }

    /// Removes the results of tries other than this one.
    pub fn remove_runs(&self, files: &Files, but: Option<&str>) -> io::Result<()> {
        for (name, path) in names(&self.0)? {
            if name.starts_with("run-") && Some(name.as_str()) != but {
                files.remove_folder(&path)?;
            }
        }
        Ok(())
    }

    /// The DICOM files among results, by name.
    pub fn results(&self, output: &str) -> io::Result<Vec<PathBuf>> {
        let all = names(&self.0.join(output))?;
        Ok(all
            .into_iter()
            .filter(|(name, _)| name.ends_with(".dcm"))
            .map(|(_, path)| path)
            .collect())
    }
}

/// What a folder holds, by name; nothing where it is not there.
pub fn names(folder: &Path) -> io::Result<BTreeMap<String, PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(reason) if reason.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    let mut names = BTreeMap::new();
    for entry in entries {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string() {
            names.insert(name, entry.path());
        }
    }
    Ok(names)
}
