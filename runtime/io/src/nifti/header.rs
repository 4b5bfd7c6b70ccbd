//! What a checked header states.

use ::nifti::XForm;
use vesal_volume::{Affine, Geometry};

use crate::nifti::affine_source::AffineSource;
use crate::nifti::blocks::VoxelLayout;
use crate::nifti::voxel_format::{ByteOrder, DataType, Scaling};
use crate::sniff::{NiftiLayout, NiftiVersion};

/// Bytes of a NIfTI-1 header.
pub(super) const NIFTI1_BYTES: usize = 348;
/// Bytes of a NIfTI-2 header.
pub(super) const NIFTI2_BYTES: usize = 540;

/// Memory of a reader beside the voxels: the buffer of the file and the state of the decoder, rounded up.
const READER_BYTES: u64 = 1 << 20;

/// Largest distance between voxels by sform and by qform that counts as equal, in voxels of the finest axis.
const FORMS_TOLERANCE_VOXELS: f64 = 0.5;

/// The contents of a checked NIfTI header.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Edition of the format.
    pub version: NiftiVersion,
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
    /// The world space of the affine; unknown if it comes from `pixdim`.
    pub space: XForm,
    /// How stored numbers become values; `None` if they are the values.
    pub scaling: Option<Scaling>,
    /// Where the voxels start in their (decompressed) file.
    pub voxel_offset: u64,
    /// Bytes of all stored voxels (decompressed).
    pub voxel_bytes: u64,
}

impl Header {
    /// Shape and affine of the grid; axes that the header does not count have one voxel.
    pub fn geometry(&self) -> Geometry {
        let shape = std::array::from_fn(|axis| self.dimensions.get(axis).copied().unwrap_or(1));
        Geometry {
            shape,
            affine: self.affine,
        }
    }

    /// How far apart sform and qform put voxels at most, in mm, where the sform counts, the qform is usable, and that
    /// is more than half a voxel along the finest axis: close to half turns, a stored quaternion is that imprecise.
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

    /// Peak memory in bytes of reading the file as a volume: the volume itself as `f32`, and a
    /// few blocks of the file.
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

    /// Peak memory in bytes of reading the file as a label map; see
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
    pub(super) fn stored(&self) -> VoxelLayout {
        VoxelLayout {
            shape: self.geometry().shape,
            frames: self.frames(),
            voxel_bytes: self.data_type.bytes(),
        }
    }
}
