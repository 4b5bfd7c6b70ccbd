//! How voxels are stored: type, byte order, scaling.

use ::nifti::NiftiType;

use crate::nifti::error::HeaderError;

/// How the bytes of a number are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    Little,
    Big,
}

/// The types of stored voxels that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl DataType {
    /// The name, such as `int16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::U16 => "uint16",
            Self::I16 => "int16",
            Self::U32 => "uint32",
            Self::I32 => "int32",
            Self::U64 => "uint64",
            Self::I64 => "int64",
            Self::F32 => "float32",
            Self::F64 => "float64",
        }
    }

    /// Bytes of one voxel.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// The type of a code of the standard.
    pub(super) fn from_nifti(code: NiftiType) -> Result<Self, HeaderError> {
        let unsupported = |name| Err(HeaderError::UnsupportedDataType { name });
        match code {
            NiftiType::Uint8 => Ok(Self::U8),
            NiftiType::Int8 => Ok(Self::I8),
            NiftiType::Uint16 => Ok(Self::U16),
            NiftiType::Int16 => Ok(Self::I16),
            NiftiType::Uint32 => Ok(Self::U32),
            NiftiType::Int32 => Ok(Self::I32),
            NiftiType::Uint64 => Ok(Self::U64),
            NiftiType::Int64 => Ok(Self::I64),
            NiftiType::Float32 => Ok(Self::F32),
            NiftiType::Float64 => Ok(Self::F64),
            NiftiType::Float128 => unsupported("real numbers of 128 bits (float128)"),
            NiftiType::Complex64 => unsupported("complex numbers (complex64)"),
            NiftiType::Complex128 => unsupported("complex numbers (complex128)"),
            NiftiType::Complex256 => unsupported("complex numbers (complex256)"),
            NiftiType::Rgb24 => unsupported("colors (RGB24)"),
            NiftiType::Rgba32 => unsupported("colors (RGBA32)"),
        }
    }
}

/// How stored numbers become values: `stored × slope + intercept`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// `scl_slope`, finite and not zero.
    pub slope: f64,
    /// `scl_inter`, finite.
    pub intercept: f64,
}
