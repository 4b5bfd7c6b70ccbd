//! A work directory in one file.

use std::io::{Cursor, Write};

use serde_json::json;
use vesal_files::digest;
use vesal_trainer::history;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::compressed::Wrapping;
use crate::scratch::ScratchFolder;
use crate::target::Target;

/// An archive in the form of a history.
pub const HISTORY: Target = Target {
    name: "history",
    run: |bytes| {
        let folder = ScratchFolder::new();
        let archive = folder.file("history.zip", bytes);
        let work = folder.path().join("work");
        if let Err(error) = history::import(&archive, &work, None) {
            let _ = error.to_string();
            assert!(!work.exists(), "something was left");
        }
    },
    seeds: || {
        let files = [("work.json", &b"{}"[..]), ("segresnet_0/run.json", b"{}")];
        let list: serde_json::Map<_, _> = files
            .iter()
            .map(|(name, bytes)| {
                let entry = json!({"bytes": bytes.len(), "sha256": digest::sha256(bytes)});
                ((*name).to_owned(), entry)
            })
            .collect();
        let list = json!({"format": "vesal-history", "format_version": 1, "files": list});
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let list = list.to_string();
        for (name, bytes) in files.into_iter().chain([("history.json", list.as_bytes())]) {
            zip.start_file(name, stored).expect("an entry");
            zip.write_all(bytes).expect("an entry");
        }
        vec![zip.finish().expect("an archive").into_inner()]
    },
    wrapping: Some(Wrapping::Zip("history.json")),
};
