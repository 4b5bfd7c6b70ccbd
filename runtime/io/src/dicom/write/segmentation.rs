//! DICOM segmentations.

use std::path::Path;

use dicom_core::VR;
use dicom_dictionary_std::tags;

use crate::dicom::write::algorithm::Algorithm;
use crate::dicom::write::code::{BACKGROUND, Code};
use crate::dicom::write::color;
use crate::dicom::write::derivation::{derivation, references};
use crate::dicom::write::elements::Items;
use crate::dicom::write::error::{DicomWriteError, Unwritable};
use crate::dicom::write::frames::fill_up;
use crate::dicom::write::grid::Planes;
use crate::dicom::write::identity::{Identity, Kind, Reference, ResultOptions};
use crate::dicom::write::output::{Syntax, VALUE_BYTES_MAX};
use crate::dicom::write::planes::{Meaning, Present, presence};
use crate::dicom::write::segment::{Segment, Segmented};
use crate::dicom::write::source::Source;

/// Segmentation Storage.
pub(super) const BINARY_CLASS: &str = "1.2.840.10008.5.1.4.1.1.66.4";

/// Label Map Segmentation Storage.
pub(super) const LABEL_MAP_CLASS: &str = "1.2.840.10008.5.1.4.1.1.66.7";

/// How a segmentation holds its voxels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Form {
    /// A frame of bits for each segment and plane: what every reader takes.
    #[default]
    Binary,
    /// A frame of values for each plane, run-length encoded: far smaller, and new to many readers.
    LabelMap,
}

impl Form {
    fn kind(self) -> Kind {
        let (name, class) = match self {
            Self::Binary => ("segmentation", BINARY_CLASS),
            Self::LabelMap => ("label map", LABEL_MAP_CLASS),
        };
        Kind {
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
/// **Definition**: segments are numbered from 1 in their order; in a label map a segment has its value for number, and
/// the background is described as number 0. Planes without any voxel of a segment have no frame, but for a
/// few empty ones that fill up the last bytes, and one where there is nothing at all. Frames lie plane after plane along the normal, in a plane by segment. Where the
/// grid is that of the source, each frame refers to the source's frame at its place; otherwise all of them refer to
/// the whole series.
///
/// Frames are made a few planes at a time: beside the map, memory is taken for 16 planes and what is in them.
///
/// **Errors**: [`DicomWriteError::Write`] for what DICOM cannot hold, [`DicomWriteError::Output`] if the file exists or
/// cannot be written. The destination never holds half a file.
///
/// **Source**: PS3.3 A.51 and C.8.20; PS3.5 8.1.1 and 8.2 for bits that go on from frame to frame.
pub fn write_segmentation(
    path: impl AsRef<Path>,
    segmented: &Segmented,
    source: &Source,
    algorithm: &Algorithm,
    form: Form,
    options: &ResultOptions,
) -> Result<Reference, DicomWriteError> {
    let path = path.as_ref();
    let writing = Writing::new(segmented, source, algorithm, form, options)
        .map_err(DicomWriteError::write(path))?;
    writing.write(path)
}

/// Frames, by plane and segment; of a label map by plane alone.
type FramesOf = Vec<(usize, Option<u16>)>;

pub(super) struct Writing<'a> {
    pub segmented: &'a Segmented<'a>,
    identity: Identity<'a>,
    pub planes: Planes<'a>,
    pub meaning: Meaning,
    pub present: Vec<Vec<Present>>,
    form: Form,
    pub frames: FramesOf,
    top: Items,
}

impl<'a> Writing<'a> {
    fn new(
        segmented: &'a Segmented,
        source: &'a Source,
        algorithm: &'a Algorithm,
        form: Form,
        options: &'a ResultOptions,
    ) -> Result<Self, Unwritable> {
        if form == Form::LabelMap && segmented.regions {
            return Err(Unwritable::Overlap);
        }
        segmented.check()?;
        let identity = Identity::new(form.kind(), segmented, source, algorithm, options)?;
        let planes = Planes::of(segmented.map, source)?;
        let meaning = Meaning::of(segmented);
        let mut present = presence(&planes, segmented, &meaning)?;
        if present.iter().all(Vec::is_empty) {
            present[0].push(Present::nothing(0));
        }
        if form == Form::Binary {
            let pixels = planes.columns() * planes.rows();
            fill_up(&mut present, segmented.segments.len() as u16, pixels);
        }
        let mut frames = Vec::new();
        for (plane, present) in present.iter().enumerate() {
            match form {
                Form::Binary => {
                    frames.extend(present.iter().map(|one| (plane, Some(one.segment))));
                }
                Form::LabelMap if present.is_empty() => {}
                Form::LabelMap => frames.push((plane, None)),
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
        let mut writing = Self {
            segmented,
            identity,
            planes,
            meaning,
            present,
            form,
            frames,
            top: Items::new(),
        };
        if form == Form::Binary && writing.pixel_bytes() > VALUE_BYTES_MAX {
            return Err(Unwritable::TooMany {
                what: "bytes of pixels",
                found: writing.pixel_bytes(),
                limit: VALUE_BYTES_MAX,
            });
        }
        writing.top = writing.attributes()?;
        Ok(writing)
    }

    fn write(&self, path: &Path) -> Result<Reference, DicomWriteError> {
        let syntax = match self.form {
            Form::Binary => Syntax::Explicit,
            Form::LabelMap => Syntax::Rle,
        };
        let mut output = self.identity.create(path, syntax)?;
        output.elements(&self.top)?;
        // Places are numbered as they come.
        let (mut place, mut last) = (0, None);
        let items = self.frames.iter().map(|&(plane, segment)| {
            if last != Some(plane) {
                place += 1;
                last = Some(plane);
            }
            self.frame(place, plane, segment)
        });
        output.sequence(tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE, items)?;
        match self.form {
            Form::Binary => self.bits(&mut output)?,
            Form::LabelMap => self.runs(&mut output)?,
        }
        output.commit()?;
        let numbers = (0..self.segmented.segments.len()).map(|index| self.number(index));
        Ok(self.identity.reference(numbers.collect()))
    }

    pub fn bits_allocated(&self) -> u16 {
        let values = self.segmented.segments.iter().map(|segment| segment.value);
        match self.form {
            Form::Binary => 1,
            Form::LabelMap if values.max() <= Some(255) => 8,
            Form::LabelMap => 16,
        }
    }

    fn number(&self, index: usize) -> u16 {
        match self.form {
            Form::Binary => index as u16 + 1,
            Form::LabelMap => self.segmented.segments[index].value,
        }
    }

    /// What stands before the frames.
    fn attributes(&self) -> Result<Items, Unwritable> {
        let identity = &self.identity;
        let bits = self.bits_allocated();
        let kind = match self.form {
            Form::Binary => "BINARY",
            Form::LabelMap => "LABELMAP",
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
            .short(tags::ROWS, self.planes.rows() as u16)
            .short(tags::COLUMNS, self.planes.columns() as u16)
            .short(tags::BITS_ALLOCATED, bits)
            .short(tags::BITS_STORED, bits)
            .short(tags::HIGH_BIT, bits - 1)
            .short(tags::PIXEL_REPRESENTATION, 0)
            .word(tags::SEGMENTATION_TYPE, kind)
            .word(tags::SEGMENTS_OVERLAP, overlap)
            .sequence(tags::SEGMENT_SEQUENCE, self.descriptions())
            .sequence(
                tags::DIMENSION_ORGANIZATION_SEQUENCE,
                [Items::new().uid(tags::DIMENSION_ORGANIZATION_UID, &organization)],
            )
            .sequence(
                tags::DIMENSION_INDEX_SEQUENCE,
                self.dimensions(&organization),
            )
            .sequence(tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE, [self.shared()]);
        if self.form == Form::LabelMap {
            items = items.short(tags::PIXEL_PADDING_VALUE, 0);
        }
        Ok(references(identity.source, items))
    }

    fn dimensions(&self, organization: &str) -> Vec<Items> {
        let dimension = |pointer, group, description| {
            Items::new()
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
        if self.form == Form::Binary {
            dimensions.push(dimension(
                tags::REFERENCED_SEGMENT_NUMBER,
                tags::SEGMENT_IDENTIFICATION_SEQUENCE,
                "Segment",
            ));
        }
        dimensions
    }

    fn descriptions(&self) -> Vec<Items> {
        let mut items = Vec::new();
        if self.form == Form::LabelMap {
            items.push(described(0, "Background", [&BACKGROUND, &BACKGROUND], None));
        }
        for (index, segment) in self.segmented.segments.iter().enumerate() {
            items.push(self.description(index, segment));
        }
        items
    }

    fn description(&self, index: usize, segment: &Segment) -> Items {
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

    /// What holds for all frames.
    fn shared(&self) -> Items {
        let depth = self.planes.between_planes_mm();
        let measures = Items::new()
            .decimals(tags::SLICE_THICKNESS, &[depth])
            .decimals(tags::SPACING_BETWEEN_SLICES, &[depth])
            .decimals(tags::PIXEL_SPACING, &self.planes.pixel_mm());
        let orientation = Items::new().decimals(
            tags::IMAGE_ORIENTATION_PATIENT,
            self.planes.directions_lps().as_flattened(),
        );
        let shared = Items::new()
            .sequence(tags::PIXEL_MEASURES_SEQUENCE, [measures])
            .sequence(tags::PLANE_ORIENTATION_SEQUENCE, [orientation]);
        if self.planes.frames.is_some() {
            return shared;
        }
        // No frame of the source lies where frames of the result do: all of them contributed to each.
        let frames = self.identity.source.frames.iter();
        shared.sequence(tags::DERIVATION_IMAGE_SEQUENCE, [derivation(frames, false)])
    }

    fn frame(&self, place: u32, plane: usize, segment: Option<u16>) -> Items {
        let mut index = vec![place];
        index.extend(segment.map(|segment| u32::from(segment) + 1));
        let position = self.planes.position_lps(0.0, 0.0, plane);
        let mut items = Items::new()
            .sequence(
                tags::FRAME_CONTENT_SEQUENCE,
                [Items::new().longs(tags::DIMENSION_INDEX_VALUES, &index)],
            )
            .sequence(
                tags::PLANE_POSITION_SEQUENCE,
                [Items::new().decimals(tags::IMAGE_POSITION_PATIENT, &position)],
            );
        if let Some(frames) = self.planes.frames {
            let frame = frames.get(plane).into_iter();
            items = items.sequence(tags::DERIVATION_IMAGE_SEQUENCE, [derivation(frame, true)]);
        }
        match segment {
            Some(segment) => items.sequence(
                tags::SEGMENT_IDENTIFICATION_SEQUENCE,
                [Items::new().short(tags::REFERENCED_SEGMENT_NUMBER, segment + 1)],
            ),
            None => items,
        }
    }
}

fn described(number: u16, name: &str, [category, kind]: [&Code; 2], side: Option<&Code>) -> Items {
    let kind = match side {
        Some(side) => kind
            .item()
            .code(tags::SEGMENTED_PROPERTY_TYPE_MODIFIER_CODE_SEQUENCE, side),
        None => kind.item(),
    };
    Items::new()
        .short(tags::SEGMENT_NUMBER, number)
        .text(tags::SEGMENT_LABEL, VR::LO, name)
        .word(tags::SEGMENT_ALGORITHM_TYPE, "AUTOMATIC")
        .code(tags::SEGMENTED_PROPERTY_CATEGORY_CODE_SEQUENCE, category)
        .sequence(tags::SEGMENTED_PROPERTY_TYPE_CODE_SEQUENCE, [kind])
}
