//! Measurement reports.

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::dicom::write::algorithm::AlgorithmIdentification;
use crate::dicom::write::code::{ARTIFICIAL_INTELLIGENCE, Code};
use crate::dicom::write::elements::{ElementSet, decimal};
use crate::dicom::write::error::{DicomWriteError, Unwritable};
use crate::dicom::write::grid::Planes;
use crate::dicom::write::identity::{
    Reference, ResultIdentity, ResultKind, ResultOptions, instance, instances,
};
use crate::dicom::write::output::Syntax;
use crate::dicom::write::planes::{SegmentLookup, presence, voxels};
use crate::dicom::write::segment::{Segment, SegmentedMap};
use crate::dicom::write::source_images::SourceImages;

/// Comprehensive 3D SR Storage.
pub(super) const CLASS: &str = "1.2.840.10008.5.1.4.1.1.88.34";

const KIND: ResultKind = ResultKind {
    name: "report",
    class: CLASS,
    modality: "SR",
    number: 3,
    description: "measurements",
};

/// Writes a report of the volume of each segment in ml.
///
/// **Definition**: number of voxels times their volume, rounded to the nanoliter, even where it is 0. Each segment is a
/// measurement group that refers to its segment of `segmentation`, which [`write_segmentation`] gave, to the source
/// series, and to the algorithm; the tracking UIDs are those of the segmentation.
///
/// **Errors**: as [`write_segmentation`]; [`Unwritable::OtherSegmentation`] where it does not have these segments.
///
/// **Source**: PS3.16 templates 1500, 1411, 1419 and 4019.
///
/// [`write_segmentation`]: crate::dicom::write::write_segmentation
pub fn write_report(
    path: impl AsRef<Path>,
    segmented: &SegmentedMap,
    segmentation: &Reference,
    source: &SourceImages,
    algorithm: &AlgorithmIdentification,
    options: &ResultOptions,
) -> Result<Reference, DicomWriteError> {
    let path = path.as_ref();
    let failed = DicomWriteError::write(path);
    let identity = ResultIdentity::new(KIND, segmented, source, algorithm, options)
        .map_err(&failed)?
        .about(&segmentation.instance);
    let report = report(segmented, segmentation, &identity).map_err(&failed)?;
    let mut output = identity.create(path, Syntax::Explicit)?;
    output.elements(&report)?;
    output.commit()?;
    Ok(identity.reference(Vec::new()))
}

fn report(
    segmented: &SegmentedMap,
    segmentation: &Reference,
    identity: &ResultIdentity,
) -> Result<ElementSet, Unwritable> {
    segmented.check()?;
    let (found, expected) = (segmentation.numbers.len(), segmented.segments.len());
    if found != expected {
        return Err(Unwritable::OtherSegmentation { found, expected });
    }
    let planes = Planes::of(segmented.map, identity.source)?;
    let present = presence(&planes, segmented, &SegmentLookup::of(segmented))?;
    let voxels = voxels(&present, expected);
    let groups = segmented
        .segments
        .iter()
        .enumerate()
        .map(|(index, segment)| {
            let ml = voxels[index] as f64 * planes.voxel_ml();
            let number = segmentation.numbers[index];
            group(segment, ml, segmentation, number, identity)
        });
    let mut content = observers(identity);
    content.push(code(
        MODIFIER,
        &Code::dicom("121058", "Procedure reported"),
        &procedure(&identity.source.modality),
    ));
    content.push(container(
        &Code::dicom("126010", "Imaging Measurements"),
        None,
        groups,
    ));
    let common = identity.common(segmented.texts())?;
    let preliminary = if identity.source.incomplete {
        "PRELIMINARY"
    } else {
        "FINAL"
    };
    let root = Code::dicom("126000", "Imaging Measurement Report");
    Ok(identity
        .content_moment(common)
        .with(container(&root, Some("1500"), content).without(tags::RELATIONSHIP_TYPE))
        .sequence(tags::REFERENCED_PERFORMED_PROCEDURE_STEP_SEQUENCE, [])
        .sequence(tags::PERFORMED_PROCEDURE_CODE_SEQUENCE, [])
        .sequence(
            tags::CURRENT_REQUESTED_PROCEDURE_EVIDENCE_SEQUENCE,
            evidence(segmentation, identity.source),
        )
        .word(tags::COMPLETION_FLAG, "COMPLETE")
        .word(tags::PRELIMINARY_FLAG, preliminary)
        .word(tags::VERIFICATION_FLAG, "UNVERIFIED"))
}

fn observers(identity: &ResultIdentity) -> Vec<ElementSet> {
    let english = Code::fixed("en-US", "RFC5646", "English (United States)");
    let language = Code::dicom("121049", "Language of Content Item and Descendants");
    let name = format!("{} {}", identity.algorithm.name, identity.algorithm.version);
    // The device is the bundle, independently of the machine.
    let device = identity.device_uid();
    vec![
        code(MODIFIER, &language, &english),
        code(
            CONTEXT,
            &Code::dicom("121005", "Observer Type"),
            &Code::dicom("121007", "Device"),
        ),
        uid(
            CONTEXT,
            &Code::dicom("121012", "Device Observer UID"),
            &device,
        ),
        text(
            CONTEXT,
            &Code::dicom("121013", "Device Observer Name"),
            &name,
        ),
        text(
            CONTEXT,
            &Code::dicom("121014", "Device Observer Manufacturer"),
            "Vesal",
        ),
        text(
            CONTEXT,
            &Code::dicom("121015", "Device Observer Model Name"),
            "vesal",
        ),
    ]
}

/// The procedure, as far as the modality determines it.
fn procedure(modality: &str) -> Code {
    match modality {
        "CT" => Code::snomed("77477000", "Computed tomography"),
        "MR" => Code::snomed("113091000", "Magnetic resonance imaging"),
        "PT" => Code::snomed("82918005", "Positron emission tomography"),
        _ => Code::snomed("363679005", "Imaging procedure"),
    }
}

fn group(
    segment: &Segment,
    ml: f64,
    segmentation: &Reference,
    number: u16,
    identity: &ResultIdentity,
) -> ElementSet {
    let algorithm = identity.algorithm;
    let referenced = instance(&segmentation.class, &segmentation.instance)
        .short(tags::REFERENCED_SEGMENT_NUMBER, number);
    let mut site = code(
        CONTAINS,
        &Code::snomed("363698007", "Finding Site"),
        &segment.kind,
    );
    if let Some(side) = &segment.modifier {
        let laterality = Code::snomed("272741003", "Laterality");
        site = site.sequence(tags::CONTENT_SEQUENCE, [code(MODIFIER, &laterality, side)]);
    }
    let parameters = Code::dicom("111002", "Algorithm Parameters");
    let content = [
        text(
            CONTEXT,
            &Code::dicom("112039", "Tracking Identifier"),
            &segment.name,
        ),
        uid(
            CONTEXT,
            &Code::dicom("112040", "Tracking Unique Identifier"),
            &identity.tracking_uid(segment),
        ),
        code(
            CONTAINS,
            &Code::snomed("276214006", "Finding category"),
            &segment.category,
        ),
        code(CONTAINS, &Code::dicom("121071", "Finding"), &segment.kind),
        item(
            CONTAINS,
            "IMAGE",
            &Code::dicom("121191", "Referenced Segment"),
        )
        .sequence(tags::REFERENCED_SOP_SEQUENCE, [referenced]),
        uid(
            CONTAINS,
            &Code::dicom("121232", "Source series for segmentation"),
            &identity.source.series,
        ),
        site,
        text(
            MODIFIER,
            &Code::dicom("111001", "Algorithm Name"),
            &algorithm.name,
        ),
        text(
            MODIFIER,
            &Code::dicom("111003", "Algorithm Version"),
            &algorithm.version,
        ),
        text(MODIFIER, &parameters, &identity.parameters()),
        code(
            MODIFIER,
            &Code::dicom("111000", "Algorithm Family"),
            &ARTIFICIAL_INTELLIGENCE,
        ),
        volume(ml),
    ];
    container(
        &Code::dicom("125007", "Measurement Group"),
        Some("1411"),
        content,
    )
}

fn volume(ml: f64) -> ElementSet {
    let milliliter = Code::fixed("ml", "UCUM", "milliliter");
    let rounded = (ml * 1e6).round() / 1e6;
    let measured = ElementSet::new()
        .text(tags::NUMERIC_VALUE, VR::DS, &decimal(rounded))
        .double(tags::FLOATING_POINT_VALUE, ml)
        .code(tags::MEASUREMENT_UNITS_CODE_SEQUENCE, &milliliter);
    let method = code(
        MODIFIER,
        &Code::snomed("370129005", "Measurement Method"),
        &Code::dicom("126030", "Sum of segmented voxel volumes"),
    );
    item(CONTAINS, "NUM", &Code::snomed("118565006", "Volume"))
        .sequence(tags::MEASURED_VALUE_SEQUENCE, [measured])
        .sequence(tags::CONTENT_SEQUENCE, [method])
}

/// All references, by study and series.
fn evidence(segmentation: &Reference, source: &SourceImages) -> Vec<ElementSet> {
    let series = |uid: &str, items: Vec<ElementSet>| {
        ElementSet::new()
            .uid(tags::SERIES_INSTANCE_UID, uid)
            .sequence(tags::REFERENCED_SOP_SEQUENCE, items)
    };
    let own = instance(&segmentation.class, &segmentation.instance);
    let mut studies = vec![(
        source.study.as_str(),
        vec![series(&segmentation.series, vec![own])],
    )];
    for input in source.all_series() {
        let item = series(input.series, instances(&input));
        match studies.iter_mut().find(|(study, _)| *study == input.study) {
            Some((_, items)) => items.push(item),
            None => studies.push((input.study, vec![item])),
        }
    }
    studies
        .into_iter()
        .map(|(study, items)| {
            ElementSet::new()
                .uid(tags::STUDY_INSTANCE_UID, study)
                .sequence(tags::REFERENCED_SERIES_SEQUENCE, items)
        })
        .collect()
}

const CONTAINS: &str = "CONTAINS";
const CONTEXT: &str = "HAS OBS CONTEXT";
const MODIFIER: &str = "HAS CONCEPT MOD";

/// A content item (PS3.3 C.17.3).
fn item(relationship: &str, value_type: &str, concept: &Code) -> ElementSet {
    ElementSet::new()
        .word(tags::RELATIONSHIP_TYPE, relationship)
        .word(tags::VALUE_TYPE, value_type)
        .code(tags::CONCEPT_NAME_CODE_SEQUENCE, concept)
}

fn container(
    concept: &Code,
    template: Option<&str>,
    content: impl IntoIterator<Item = ElementSet>,
) -> ElementSet {
    let items = item(CONTAINS, "CONTAINER", concept)
        .word(tags::CONTINUITY_OF_CONTENT, "SEPARATE")
        .sequence(tags::CONTENT_SEQUENCE, content);
    match template {
        Some(template) => {
            let template = ElementSet::new()
                .word(tags::MAPPING_RESOURCE, "DCMR")
                .word(tags::TEMPLATE_IDENTIFIER, template);
            items.sequence(tags::CONTENT_TEMPLATE_SEQUENCE, [template])
        }
        None => items,
    }
}

fn code(relationship: &str, concept: &Code, value: &Code) -> ElementSet {
    item(relationship, "CODE", concept).code(tags::CONCEPT_CODE_SEQUENCE, value)
}

fn text(relationship: &str, concept: &Code, value: &str) -> ElementSet {
    item(relationship, "TEXT", concept).text(tags::TEXT_VALUE, VR::UT, value)
}

fn uid(relationship: &str, concept: &Code, value: &str) -> ElementSet {
    item(relationship, "UIDREF", concept).uid(tags::UID, value)
}
