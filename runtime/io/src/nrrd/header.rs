//! The header: from lines to checked facts.

use super::axes::Axes;
use super::error::NrrdError;
use super::lines::{Field, HeaderLines};
use super::value::{byte_order, data_type, encoding, encoding_name, whole};
use crate::image::header::{ByteOrder, VolumeHeader};
use crate::image::parts::{DataEncoding, Skip};

/// The facts of a checked header.
#[derive(Debug)]
pub(super) struct NrrdHeader {
    pub image: VolumeHeader,
    pub encoding: DataEncoding,
    pub skip: Skip,
}

impl NrrdHeader {
    pub fn of(lines: &HeaderLines) -> Result<Self, NrrdError> {
        let data_type = data_type(lines.required(Field::Type)?)?;
        let encoding = encoding(lines.required(Field::Encoding)?)?;
        let axes = Axes::of(lines)?;
        // Half of the range, so that offsets and the bytes of decoded voxels can be computed without a check.
        let voxel_bytes = axes
            .sizes
            .iter()
            .try_fold(data_type.bytes() as u64, |bytes, &size| {
                bytes.checked_mul(size as u64)
            })
            .filter(|&bytes| bytes <= i64::MAX as u64 / 16)
            .ok_or_else(|| NrrdError::Overflow {
                sizes: axes.sizes.clone(),
            })?;
        let byte_order = match lines.get(Field::Endian) {
            // The text reader produces its own bytes.
            _ if encoding == DataEncoding::Text => ByteOrder::Little,
            Some(text) => byte_order(text)?,
            None if data_type.bytes() == 1 => ByteOrder::Little,
            None => {
                return Err(NrrdError::Missing {
                    field: Field::Endian.name(),
                });
            }
        };
        let number = |field, least| match lines.get(field) {
            Some(text) => whole(field, text, least),
            None => Ok(0),
        };
        let skip = Skip {
            lines: number(Field::LineSkip, 0)?.unsigned_abs(),
            bytes: u64::try_from(number(Field::ByteSkip, -1)?).ok(),
        };
        if skip.bytes.is_none() && encoding != DataEncoding::Raw {
            let encoding = encoding_name(encoding);
            return Err(NrrdError::SkipFromEnd { encoding });
        }
        Ok(Self {
            image: VolumeHeader {
                format: "NRRD",
                byte_order,
                data_type,
                dimensions: axes.sizes,
                geometry: axes.geometry,
                frames: axes.channels,
                frame_axes: usize::from(axes.channels > 1),
                interleaved: axes.interleaved,
                scaling: None,
                affine_source: axes.affine_source,
                no_orientation: axes.no_orientation,
                forms_apart_mm: None,
                space: axes.space,
                voxel_offset: 0,
                voxel_bytes,
            },
            encoding,
            skip,
        })
    }
}
