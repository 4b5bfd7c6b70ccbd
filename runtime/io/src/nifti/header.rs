//! The header: bytes → checked facts.

use ::nifti::{NiftiType, XForm};
use vesal_volume::{Affine, Geometry};

use crate::nifti::affine::{AffineSource, Believe};
use crate::nifti::blocks::Layout;
use crate::nifti::error::HeaderError;
use crate::nifti::fields::{Fields, minimum_offset};
use crate::sniff::{Content, NiftiLayout, NiftiVersion, sniff_bytes};

/// Bytes of a NIfTI-1 header.
pub(super) const NIFTI1_BYTES: usize = 348;
/// Bytes of a NIfTI-2 header.
pub(super) const NIFTI2_BYTES: usize = 540;

/// What a reader takes beside the voxels: the buffer of the file and the state of the decoder, rounded up.
const READER_BYTES: u64 = 1 << 20;

/// Largest distance between voxels by sform and by qform that says nothing, in voxels of the finest axis.
const FORMS_TOLERANCE_VOXELS: f64 = 0.5;

/// How the bytes of a number are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// The types of stored voxels that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataType {
    /// 8-bit unsigned integer.
    U8,
    /// 8-bit signed integer.
    I8,
    /// 16-bit unsigned integer.
    U16,
    /// 16-bit signed integer.
    I16,
    /// 32-bit unsigned integer.
    U32,
    /// 32-bit signed integer.
    I32,
    /// 64-bit unsigned integer.
    U64,
    /// 64-bit signed integer.
    I64,
    /// 32-bit real number.
    F32,
    /// 64-bit real number.
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

/// What a checked NIfTI header states.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Edition of the format.
    pub version: NiftiVersion,
    /// Where the voxels are.
    pub layout: NiftiLayout,
    /// Order of the bytes of each number, in the header and in the voxels.
    pub byte_order: ByteOrder,
    /// Type of the stored numbers; `bitpix`, which repeats it, is not looked at.
    pub data_type: DataType,
    /// All dimensions, 1 to 7 of them, each at least 1.
    pub dimensions: Vec<usize>,
    /// Voxel index → RAS mm.
    pub affine: Affine,
    /// Which fields gave the affine.
    pub affine_source: AffineSource,
    /// The affine of the qform where the sform counts and the qform has a code, too, and can be used; of a consistent
    /// file both are equal.
    pub qform_beside_sform: Option<Affine>,
    /// Which world the affine leads to; unknown if it comes from `pixdim`.
    pub space: XForm,
    /// How stored numbers become values; `None` if they are the values.
    pub scaling: Option<Scaling>,
    /// Where the voxels start in their (decompressed) file.
    pub voxel_offset: u64,
    /// Bytes of all stored voxels (decompressed).
    pub voxel_bytes: u64,
}

impl Header {
    /// Checks the first bytes of a file; 348 are enough for NIfTI-1, 540 for NIfTI-2.
    ///
    /// **Errors**: the first rule that the header breaks.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        Self::decode_believing(bytes, None)
    }

    /// Checks as [`Header::decode`] does; sform and qform may contradict each other, and this one counts.
    ///
    /// **Errors**: as [`Header::decode`].
    pub fn decode_believing(bytes: &[u8], believe: Option<Believe>) -> Result<Self, HeaderError> {
        match sniff_bytes(bytes) {
            Content::Nifti { version, layout } => {
                Fields::decode(bytes, version)?.check(version, layout, believe)
            }
            Content::Analyze => Err(HeaderError::Analyze),
            _ if bytes.len() < NIFTI1_BYTES => Err(HeaderError::TooShort {
                found: bytes.len(),
                expected: NIFTI1_BYTES,
            }),
            _ => Err(HeaderError::NotNifti),
        }
    }

    /// The same header for voxels that follow it in its own file.
    pub(super) fn into_single(self) -> Result<Self, HeaderError> {
        let layout = NiftiLayout::Single;
        let minimum = minimum_offset(self.version, layout);
        if self.voxel_offset < minimum {
            return Err(HeaderError::VoxelOffset {
                found: self.voxel_offset as f64,
                minimum,
            });
        }
        Ok(Self { layout, ..self })
    }

    /// Shape and affine of the grid; axes that the header does not count have one voxel.
    pub fn geometry(&self) -> Geometry {
        let shape = std::array::from_fn(|axis| self.dimensions.get(axis).copied().unwrap_or(1));
        Geometry {
            shape,
            affine: self.affine,
        }
    }

    /// How far apart sform and qform put voxels at most, in mm, where the sform counts, the qform is usable, and that is
    /// more than half a voxel along the finest axis: close to half turns, a stored quaternion is that imprecise.
    pub fn forms_apart_mm(&self) -> Option<f64> {
        let geometry = self.geometry();
        let affine = self.qform_beside_sform?;
        let qform = Geometry { affine, ..geometry };
        let spacing = self.affine.spacing();
        let finest = spacing.into_iter().fold(f64::INFINITY, f64::min);
        let apart = qform.distance_mm(&geometry)?;
        (apart > FORMS_TOLERANCE_VOXELS * finest).then_some(apart)
    }

    /// Product of the dimensions after the third: time points, channels or both.
    pub fn frames(&self) -> usize {
        self.dimensions.iter().skip(3).product()
    }

    /// Most memory that reading the file as a volume takes at once, in bytes: the volume itself as `f32`, and what a
    /// few blocks of the file take on their way.
    ///
    /// **Examples**
    /// ```
    /// use vesal_io::nifti::{WriteOptions, read_header, write_volume};
    /// # use vesal_volume::{Affine, Volume};
    /// # let directory = tempfile::tempdir().unwrap();
    /// # let path = directory.path().join("a.nii");
    /// let volume = Volume { data: ndarray::Array4::zeros((1, 9, 8, 7)), affine: Affine::IDENTITY };
    /// write_volume(&path, &volume, &WriteOptions::default()).unwrap();
    /// // As decoded, as stored, and the buffers of a decoder.
    /// let expected = 9 * 8 * 7 * (4 + 4) + (1 << 20);
    /// assert_eq!(read_header(&path).unwrap().volume_peak_bytes(), expected);
    /// ```
    pub fn volume_peak_bytes(&self) -> u64 {
        self.peak_bytes(size_of::<f32>())
    }

    /// Most memory that reading the file as a label map takes at once, in bytes; see
    /// [`volume_peak_bytes`](Self::volume_peak_bytes).
    pub fn label_map_peak_bytes(&self) -> u64 {
        self.peak_bytes(size_of::<u16>())
    }

    fn peak_bytes(&self, decoded: usize) -> u64 {
        let blocks = (2 * self.stored().largest_block() as u64).min(self.voxel_bytes);
        self.voxels().saturating_mul(decoded as u64) + blocks + READER_BYTES
    }

    /// Number of voxels of all frames.
    pub(super) fn voxels(&self) -> u64 {
        self.voxel_bytes / self.data_type.bytes() as u64
    }

    /// How the voxels are stored.
    pub(super) fn stored(&self) -> Layout {
        Layout {
            shape: self.geometry().shape,
            frames: self.frames(),
            voxel_bytes: self.data_type.bytes(),
        }
    }
}
