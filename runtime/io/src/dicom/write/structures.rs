//! Structure sets of radiotherapy.

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::tags;
use rayon::prelude::*;

use crate::dicom::write::algorithm::AlgorithmIdentification;
use crate::dicom::write::catalog::ANATOMICAL;
use crate::dicom::write::contour::{Corner, Mask, outlines};
use crate::dicom::write::elements::{ElementSet, decimal};
use crate::dicom::write::error::{DicomWriteError, Unwritable};
use crate::dicom::write::grid::Planes;
use crate::dicom::write::identity::{
    Reference, ResultIdentity, ResultKind, ResultOptions, instance,
};
use crate::dicom::write::output::{DicomOutput, Syntax};
use crate::dicom::write::planes::{PlaneBlock, SegmentExtent, SegmentLookup, presence};
use crate::dicom::write::segment::{Segment, SegmentedMap};
use crate::dicom::write::source_images::{SourceFrame, SourceImages};

/// RT Structure Set Storage.
pub(super) const CLASS: &str = "1.2.840.10008.5.1.4.1.1.481.3";

const KIND: ResultKind = ResultKind {
    name: "structures",
    class: CLASS,
    modality: "RTSTRUCT",
    number: 2,
    description: "structures",
};

/// The class by which structure sets refer to a study: retired, and required all the same.
const STUDY_CLASS: &str = "1.2.840.10008.3.1.2.3.1";

/// Points of contours are written to a ten-thousandth of a millimeter.
const PER_MM: f64 = 1e4;

/// Writes a structure set: closed contours for each segment and plane.
///
/// **Definition**: contours run along the borders of pixels, half a pixel outside of the centers that they enclose, so
/// that area times plane distance is the volume of the voxels, and rasterizing at pixel centers gives the mask again. A
/// hole is joined to its outline by a channel of zero width, the keyhole technique of the standard, so that readers
/// that fill by union, parity or winding all get the hole. Structures are numbered from 1 in the order of the segments.
/// Where the grid is that of the source, each contour refers to the source's image at its place.
///
/// All outlines are in memory at once, 4 bytes for each corner.
///
/// **Errors**: as [`write_segmentation`].
///
/// **Source**: PS3.3 A.19 and C.8.8.5 to C.8.8.8.
///
/// [`write_segmentation`]: crate::dicom::write::write_segmentation
pub fn write_structures(
    path: impl AsRef<Path>,
    segmented: &SegmentedMap,
    source: &SourceImages,
    algorithm: &AlgorithmIdentification,
    options: &ResultOptions,
) -> Result<Reference, DicomWriteError> {
    let path = path.as_ref();
    let failed = DicomWriteError::write(path);
    let identity =
        ResultIdentity::new(KIND, segmented, source, algorithm, options).map_err(&failed)?;
    segmented.check().map_err(&failed)?;
    let planes = Planes::of(segmented.map, source).map_err(&failed)?;
    let present = presence(&planes, segmented, &SegmentLookup::of(segmented)).map_err(&failed)?;
    let top = attributes(segmented, &identity).map_err(&failed)?;

    // A contour may have more points than 65534 bytes hold.
    let mut output = identity.create(path, Syntax::Implicit)?;
    output.elements(&top)?;
    let contours = contours(&planes, segmented, &present);
    output.begin_sequence(tags::ROI_CONTOUR_SEQUENCE)?;
    for (index, contours) in contours.iter().enumerate() {
        let color = segmented.segments[index].color(index);
        write_contours(&mut output, index, color, contours, &planes)?;
    }
    output.end_sequence()?;
    output.elements(&observations(segmented))?;
    output.commit()?;
    let numbers = 1..=segmented.segments.len() as u16;
    Ok(identity.reference(numbers.collect()))
}

/// A polygon in a plane.
struct Contour {
    plane: usize,
    corners: Vec<Corner>,
}

/// The contours of each segment, from plane to plane.
fn contours(
    planes: &Planes,
    segmented: &SegmentedMap,
    present: &[Vec<SegmentExtent>],
) -> Vec<Vec<Contour>> {
    let mut contours: Vec<Vec<Contour>> = Vec::new();
    contours.resize_with(segmented.segments.len(), Vec::new);
    for block in planes.blocks() {
        let found: Vec<_> = block
            .planes
            .clone()
            .into_par_iter()
            .flat_map_iter(|plane| present[plane].iter().map(move |present| (plane, present)))
            .map(|(plane, present)| {
                let segment = &segmented.segments[usize::from(present.segment)];
                let paths = in_plane(&block, plane, present, |value| {
                    segmented.holds(segment, value)
                });
                (plane, present.segment, paths)
            })
            .collect();
        for (plane, segment, paths) in found {
            let paths = paths.into_iter().map(|corners| Contour { plane, corners });
            contours[usize::from(segment)].extend(paths);
        }
    }
    contours
}

fn in_plane(
    block: &PlaneBlock,
    plane: usize,
    present: &SegmentExtent,
    holds: impl Fn(u16) -> bool,
) -> Vec<Vec<Corner>> {
    let rows = block.rows(plane).skip(present.rows.start);
    let mask = Mask {
        columns: present.columns.len(),
        rows: present.rows.len(),
        pixels: rows
            .take(present.rows.len())
            .flat_map(|row| &row[present.columns.clone()])
            .map(|value| holds(*value))
            .collect(),
    };
    let [column, row] = [present.columns.start as u16, present.rows.start as u16];
    let mut paths = outlines(&mask);
    for corner in paths.iter_mut().flatten() {
        *corner = [corner[0] + column, corner[1] + row];
    }
    paths
}

fn write_contours(
    output: &mut DicomOutput,
    index: usize,
    color: [u8; 3],
    contours: &[Contour],
    planes: &Planes,
) -> Result<(), DicomWriteError> {
    output.begin_item()?;
    let [red, green, blue] = color;
    let color = format!("{red}\\{green}\\{blue}");
    output.elements(&ElementSet::new().text(tags::ROI_DISPLAY_COLOR, VR::IS, &color))?;
    if !contours.is_empty() {
        let items = contours.iter().map(|contour| contour_item(contour, planes));
        output.sequence(tags::CONTOUR_SEQUENCE, items)?;
    }
    output.elements(&ElementSet::new().integer(tags::REFERENCED_ROI_NUMBER, index + 1))?;
    output.end_item()
}

fn contour_item(contour: &Contour, planes: &Planes) -> ElementSet {
    let mut points = String::new();
    for [column, row] in &contour.corners {
        let (column, row) = (f64::from(*column) - 0.5, f64::from(*row) - 0.5);
        for part in planes.position_lps(column, row, contour.plane) {
            if !points.is_empty() {
                points.push('\\');
            }
            points.push_str(&decimal((part * PER_MM).round() / PER_MM));
        }
    }
    let item = ElementSet::new()
        .word(tags::CONTOUR_GEOMETRIC_TYPE, "CLOSED_PLANAR")
        .integer(tags::NUMBER_OF_CONTOUR_POINTS, contour.corners.len())
        .text(tags::CONTOUR_DATA, VR::DS, &points);
    match planes.frames.and_then(|frames| frames.get(contour.plane)) {
        Some(frame) => item.sequence(tags::CONTOUR_IMAGE_SEQUENCE, [image(frame)]),
        None => item,
    }
}

fn image(frame: &SourceFrame) -> ElementSet {
    let item = instance(&frame.class, &frame.instance);
    match frame.number {
        Some(number) => item.integer(tags::REFERENCED_FRAME_NUMBER, number),
        None => item,
    }
}

/// The attributes in front of the contours.
fn attributes(
    segmented: &SegmentedMap,
    identity: &ResultIdentity,
) -> Result<ElementSet, Unwritable> {
    let source = identity.source;
    let algorithm = identity.algorithm;
    let series = ElementSet::new()
        .uid(tags::SERIES_INSTANCE_UID, &source.series)
        .sequence(
            tags::CONTOUR_IMAGE_SEQUENCE,
            source.frames.iter().map(image),
        );
    let study = instance(STUDY_CLASS, &source.study)
        .sequence(tags::RT_REFERENCED_SERIES_SEQUENCE, [series]);
    let frame = ElementSet::new()
        .uid(tags::FRAME_OF_REFERENCE_UID, identity.frame_of_reference())
        .sequence(tags::RT_REFERENCED_STUDY_SEQUENCE, [study]);
    let made = identity.options.made;
    Ok(identity
        .common(segmented.texts())?
        .with(identity.frame_of_reference_module())
        .empty(tags::OPERATORS_NAME, VR::PN)
        .text(tags::STRUCTURE_SET_LABEL, VR::SH, "SEGMENTATION")
        .text(tags::STRUCTURE_SET_NAME, VR::LO, &algorithm.name)
        .text(
            tags::STRUCTURE_SET_DESCRIPTION,
            VR::ST,
            &identity.parameters(),
        )
        .text(tags::STRUCTURE_SET_DATE, VR::DA, &made.date())
        .text(tags::STRUCTURE_SET_TIME, VR::TM, &made.time())
        .sequence(tags::REFERENCED_FRAME_OF_REFERENCE_SEQUENCE, [frame])
        .sequence(
            tags::STRUCTURE_SET_ROI_SEQUENCE,
            segmented
                .segments
                .iter()
                .enumerate()
                .map(|(index, segment)| structure(index, segment, identity)),
        ))
}

fn structure(index: usize, segment: &Segment, identity: &ResultIdentity) -> ElementSet {
    let algorithm = identity.algorithm;
    let made_by: String = format!("{} {}", algorithm.name, algorithm.version)
        .chars()
        .take(64)
        .collect();
    ElementSet::new()
        .integer(tags::ROI_NUMBER, index + 1)
        .uid(
            tags::REFERENCED_FRAME_OF_REFERENCE_UID,
            identity.frame_of_reference(),
        )
        .text(tags::ROI_NAME, VR::LO, &segment.name)
        .word(tags::ROI_GENERATION_ALGORITHM, "AUTOMATIC")
        .text(tags::ROI_GENERATION_DESCRIPTION, VR::LO, &made_by)
        .sequence(
            tags::ROI_DERIVATION_ALGORITHM_IDENTIFICATION_SEQUENCE,
            [algorithm.identification(&identity.parameters())],
        )
}

/// The attributes behind the contours.
fn observations(segmented: &SegmentedMap) -> ElementSet {
    let segments = segmented.segments.iter().enumerate();
    let items = segments.map(|(index, segment)| {
        let kind = if segment.category == ANATOMICAL {
            "ORGAN"
        } else {
            ""
        };
        ElementSet::new()
            .integer(tags::OBSERVATION_NUMBER, index + 1)
            .integer(tags::REFERENCED_ROI_NUMBER, index + 1)
            .code(tags::RTROI_IDENTIFICATION_CODE_SEQUENCE, &segment.kind)
            .word(tags::RTROI_INTERPRETED_TYPE, kind)
            .empty(tags::ROI_INTERPRETER, VR::PN)
    });
    ElementSet::new()
        .sequence(tags::RTROI_OBSERVATIONS_SEQUENCE, items)
        .word(tags::APPROVAL_STATUS, "UNAPPROVED")
}
