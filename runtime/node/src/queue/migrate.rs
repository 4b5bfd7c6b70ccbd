//! Takes over the storage of earlier versions, whose names are digests that anybody can make.
//!
//! Their jobs lie in `jobs/` and there is no key. They are moved to `jobs.1/` first, then each is changed and moved to
//! `jobs/` under its keyed name; whatever is in `jobs.1/` is still to be done.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::log;
use crate::queue::files::Files;
use crate::queue::folder::names;
use crate::queue::job::{Copy, DIGITS, NOBODY, VERSION};
use crate::queue::secret::Secret;
use crate::queue::{Folder, Job, Key, OpenError};
use crate::reason::Reason;

/// Version of notes whose names are not keyed.
const PLAIN: u64 = 1;

fn waiting(storage: &Path) -> PathBuf {
    storage.join("jobs.1")
}

/// Moves jobs of earlier versions out of the way, before a key is made.
///
/// **Errors**: the system cannot read or move them; there are jobs of this version, and their key is gone.
pub fn begin(storage: &Path, files: &Files) -> Result<(), OpenError> {
    let (key, jobs) = (storage.join("key"), storage.join("jobs"));
    let io = OpenError::io(storage);
    if key.exists() || waiting(storage).exists() {
        return Ok(());
    }
    let names = names(&jobs).map_err(&io)?;
    let mut noted = names.values().filter_map(|path| version(path));
    if noted.any(|version| version == u64::from(VERSION)) {
        return Err(OpenError::NoKey { path: key });
    }
    if names.is_empty() {
        return Ok(());
    }
    files.rename(&jobs, &waiting(storage)).map_err(&io)?;
    files.sync_folder(storage).map_err(&io)
}

fn version(folder: &Path) -> Option<u64> {
    let note = fs::read(folder.join("job.json")).ok()?;
    let note: Value = serde_json::from_slice(&note).ok()?;
    note.get("version")?.as_u64()
}

/// Names jobs of earlier versions with the key. What cannot be changed is moved as it is, and set aside when the
/// queue is read.
///
/// **Errors**: the system cannot read or write the folder.
pub fn finish(storage: &Path, files: &Files, secret: &Secret) -> io::Result<()> {
    let (from, to) = (waiting(storage), storage.join("jobs"));
    if !from.exists() {
        return Ok(());
    }
    files.create_folder(&to)?;
    for (name, path) in names(&from)? {
        let Some(key) = Key::from_name(&name) else {
            continue;
        };
        let folder = Folder(path);
        let key = Key(secret.of_plain(&key.0));
        if let Err(reason) = change(&folder, files, secret) {
            log::error(format_args!(
                "job {key}: of an earlier version, cannot be changed: {reason}"
            ));
        }
        files.rename(&folder.0, &to.join(&key.0))?;
        log::info(format_args!(
            "job {key}: taken over from an earlier version"
        ));
    }
    files.sync_folder(&to)?;
    files.remove_folder(&from)
}

/// Changes what is in a job's folder. Done again behind a crash, it goes on.
fn change(folder: &Folder, files: &Files, secret: &Secret) -> io::Result<()> {
    for of in [folder.input(), folder.arrived()] {
        let mut found: Vec<_> = Vec::new();
        for (name, path) in names(&of)? {
            if let Some((uid, content)) = plain_name(&name) {
                found.push((path.metadata()?.modified()?, path, uid, content));
            }
        }
        // The best that earlier versions know of their order.
        found.sort();
        let start = folder.instances(&of)?.len() as u64;
        for (number, (_, path, uid, content)) in (start..).zip(found) {
            let copy = Copy {
                content: secret.of_plain(&content),
                owner: NOBODY.to_owned(),
                number,
            };
            files.rename(&path, &of.join(copy.file(&secret.of_plain(&uid))))?;
        }
    }
    if let Ok(text) = fs::read_to_string(folder.known_file())
        && text.lines().all(|line| plain_name(line).is_some())
    {
        let names = text.lines().filter_map(plain_name);
        let keyed = |text: String| secret.of_plain(&text);
        let known = names.map(|(uid, content)| (keyed(uid), keyed(content)));
        folder.remember(files, &known.collect())?;
    }
    let mut note: Value = serde_json::from_slice(&fs::read(folder.document())?)?;
    if note["version"].as_u64() != Some(PLAIN) {
        return Ok(());
    }
    note["version"] = VERSION.into();
    if note["reason"].is_string() {
        note["reason"] = serde_json::to_value(Reason::Unknown)?;
    }
    let mut job: Job = serde_json::from_value(note)?;
    for results in job.delivered.values_mut() {
        for result in results {
            *result = secret.of_plain(result);
        }
    }
    folder.note(files, &job)
}

/// Digests of the UID and of the content in a name of an earlier version.
fn plain_name(name: &str) -> Option<(String, String)> {
    let (uid, content) = name.strip_suffix(".dcm")?.split_once('.')?;
    let is_digest = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fits = uid.len() == DIGITS && content.len() == 16 && is_digest(uid) && is_digest(content);
    fits.then(|| (uid.to_owned(), content.to_owned()))
}
