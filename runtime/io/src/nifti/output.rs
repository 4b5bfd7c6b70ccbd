//! Writes voxels to a file: a block is encoded and compressed while the previous one is written.

use std::io::{self, Write};
use std::path::Path;

use ::nifti::NiftiHeader;
use flate2::Compression;

use crate::image::blocks::{VoxelBlock, VoxelLayout};
use crate::nifti::error::{NiftiError, NiftiWriteError};
use crate::nifti::gzip::{self, GzipMember};
use crate::nifti::made_header::encode_header;
use crate::nifti::name::split_extension;
use crate::nifti::write_options::WriteOptions;
use vesal_files::atomic::{AtomicError, AtomicFile};

/// A NIfTI file that is about to be written.
pub(super) struct NiftiOutput<'a> {
    path: &'a Path,
    options: &'a WriteOptions,
    header: &'a NiftiHeader,
    layout: VoxelLayout,
    level: Compression,
}

impl<'a> NiftiOutput<'a> {
    /// The file of a header that was made here; `level` applies if its name ends in `.gz`.
    pub fn new(
        path: &'a Path,
        options: &'a WriteOptions,
        header: &'a NiftiHeader,
        level: Compression,
    ) -> Self {
        let [_, x, y, z, frames, ..] = header.dim.map(usize::from);
        let layout = VoxelLayout {
            shape: [x, y, z],
            frames,
            voxel_bytes: header.bitpix as usize / 8,
        };
        Self {
            path,
            options,
            header,
            layout,
            level,
        }
    }

    /// Writes header and voxels, compressed if the name ends in `.gz`; `encode` returns the bytes of a block.
    pub fn write(
        &self,
        encode: impl Fn(&VoxelBlock, &mut [u8]) -> io::Result<()> + Sync,
    ) -> Result<(), NiftiError> {
        let gzip = is_compressed(self.path)?;
        let failed = |reason| AtomicError::Io {
            path: self.path.to_owned(),
            reason,
        };
        let mut file = AtomicFile::create(self.path, self.options.overwrite)?;
        let voxels = |raw: &mut Vec<u8>, block: &VoxelBlock| {
            raw.resize(self.layout.bytes_of(block), 0);
            encode(block, raw)
        };
        if gzip {
            self.compressed(&mut file, voxels).map_err(failed)?;
        } else {
            self.plain(&mut file, voxels).map_err(failed)?;
        }
        Ok(file.commit()?)
    }

    fn plain(
        &self,
        file: &mut AtomicFile,
        voxels: impl Fn(&mut Vec<u8>, &VoxelBlock) -> io::Result<()> + Sync,
    ) -> io::Result<()> {
        let mut ready = encode_header(self.header);
        let mut next = Vec::new();
        for block in self.layout.blocks() {
            let (written, encoded) =
                rayon::join(|| file.write_all(&ready), || voxels(&mut next, &block));
            written.and(encoded)?;
            std::mem::swap(&mut ready, &mut next);
        }
        file.write_all(&ready)
    }

    fn compressed(
        &self,
        file: &mut AtomicFile,
        voxels: impl Fn(&mut Vec<u8>, &VoxelBlock) -> io::Result<()> + Sync,
    ) -> io::Result<()> {
        let mut member = GzipMember::start(file)?;
        let mut ready = gzip::compress(&encode_header(self.header), self.level)?;
        let mut raw = Vec::new();
        for block in self.layout.blocks() {
            let (written, compressed) = rayon::join(
                || member.append(&ready),
                || {
                    voxels(&mut raw, &block)?;
                    gzip::compress(&raw, self.level)
                },
            );
            written?;
            ready = compressed?;
        }
        member.append(&ready)?;
        member.finish()
    }
}

/// Whether the name of a NIfTI file ends in `.gz`.
pub(super) fn is_compressed(path: &Path) -> Result<bool, NiftiError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    match split_extension(&name) {
        Some((_, written, gzip)) if written.eq_ignore_ascii_case("nii") => Ok(gzip),
        _ => Err(NiftiError::write(path)(NiftiWriteError::Name)),
    }
}
