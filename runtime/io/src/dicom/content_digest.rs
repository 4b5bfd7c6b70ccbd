//! Digest of the slices of a stack.

use std::fmt;

use crate::dicom::dataset::Encoding;
use crate::dicom::slice::Slice;
use crate::dicom::write::uid::digest;

/// Digest of everything in a stack's slices that determines the volume.
///
/// **Definition**: SHA-256 over the slices in their order: UIDs, patient, modality, shape, format, position,
/// orientation, pixel spacing, slope and intercept as they were read, the depth of a lone slice, the order of stored
/// bytes or how they are compressed, and the stored bytes of their pixels, inflated where the data set is deflated.
/// Attributes that are never read, such as those of the transport, do not count.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ContentDigest(pub(super) [u8; 32]);

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Content(..)")
    }
}

impl ContentDigest {
    /// The digest of slices and of the digests of their stored bytes.
    pub(super) fn of(slices: &[Slice], stored: &[[u8; 32]]) -> Self {
        let each = slices.iter().zip(stored).flat_map(|(slice, stored)| {
            let (header, place) = (&slice.image.header, slice.place());
            let big = Encoding::of(header.syntax).big;
            let storing = if header.syntax.is_encapsulated() {
                header.syntax.to_string()
            } else {
                format!("{big} {}", big && header.pixels.words)
            };
            let depth = place.depth_mm.filter(|_| slices.len() == 1);
            let facts = format!(
                "{:?} {:?} {:?} {:?} {:?} {} {:?} {depth:?} {storing}",
                slice.frame,
                header.frame_of_reference,
                [header.columns, header.rows],
                header.format,
                [
                    place.position_lps,
                    place.along_row_lps,
                    place.along_column_lps
                ],
                header.modality,
                [
                    place.pixel_mm[0],
                    place.pixel_mm[1],
                    place.slope,
                    place.intercept
                ],
            );
            let texts = [
                &header.class,
                &header.instance,
                &header.study,
                &header.series,
            ];
            let texts = texts.map(|text| text.clone().into_bytes());
            texts
                .into_iter()
                .chain([facts.into_bytes(), header.patient.bytes(), stored.to_vec()])
        });
        Self(digest(each))
    }
}
