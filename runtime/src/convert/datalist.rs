//! The datalist of a training, in Auto3DSeg's form.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::document::Series;
use super::error::ConvertError;
use super::options::ConvertOptions;
use crate::document::write_json;
use crate::error::Error;
use crate::outputs;

/// The cases, with paths from the folder of the datalist on.
#[derive(Debug, Serialize)]
struct Document {
    training: Vec<Case>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    testing: Vec<Case>,
}

#[derive(Debug, Serialize)]
struct Case {
    image: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// The UID of its study: series of one study are then never on both sides of a fold.
    patient: String,
}

/// A datalist that is going to be written.
#[derive(Debug)]
pub struct Datalist<'a> {
    path: &'a Path,
    /// From its folder to that of the images.
    below: PathBuf,
    overwrite: bool,
}

impl<'a> Datalist<'a> {
    /// Prepares the datalist, if one is asked for; the output folder exists.
    ///
    /// **Errors**: its folder does not exist or does not hold the output folder.
    pub fn new(options: &'a ConvertOptions) -> Result<Option<Self>, Error> {
        let Some(path) = options.datalist.as_deref() else {
            return Ok(None);
        };
        outputs::check_folder_of(path)?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let outside = || ConvertError::DatalistFolder {
            datalist: path.to_owned(),
            output: options.output.clone(),
        };
        let canonical = |path: &Path| path.canonicalize().map_err(|_| outside());
        let (folder, output) = (canonical(folder)?, canonical(&options.output)?);
        let below = output.strip_prefix(folder).map_err(|_| outside())?;
        Ok(Some(Self {
            path,
            below: below.to_owned(),
            overwrite: options.overwrite,
        }))
    }

    /// Writes what was converted: labeled images for training, others as test cases.
    ///
    /// **Errors**: the file cannot be written.
    pub fn write(&self, series: &[Series]) -> Result<(), Error> {
        let mut document = Document {
            training: Vec::new(),
            testing: Vec::new(),
        };
        for series in series.iter().filter(|series| series.error.is_none()) {
            let Some(image) = &series.image else {
                continue;
            };
            let case = Case {
                image: self.relative(&image.path),
                label: series
                    .label
                    .as_ref()
                    .map(|label| self.relative(&label.path)),
                patient: series.study.clone(),
            };
            if case.label.is_some() {
                document.training.push(case);
            } else {
                document.testing.push(case);
            }
        }
        write_json(self.path, &document, self.overwrite)
    }

    /// The path of an output, from the folder of the datalist on.
    fn relative(&self, output: &Path) -> String {
        let name = output.file_name().map(Path::new).into_iter();
        let parts = self.below.iter().map(Path::new).chain(name);
        let parts: Vec<_> = parts.map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    }
}
