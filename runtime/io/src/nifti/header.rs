//! The facts of a checked header.

use ::nifti::XForm;
use vesal_volume::{Affine, Geometry};

use crate::image::header::{ByteOrder, DataType, IntensityScaling, VolumeHeader};
use crate::nifti::affine_source::AffineSource;
use crate::nifti::error::NiftiHeaderError;
use crate::nifti::magic::{NiftiLayout, NiftiVersion, minimum_offset};

/// Largest distance between voxels by sform and by qform that is ignored, in voxels of the finest axis.
const FORMS_TOLERANCE_VOXELS: f64 = 0.5;

/// What a checked NIfTI header states.
#[derive(Debug, Clone, PartialEq)]
pub struct NiftiVolumeHeader {
    /// Edition of the format.
    pub version: NiftiVersion,
    /// Where the voxels are.
    pub layout: NiftiLayout,
    /// Order of the bytes of each number, in the header and in the voxels.
    pub byte_order: ByteOrder,
    /// Type of the stored numbers; the redundant `bitpix` is ignored.
    pub data_type: DataType,
    /// All dimensions, 1 to 7 of them, each at least 1.
    pub dimensions: Vec<usize>,
    /// Voxel index → RAS mm.
    pub affine: Affine,
    /// Which fields gave the affine.
    pub affine_source: AffineSource,
    /// The affine of the qform where the sform is used and the qform has a code as well and is usable; in a consistent
    /// file both are equal.
    pub qform_beside_sform: Option<Affine>,
    /// Which world the affine leads to; unknown if it comes from `pixdim`.
    pub space: XForm,
    /// Mapping of stored numbers to values; `None` if they are the values.
    pub scaling: Option<IntensityScaling>,
    /// Where the voxels start in their (decompressed) file.
    pub voxel_offset: u64,
    /// Bytes of all stored voxels (decompressed).
    pub voxel_bytes: u64,
}

impl NiftiVolumeHeader {
    /// The same header for voxels that follow it in its own file.
    pub(super) fn into_single(self) -> Result<Self, NiftiHeaderError> {
        let layout = NiftiLayout::Single;
        let minimum = minimum_offset(self.version, layout);
        if self.voxel_offset < minimum {
            return Err(NiftiHeaderError::VoxelOffset {
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

    /// How far apart sform and qform put voxels at most, in mm, where the sform is used, the qform is usable, and the
    /// distance exceeds half a voxel along the finest axis: near half turns, a stored quaternion is that imprecise.
    pub fn forms_apart_mm(&self) -> Option<f64> {
        let geometry = self.geometry();
        let affine = self.qform_beside_sform?;
        let qform = Geometry { affine, ..geometry };
        let spacing = self.affine.spacing();
        let finest = spacing.into_iter().fold(f64::INFINITY, f64::min);
        let apart = qform.distance_mm(&geometry)?;
        (apart > FORMS_TOLERANCE_VOXELS * finest).then_some(apart)
    }

    /// The header independent of the format.
    pub(super) fn to_volume_header(&self) -> VolumeHeader {
        let further = || self.dimensions.iter().skip(3);
        VolumeHeader {
            format: match self.version {
                NiftiVersion::Nifti1 => "NIfTI-1",
                NiftiVersion::Nifti2 => "NIfTI-2",
            },
            byte_order: self.byte_order,
            data_type: self.data_type,
            dimensions: self.dimensions.clone(),
            geometry: self.geometry(),
            frames: further().product(),
            frame_axes: further().filter(|&&length| length > 1).count(),
            interleaved: false,
            scaling: self.scaling,
            affine_source: self.affine_source.name(),
            no_orientation: (self.affine_source == AffineSource::Pixdim)
                .then_some("neither sform nor qform"),
            forms_apart_mm: self.forms_apart_mm(),
            space: self.space,
            voxel_offset: self.voxel_offset,
            voxel_bytes: self.voxel_bytes,
        }
    }
}
