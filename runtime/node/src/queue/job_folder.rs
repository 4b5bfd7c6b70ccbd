//! The folder of a job.
//!
//! `job.json` is the record of the job; `arrived/` takes instances at any time; `input/` is what is predicted and does
//! not change meanwhile; `run-*/` takes the results of one attempt, and `job.json` names the valid one; `known` lists
//! the instances of the last success.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::log;
use crate::queue::digest::{DIGITS, is_digest};
use crate::queue::durable_files::DurableFiles;
use crate::queue::instance::StoredInstance;
use crate::queue::job::{JobRecord, VERSION};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobFolder(pub PathBuf);

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// The system cannot read it.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not a valid record.
    #[error(transparent)]
    Damaged(#[from] serde_json::Error),
    /// There is no record, but there are images or results.
    #[error("it has images or results, and no `job.json`")]
    Absent,
    /// It has another version.
    #[error("version {found}, expected {VERSION}")]
    Version { found: u32 },
}

/// Instances by the digests of their UIDs.
pub type Instances = BTreeMap<String, StoredInstance>;

/// Digests of contents by the digests of UIDs.
pub type KnownInstances = BTreeMap<String, String>;

impl JobFolder {
    pub fn document(&self) -> PathBuf {
        self.0.join("job.json")
    }

    pub fn arrived(&self) -> PathBuf {
        self.0.join("arrived")
    }

    pub fn input(&self) -> PathBuf {
        self.0.join("input")
    }

    pub fn known_file(&self) -> PathBuf {
        self.0.join("known")
    }

    /// Whether there is a record.
    pub fn has_note(&self) -> bool {
        self.document().symlink_metadata().is_ok()
    }

    /// Whether it has images or results.
    pub fn has_files(&self) -> io::Result<bool> {
        for (name, path) in names(&self.0)? {
            let counts = name == "arrived" || name == "input" || name.starts_with("run-");
            if counts && !names(&path)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub fn job(&self) -> Result<JobRecord, NoteError> {
        #[derive(serde::Deserialize)]
        struct Version {
            version: u32,
        }
        let bytes = fs::read(self.document())?;
        // In another version, all other fields may have other meanings.
        match serde_json::from_slice(&bytes)? {
            Version { version: VERSION } => Ok(serde_json::from_slice(&bytes)?),
            Version { version: found } => Err(NoteError::Version { found }),
        }
    }

    pub fn note(&self, files: &DurableFiles, job: &JobRecord) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(job)?;
        text.push(b'\n');
        files.write(&self.document(), &text)
    }

    /// The instances in one of its folders. Of several copies of an instance, which a crash can leave, the last that
    /// came counts.
    pub fn instances(&self, of: &Path) -> io::Result<Instances> {
        let mut found = Instances::new();
        for (uid, copy) in names(of)?
            .keys()
            .filter_map(|name| StoredInstance::from_file(name))
        {
            match found.get(&uid) {
                Some(other) if other.number > copy.number => {}
                _ => {
                    found.insert(uid, copy);
                }
            }
        }
        Ok(found)
    }

    /// Moves the instances in `arrived` to `input`.
    pub fn merge(&self, files: &DurableFiles) -> io::Result<()> {
        files.create_folder(&self.input())?;
        for (uid, copy) in self.instances(&self.arrived())? {
            let file = copy.file(&uid);
            files.rename(&self.arrived().join(&file), &self.input().join(&file))?;
        }
        files.sync_folder(&self.input())?;
        files.remove_folder(&self.arrived())?;
        // Copies that were replaced.
        let kept = self.instances(&self.input())?;
        for (name, path) in names(&self.input())? {
            let counts = StoredInstance::from_file(&name)
                .is_some_and(|(uid, copy)| kept.get(&uid) == Some(&copy));
            if !counts {
                files.remove_file(&path)?;
            }
        }
        Ok(())
    }

    /// The instances of the last success; `None` before the first. Of a damaged list, the lines that can be
    /// read count.
    pub fn known(&self) -> io::Result<Option<KnownInstances>> {
        let bytes = match fs::read(self.known_file()) {
            Err(reason) if reason.kind() == io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let entries = text.lines().map(|line| {
            let (uid, content) = line.split_once(' ')?;
            let fits = is_digest(uid, DIGITS) && is_digest(content, DIGITS);
            fits.then(|| (uid.to_owned(), content.to_owned()))
        });
        let (mut known, mut damaged) = (KnownInstances::new(), 0);
        for entry in entries {
            match entry {
                Some((uid, content)) => drop(known.insert(uid, content)),
                None => damaged += 1,
            }
        }
        if damaged > 0 {
            let path = self.known_file();
            log::error(format_args!(
                "{damaged} lines of `{}` are damaged: instances that they list may be predicted again",
                path.display()
            ));
        }
        Ok(Some(known))
    }

    /// Writes the instances of a success.
    pub fn remember(&self, files: &DurableFiles, known: &KnownInstances) -> io::Result<()> {
        let line = |(uid, content): (&String, &String)| format!("{uid} {content}\n");
        let lines: String = known.iter().map(line).collect();
        files.write(&self.known_file(), lines.as_bytes())
    }

    /// Removes the results of other attempts than this one.
    pub fn remove_runs(&self, files: &DurableFiles, but: Option<&str>) -> io::Result<()> {
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

/// The entries of a folder, by name; none where it does not exist.
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
