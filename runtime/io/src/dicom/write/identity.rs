//! What all kinds of results share: UIDs, patient, study, series, equipment.

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::Remarks;
use crate::dicom::assessment::Grade;
use crate::dicom::uid::is_uid;
use crate::dicom::write::algorithm::{AlgorithmIdentification, MANUFACTURER, Moment};
use crate::dicom::write::code::{ACQUISITION_EQUIPMENT, PROCESSING_EQUIPMENT};
use crate::dicom::write::elements::ElementSet;
use crate::dicom::write::error::{DicomWriteError, Unwritable};
use crate::dicom::write::output::{DicomOutput, Syntax};
use crate::dicom::write::segment::{Segment, SegmentedMap};
use crate::dicom::write::source_images::{SeriesInstances, SourceImages};
use crate::dicom::write::uid::{UidKey, digest, uid};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Options for writing a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultOptions {
    /// Whether an existing file may be replaced.
    pub overwrite: bool,
    /// When the result was made.
    pub made: Moment,
    /// Number of its series; `None` derives one that is unlikely to be in use: 100 times the source's, and 1 for a
    /// segmentation, 2 for structures, 3 for a report.
    pub series_number: Option<u32>,
    /// Key of the UIDs; without one, anyone who has the input and the bundle can compute them.
    pub key: Option<UidKey>,
}

/// A result that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// UID of the SOP class.
    pub class: String,
    /// UID of the series.
    pub series: String,
    /// UID of the instance.
    pub instance: String,
    /// Numbers of its segments or structures, in the order of those given.
    pub numbers: Vec<u16>,
}

/// A kind of result.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResultKind {
    /// Part of the digests that UIDs are made of.
    pub name: &'static str,
    pub class: &'static str,
    pub modality: &'static str,
    /// Added to 100 times the number of the source's series.
    pub number: u32,
    /// Description of the series, behind the algorithm's name.
    pub description: &'static str,
}

/// A result of a kind, about to be written.
pub(super) struct ResultIdentity<'a> {
    pub kind: ResultKind,
    pub source: &'a SourceImages,
    pub algorithm: &'a AlgorithmIdentification,
    pub options: &'a ResultOptions,
    /// UID of the frame of reference that the grid lies in.
    frame_of_reference: String,
    /// Digest of all content of the file except the time of creation, in hexadecimal.
    digest: String,
    /// UID of the instance that this one refers to.
    about: String,
}

impl<'a> ResultIdentity<'a> {
    pub fn new(
        kind: ResultKind,
        segmented: &SegmentedMap,
        source: &'a SourceImages,
        algorithm: &'a AlgorithmIdentification,
        options: &'a ResultOptions,
    ) -> Result<Self, Unwritable> {
        algorithm.check()?;
        options.made.check()?;
        if options
            .series_number
            .is_some_and(|number| number > i32::MAX as u32)
        {
            return Err(Unwritable::TooMany {
                what: "as the number of a series",
                found: u64::from(options.series_number.unwrap_or_default()),
                limit: i32::MAX as u64,
            });
        }
        let parts = [source.digest(), segmented.content()].map(|part| hexadecimal(&part));
        let mut others: Vec<String> = segmented.segments.iter().map(Segment::looks).collect();
        others.push(format!("{} {:?}", segmented.regions, options.series_number));
        let texts = parts
            .iter()
            .map(String::as_str)
            .chain([VERSION])
            .chain(algorithm.texts())
            .chain(segmented.texts())
            .chain(others.iter().map(String::as_str));
        let frame_of_reference = source.frame_of_reference.clone();
        let identity = Self {
            kind,
            source,
            algorithm,
            options,
            // Results need a frame of reference; for images without one it is generated.
            frame_of_reference: frame_of_reference.unwrap_or_else(|| {
                sealed(options, &digest(["frame of reference", &source.series]))
            }),
            digest: hexadecimal(&digest(texts)),
            about: String::new(),
        };
        let uids = [
            ("study", source.study.as_str()),
            ("frame of reference", identity.frame_of_reference.as_str()),
        ];
        for (what, text) in uids {
            if !is_uid(text) {
                return Err(Unwritable::Uid { what });
            }
        }
        for series in source.all_series() {
            let instances = series.instances.iter();
            let mut uids = instances.flat_map(|(class, instance)| [*class, *instance]);
            if !is_uid(series.series) || !uids.all(is_uid) {
                return Err(Unwritable::Uid {
                    what: "series or an instance of it",
                });
            }
        }
        Ok(identity)
    }

    /// Makes it a result that refers to another one, such as a report.
    pub fn about(self, instance: &str) -> Self {
        Self {
            about: instance.to_owned(),
            ..self
        }
    }

    /// The UID of a part of this result.
    pub fn uid(&self, part: &str) -> String {
        let texts = [self.digest.as_str(), self.kind.name, &self.about, part];
        sealed(self.options, &digest(texts))
    }

    /// Tracking UID of a segment, the same in all kinds of results.
    pub fn tracking_uid(&self, segment: &Segment) -> String {
        let value = segment.value.to_string();
        sealed(
            self.options,
            &digest([self.digest.as_str(), "segment", &value]),
        )
    }

    /// UID of the frame of reference that the grid lies in.
    pub fn frame_of_reference(&self) -> &str {
        &self.frame_of_reference
    }

    /// The frame of reference of the grid.
    pub fn frame_of_reference_module(&self) -> ElementSet {
        let reference = self.source.copied.position_reference();
        ElementSet::new()
            .uid(tags::FRAME_OF_REFERENCE_UID, &self.frame_of_reference)
            .bytes(tags::POSITION_REFERENCE_INDICATOR, VR::LO, reference)
    }

    /// UID of the bundle as a device.
    pub fn device_uid(&self) -> String {
        let algorithm = self.algorithm;
        uid(&digest([
            "device",
            algorithm.name.as_str(),
            &algorithm.version,
            &algorithm.digest,
        ]))
    }

    pub fn series(&self) -> String {
        self.uid("series")
    }

    pub fn instance(&self) -> String {
        self.uid("instance")
    }

    pub fn reference(&self, numbers: Vec<u16>) -> Reference {
        Reference {
            class: self.kind.class.to_owned(),
            series: self.series(),
            instance: self.instance(),
            numbers,
        }
    }

    pub fn create<'p>(
        &self,
        path: &'p Path,
        syntax: Syntax,
    ) -> Result<DicomOutput<'p>, DicomWriteError> {
        let overwrite = self.options.overwrite;
        DicomOutput::create(path, overwrite, self.kind.class, &self.instance(), syntax)
    }

    /// Attributes of patient, study, series, equipment and instance; `texts` are those of the result.
    pub fn common<'t>(
        &'t self,
        texts: impl Iterator<Item = &'t str>,
    ) -> Result<ElementSet, Unwritable> {
        let ours = texts.chain(self.algorithm.texts());
        let patient_and_study = self.source.copied.patient_and_study(ours)?;
        let number = self.options.series_number.map_or_else(
            || {
                let source = self.source.series_number.unwrap_or(0).clamp(0, 10_000_000);
                100 * source + i64::from(self.kind.number)
            },
            i64::from,
        );
        // A description has 64 characters.
        let (length, mark) = if self.source.incomplete {
            (32, format!(" ({})", Remarks::MAY_LACK_IMAGES))
        } else {
            (40, String::new())
        };
        let name: String = self.algorithm.name.chars().take(length).collect();
        let description = format!("{name} {}{mark}", self.kind.description);
        let mut equipment = vec![
            self.equipment(ElementSet::new().code(
                tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
                &PROCESSING_EQUIPMENT,
            ))
            .text(
                tags::CONTRIBUTION_DATE_TIME,
                VR::DT,
                &format!("{}{}", self.options.made.date(), self.options.made.time()),
            )
            .text(
                tags::CONTRIBUTION_DESCRIPTION,
                VR::ST,
                &format!("{} {}", self.algorithm.name, self.algorithm.version),
            ),
        ];
        equipment.extend(self.source.copied.scanner().map(|scanner| {
            scanner.code(
                tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
                &ACQUISITION_EQUIPMENT,
            )
        }));
        Ok(self
            .equipment(patient_and_study)
            .uid(tags::STUDY_INSTANCE_UID, &self.source.study)
            .uid(tags::SOP_CLASS_UID, self.kind.class)
            .uid(tags::SOP_INSTANCE_UID, &self.instance())
            .uid(tags::SERIES_INSTANCE_UID, &self.series())
            .word(tags::MODALITY, self.kind.modality)
            .integer(tags::SERIES_NUMBER, number)
            .text(tags::SERIES_DESCRIPTION, VR::LO, &description)
            .integer(tags::INSTANCE_NUMBER, 1)
            .sequence(tags::CONTRIBUTING_EQUIPMENT_SEQUENCE, equipment))
    }

    /// Date and time of the content.
    pub fn content_moment(&self, items: ElementSet) -> ElementSet {
        let made = self.options.made;
        items.text(tags::CONTENT_DATE, VR::DA, &made.date()).text(
            tags::CONTENT_TIME,
            VR::TM,
            &made.time(),
        )
    }

    fn equipment(&self, items: ElementSet) -> ElementSet {
        items
            .text(tags::MANUFACTURER, VR::LO, MANUFACTURER)
            .text(tags::MANUFACTURER_MODEL_NAME, VR::LO, "vesal")
            // The bundle is the device.
            .text(tags::DEVICE_SERIAL_NUMBER, VR::LO, &self.algorithm.digest)
            .text(tags::SOFTWARE_VERSIONS, VR::LO, VERSION)
    }

    /// Remarks on input and grid, in at most 64 characters.
    pub fn remarks(&self) -> String {
        let source = self.source;
        let long = match source.worst {
            Grade::Ok => "geometry ok: on the planes of the source",
            Grade::Resampled => "geometry resampled: source planes uneven, tilted or missing",
            Grade::Refused => "geometry refused",
        };
        let remarks = source.remarks();
        remarks
            .joined(Some(long))
            .filter(|text| text.chars().count() <= 64)
            .or_else(|| remarks.text())
            .unwrap_or_default()
    }

    /// The parameters of the algorithm: remarks, digest of the bundle, settings.
    pub fn parameters(&self) -> String {
        let algorithm = self.algorithm;
        let mut parameters = format!("{}; bundle sha256 {}", self.remarks(), algorithm.digest);
        if let Some(settings) = &algorithm.parameters {
            parameters.push_str("; ");
            parameters.push_str(settings);
        }
        parameters
    }
}

/// The UID of a digest, under the key if there is one.
fn sealed(options: &ResultOptions, digest: &[u8; 32]) -> String {
    match &options.key {
        Some(key) => uid(&key.seal(digest)),
        None => uid(digest),
    }
}

fn hexadecimal(digest: &[u8; 32]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn instance(class: &str, uid: &str) -> ElementSet {
    ElementSet::new()
        .uid(tags::REFERENCED_SOP_CLASS_UID, class)
        .uid(tags::REFERENCED_SOP_INSTANCE_UID, uid)
}

/// References to all instances of a series.
pub(super) fn instances(series: &SeriesInstances) -> Vec<ElementSet> {
    let instances = series.instances.iter();
    instances.map(|(class, uid)| instance(class, uid)).collect()
}
