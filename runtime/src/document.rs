//! Writing the JSON documents of commands.

use std::path::Path;

use serde::Serialize;
use vesal_files::atomic;
use vesal_files::document::{VersionedDocument, with_header};

use crate::error::Error;

/// Writes a result as JSON, its format and version first.
///
/// **Errors**: the file exists and may not be replaced, or cannot be written.
pub fn write_result<T: VersionedDocument + Serialize>(
    path: &Path,
    document: &T,
    overwrite: bool,
) -> Result<(), Error> {
    write_json(path, &with_header(document), overwrite)
}

/// Writes JSON of any form.
///
/// **Errors**: as [`write_result`].
pub fn write_json(path: &Path, document: &impl Serialize, overwrite: bool) -> Result<(), Error> {
    let text = vesal_cli::stdout::to_json(document)
        .map_err(|error| Error::Json(error).attempting("cannot put the result into JSON"))?;
    Ok(atomic::write_file(path, text.as_bytes(), overwrite)?)
}
