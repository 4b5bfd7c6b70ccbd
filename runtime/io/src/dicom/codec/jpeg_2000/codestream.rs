//! The markers of a codestream, and limits on the work that they cause (ITU-T T.800 annexes A and B).

use std::borrow::Cow;
use std::rc::Rc;

use super::segments::{Coding, MarkerFields, Styles};
use crate::dicom::codec::error::CodecError;
use crate::dicom::codec::shape::FrameShape;

/// Memory of the decoder for a precinct or a code-block, for each layer of it, and for a tile, in bytes.
const PART_BYTES: u64 = 320;
const LAYER_BYTES: u64 = 32;
const TILE_BYTES: u64 = 1024;

/// Limit of this memory for a frame: a base, and per pixel.
const PARTS_BASE: u64 = 1 << 18;
const PARTS_PER_PIXEL: u64 = 8;

/// A tile: its place on the reference grid, its coding, and its packets.
pub(super) struct Tile<'a> {
    /// First column and row, and one past the last.
    pub from: [u32; 2],
    pub to: [u32; 2],
    pub coding: Coding,
    /// Contents of its quantization segment.
    pub quantization: Rc<[u8]>,
    /// Shift of the coefficients of a region of interest.
    pub shift: u8,
    pub packets: Cow<'a, [u8]>,
}

/// A codestream of one component that is not subsampled.
pub(super) struct Codestream<'a> {
    /// Last column and row of the reference grid and first of the image, size of a tile, first of the tiles.
    pub places: [[u32; 2]; 4],
    pub signed: bool,
    pub precision: u32,
    pub tiles: Vec<Tile<'a>>,
}

impl<'a> Codestream<'a> {
    /// Reads all markers, and refuses disproportionate codestreams before anything is decoded.
    ///
    /// **Errors**: the frame has another shape; tiles, precincts, code-blocks or layers are out of proportion to it; a
    /// marker segment occurs twice or is longer than its content; a tile is truncated, or has less than one byte per
    /// packet.
    pub fn read(bytes: &'a [u8], shape: FrameShape) -> Result<Self, CodecError> {
        let mut fields = MarkerFields(bytes);
        // Start of codestream, and of its sizes.
        fields.take(4)?;
        let mut sizes = fields.segment()?;
        sizes.take(2)?;
        let mut pair = || Ok::<_, CodecError>([sizes.number(4)?, sizes.number(4)?]);
        let places = [pair()?, pair()?, pair()?, pair()?];
        let [grid, image, tile, first] = places;
        if sizes.number(2)? != 1 {
            return Err(CodecError::Unsupported("more than one component"));
        }
        let depth = sizes.number(1)?;
        if [sizes.number(1)?, sizes.number(1)?] != [1, 1] {
            return Err(CodecError::Damaged("their component is subsampled"));
        }
        sizes.end()?;
        let damaged = CodecError::Damaged("their tiles do not lie on their grid");
        let [columns, rows] = [0, 1].map(|axis| grid[axis].saturating_sub(image[axis]) as usize);
        shape.check(columns, rows)?;
        let mut counts = [0; 2];
        for axis in 0..2 {
            let reaches = first[axis].checked_add(tile[axis]);
            if tile[axis] == 0
                || first[axis] > image[axis]
                || reaches.is_none_or(|end| end <= image[axis])
                || grid[axis] > 1 << 30
            {
                return Err(damaged);
            }
            counts[axis] = (grid[axis] - first[axis]).div_ceil(tile[axis]);
        }
        let allowance = PARTS_BASE + PARTS_PER_PIXEL * shape.pixels() as u64;
        let tiles = u64::from(counts[0]) * u64::from(counts[1]);
        if tiles * TILE_BYTES > allowance {
            return Err(TOO_MANY);
        }
        let (marker, styles) = Styles::read(&mut fields)?;
        let absent = CodecError::Damaged("their coding style is absent");
        let (Some(coding), Some(quantization)) = (styles.coding, styles.quantization) else {
            return Err(absent);
        };
        let corner = |at: u32, axis: usize| {
            let at = u64::from(first[axis]) + u64::from(at) * u64::from(tile[axis]);
            at.clamp(u64::from(image[axis]), u64::from(grid[axis])) as u32
        };
        let mut tiles: Vec<Tile> = (0..tiles as u32)
            .map(|index| {
                let [x, y] = [index % counts[0], index / counts[0]];
                Tile {
                    from: [corner(x, 0), corner(y, 1)],
                    to: [corner(x + 1, 0), corner(y + 1, 1)],
                    coding: coding.clone(),
                    quantization: Rc::clone(&quantization),
                    shift: styles.shift.unwrap_or_default(),
                    packets: Cow::default(),
                }
            })
            .collect();
        tile_parts(marker, fields, &mut tiles)?;
        let mut all = 0_u64;
        for tile in &tiles {
            let parts = tile.parts();
            all = all.saturating_add(parts);
            let layers = LAYER_BYTES * u64::from(tile.coding.layers);
            // Tiles are decoded one after the other, so their number costs time rather than memory.
            if parts.saturating_mul(PART_BYTES + layers) > allowance || all > allowance / 16 {
                return Err(TOO_MANY);
            }
            if tile.packet_count() > tile.packets.len() as u64 {
                return Err(CodecError::Damaged("packets of theirs are absent"));
            }
        }
        Ok(Self {
            places,
            signed: depth & 0x80 != 0,
            precision: (depth & 0x7f) + 1,
            tiles,
        })
    }
}

/// The error of more tiles, precincts or code-blocks than are proportionate to the pixels.
const TOO_MANY: CodecError =
    CodecError::Damaged("they have more tiles, precincts or code-blocks than their pixels need");

/// Collects the packets of all tiles; `marker` is the one before `fields`.
fn tile_parts<'a>(
    marker: u8,
    mut fields: MarkerFields<'a>,
    tiles: &mut [Tile<'a>],
) -> Result<(), CodecError> {
    let mut next = marker;
    while next == 0x90 {
        let before = fields.0.len();
        let mut start = fields.segment()?;
        let tile = start.number(2)? as usize;
        let length = start.number(4)? as usize;
        // Numbers of the tile-part and of all of the tile.
        start.take(2)?;
        start.end()?;
        let tile = tiles
            .get_mut(tile)
            .ok_or(CodecError::Damaged("a tile lies outside of the grid"))?;
        let (marker, styles) = Styles::read(&mut fields)?;
        if marker != 0x93 {
            return Err(CodecError::Damaged("a tile of theirs has no data"));
        }
        if let Some(coding) = styles.coding {
            tile.coding = coding;
        }
        tile.quantization = styles.quantization.unwrap_or(Rc::clone(&tile.quantization));
        tile.shift = styles.shift.unwrap_or(tile.shift);
        // Lengths count from the marker before the segment; without one, the last tile-part reaches up to the end.
        let passed = 2 + before - fields.0.len();
        let data = match length {
            0 => fields.take(fields.0.len().saturating_sub(2))?,
            _ => fields.take(length.checked_sub(passed).ok_or(CodecError::Ended)?)?,
        };
        if tile.packets.is_empty() {
            tile.packets = Cow::Borrowed(data);
        } else {
            tile.packets.to_mut().extend_from_slice(data);
        }
        next = fields.marker()?;
    }
    if next == 0xd9 {
        Ok(())
    } else {
        Err(CodecError::Damaged("their end is no end of a codestream"))
    }
}
