//! `vesal convert`: DICOM series in, NIfTI files out.

mod choice;
mod datalist;
mod document;
mod error;
mod labels;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vesal_cli::{Exit, Failure, stderr, stdout};
use vesal_io::Remarks;
use vesal_io::dicom::{self, Assessment, DicomScan, Grade, Skipped};
use vesal_io::nifti::{self, Limits, WriteOptions, XForm};

pub use self::choice::StructureChoice;

use self::datalist::Datalist;
use self::document::{Document, ImageFile, LabelFile, Series};
use self::error::ConvertError;
use self::labels::{Painted, Sets, paint};
use self::plan::{Job, claim, jobs};
use crate::cli::ConvertArguments;
use crate::interrupt::{self, Interrupted};
use crate::progress::Progress;
use crate::{failure, outputs, skipped};

/// Converts every stack that makes a volume, and tells what became of all files.
pub fn run(arguments: &ConvertArguments) -> Result<Exit, Failure> {
    interrupt::listen()?;
    let scan = dicom::scan(&arguments.input).map_err(failure::dicom)?;
    let labeled = !arguments.structures.is_empty();
    let mut document = Document::new(tell_skipped(&scan, labeled));
    if scan.stacks.is_empty() {
        return Err(ConvertError::NoSeries.into());
    }
    outputs::create_folder(&arguments.output)?;
    let datalist = Datalist::new(arguments)?;
    let sets = if labeled {
        Sets::read(&scan)
    } else {
        Sets::default()
    };
    for set in &sets.strangers {
        let set = set.display();
        stderr::warning(format!(
            "structure set `{set}` was drawn on none of the series"
        ));
    }
    let jobs = jobs(&scan.stacks, arguments, sets.of_stacks);
    claim(&jobs, arguments)?;

    let mut failed = Vec::new();
    for (set, failure) in sets.failures {
        let set = format!("structure set `{}`", set.display());
        stderr::failure(&failure.attempting(format!("cannot use {set}")));
        failed.push(set);
    }
    for unread in &scan.unread {
        let series = format!("series `{}`", unread.stated.series);
        let error = ConvertError::Unread {
            files: unread.files.len(),
            first: unread.files[0].clone(),
        };
        stderr::failure(&Failure::from(error).attempting(format!("cannot convert {series}")));
        failed.push(series);
    }
    let total = jobs.len();
    let progress = Progress::new(total);
    for (done, job) in jobs.into_iter().enumerate() {
        if interrupt::requested() {
            return Err(Failure::new(Exit::Interrupted, Interrupted { done, total }));
        }
        progress.case(&job.name);
        let (series, failure) = converted(job, arguments, labeled);
        let name = series_name(&series);
        for warning in series.warnings() {
            progress.warning(format!("{name}: {warning}"));
        }
        if !arguments.json {
            progress.suspend(|| stdout::print(&series.text()))?;
        }
        if let Some(failure) = failure {
            progress.failure(&failure);
            failed.push(name);
        }
        document.series.push(series);
    }
    drop(progress);
    if let Some(datalist) = datalist {
        datalist.write(&document.series)?;
    }
    if arguments.json {
        stdout::print_json(&document)?;
    }
    if failed.is_empty() {
        Ok(Exit::Success)
    } else {
        Err(ConvertError::Incomplete { what: failed }.into())
    }
}

fn series_name(series: &Series) -> String {
    format!("series `{}`", series.name)
}

/// Tells of the files that are no slices, and counts them by reason.
fn tell_skipped(scan: &DicomScan, labeled: bool) -> BTreeMap<String, usize> {
    let sets: BTreeSet<&Path> = scan.structure_sets().collect();
    let used = |file: &&Skipped| labeled && sets.contains(file.path.as_path());
    let left: Vec<&Skipped> = scan.skipped.iter().filter(|file| !used(file)).collect();
    let mut counts = BTreeMap::new();
    for file in &left {
        *counts.entry(file.reason.to_string()).or_default() += 1;
    }
    for line in skipped::told(left.into_iter()) {
        stderr::note(line);
    }
    if !labeled && !sets.is_empty() {
        stderr::note("`--structures` makes label maps of structure sets");
    }
    counts
}

/// Writes the files of a stack; what went wrong is told in both.
fn converted(job: Job, arguments: &ConvertArguments, labeled: bool) -> (Series, Option<Failure>) {
    let mut series = Series::of(&job);
    let failed = |series: &mut Series, failure: Failure, what: &str| {
        let failure = failure.attempting(format!("cannot {what} {}", series_name(series)));
        series.error = Some(failure.render().trim_end().to_owned());
        Some(failure)
    };
    let Job {
        stack,
        assessed,
        image,
        label,
        sets,
        ..
    } = job;
    let options = WriteOptions {
        overwrite: arguments.overwrite,
        space: XForm::ScannerAnat,
        remarks: Remarks {
            grade: assessed.as_ref().ok().map(Assessment::grade),
            ..Remarks::NONE
        },
    };
    let written = assessed.and_then(|assessment| {
        series.image = Some(write_image(&assessment, &image, &options)?);
        Ok(assessment)
    });
    let assessment = match written {
        Ok(assessment) => assessment,
        Err(failure) => {
            let failure = failed(&mut series, failure, "convert");
            return (series, failure);
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
        paint(&sets, &arguments.structures, stack, &grid)
    };
    let written = painted.and_then(|painted| write_labels(painted, &label, &options));
    match written {
        Ok(label) => {
            series.label = Some(label);
            (series, None)
        }
        Err(failure) => {
            let failure = failed(&mut series, failure, "label");
            (series, failure)
        }
    }
}

fn write_image(
    assessment: &Assessment,
    path: &Path,
    options: &WriteOptions,
) -> Result<ImageFile, Failure> {
    let volume = assessment
        .read(&Limits::default())
        .map_err(failure::dicom)?;
    nifti::write_smallest(path, &volume, options).map_err(failure::output)?;
    let grid = volume.geometry();
    Ok(ImageFile {
        path: path.to_owned(),
        shape: grid.shape,
        affine: grid.affine,
    })
}

fn write_labels(
    painted: Painted,
    path: &Path,
    options: &WriteOptions,
) -> Result<LabelFile, Failure> {
    nifti::write_label_map(path, &painted.map, options).map_err(failure::output)?;
    Ok(LabelFile {
        path: path.to_owned(),
        labels: painted.labels,
        overlapping_voxels: painted.overlapping_voxels,
        warnings: painted.warnings,
    })
}
