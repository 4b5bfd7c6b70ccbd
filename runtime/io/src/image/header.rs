//! The header of an image, independent of its format.

use ::nifti::XForm;
use vesal_volume::Geometry;

use crate::image::blocks::VoxelLayout;

/// Memory of a reader besides the voxels: the file buffer and the decoder's state, rounded up.
const READER_BYTES: u64 = 1 << 20;

/// Byte order of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByteOrder {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

/// Types of stored voxels that can be read.
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
    /// The type's name in messages, such as `int16`.
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

    /// Bytes of one number.
    pub fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }
}

/// Mapping of stored numbers to values: `stored × slope + intercept`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IntensityScaling {
    /// Finite and not zero.
    pub slope: f64,
    /// Finite.
    pub intercept: f64,
}

/// The facts of a checked header.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeHeader {
    /// The format with its edition, such as `NIfTI-1`.
    pub format: &'static str,
    /// Order of the bytes of each stored number.
    pub byte_order: ByteOrder,
    /// Type of the stored numbers.
    pub data_type: DataType,
    /// All dimensions in the order of the file, each at least 1.
    pub dimensions: Vec<usize>,
    /// Shape `[X, Y, Z]` and voxel index → RAS mm.
    pub geometry: Geometry,
    /// Grids that the file holds: time points, channels or both.
    pub frames: usize,
    /// Dimensions beside those of the grid that have several entries.
    pub frame_axes: usize,
    /// Whether the frames of each voxel follow each other in the file, and not the voxels of each frame.
    pub interleaved: bool,
    /// Mapping of stored numbers to values; `None` if they are the values.
    pub scaling: Option<IntensityScaling>,
    /// Which fields gave the affine.
    pub affine_source: &'static str,
    /// The missing fields where the header states no orientation, such as `neither sform nor qform`.
    pub no_orientation: Option<&'static str>,
    /// How far apart two affines of the header put voxels, in mm, where that exceeds rounding.
    pub forms_apart_mm: Option<f64>,
    /// World space of the affine.
    pub space: XForm,
    /// Where the voxels start in their (decompressed) file.
    pub voxel_offset: u64,
    /// Bytes of all stored voxels (decompressed).
    pub voxel_bytes: u64,
}

impl VolumeHeader {
    /// Most memory that reading the file as a volume takes at once, in bytes: the volume itself as `f32`, and a few
    /// blocks of the file.
    ///
    /// **Examples**
    /// ```
    /// use vesal_io::image::read_header;
    /// use vesal_io::nifti::{WriteOptions, write_volume};
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
        // Interleaved frames are sorted into a second array.
        let copies = if self.interleaved { 2 } else { 1 };
        self.peak_bytes(copies * size_of::<f32>())
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
    pub(crate) fn voxels(&self) -> u64 {
        self.voxel_bytes / self.data_type.bytes() as u64
    }

    /// Layout of the voxels; interleaved frames count as one frame with longer rows.
    pub(crate) fn stored(&self) -> VoxelLayout {
        let [x, y, z] = self.geometry.shape;
        let (row, frames) = if self.interleaved {
            (x.saturating_mul(self.frames), 1)
        } else {
            (x, self.frames)
        };
        VoxelLayout {
            shape: [row, y, z],
            frames,
            voxel_bytes: self.data_type.bytes(),
        }
    }
}
