//! `vesal convert`: DICOM series in, NIfTI files out.

pub mod choice;
mod datalist;
pub mod document;
pub mod error;
mod labels;
pub mod options;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vesal_cases::skipped;
use vesal_io::Remarks;
use vesal_io::dicom::{self, Assessment, DicomScan, Grade, Skipped};
use vesal_io::image::ReadLimits;
use vesal_io::nifti::{self, WriteOptions, XForm};

use self::datalist::DatalistFile;
use self::document::{ConvertedImage, Document, LabelFile, Series};
use self::error::ConvertError;
use self::labels::{Painted, Sets, paint};
use self::plan::{StackConversion, claim, jobs};
use crate::error::Error;
use crate::observe::{Cases, Observer, stops};
use crate::outputs;

pub use self::choice::StructureChoice;
pub use self::options::ConvertOptions;

/// Results of a conversion, with the errors.
#[derive(Debug)]
pub struct Conversion {
    pub document: Document,
    /// Series and structure sets that were not fully converted; their errors were passed to the observer.
    pub failed: Vec<String>,
}

impl Conversion {
    /// The document of a conversion in which nothing failed.
    ///
    /// **Errors**: [`ConvertError::Incomplete`].
    pub fn into_result(self) -> Result<Document, Error> {
        if self.failed.is_empty() {
            Ok(self.document)
        } else {
            Err(ConvertError::Incomplete { what: self.failed }.into())
        }
    }
}

/// Converts every stack that is a volume, and reports on all files.
///
/// **Errors**: nothing can be converted, outputs exist or cannot be written, or the observer stops it. A series that
/// fails is part of the result.
pub fn convert(options: &ConvertOptions, observer: &dyn Observer) -> Result<Conversion, Error> {
    let scan = dicom::scan(&options.input)?;
    let labeled = !options.structures.is_empty();
    let mut document = Document::new(tell_skipped(&scan, labeled, observer));
    if scan.stacks.is_empty() {
        return Err(ConvertError::NoSeries.into());
    }
    outputs::create_folder(&options.output)?;
    let datalist = DatalistFile::new(options)?;
    let sets = if labeled {
        Sets::read(&scan)
    } else {
        Sets::default()
    };
    for set in &sets.unassigned {
        let set = set.display();
        observer.warning(&format!(
            "structure set `{set}` was drawn on none of the series"
        ));
    }
    let jobs = jobs(&scan.stacks, options, sets.of_stacks);
    claim(&jobs, options)?;

    let mut failed = Vec::new();
    for (set, error) in sets.errors {
        let set = format!("structure set `{}`", set.display());
        observer.failed(&error.attempting(format!("cannot use {set}")));
        failed.push(set);
    }
    for unread in &scan.unread {
        let series = format!("series `{}`", unread.stated.series);
        let error = ConvertError::Unread {
            files: unread.files.len(),
            first: unread.files[0].clone(),
        };
        observer.failed(&Error::from(error).attempting(format!("cannot convert {series}")));
        failed.push(series);
    }
    let total = jobs.len();
    let cases = Cases::begin(observer, total);
    for (done, job) in jobs.into_iter().enumerate() {
        if stops(observer) {
            return Err(Error::Interrupted { done, total });
        }
        observer.case(&job.name);
        let (series, error) = converted(job, options, labeled);
        let name = series_name(&series);
        for warning in series.warnings() {
            observer.warning(&format!("{name}: {warning}"));
        }
        observer.converted(&series);
        if let Some(error) = error {
            observer.failed(&error);
            failed.push(name);
        }
        document.series.push(series);
    }
    drop(cases);
    if let Some(datalist) = datalist {
        datalist.write(&document.series)?;
    }
    Ok(Conversion { document, failed })
}

fn series_name(series: &Series) -> String {
    format!("series `{}`", series.name)
}

/// Reports the files that are not slices, and counts them by reason.
fn tell_skipped(
    scan: &DicomScan,
    labeled: bool,
    observer: &dyn Observer,
) -> BTreeMap<String, usize> {
    let sets: BTreeSet<&Path> = scan.structure_sets().collect();
    let used = |file: &&Skipped| labeled && sets.contains(file.path.as_path());
    let left: Vec<&Skipped> = scan.skipped.iter().filter(|file| !used(file)).collect();
    let mut counts = BTreeMap::new();
    for file in &left {
        *counts.entry(file.reason.to_string()).or_default() += 1;
    }
    for line in skipped::told(left.into_iter()) {
        observer.note(&line);
    }
    if !labeled && !sets.is_empty() {
        observer.note("`--structures` makes label maps of structure sets");
    }
    counts
}

/// Writes the files of a stack; errors are in both results.
fn converted(
    job: StackConversion,
    options: &ConvertOptions,
    labeled: bool,
) -> (Series, Option<Error>) {
    let mut series = Series::of(&job);
    let failed = |series: &mut Series, error: Error, what: &str| {
        let error = error.attempting(format!("cannot {what} {}", series_name(series)));
        series.error = Some(error.message().trim_end().to_owned());
        Some(error)
    };
    let StackConversion {
        stack,
        assessed,
        image,
        label,
        sets,
        ..
    } = job;
    let write_options = WriteOptions {
        overwrite: options.overwrite,
        space: XForm::ScannerAnat,
        remarks: Remarks {
            grade: assessed.as_ref().ok().map(Assessment::grade),
            ..Remarks::NONE
        },
    };
    let written = assessed.and_then(|assessment| {
        series.image = Some(write_image(&assessment, &image, &write_options)?);
        Ok(assessment)
    });
    let assessment = match written {
        Ok(assessment) => assessment,
        Err(error) => {
            let error = failed(&mut series, error, "convert");
            return (series, error);
        }
    };
    if labeled && sets.is_empty() {
        series.note("no structure set was drawn on it");
    }
    let Some(grid) = assessment.geometry().filter(|_| !sets.is_empty()) else {
        return (series, None);
    };
    let painted = if assessment.grade() == Grade::Resampled {
        Err(ConvertError::Resampled.into())
    } else {
        paint(&sets, &options.structures, stack, &grid)
    };
    let written = painted.and_then(|painted| write_labels(painted, &label, &write_options));
    match written {
        Ok(label) => {
            series.label = Some(label);
            (series, None)
        }
        Err(error) => {
            let error = failed(&mut series, error, "label");
            (series, error)
        }
    }
}

fn write_image(
    assessment: &Assessment,
    path: &Path,
    options: &WriteOptions,
) -> Result<ConvertedImage, Error> {
    let volume = assessment.read(&ReadLimits::default())?;
    nifti::write_smallest(path, &volume, options).map_err(Error::WriteNifti)?;
    let grid = volume.geometry();
    Ok(ConvertedImage {
        path: path.to_owned(),
        shape: grid.shape,
        affine: grid.affine,
    })
}

fn write_labels(painted: Painted, path: &Path, options: &WriteOptions) -> Result<LabelFile, Error> {
    nifti::write_label_map(path, &painted.map, options).map_err(Error::WriteNifti)?;
    Ok(LabelFile {
        path: path.to_owned(),
        labels: painted.labels,
        overlapping_voxels: painted.overlapping_voxels,
        warnings: painted.warnings,
    })
}
