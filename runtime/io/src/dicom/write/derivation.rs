//! References from results to their source images.

use dicom_dictionary_std::tags;

use crate::dicom::write::code::{SEGMENTATION, SOURCE_IMAGE};
use crate::dicom::write::elements::ElementSet;
use crate::dicom::write::identity::{instance, instances};
use crate::dicom::write::source_images::{SourceFrame, SourceImages};

/// Derivation of a frame of the result from frames of the source.
pub(super) fn derivation<'f>(
    frames: impl Iterator<Item = &'f SourceFrame>,
    same_places: bool,
) -> ElementSet {
    let images = frames.map(|frame| {
        let image = instance(&frame.class, &frame.instance)
            .code(tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE, &SOURCE_IMAGE)
            .word(
                tags::SPATIAL_LOCATIONS_PRESERVED,
                if same_places { "YES" } else { "NO" },
            );
        match frame.number {
            Some(number) => image.integer(tags::REFERENCED_FRAME_NUMBER, number),
            None => image,
        }
    });
    ElementSet::new()
        .code(tags::DERIVATION_CODE_SEQUENCE, &SEGMENTATION)
        .sequence(tags::SOURCE_IMAGE_SEQUENCE, images)
}

/// Adds references to all instances of the input (PS3.3 C.12.2).
pub(super) fn references(source: &SourceImages, items: ElementSet) -> ElementSet {
    let (mut own, mut elsewhere) = (Vec::new(), Vec::new());
    for series in source.all_series() {
        let item = ElementSet::new()
            .uid(tags::SERIES_INSTANCE_UID, series.series)
            .sequence(tags::REFERENCED_INSTANCE_SEQUENCE, instances(&series));
        if series.study == source.study {
            own.push(item);
        } else {
            elsewhere.push(
                ElementSet::new()
                    .uid(tags::STUDY_INSTANCE_UID, series.study)
                    .sequence(tags::REFERENCED_SERIES_SEQUENCE, [item]),
            );
        }
    }
    let items = items.sequence(tags::REFERENCED_SERIES_SEQUENCE, own);
    if elsewhere.is_empty() {
        return items;
    }
    items.sequence(
        tags::STUDIES_CONTAINING_OTHER_REFERENCED_INSTANCES_SEQUENCE,
        elsewhere,
    )
}
