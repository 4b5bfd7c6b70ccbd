//! Writing the results of a case.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::ArrayView4;
use vesal_bundle::deploy_plan::{Activation, Concept, Label};
use vesal_bundle::{Bundle, DeployPlan};
use vesal_cases::Origin;
use vesal_engine::{InferencePrecision, ProbabilitySink, SinkError};
use vesal_files::digest;
use vesal_io::dicom::write::{
    AlgorithmIdentification, Code, DicomWriteError, Moment, Reference, ResultOptions, Segment,
    SegmentationType, SegmentedMap, SourceImages, UidKey, write_report, write_segmentation,
    write_structures,
};
use vesal_io::nifti::{self, ProbabilityFile, WriteOptions};
use vesal_volume::{Geometry, LabelMap};

use super::formats::FormatError;
use crate::error::Error;
use crate::options::{GeometryPolicy, OutputFormat};
use crate::outputs::Outputs;
use crate::record::{OutputRecord, PROBABILITIES};

/// Probabilities that are written to a file.
pub struct Probabilities {
    path: PathBuf,
    options: WriteOptions,
    file: Option<ProbabilityFile>,
}

impl Probabilities {
    /// An empty sink for this file.
    pub fn new(path: &Path, options: WriteOptions) -> Self {
        Self {
            path: path.to_owned(),
            options,
            file: None,
        }
    }
}

impl ProbabilitySink for Probabilities {
    fn begin(&mut self, classes: usize, grid: &Geometry, axis: usize) -> Result<(), SinkError> {
        let [x, y, z] = grid.shape;
        let shape = [classes, x, y, z];
        let file = ProbabilityFile::create(&self.path, shape, &grid.affine, axis, &self.options)?;
        self.file = Some(file);
        Ok(())
    }

    fn write(&mut self, start: [usize; 3], block: ArrayView4<'_, f32>) -> Result<(), SinkError> {
        match &mut self.file {
            Some(file) => Ok(file.write(start, block)?),
            None => Err("blocks come before their grid".into()),
        }
    }

    fn finish(&mut self) -> Result<(), SinkError> {
        match self.file.take() {
            Some(file) => Ok(file.finish()?),
            None => Err("the end comes before the grid".into()),
        }
    }
}

/// Writes the results of cases.
pub struct ResultWriter<'a> {
    plan: &'a DeployPlan,
    settings: ResultSettings,
    segments: Vec<Segment>,
    algorithm: AlgorithmIdentification,
}

/// Settings of a run on which its results depend, besides bundle, input and voxels.
///
/// Device, provider, threads and the like are not among them: where they change a voxel, the voxel counts.
#[derive(Debug, Clone, Copy)]
pub struct ResultSettings {
    /// Whether results may be replaced.
    pub overwrite: bool,
    /// Key of the UIDs.
    pub key: Option<UidKey>,
    /// Precision of the networks; `None` where none is run.
    pub precision: Option<InferencePrecision>,
    /// Treatment of uneven slices.
    pub geometry: GeometryPolicy,
    /// Whether the user's rules replace the bundle's.
    pub has_rules: bool,
}

impl ResultSettings {
    /// The settings as parameters of the algorithm.
    fn text(&self, plan: &DeployPlan) -> Result<String, Error> {
        let mut parts = Vec::new();
        parts.extend(
            self.precision
                .map(|precision| format!("precision {precision}")),
        );
        parts.push(match self.geometry {
            GeometryPolicy::Strict => "geometry policy strict".to_owned(),
            GeometryPolicy::Resample => "geometry policy resample".to_owned(),
        });
        if self.has_rules {
            let plan = plan.to_json()?;
            parts.push(format!("plan with rules sha256 {}", digest::sha256(&plan)));
        }
        Ok(parts.join("; "))
    }
}

impl<'a> ResultWriter<'a> {
    /// A writer for the results of a bundle; `plan` is the bundle's, with the user's rules.
    ///
    /// **Errors**: none for a plan that was read.
    pub fn new(
        bundle: &Bundle,
        plan: &'a DeployPlan,
        settings: ResultSettings,
    ) -> Result<Self, Error> {
        let manifest = bundle.manifest();
        let digest = bundle.digest().to_owned();
        Ok(Self {
            plan,
            settings,
            segments: plan.foreground().map(segment).collect(),
            algorithm: AlgorithmIdentification {
                name: short(&manifest.name),
                // Parameters that do not fit are represented by their digest.
                version: match &manifest.version {
                    Some(version) => version.clone(),
                    None => digest.chars().take(12).collect(),
                },
                digest,
                parameters: Some(settings.text(plan)?),
            },
        })
    }

    /// How NIfTI files of a case are written.
    pub fn nifti_options(&self, origin: &Origin) -> WriteOptions {
        WriteOptions {
            overwrite: self.settings.overwrite,
            space: origin.space,
            remarks: origin.remarks,
        }
    }

    /// Writes the files of a case; requested probabilities are already written.
    ///
    /// **Errors**: a file cannot be written; the files of the case written so far are removed.
    pub fn write(
        &self,
        outputs: &Outputs,
        labels: &LabelMap,
        origin: &Origin,
    ) -> Result<Vec<OutputRecord>, Error> {
        let mut written = Vec::new();
        let result = self.write_each(outputs, labels, origin, &mut written);
        if result.is_err() {
            let there = outputs.found.iter().take(written.len());
            let paths = there.map(|(_, path)| path);
            for path in paths.chain(&outputs.probabilities) {
                // A failed case leaves no results; errors of removing are ignored because the failure is reported.
                let _ = fs::remove_file(path);
            }
        }
        result.map(|()| written)
    }

    fn write_each(
        &self,
        outputs: &Outputs,
        labels: &LabelMap,
        origin: &Origin,
        written: &mut Vec<OutputRecord>,
    ) -> Result<(), Error> {
        let mut segmentation = None;
        for (format, path) in &outputs.found {
            match (format, &origin.source) {
                (OutputFormat::Nifti, _) => self.label_map(path, labels, origin)?,
                (&format, None) => return Err(FormatError::NoSource { format }.into()),
                (&format, Some(source)) => {
                    let result = self.dicom(format, path, labels, source, segmentation.as_ref())?;
                    if matches!(format, OutputFormat::Seg | OutputFormat::Labelmap) {
                        segmentation.get_or_insert(result);
                    }
                }
            }
            written.push(record(format.name(), path)?);
        }
        if let Some(path) = &outputs.probabilities {
            written.push(record(PROBABILITIES, path)?);
        }
        Ok(())
    }

    fn label_map(&self, path: &Path, labels: &LabelMap, origin: &Origin) -> Result<(), Error> {
        let options = self.nifti_options(origin);
        match self.plan.activation {
            Activation::Softmax => nifti::write_label_map(path, labels, &options),
            Activation::Sigmoid => {
                nifti::write_regions(path, labels, &self.plan.label_values(), &options)
            }
        }
        .map_err(Error::WriteNifti)
    }

    fn dicom(
        &self,
        format: OutputFormat,
        path: &Path,
        map: &LabelMap,
        source: &SourceImages,
        segmentation: Option<&Reference>,
    ) -> Result<Reference, Error> {
        let segmented = SegmentedMap {
            map,
            segments: &self.segments,
            regions: self.plan.activation == Activation::Sigmoid,
        };
        let options = ResultOptions {
            overwrite: self.settings.overwrite,
            made: Moment::now(),
            series_number: None,
            key: self.settings.key,
        };
        let algorithm = &self.algorithm;
        let form = |form| write_segmentation(path, &segmented, source, algorithm, form, &options);
        let result: Result<Reference, DicomWriteError> = match (format, segmentation) {
            (OutputFormat::Labelmap, _) => form(SegmentationType::LabelMap),
            (OutputFormat::Rtstruct, _) => {
                write_structures(path, &segmented, source, algorithm, &options)
            }
            (OutputFormat::Report, Some(segmentation)) => {
                write_report(path, &segmented, segmentation, source, algorithm, &options)
            }
            (OutputFormat::Report, None) => return Err(FormatError::NoSegments.into()),
            (OutputFormat::Nifti | OutputFormat::Seg, _) => form(SegmentationType::Binary),
        };
        Ok(result?)
    }
}

/// A label as a segment: by its code, or by its name alone.
fn segment(label: &Label) -> Segment {
    let name = short(&label.name);
    let Some(code) = &label.code else {
        return Segment::named(label.value, name);
    };
    Segment {
        value: label.value,
        name,
        category: concept(&code.category),
        kind: concept(&code.kind),
        modifier: code.modifier.as_ref().map(concept),
        color: code.color,
    }
}

/// A name as DICOM takes it: 64 characters, and no backslash, the separator of values.
fn short(name: &str) -> String {
    let safe = name.chars().take(64).collect::<String>().replace('\\', "/");
    safe.trim_end().to_owned()
}

fn concept(concept: &Concept) -> Code {
    Code {
        value: concept.value.clone().into(),
        scheme: concept.scheme.clone().into(),
        meaning: concept.meaning.clone().into(),
    }
}

fn record(format: &'static str, path: &Path) -> Result<OutputRecord, Error> {
    OutputRecord::of(format, path).map_err(|error| {
        Error::OutputFile(error).attempting(format!("cannot read back `{}`", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shortened_to_what_dicom_takes() {
        assert_eq!(short("left kidney"), "left kidney");
        assert_eq!(short(r"gray\white"), "gray/white");
        let long = format!("{} end", "é".repeat(63));
        assert_eq!(short(&long), "é".repeat(63));
    }
}
