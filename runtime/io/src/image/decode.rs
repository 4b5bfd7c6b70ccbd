//! From stored voxels to values: every type in both byte orders, scaled or not.

use crate::image::blocks::{DecodeRow, VoxelBlock};
use crate::image::error::LabelError;
use crate::image::header::{ByteOrder, DataType, IntensityScaling, VolumeHeader};

/// A type of stored voxel.
trait StoredVoxel: Copy {
    const BYTES: usize;
    fn decode<const BIG: bool>(bytes: &[u8]) -> Self;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
    /// The number as a label, and whether it is one.
    fn to_label(self) -> (u16, bool);
}

macro_rules! voxel {
    ($to_label:ident: $($number:ty),*) => {$(
        impl StoredVoxel for $number {
            const BYTES: usize = size_of::<$number>();

            #[inline(always)]
            fn decode<const BIG: bool>(bytes: &[u8]) -> Self {
                let bytes = std::array::from_fn(|index| bytes[index]);
                if BIG {
                    <$number>::from_be_bytes(bytes)
                } else {
                    <$number>::from_le_bytes(bytes)
                }
            }

            #[inline(always)]
            fn to_f32(self) -> f32 {
                self as f32
            }

            #[inline(always)]
            fn to_f64(self) -> f64 {
                self as f64
            }

            #[inline(always)]
            fn to_label(self) -> (u16, bool) {
                $to_label(self)
            }
        }
    )*};
}
voxel!(whole_label: u8, i8, u16, i16, u32, i32, u64, i64);
voxel!(real_label: f32, f64);

/// Excess bits are dropped.
fn whole_label(value: impl Into<i128>) -> (u16, bool) {
    let value = value.into();
    (value as u16, (0..=0xffff).contains(&value))
}

/// The conversion saturates and drops fractions; NaN becomes 0, which does not equal it.
fn real_label(value: impl Into<f64>) -> (u16, bool) {
    let value = value.into();
    (value as u16, f64::from(value as u16) == value)
}

/// The instance of a function that is generic over the stored type and whether its bytes are big-endian.
macro_rules! instance {
    ($header:expr, $function:ident) => {
        match $header.byte_order {
            ByteOrder::Little => instance!($header, $function, false),
            ByteOrder::Big => instance!($header, $function, true),
        }
    };
    ($header:expr, $function:ident, $big:literal) => {
        match $header.data_type {
            DataType::U8 => $function::<u8, $big>,
            DataType::I8 => $function::<i8, $big>,
            DataType::U16 => $function::<u16, $big>,
            DataType::I16 => $function::<i16, $big>,
            DataType::U32 => $function::<u32, $big>,
            DataType::I32 => $function::<i32, $big>,
            DataType::U64 => $function::<u64, $big>,
            DataType::I64 => $function::<i64, $big>,
            DataType::F32 => $function::<f32, $big>,
            DataType::F64 => $function::<f64, $big>,
        }
    };
}

/// Decodes and scales rows of voxels; every value is allowed.
pub(super) fn intensities(header: &VolumeHeader) -> DecodeRow<f32> {
    match header.scaling {
        None => {
            let row: fn(&[u8], &mut [f32]) = instance!(header, stored_row);
            Box::new(move |raw, values| {
                row(raw, values);
                true
            })
        }
        Some(scaling) => {
            let row: fn(&[u8], &mut [f32], IntensityScaling) = instance!(header, scaled_row);
            Box::new(move |raw, values| {
                row(raw, values, scaling);
                true
            })
        }
    }
}

fn stored_row<T: StoredVoxel, const BIG: bool>(raw: &[u8], values: &mut [f32]) {
    for (value, stored) in values.iter_mut().zip(raw.chunks_exact(T::BYTES)) {
        *value = T::decode::<BIG>(stored).to_f32();
    }
}

fn scaled_row<T: StoredVoxel, const BIG: bool>(
    raw: &[u8],
    values: &mut [f32],
    scaling: IntensityScaling,
) {
    for (value, stored) in values.iter_mut().zip(raw.chunks_exact(T::BYTES)) {
        *value = scaled::<T, BIG>(stored, scaling) as f32;
    }
}

fn scaled<T: StoredVoxel, const BIG: bool>(stored: &[u8], scaling: IntensityScaling) -> f64 {
    T::decode::<BIG>(stored).to_f64() * scaling.slope + scaling.intercept
}

/// Decodes and scales rows of voxels to labels; returns whether all are labels.
pub(super) fn labels(header: &VolumeHeader) -> DecodeRow<u16> {
    match header.scaling {
        None => Box::new(instance!(header, stored_label_row)),
        Some(scaling) => {
            let row: fn(&[u8], &mut [u16], IntensityScaling) -> bool =
                instance!(header, scaled_label_row);
            Box::new(move |raw, labels| row(raw, labels, scaling))
        }
    }
}

fn stored_label_row<T: StoredVoxel, const BIG: bool>(raw: &[u8], labels: &mut [u16]) -> bool {
    let mut all = true;
    for (label, stored) in labels.iter_mut().zip(raw.chunks_exact(T::BYTES)) {
        let allowed;
        (*label, allowed) = T::decode::<BIG>(stored).to_label();
        all &= allowed;
    }
    all
}

fn scaled_label_row<T: StoredVoxel, const BIG: bool>(
    raw: &[u8],
    labels: &mut [u16],
    scaling: IntensityScaling,
) -> bool {
    let mut all = true;
    for (label, stored) in labels.iter_mut().zip(raw.chunks_exact(T::BYTES)) {
        let allowed;
        (*label, allowed) = real_label(scaled::<T, BIG>(stored, scaling));
        all &= allowed;
    }
    all
}

fn scaling(header: &VolumeHeader) -> IntensityScaling {
    header.scaling.unwrap_or(IntensityScaling {
        slope: 1.0,
        intercept: 0.0,
    })
}

/// The values of a label map that are not labels.
#[derive(Debug, Default)]
pub(super) struct InvalidLabels {
    count: usize,
    /// The first one in the order of the file, and its voxel.
    first: Option<(f64, [usize; 3])>,
}

impl InvalidLabels {
    /// Collects the values of a block that are not labels; blocks come in the order of the file.
    pub fn add(&mut self, raw: &[u8], block: &VoxelBlock, header: &VolumeHeader) {
        let value: fn(&[u8], IntensityScaling) -> f64 = instance!(header, scaled);
        let scaling = scaling(header);
        let [x_len, _, _] = header.geometry.shape;
        let values = raw
            .chunks_exact(header.data_type.bytes())
            .map(|stored| value(stored, scaling));
        for (index, value) in values
            .enumerate()
            .filter(|&(_, value)| !real_label(value).1)
        {
            self.count += 1;
            self.first.get_or_insert_with(|| {
                let (x, row) = (index % x_len, index / x_len);
                let [y, z] = [row % block.y.len(), row / block.y.len()];
                (value, [x, block.y.start + y, block.z.start + z])
            });
        }
    }

    /// The error for them, if there are any among this many voxels.
    pub fn error(&self, voxels: usize) -> Option<LabelError> {
        self.first.map(|(first, at)| LabelError {
            count: self.count,
            voxels,
            first,
            at,
        })
    }
}
