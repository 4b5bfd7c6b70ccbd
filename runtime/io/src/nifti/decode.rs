//! Voxel bytes → arrays, and the change from the order of the file (X fastest) to that of memory (Z fastest).

use crate::nifti::error::{LabelError, VoxelError};
use crate::nifti::header::{ByteOrder, DataType, Header, Scaling};

/// Edge of the blocks of the X-Z plane that are turned at once; both sides of a block fit the first-level cache.
const BLOCK: usize = 32;

/// A type of stored voxel.
trait Voxel: Copy {
    const BYTES: usize;
    /// Decodes `BYTES` bytes.
    fn decode(bytes: &[u8], byte_order: ByteOrder) -> Self;
    fn to_f32(self) -> f32;
    fn to_f64(self) -> f64;
}

macro_rules! voxel {
    ($($number:ty),*) => {$(
        impl Voxel for $number {
            const BYTES: usize = size_of::<$number>();

            #[inline(always)]
            fn decode(bytes: &[u8], byte_order: ByteOrder) -> Self {
                let bytes = std::array::from_fn(|index| bytes[index]);
                match byte_order {
                    ByteOrder::Little => <$number>::from_le_bytes(bytes),
                    ByteOrder::Big => <$number>::from_be_bytes(bytes),
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
        }
    )*};
}
voxel!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

/// Calls a function that is generic over the stored type.
macro_rules! for_type {
    ($data_type:expr, $function:ident $arguments:tt) => {
        match $data_type {
            DataType::U8 => $function::<u8> $arguments,
            DataType::I8 => $function::<i8> $arguments,
            DataType::U16 => $function::<u16> $arguments,
            DataType::I16 => $function::<i16> $arguments,
            DataType::U32 => $function::<u32> $arguments,
            DataType::I32 => $function::<i32> $arguments,
            DataType::U64 => $function::<u64> $arguments,
            DataType::I64 => $function::<i64> $arguments,
            DataType::F32 => $function::<f32> $arguments,
            DataType::F64 => $function::<f64> $arguments,
        }
    };
}

/// Decodes and scales voxels to `[C, X, Y, Z]`, C being the number of frames in `raw`.
pub(super) fn intensities(raw: &[u8], header: &Header) -> Result<Vec<f32>, VoxelError> {
    for_type!(header.data_type, typed_intensities(raw, header))
}

fn typed_intensities<T: Voxel>(raw: &[u8], header: &Header) -> Result<Vec<f32>, VoxelError> {
    match header.scaling {
        None => turn::<T, f32>(raw, header, |stored| stored.to_f32()),
        Some(Scaling { slope, intercept }) => turn::<T, f32>(raw, header, |stored| {
            (stored.to_f64() * slope + intercept) as f32
        }),
    }
}

/// Decodes and scales the voxels of one frame to labels `[X, Y, Z]`; the inner error counts those that are none.
pub(super) fn labels(
    raw: &[u8],
    header: &Header,
) -> Result<Result<Vec<u16>, LabelError>, VoxelError> {
    for_type!(header.data_type, typed_labels(raw, header))
}

fn typed_labels<T: Voxel>(
    raw: &[u8],
    header: &Header,
) -> Result<Result<Vec<u16>, LabelError>, VoxelError> {
    let Scaling { slope, intercept } = header.scaling.unwrap_or(Scaling {
        slope: 1.0,
        intercept: 0.0,
    });
    let value = |stored: T| stored.to_f64() * slope + intercept;
    // The conversion saturates and drops fractions; NaN becomes 0 and differs from itself.
    let is_label = |value: f64| f64::from(value as u16) == value;
    let mut all = true;
    let data = turn::<T, u16>(raw, header, |stored| {
        let value = value(stored);
        all &= is_label(value);
        value as u16
    })?;
    if all {
        return Ok(Ok(data));
    }
    let values = raw
        .chunks_exact(T::BYTES)
        .map(|bytes| value(T::decode(bytes, header.byte_order)));
    let mut others = values.enumerate().filter(|&(_, value)| !is_label(value));
    let (index, first) = others.next().unwrap_or((0, f64::NAN));
    let [x, y, _] = header.geometry().shape;
    Ok(Err(LabelError {
        count: 1 + others.count(),
        voxels: data.len(),
        first,
        at: [index % x, index / x % y, index / x / y],
    }))
}

/// Decodes each voxel, maps it and puts it where C order wants it.
fn turn<T: Voxel, O: Copy + Default>(
    raw: &[u8],
    header: &Header,
    mut map: impl FnMut(T) -> O,
) -> Result<Vec<O>, VoxelError> {
    let [x_len, y_len, z_len] = header.geometry().shape;
    let frame = x_len * y_len * z_len;
    let voxels = raw.len() / T::BYTES;
    let mut turned: Vec<O> = Vec::new();
    let bytes = (voxels * size_of::<O>()) as u64;
    turned
        .try_reserve_exact(voxels)
        .map_err(|_| VoxelError::OutOfMemory { bytes })?;
    turned.resize(voxels, O::default());
    for (raw, turned) in raw
        .chunks_exact(frame * T::BYTES)
        .zip(turned.chunks_exact_mut(frame))
    {
        for y in 0..y_len {
            for x_start in (0..x_len).step_by(BLOCK) {
                let x_count = BLOCK.min(x_len - x_start);
                for z_start in (0..z_len).step_by(BLOCK) {
                    for z in z_start..(z_start + BLOCK).min(z_len) {
                        let from = ((z * y_len + y) * x_len + x_start) * T::BYTES;
                        let row = &raw[from..from + x_count * T::BYTES];
                        for (x, stored) in row.chunks_exact(T::BYTES).enumerate() {
                            let value = map(T::decode(stored, header.byte_order));
                            turned[((x_start + x) * y_len + y) * z_len + z] = value;
                        }
                    }
                }
            }
        }
    }
    Ok(turned)
}
