//! Writes a volume of many channels slab by slab, without holding it in memory.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ::nifti::NiftiHeader;
use ndarray::{ArrayView3, ArrayView4, Axis};
use rayon::prelude::*;
use vesal_volume::Affine;

use crate::image::blocks::{self, VoxelBlock};
use crate::nifti::error::{NiftiError, NiftiWriteError};
use crate::nifti::made_header::volume_header;
use crate::nifti::output::{NiftiOutput, is_compressed};
use crate::nifti::write::REAL_LEVEL;
use crate::nifti::write_options::WriteOptions;
use crate::positioned;
use vesal_files::atomic::{self, AtomicError};

/// Bytes of a voxel.
const VOXEL_BYTES: usize = size_of::<f32>();

/// Planes across the slab axis that are transposed to the order of the spill file at once.
const SPILL_PLANES: usize = 16;

/// Class probabilities on their way to a `.nii` or `.nii.gz` file.
///
/// They are spilled to an unnamed file in the directory of the destination, with 4 bytes per class and voxel written.
/// [`finish`](Self::finish) turns it into the file that [`write_volume`](super::write_volume) would write, byte for
/// byte. Dropped before that, or when the program is killed, it leaves no file.
///
/// **Memory**: [`write`](Self::write) takes, per thread, the bytes of 16 planes of one class's block; `finish` four
/// times 8 MiB, and half a MiB per thread for compression.
///
/// **Examples**
/// ```
/// use ndarray::{Array4, s};
/// use vesal_io::image::read_channels;
/// use vesal_io::nifti::{ProbabilityFile, WriteOptions};
/// use vesal_volume::Affine;
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("a.nii.gz");
/// let all = Array4::from_shape_fn((2, 4, 3, 5), |(k, x, y, z)| (k + 2 * x + 8 * y + 24 * z) as f32);
/// let options = WriteOptions::default();
/// let file = ProbabilityFile::create(&path, [2, 4, 3, 5], &Affine::IDENTITY, 0, &options).unwrap();
/// for x in 0..4 {
///     file.write([x, 0, 0], all.slice(s![.., x..x + 1, .., ..])).unwrap();
/// }
/// file.finish().unwrap();
/// assert_eq!(read_channels(&path).unwrap().data, all);
/// ```
#[derive(Debug)]
pub struct ProbabilityFile {
    path: PathBuf,
    options: WriteOptions,
    header: NiftiHeader,
    spill: File,
    /// `[K, X, Y, Z]`.
    shape: [usize; 4],
    order: SpillOrder,
}

impl ProbabilityFile {
    /// Checks that the file can be written, and opens the spill file beside it.
    ///
    /// **Shapes**: `shape` is `[K, X, Y, Z]`. `slab_axis` (0 for X, 1 for Y, else Z) is the one across which blocks are
    /// thin: the spill file keeps each plane across it in one piece.
    ///
    /// **Errors**: as [`write_volume`](super::write_volume); the destination is checked now and again at the end.
    pub fn create(
        path: impl AsRef<Path>,
        shape: [usize; 4],
        affine: &Affine,
        slab_axis: usize,
        options: &WriteOptions,
    ) -> Result<Self, NiftiError> {
        let path = path.as_ref();
        is_compressed(path)?;
        let header = volume_header(shape, affine, options).map_err(NiftiError::write(path))?;
        let directory = atomic::check_destination(path, options.overwrite)?;
        let bytes = shape.iter().map(|&side| side as u64).product::<u64>() * VOXEL_BYTES as u64;
        let spill = tempfile::tempfile_in(directory)
            .and_then(|spill| spill.set_len(bytes).map(|()| spill))
            .map_err(|reason| AtomicError::Io {
                path: path.to_owned(),
                reason,
            })?;
        let [_, grid @ ..] = shape;
        Ok(Self {
            path: path.to_owned(),
            options: *options,
            header,
            spill,
            shape,
            order: SpillOrder::new(grid, slab_axis),
        })
    }

    /// Writes a block whose first voxel is `start`; voxels that no block covers are 0.
    ///
    /// **Shapes**: `[K, x, y, z]`, thin along the slab axis. Blocks may come in any order and from several threads;
    /// where blocks overlap, the last one counts. Blocks that span the grid across the slab axis are fastest.
    ///
    /// **Errors**: [`NiftiWriteError::Block`] if the block is not within the volume; [`AtomicError::Io`] if the disk is
    /// full or refuses.
    pub fn write(&self, start: [usize; 3], block: ArrayView4<'_, f32>) -> Result<(), NiftiError> {
        let (classes, x, y, z) = block.dim();
        let [expected, grid @ ..] = self.shape;
        let extent = [x, y, z];
        let fits = |axis: usize| {
            let end = start[axis].checked_add(extent[axis]);
            end.is_some_and(|end| end <= grid[axis])
        };
        if classes != expected || !(0..3).all(fits) {
            return Err(NiftiError::write(&self.path)(NiftiWriteError::Block {
                start,
                block: Box::new([classes, x, y, z]),
                shape: Box::new(self.shape),
            }));
        }
        if block.is_empty() {
            return Ok(());
        }
        let [_, _, slab_axis] = self.order.axes;
        let planes = extent[slab_axis];
        let shares: Vec<_> = (0..classes)
            .flat_map(|class| {
                (0..planes)
                    .step_by(SPILL_PLANES)
                    .map(move |plane| (class, plane))
            })
            .collect();
        shares
            .into_par_iter()
            .try_for_each_init(Vec::new, |raw, (class, plane)| -> io::Result<()> {
                let end = (plane + SPILL_PLANES).min(planes);
                let mut part = block.index_axis(Axis(0), class);
                part.slice_axis_inplace(Axis(slab_axis), (plane..end).into());
                let mut start = start;
                start[slab_axis] += plane;
                self.spill(class, start, part, raw)
            })
            .map_err(|reason| self.failed(reason))
    }

    /// Writes a few planes of one class to their places.
    fn spill(
        &self,
        class: usize,
        start: [usize; 3],
        part: ArrayView3<'_, f32>,
        raw: &mut Vec<u8>,
    ) -> io::Result<()> {
        let order = &self.order;
        let (inner, outer, slabs) = part.view().permuted_axes(order.axes).dim();
        raw.resize(part.len() * VOXEL_BYTES, 0);
        match order.axes {
            [0, 1, 2] => blocks::encode(part, raw, f32::to_le_bytes),
            [_, _, slab] => raw
                .chunks_exact_mut(inner * outer * VOXEL_BYTES)
                .zip(part.axis_iter(Axis(slab)))
                .for_each(|(raw, plane)| {
                    blocks::encode(plane.insert_axis(Axis(1)), raw, f32::to_le_bytes);
                }),
        }
        let start = order.axes.map(|axis| start[axis]);
        // The contiguous unit in the file: everything, planes, or rows.
        let piece = match (inner == order.sides[0], outer == order.sides[1]) {
            (true, true) => inner * outer * slabs,
            (true, false) => inner * outer,
            _ => inner,
        };
        for (index, bytes) in raw.chunks_exact(piece * VOXEL_BYTES).enumerate() {
            let row = index * piece / inner;
            let at = [start[0], start[1] + row % outer, start[2] + row / outer];
            positioned::write_at(&self.spill, bytes, order.offset(class, at))?;
        }
        Ok(())
    }

    /// Writes the file and puts it in its place.
    ///
    /// **Errors**: as [`write_volume`](super::write_volume).
    pub fn finish(self) -> Result<(), NiftiError> {
        let output = NiftiOutput::new(&self.path, &self.options, &self.header, REAL_LEVEL);
        output.write(|block, raw| self.gather(block, raw))
    }

    /// Reads the voxels of a block of the file from the spill file.
    fn gather(&self, block: &VoxelBlock, raw: &mut [u8]) -> io::Result<()> {
        let VoxelBlock { frame, y, z } = block;
        let x = 0..self.shape[1];
        // A block has several planes or some of the rows of one: in each slab its voxels are one piece.
        let (slabs, inner) = match self.order.axes {
            [_, _, 0] => (x, y.clone()),
            [_, _, 1] => (y.clone(), x),
            _ => {
                let at = [0, y.start, z.start];
                return positioned::read_at(&self.spill, raw, self.order.offset(*frame, at));
            }
        };
        let mut pieces = vec![0; raw.len()];
        pieces
            .par_chunks_mut(z.len() * inner.len() * VOXEL_BYTES)
            .zip(slabs.clone())
            .try_for_each(|(piece, slab)| {
                let at = [inner.start, z.start, slab];
                positioned::read_at(&self.spill, piece, self.order.offset(*frame, at))
            })?;
        let (voxels, _) = pieces.as_chunks::<VOXEL_BYTES>();
        let voxels = ArrayView3::from_shape((slabs.len(), z.len(), inner.len()), voxels)
            .map_err(io::Error::other)?;
        let planes = raw.par_chunks_mut(raw.len() / z.len()).enumerate();
        planes.for_each(|(index, raw)| {
            let plane = voxels.index_axis(Axis(1), index);
            if self.order.axes[2] == 0 {
                blocks::encode(plane.insert_axis(Axis(1)), raw, |bytes| bytes);
            } else {
                // Its rows are those of the file.
                let (raw, _) = raw.as_chunks_mut();
                raw.iter_mut()
                    .zip(plane)
                    .for_each(|(to, &voxel)| *to = voxel);
            }
        });
        Ok(())
    }

    fn failed(&self, reason: io::Error) -> NiftiError {
        AtomicError::Io {
            path: self.path.clone(),
            reason,
        }
        .into()
    }
}

/// Where voxels are in the spill file: class by class, plane by plane across the slab axis.
#[derive(Debug, Clone, Copy)]
struct SpillOrder {
    /// The axes from the one along which neighbors follow each other to that of the slabs.
    axes: [usize; 3],
    /// The lengths of these axes.
    sides: [usize; 3],
}

impl SpillOrder {
    fn new(grid: [usize; 3], slab_axis: usize) -> Self {
        // In a plane, the order of the destination: its rows along X, or else along Y.
        let axes = match slab_axis {
            0 => [1, 2, 0],
            1 => [0, 2, 1],
            _ => [0, 1, 2],
        };
        Self {
            axes,
            sides: axes.map(|axis| grid[axis]),
        }
    }

    /// The byte where the voxel at these indices, in the order of [`axes`](Self::axes), starts.
    fn offset(&self, class: usize, [inner, outer, slab]: [usize; 3]) -> u64 {
        let [inner_len, outer_len, slab_len] = self.sides.map(|side| side as u64);
        let slab = class as u64 * slab_len + slab as u64;
        let row = slab * outer_len + outer as u64;
        (row * inner_len + inner as u64) * VOXEL_BYTES as u64
    }
}
