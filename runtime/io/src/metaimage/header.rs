//! The header: from lines to checked facts.

use ::nifti::XForm;
use vesal_volume::{Affine, Geometry};

use super::error::{MetaImageError, NAME};
use super::lines::{MetaImageField, MetaImageLines};
use crate::image::affine::check;
use crate::image::data_files::shown;
use crate::image::header::{ByteOrder, DataType, VolumeHeader};
use crate::image::parts::DataEncoding;

/// The facts of a checked header.
#[derive(Debug)]
pub(super) struct MetaImageHeader {
    pub image: VolumeHeader,
    pub encoding: DataEncoding,
    /// Bytes of a data file before the voxels; `None` where the voxels are its last bytes.
    pub header_size: Option<u64>,
}

impl MetaImageHeader {
    pub fn of(lines: &MetaImageLines) -> Result<Self, MetaImageError> {
        if let Some(text) = lines.get(MetaImageField::ObjectType)
            && text != "Image"
        {
            return Err(wrong(MetaImageField::ObjectType, text, "`Image`"));
        }
        if let Some(text) = lines.get(MetaImageField::DistanceUnits)
            && !["mm", "?"].contains(&text)
        {
            return Err(wrong(MetaImageField::DistanceUnits, text, "`mm`"));
        }
        let dimension = dimension(lines)?;
        let sizes: Vec<usize> = numbers(lines, MetaImageField::DimSize, dimension, |word| {
            word.parse().ok().filter(|size| *size > 0)
        })?
        .ok_or(MetaImageError::Missing {
            field: MetaImageField::DimSize.name(),
        })?;
        let data_type = data_type(lines.required(MetaImageField::ElementType)?)?;
        let per_voxel = match lines.get(MetaImageField::ElementNumberOfChannels) {
            Some(text) => {
                let channels = text.parse().ok().filter(|channels: &usize| *channels > 0);
                let expected = "a whole number from 1";
                channels
                    .ok_or_else(|| wrong(MetaImageField::ElementNumberOfChannels, text, expected))?
            }
            None => 1,
        };
        let mut dimensions = sizes.clone();
        if per_voxel > 1 {
            dimensions.insert(0, per_voxel);
        }
        // Half of the range, so that offsets and the bytes of decoded voxels can be computed without a check.
        let voxel_bytes = dimensions
            .iter()
            .try_fold(data_type.bytes() as u64, |bytes, &size| {
                bytes.checked_mul(size as u64)
            })
            .filter(|&bytes| bytes <= i64::MAX as u64 / 16)
            .ok_or_else(|| MetaImageError::Overflow {
                sizes: dimensions.clone(),
            })?;
        let encoding = encoding(lines)?;
        let is_big = flag(lines, MetaImageField::ByteOrder)?.unwrap_or(false);
        let affine = affine(lines, dimension)?;
        let placed = lines.get(MetaImageField::TransformMatrix).is_some();
        let last = sizes.get(3).copied().unwrap_or(1);
        Ok(Self {
            image: VolumeHeader {
                format: NAME,
                // The text reader produces its own bytes.
                byte_order: match is_big && encoding != DataEncoding::Text {
                    true => ByteOrder::Big,
                    false => ByteOrder::Little,
                },
                data_type,
                geometry: Geometry {
                    shape: [sizes[0], sizes[1], sizes[2]],
                    affine,
                },
                frames: per_voxel * last,
                frame_axes: usize::from(per_voxel > 1) + usize::from(last > 1),
                interleaved: per_voxel > 1,
                dimensions,
                scaling: None,
                affine_source: match placed {
                    true => MetaImageField::TransformMatrix.name(),
                    false => MetaImageField::ElementSpacing.name(),
                },
                no_orientation: (!placed).then_some("no `TransformMatrix`"),
                forms_apart_mm: None,
                space: match placed {
                    true => XForm::ScannerAnat,
                    false => XForm::Unknown,
                },
                voxel_offset: 0,
                voxel_bytes,
            },
            encoding,
            header_size: header_size(lines, encoding)?,
        })
    }
}

/// The error of a value that is not what the field takes.
pub(super) fn wrong(field: MetaImageField, found: &str, expected: &'static str) -> MetaImageError {
    MetaImageError::Value {
        field: field.name(),
        found: shown(found),
        expected,
    }
}

fn dimension(lines: &MetaImageLines) -> Result<usize, MetaImageError> {
    let text = lines.required(MetaImageField::NDims)?;
    let found = text.parse().ok().filter(|axes| *axes > 0);
    match found.ok_or_else(|| wrong(MetaImageField::NDims, text, "a whole number from 1"))? {
        found @ (3 | 4) => Ok(found),
        found => Err(MetaImageError::Dimension { found }),
    }
}

/// The numbers of a field; `None` where it is not stated.
fn numbers<T>(
    lines: &MetaImageLines,
    field: MetaImageField,
    expected: usize,
    number: impl Fn(&str) -> Option<T>,
) -> Result<Option<Vec<T>>, MetaImageError> {
    let Some(text) = lines.get(field) else {
        return Ok(None);
    };
    let found = text.split_whitespace().count();
    if found != expected {
        let field = field.name();
        return Err(MetaImageError::Count {
            field,
            found,
            expected,
        });
    }
    let expected = match field {
        MetaImageField::DimSize => "whole numbers from 1",
        _ => "numbers",
    };
    let number = |word| number(word).ok_or_else(|| wrong(field, word, expected));
    let numbers: Result<Vec<T>, _> = text.split_whitespace().map(number).collect();
    numbers.map(Some)
}

fn data_type(text: &str) -> Result<DataType, MetaImageError> {
    // An array is a voxel of several channels, whose number is a field of its own.
    Ok(match text.strip_suffix("_ARRAY").unwrap_or(text) {
        "MET_CHAR" | "MET_ASCII_CHAR" => DataType::I8,
        "MET_UCHAR" => DataType::U8,
        "MET_SHORT" => DataType::I16,
        "MET_USHORT" => DataType::U16,
        // The format's `long` has four bytes on every system.
        "MET_INT" | "MET_LONG" => DataType::I32,
        "MET_UINT" | "MET_ULONG" => DataType::U32,
        "MET_LONG_LONG" => DataType::I64,
        "MET_ULONG_LONG" => DataType::U64,
        "MET_FLOAT" => DataType::F32,
        "MET_DOUBLE" => DataType::F64,
        _ => {
            let expected = "an integer type such as `MET_SHORT`, `MET_FLOAT` or `MET_DOUBLE`";
            return Err(wrong(MetaImageField::ElementType, text, expected));
        }
    })
}

/// True or false; `None` where it is not stated.
fn flag(lines: &MetaImageLines, field: MetaImageField) -> Result<Option<bool>, MetaImageError> {
    let Some(text) = lines.get(field) else {
        return Ok(None);
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "1" => Ok(Some(true)),
        "false" | "f" | "0" => Ok(Some(false)),
        _ => Err(wrong(field, text, "`True` or `False`")),
    }
}

fn encoding(lines: &MetaImageLines) -> Result<DataEncoding, MetaImageError> {
    let is_binary = flag(lines, MetaImageField::BinaryData)?.unwrap_or(true);
    let is_compressed = flag(lines, MetaImageField::CompressedData)?.unwrap_or(false);
    Ok(match (is_binary, is_compressed) {
        (true, true) => DataEncoding::Zlib,
        (true, false) => DataEncoding::Raw,
        // Text is not compressed, whatever the header states.
        (false, _) => DataEncoding::Text,
    })
}

fn header_size(
    lines: &MetaImageLines,
    encoding: DataEncoding,
) -> Result<Option<u64>, MetaImageError> {
    let Some(text) = lines.get(MetaImageField::HeaderSize) else {
        return Ok(Some(0));
    };
    let number = text.parse().ok().filter(|&number: &i64| number >= -1);
    let number = number.ok_or_else(|| {
        wrong(
            MetaImageField::HeaderSize,
            text,
            "a whole number from 0, or -1",
        )
    })?;
    match u64::try_from(number) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(_) if encoding == DataEncoding::Raw => Ok(None),
        Err(_) => Err(MetaImageError::CompressedFromEnd),
    }
}

/// The affine in RAS mm.
fn affine(lines: &MetaImageLines, dimension: usize) -> Result<Affine, MetaImageError> {
    let number = |word: &str| word.parse::<f64>().ok();
    let spacing = match numbers(lines, MetaImageField::ElementSpacing, dimension, number)? {
        Some(spacing) => Some(spacing),
        None => numbers(lines, MetaImageField::ElementSize, dimension, number)?,
    };
    let spacing = spacing.unwrap_or_else(|| vec![1.0; dimension]);
    let origin = numbers(lines, MetaImageField::Offset, dimension, number)?;
    let origin = origin.unwrap_or_else(|| vec![0.0; dimension]);
    let field = MetaImageField::TransformMatrix;
    let matrix = numbers(lines, field, dimension * dimension, number)?;
    let direction = |axis: usize, row: usize| match &matrix {
        Some(matrix) => matrix[axis * dimension + row],
        None => f64::from(u8::from(axis == row)),
    };
    const TO_RAS: [f64; 3] = [-1.0, -1.0, 1.0];
    let entry = |row: usize, axis: usize| TO_RAS[row] * direction(axis, row) * spacing[axis];
    let affine = Affine::from_parts(
        std::array::from_fn(|row| std::array::from_fn(|axis| entry(row, axis))),
        std::array::from_fn(|row| TO_RAS[row] * origin[row]),
    );
    check(&affine).map_err(|defect| MetaImageError::Affine { defect })?;
    Ok(affine)
}
