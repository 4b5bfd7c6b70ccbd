//! DICOM segmentations.

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::dicom::write::algorithm::AlgorithmIdentification;
use crate::dicom::write::code::{BACKGROUND, Code};
use crate::dicom::write::color;
use crate::dicom::write::derivation::{derivation, references};
use crate::dicom::write::elements::ElementSet;
use crate::dicom::write::error::{DicomWriteError, Unwritable};
use crate::dicom::write::frames::{FramePixels, fill_up};
use crate::dicom::write::grid::Planes;
use crate::dicom::write::identity::{Reference, ResultIdentity, ResultKind, ResultOptions};
use crate::dicom::write::output::{Syntax, VALUE_BYTES_MAX};
use crate::dicom::write::planes::{SegmentExtent, SegmentLookup, presence};
use crate::dicom::write::segment::{Segment, SegmentedMap};
use crate::dicom::write::source_images::SourceImages;

/// Segmentation Storage.
pub(super) const BINARY_CLASS: &str = "1.2.840.10008.5.1.4.1.1.66.4";

/// Label Map Segmentation Storage.
pub(super) const LABEL_MAP_CLASS: &str = "1.2.840.10008.5.1.4.1.1.66.7";

/// Segmentation Type (PS3.3 C.8.20.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SegmentationType {
    /// A frame of bits for each segment and plane; every reader takes it.
    #[default]
    Binary,
    /// A frame of values for each plane, run-length encoded: far smaller, but new to many readers.
    LabelMap,
}

impl SegmentationType {
    fn kind(self) -> ResultKind {
        let (name, class) = match self {
            Self::Binary => ("segmentation", BINARY_CLASS),
            Self::LabelMap => ("label map", LABEL_MAP_CLASS),
        };
        ResultKind {
            name,
            class,
            modality: "SEG",
            number: 1,
            description: "segmentation",
        }
    }
}

/// Writes a segmentation.
///
/// **Definition**: segments are numbered from 1 in their order; in a label map the number of a segment is its value,
/// and the background is described as number 0. Planes without voxels of a segment have no frame, except for a few
/// empty frames that fill the last bytes, and one frame where the map is empty. Frames are ordered by plane along the
/// normal, then by segment. Where the grid is that of the source, each frame refers to the source's frame at its place;
/// otherwise all of them refer to the whole series.
///
/// **Memory**: besides the map, 16 planes and their frames.
///
/// **Errors**: [`DicomWriteError::Write`] for results that DICOM cannot express, [`DicomWriteError::Output`] if the
/// file exists or cannot be written. The destination is replaced atomically.
///
/// **Source**: PS3.3 A.51 and C.8.20; PS3.5 8.1.1 and 8.2 for bits that continue from frame to frame.
pub fn write_segmentation(
    path: impl AsRef<Path>,
    segmented: &SegmentedMap,
    source: &SourceImages,
    algorithm: &AlgorithmIdentification,
    segmentation_type: SegmentationType,
    options: &ResultOptions,
) -> Result<Reference, DicomWriteError> {
    let path = path.as_ref();
    let writer = SegmentationWriter::new(segmented, source, algorithm, segmentation_type, options)
        .map_err(DicomWriteError::write(path))?;
    writer.write(path)
}

/// Frames, by plane and segment; of a label map by plane alone.
type FrameSegments = Vec<(usize, Option<u16>)>;

struct SegmentationWriter<'a> {
    segmented: &'a SegmentedMap<'a>,
    identity: ResultIdentity<'a>,
    pixels: FramePixels<'a>,
    segmentation_type: SegmentationType,
    frames: FrameSegments,
    top: ElementSet,
}

impl<'a> SegmentationWriter<'a> {
    fn new(
        segmented: &'a SegmentedMap,
        source: &'a SourceImages,
        algorithm: &'a AlgorithmIdentification,
        segmentation_type: SegmentationType,
        options: &'a ResultOptions,
    ) -> Result<Self, Unwritable> {
        if segmentation_type == SegmentationType::LabelMap && segmented.regions {
            return Err(Unwritable::Overlap);
        }
        segmented.check()?;
        let identity = ResultIdentity::new(
            segmentation_type.kind(),
            segmented,
            source,
            algorithm,
            options,
        )?;
        let planes = Planes::of(segmented.map, source)?;
        let lookup = SegmentLookup::of(segmented);
        let mut present = presence(&planes, segmented, &lookup)?;
        if present.iter().all(Vec::is_empty) {
            present[0].push(SegmentExtent::nothing(0));
        }
        if segmentation_type == SegmentationType::Binary {
            let pixels = planes.columns() * planes.rows();
            fill_up(&mut present, segmented.segments.len() as u16, pixels);
        }
        let mut frames = Vec::new();
        for (plane, present) in present.iter().enumerate() {
            match segmentation_type {
                SegmentationType::Binary => {
                    frames.extend(present.iter().map(|one| (plane, Some(one.segment))));
                }
                SegmentationType::LabelMap if present.is_empty() => {}
                SegmentationType::LabelMap => frames.push((plane, None)),
            }
        }
        let limit = i32::MAX as u64;
        if frames.len() as u64 > limit {
            return Err(Unwritable::TooMany {
                what: "frames",
                found: frames.len() as u64,
                limit,
            });
        }
        let mut writer = Self {
            segmented,
            identity,
            pixels: FramePixels {
                planes,
                lookup,
                present,
                segments: segmented.segments.len(),
            },
            segmentation_type,
            frames,
            top: ElementSet::new(),
        };
        if segmentation_type == SegmentationType::Binary
            && writer.pixels.binary_bytes() > VALUE_BYTES_MAX
        {
            return Err(Unwritable::TooMany {
                what: "bytes of pixels",
                found: writer.pixels.binary_bytes(),
                limit: VALUE_BYTES_MAX,
            });
        }
        writer.top = writer.attributes()?;
        Ok(writer)
    }

    fn write(&self, path: &Path) -> Result<Reference, DicomWriteError> {
        let syntax = match self.segmentation_type {
            SegmentationType::Binary => Syntax::Explicit,
            SegmentationType::LabelMap => Syntax::Rle,
        };
        let mut output = self.identity.create(path, syntax)?;
        output.elements(&self.top)?;
        // Positions are numbered in order.
        let (mut place, mut last) = (0, None);
        let items = self.frames.iter().map(|&(plane, segment)| {
            if last != Some(plane) {
                place += 1;
                last = Some(plane);
            }
            self.frame(place, plane, segment)
        });
        output.sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, items)?;
        match self.segmentation_type {
            SegmentationType::Binary => self.pixels.write_binary(&mut output)?,
            SegmentationType::LabelMap => self
                .pixels
                .write_label_map(&mut output, self.bits_allocated())?,
        }
        output.commit()?;
        let numbers = (0..self.segmented.segments.len()).map(|index| self.number(index));
        Ok(self.identity.reference(numbers.collect()))
    }

    fn bits_allocated(&self) -> u16 {
        let values = self.segmented.segments.iter().map(|segment| segment.value);
        match self.segmentation_type {
            SegmentationType::Binary => 1,
            SegmentationType::LabelMap if values.max() <= Some(255) => 8,
            SegmentationType::LabelMap => 16,
        }
    }

    fn number(&self, index: usize) -> u16 {
        match self.segmentation_type {
            SegmentationType::Binary => index as u16 + 1,
            SegmentationType::LabelMap => self.segmented.segments[index].value,
        }
    }

    /// The attributes in front of the frames.
    fn attributes(&self) -> Result<ElementSet, Unwritable> {
        let identity = &self.identity;
        let bits = self.bits_allocated();
        let kind = match self.segmentation_type {
            SegmentationType::Binary => "BINARY",
            SegmentationType::LabelMap => "LABELMAP",
        };
        let overlap = if self.segmented.regions {
            "UNDEFINED"
        } else {
            "NO"
        };
        let organization = identity.uid("dimensions");
        let common = identity.common(self.segmented.texts())?;
        let mut items = identity
            .content_moment(common)
            .with(identity.frame_of_reference_module())
            .with(identity.source.copied.loss())
            .word(tags::IMAGE_TYPE, "DERIVED\\PRIMARY")
            .word(tags::CONTENT_LABEL, "SEGMENTATION")
            .text(tags::CONTENT_DESCRIPTION, VR::LO, &identity.remarks())
            .empty(tags::CONTENT_CREATOR_NAME, VR::PN)
            .short(tags::SAMPLES_PER_PIXEL, 1)
            .word(tags::PHOTOMETRIC_INTERPRETATION, "MONOCHROME2")
            .integer(tags::NUMBER_OF_FRAMES, self.frames.len())
            .short(tags::ROWS, self.pixels.planes.rows() as u16)
            .short(tags::COLUMNS, self.pixels.planes.columns() as u16)
            .short(tags::BITS_ALLOCATED, bits)
            .short(tags::BITS_STORED, bits)
            .short(tags::HIGH_BIT, bits - 1)
            .short(tags::PIXEL_REPRESENTATION, 0)
            .word(tags::SEGMENTATION_TYPE, kind)
            .word(tags::SEGMENTS_OVERLAP, overlap)
            .sequence(tags::SEGMENT_SEQUENCE, self.descriptions())
            .sequence(
                tags::DIMENSION_ORGANIZATION_SEQUENCE,
                [ElementSet::new().uid(tags::DIMENSION_ORGANIZATION_UID, &organization)],
            )
            .sequence(
                tags::DIMENSION_INDEX_SEQUENCE,
                self.dimensions(&organization),
            )
            .sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, [self.shared()]);
        if self.segmentation_type == SegmentationType::LabelMap {
            items = items.short(tags::PIXEL_PADDING_VALUE, 0);
        }
        Ok(references(identity.source, items))
    }

    fn dimensions(&self, organization: &str) -> Vec<ElementSet> {
        let dimension = |pointer, group, description| {
            ElementSet::new()
                .pointer(tags::DIMENSION_INDEX_POINTER, pointer)
                .pointer(tags::FUNCTIONAL_GROUP_POINTER, group)
                .uid(tags::DIMENSION_ORGANIZATION_UID, organization)
                .text(tags::DIMENSION_DESCRIPTION_LABEL, VR::LO, description)
        };
        let mut dimensions = vec![dimension(
            tags::IMAGE_POSITION_PATIENT,
            tags::PLANE_POSITION_SEQUENCE,
            "Position",
        )];
        if self.segmentation_type == SegmentationType::Binary {
            dimensions.push(dimension(
                tags::REFERENCED_SEGMENT_NUMBER,
                tags::SEGMENT_IDENTIFICATION_SEQUENCE,
                "Segment",
            ));
        }
        dimensions
    }

    fn descriptions(&self) -> Vec<ElementSet> {
        let mut items = Vec::new();
        if self.segmentation_type == SegmentationType::LabelMap {
            items.push(described(0, "Background", [&BACKGROUND, &BACKGROUND], None));
        }
        for (index, segment) in self.segmented.segments.iter().enumerate() {
            items.push(self.description(index, segment));
        }
        items
    }

    fn description(&self, index: usize, segment: &Segment) -> ElementSet {
        let identity = &self.identity;
        let number = self.number(index);
        let codes = [&segment.category, &segment.kind];
        described(number, &segment.name, codes, segment.modifier.as_ref())
            .text(
                tags::SEGMENT_ALGORITHM_NAME,
                VR::LO,
                &identity.algorithm.name,
            )
            .sequence(
                tags::SEGMENTATION_ALGORITHM_IDENTIFICATION_SEQUENCE,
                [identity.algorithm.identification(&identity.parameters())],
            )
            .text(tags::TRACKING_ID, VR::UT, &segment.name)
            .uid(tags::TRACKING_UID, &identity.tracking_uid(segment))
            .shorts(
                tags::RECOMMENDED_DISPLAY_CIE_LAB_VALUE,
                color::cielab(segment.color(index)),
            )
    }

    /// The shared functional groups.
    fn shared(&self) -> ElementSet {
        let depth = self.pixels.planes.between_planes_mm();
        let measures = ElementSet::new()
            .decimals(tags::SLICE_THICKNESS, &[depth])
            .decimals(tags::SPACING_BETWEEN_SLICES, &[depth])
            .decimals(tags::PIXEL_SPACING, &self.pixels.planes.pixel_mm());
        let orientation = ElementSet::new().decimals(
            tags::IMAGE_ORIENTATION_PATIENT,
            self.pixels.planes.directions_lps().as_flattened(),
        );
        let shared = ElementSet::new()
            .sequence(tags::PIXEL_MEASURES_SEQUENCE, [measures])
            .sequence(tags::PLANE_ORIENTATION_SEQUENCE, [orientation]);
        if self.pixels.planes.frames.is_some() {
            return shared;
        }
        // No frame of the source lies at the planes of the result, so all of them contribute to each frame.
        let frames = self.identity.source.frames.iter();
        shared.sequence(tags::DERIVATION_IMAGE_SEQUENCE, [derivation(frames, false)])
    }

    fn frame(&self, place: u32, plane: usize, segment: Option<u16>) -> ElementSet {
        let mut index = vec![place];
        index.extend(segment.map(|segment| u32::from(segment) + 1));
        let position = self.pixels.planes.position_lps(0.0, 0.0, plane);
        let mut items = ElementSet::new()
            .sequence(
                tags::FRAME_CONTENT_SEQUENCE,
                [ElementSet::new().longs(tags::DIMENSION_INDEX_VALUES, &index)],
            )
            .sequence(
                tags::PLANE_POSITION_SEQUENCE,
                [ElementSet::new().decimals(tags::IMAGE_POSITION_PATIENT, &position)],
            );
        if let Some(frames) = self.pixels.planes.frames {
            let frame = frames.get(plane).into_iter();
            items = items.sequence(tags::DERIVATION_IMAGE_SEQUENCE, [derivation(frame, true)]);
        }
        match segment {
            Some(segment) => items.sequence(
                tags::SEGMENT_IDENTIFICATION_SEQUENCE,
                [ElementSet::new().short(tags::REFERENCED_SEGMENT_NUMBER, segment + 1)],
            ),
            None => items,
        }
    }
}

fn described(
    number: u16,
    name: &str,
    [category, kind]: [&Code; 2],
    side: Option<&Code>,
) -> ElementSet {
    let kind = match side {
        Some(side) => ElementSet::code_item(kind)
            .code(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, side),
        None => ElementSet::code_item(kind),
    };
    ElementSet::new()
        .short(tags::SEGMENT_NUMBER, number)
        .text(tags::SEGMENT_LABEL, VR::LO, name)
        .word(tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC")
        .code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, category)
        .sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, [kind])
}
