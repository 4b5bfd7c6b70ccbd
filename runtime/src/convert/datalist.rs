//! The datalist of a training, in Auto3DSeg's form.

use std::path::{Path, PathBuf};

use vesal_cases::datalist::{Case, Datalist};
use vesal_files::atomic;

use super::document::Series;
use super::error::ConvertError;
use super::options::ConvertOptions;
use crate::error::Error;
use crate::outputs;

/// A datalist to be written.
#[derive(Debug)]
pub struct DatalistFile<'a> {
    path: &'a Path,
    /// Relative path from its folder to that of the images.
    below: PathBuf,
    overwrite: bool,
}

impl<'a> DatalistFile<'a> {
    /// Prepares the datalist, if one is requested; the output folder exists.
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

    /// Writes the datalist: labeled images for training, others as test cases.
    ///
    /// **Errors**: the file cannot be written.
    pub fn write(&self, series: &[Series]) -> Result<(), Error> {
        let mut datalist = Datalist::default();
        for series in series.iter().filter(|series| series.error.is_none()) {
            let Some(image) = &series.image else {
                continue;
            };
            let label = series.label.as_ref();
            let case = Case {
                images: vec![self.relative(&image.path)],
                label: label.map(|label| self.relative(&label.path)),
                // The study as patient keeps its series on one side of a fold.
                patient: Some(series.study.clone()),
                ..Case::default()
            };
            if case.label.is_some() {
                datalist.training.push(case);
            } else {
                datalist.testing.push(case);
            }
        }
        Ok(atomic::write_file(
            self.path,
            &datalist.to_json(),
            self.overwrite,
        )?)
    }

    /// The path of an output relative to the folder of the datalist.
    fn relative(&self, output: &Path) -> String {
        let name = output.file_name().map(Path::new).into_iter();
        let parts = self.below.iter().map(Path::new).chain(name);
        let parts: Vec<_> = parts.map(|part| part.to_string_lossy()).collect();
        parts.join("/")
    }
}
