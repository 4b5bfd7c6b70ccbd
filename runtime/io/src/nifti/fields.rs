//! The raw fields of both editions of the header, and the rules for them.

use ::nifti::{NiftiHeader, NiftiType, Unit, XForm};

use crate::image::format::Believe;
use crate::image::header::{ByteOrder, DataType, IntensityScaling};
use crate::nifti::affine::Placement;
use crate::nifti::affine_source::AffineSource;
use crate::nifti::error::NiftiHeaderError;
use crate::nifti::header::NiftiVolumeHeader;
use crate::nifti::magic::{
    NIFTI1_BYTES, NIFTI2_BYTES, NiftiLayout, NiftiVersion, is_analyze, magic, minimum_offset,
};

impl NiftiVolumeHeader {
    /// Checks the first bytes of a file; 348 are enough for NIfTI-1, 540 for NIfTI-2.
    ///
    /// **Errors**: the first rule that the header breaks.
    pub fn decode(bytes: &[u8]) -> Result<Self, NiftiHeaderError> {
        Self::decode_believing(bytes, None)
    }

    /// Checks as [`NiftiVolumeHeader::decode`] does; where sform and qform contradict each other, `believe` chooses
    /// one.
    ///
    /// **Errors**: as [`NiftiVolumeHeader::decode`].
    pub fn decode_believing(
        bytes: &[u8],
        believe: Option<Believe>,
    ) -> Result<Self, NiftiHeaderError> {
        match magic(bytes) {
            Some((version, layout)) => {
                RawFields::decode(bytes, version)?.check(version, layout, believe)
            }
            None if is_analyze(bytes) => Err(NiftiHeaderError::Analyze),
            None if bytes.len() < NIFTI1_BYTES => Err(NiftiHeaderError::TooShort {
                found: bytes.len(),
                expected: NIFTI1_BYTES,
            }),
            None => Err(NiftiHeaderError::NotNifti),
        }
    }
}

/// The relevant fields, in the widest types of both editions.
pub(super) struct RawFields {
    byte_order: ByteOrder,
    dim: [i64; 8],
    vox_offset: f64,
    slope: f64,
    intercept: f64,
    /// The codes, which mean the same in both editions.
    codes: NiftiHeader,
    pixdim: [f64; 4],
    quaternion: [f64; 3],
    offset: [f64; 3],
    sform: [[f64; 4]; 3],
    quaternion_epsilon: f64,
}

impl RawFields {
    /// Reads the fields from the first bytes of a file, of the edition that the magic states.
    pub fn decode(bytes: &[u8], version: NiftiVersion) -> Result<Self, NiftiHeaderError> {
        let expected = match version {
            NiftiVersion::Nifti1 => NIFTI1_BYTES,
            NiftiVersion::Nifti2 => NIFTI2_BYTES,
        };
        let Some((head, [a, b, c, d])) = bytes
            .get(..expected)
            .and_then(|head| Some((head, *head.first_chunk::<4>()?)))
        else {
            return Err(NiftiHeaderError::TooShort {
                found: bytes.len(),
                expected,
            });
        };
        let size = i32::from_le_bytes([a, b, c, d]);
        let byte_order = if size == expected as i32 {
            ByteOrder::Little
        } else if size.swap_bytes() == expected as i32 {
            ByteOrder::Big
        } else {
            return Err(NiftiHeaderError::Size {
                found: size,
                expected: expected as i32,
            });
        };
        match version {
            NiftiVersion::Nifti1 => Self::decode_nifti1(head, byte_order),
            NiftiVersion::Nifti2 => Self::decode_nifti2(head, byte_order),
        }
    }

    fn decode_nifti1(head: &[u8], byte_order: ByteOrder) -> Result<Self, NiftiHeaderError> {
        let at = HeaderBytes { head, byte_order };
        let dim: [i64; 8] = std::array::from_fn(|index| i64::from(at.i16(40 + 2 * index)));
        // The parser infers the byte order from `dim[0]` alone; with a valid one it agrees with `sizeof_hdr`.
        if !(1..=7).contains(&dim[0]) {
            return Err(NiftiHeaderError::DimensionCount { found: dim[0] });
        }
        let codes = NiftiHeader::from_reader(head).map_err(|_| NiftiHeaderError::NotNifti)?;
        Ok(Self {
            byte_order,
            dim,
            vox_offset: codes.vox_offset.into(),
            slope: codes.scl_slope.into(),
            intercept: codes.scl_inter.into(),
            pixdim: std::array::from_fn(|index| codes.pixdim[index].into()),
            quaternion: [codes.quatern_b, codes.quatern_c, codes.quatern_d].map(f64::from),
            offset: [codes.quatern_x, codes.quatern_y, codes.quatern_z].map(f64::from),
            sform: [codes.srow_x, codes.srow_y, codes.srow_z].map(|row| row.map(f64::from)),
            quaternion_epsilon: 3.0 * f64::from(f32::EPSILON),
            codes,
        })
    }

    fn decode_nifti2(head: &[u8], byte_order: ByteOrder) -> Result<Self, NiftiHeaderError> {
        let at = HeaderBytes { head, byte_order };
        let guard = at.array::<4>(8);
        if guard != *b"\r\n\x1a\n" && guard != [0; 4] {
            return Err(NiftiHeaderError::LineEndings { found: guard });
        }
        let row = |start: usize| std::array::from_fn(|index| at.f64(start + 8 * index));
        // Codes beyond the NIfTI-1 field are not in the standard, nor is -1.
        let code = |start: usize| i16::try_from(at.i32(start)).unwrap_or(-1);
        Ok(Self {
            byte_order,
            dim: std::array::from_fn(|index| at.i64(16 + 8 * index)),
            vox_offset: at.i64(168) as f64,
            slope: at.f64(176),
            intercept: at.f64(184),
            codes: NiftiHeader {
                datatype: at.i16(12),
                qform_code: code(344),
                sform_code: code(348),
                xyzt_units: u8::try_from(at.i32(500)).unwrap_or(0),
                ..NiftiHeader::default()
            },
            pixdim: std::array::from_fn(|index| at.f64(104 + 8 * index)),
            quaternion: std::array::from_fn(|index| at.f64(352 + 8 * index)),
            offset: std::array::from_fn(|index| at.f64(376 + 8 * index)),
            sform: [row(400), row(432), row(464)],
            quaternion_epsilon: 3.0 * f64::EPSILON,
        })
    }

    /// Checks every field against the format.
    pub fn check(
        self,
        version: NiftiVersion,
        layout: NiftiLayout,
        believe: Option<Believe>,
    ) -> Result<NiftiVolumeHeader, NiftiHeaderError> {
        let dimensions = self.dimensions()?;
        let code = self
            .codes
            .data_type()
            .map_err(|_| NiftiHeaderError::UnknownDataType {
                code: self.codes.datatype,
            })?;
        let data_type = data_type(code)?;
        let voxel_offset = self.voxel_offset(version, layout)?;
        let overflow = || NiftiHeaderError::Overflow {
            shape: dimensions.iter().map(|&length| length as u64).collect(),
        };
        // Half of the range, so that offsets and the bytes of decoded voxels can be computed without a check.
        let voxel_bytes = dimensions
            .iter()
            .try_fold(data_type.bytes() as u64, |bytes, &length| {
                bytes.checked_mul(length as u64)
            })
            .filter(|&bytes| bytes <= i64::MAX as u64 / 16)
            .ok_or_else(overflow)?;
        let scaling = self.scaling()?;
        let (sform, qform) = (space(self.codes.sform()), space(self.codes.qform()));
        let placement = self.placement(&dimensions, sform, qform);
        let (affine, affine_source) = placement.affine(believe)?;
        let qform_beside_sform = match affine_source {
            AffineSource::Sform => placement.usable_qform(),
            AffineSource::Qform | AffineSource::Pixdim => None,
        };
        Ok(NiftiVolumeHeader {
            version,
            layout,
            byte_order: self.byte_order,
            data_type,
            dimensions,
            affine,
            affine_source,
            qform_beside_sform,
            space: match affine_source {
                AffineSource::Sform => sform,
                AffineSource::Qform => qform,
                AffineSource::Pixdim => XForm::Unknown,
            },
            scaling,
            voxel_offset,
            voxel_bytes,
        })
    }

    fn dimensions(&self) -> Result<Vec<usize>, NiftiHeaderError> {
        let found = self.dim[0];
        let count = usize::try_from(found)
            .ok()
            .filter(|count| (1..=7).contains(count));
        let count = count.ok_or(NiftiHeaderError::DimensionCount { found })?;
        (1..=count)
            .map(|axis| match usize::try_from(self.dim[axis]) {
                Ok(length) if length > 0 => Ok(length),
                _ => Err(NiftiHeaderError::AxisLength {
                    axis,
                    found: self.dim[axis],
                }),
            })
            .collect()
    }

    fn voxel_offset(
        &self,
        version: NiftiVersion,
        layout: NiftiLayout,
    ) -> Result<u64, NiftiHeaderError> {
        let minimum = minimum_offset(version, layout);
        let found = self.vox_offset;
        // Beyond 2^53 not every whole number is an f64, and no file is that long.
        if found.fract() == 0.0 && found >= minimum as f64 && found <= (1_u64 << 53) as f64 {
            Ok(found as u64)
        } else {
            Err(NiftiHeaderError::VoxelOffset { found, minimum })
        }
    }

    fn scaling(&self) -> Result<Option<IntensityScaling>, NiftiHeaderError> {
        let (slope, intercept) = (self.slope, self.intercept);
        if slope == 0.0 || !slope.is_finite() || (slope, intercept) == (1.0, 0.0) {
            Ok(None)
        } else if intercept.is_finite() {
            Ok(Some(IntensityScaling { slope, intercept }))
        } else {
            Err(NiftiHeaderError::Intercept { slope, intercept })
        }
    }

    fn placement(&self, dimensions: &[usize], sform: XForm, qform: XForm) -> Placement {
        let [handedness, spacing @ ..] = self.pixdim;
        Placement {
            sform_coded: sform != XForm::Unknown,
            qform_coded: qform != XForm::Unknown,
            sform: self.sform,
            quaternion: self.quaternion,
            offset: self.offset,
            handedness,
            spacing,
            shape: dimensions.iter().copied().take(3).collect(),
            quaternion_epsilon: self.quaternion_epsilon,
            unit_mm: match self.codes.xyzt_to_space() {
                Ok(Unit::Meter) => 1000.0,
                Ok(Unit::Micron) => 0.001,
                _ => 1.0,
            },
        }
    }
}

/// The type of a code of the standard.
fn data_type(code: NiftiType) -> Result<DataType, NiftiHeaderError> {
    let unsupported = |name| Err(NiftiHeaderError::UnsupportedDataType { name });
    match code {
        NiftiType::Uint8 => Ok(DataType::U8),
        NiftiType::Int8 => Ok(DataType::I8),
        NiftiType::Uint16 => Ok(DataType::U16),
        NiftiType::Int16 => Ok(DataType::I16),
        NiftiType::Uint32 => Ok(DataType::U32),
        NiftiType::Int32 => Ok(DataType::I32),
        NiftiType::Uint64 => Ok(DataType::U64),
        NiftiType::Int64 => Ok(DataType::I64),
        NiftiType::Float32 => Ok(DataType::F32),
        NiftiType::Float64 => Ok(DataType::F64),
        NiftiType::Float128 => unsupported("real numbers of 128 bits (float128)"),
        NiftiType::Complex64 => unsupported("complex numbers (complex64)"),
        NiftiType::Complex128 => unsupported("complex numbers (complex128)"),
        NiftiType::Complex256 => unsupported("complex numbers (complex256)"),
        NiftiType::Rgb24 => unsupported("colors (RGB24)"),
        NiftiType::Rgba32 => unsupported("colors (RGBA32)"),
    }
}

/// A code of the standard; other numbers count as none.
fn space(code: ::nifti::Result<XForm>) -> XForm {
    code.unwrap_or(XForm::Unknown)
}

/// Numbers at places within the header, which the caller has checked to lie inside.
struct HeaderBytes<'a> {
    head: &'a [u8],
    byte_order: ByteOrder,
}

impl HeaderBytes<'_> {
    fn array<const N: usize>(&self, start: usize) -> [u8; N] {
        std::array::from_fn(|index| self.head[start + index])
    }

    /// The bytes of a number, least significant first.
    fn number<const N: usize>(&self, start: usize) -> [u8; N] {
        let mut bytes = self.array(start);
        if self.byte_order == ByteOrder::Big {
            bytes.reverse();
        }
        bytes
    }

    fn i16(&self, start: usize) -> i16 {
        i16::from_le_bytes(self.number(start))
    }

    fn i32(&self, start: usize) -> i32 {
        i32::from_le_bytes(self.number(start))
    }

    fn i64(&self, start: usize) -> i64 {
        i64::from_le_bytes(self.number(start))
    }

    fn f64(&self, start: usize) -> f64 {
        f64::from_le_bytes(self.number(start))
    }
}
