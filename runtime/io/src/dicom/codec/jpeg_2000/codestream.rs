//! The markers of a codestream, and how much work they ask for (ITU-T T.800 annexes A and B).

use crate::dicom::codec::{CodecError, Shape};

/// Decomposition levels that are let pass: the format's most.
const LEVELS_MAX: u8 = 32;

/// Memory of the decoder for a precinct or a code-block, for each layer of it, and for a tile, in bytes.
const PART_BYTES: u64 = 320;
const LAYER_BYTES: u64 = 32;
const TILE_BYTES: u64 = 1024;

/// Memory for these that a frame is given: so much, and more for each pixel.
const PARTS_BASE: u64 = 1 << 18;
const PARTS_PER_PIXEL: u64 = 8;

/// How the coefficients of a tile are coded.
#[derive(Debug, Clone)]
pub(super) struct Coding {
    pub progression: u8,
    pub layers: u32,
    pub levels: u8,
    /// Exponents of a code-block's width and height.
    pub block: [u32; 2],
    /// Whether each coding pass is a segment of its own.
    pub terminates: bool,
    /// Whether some passes bypass the arithmetic coder.
    pub bypasses: bool,
    /// Exponents of the precincts' widths and heights, by resolution.
    pub precincts: Vec<[u32; 2]>,
    /// Whether markers may stand before packets, and have to behind their headers.
    pub markers: [bool; 2],
}

/// A tile: its place on the reference grid, how it is coded, and its packets.
pub(super) struct Tile {
    /// First column and row, and those behind the last.
    pub from: [u32; 2],
    pub to: [u32; 2],
    pub coding: Coding,
    pub packets: Vec<u8>,
}

/// A codestream of one component that is not subsampled.
pub(super) struct Codestream {
    pub signed: bool,
    pub precision: u32,
    pub tiles: Vec<Tile>,
}

/// Numbers of marker segments.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(CodecError::Ended)?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<u32, CodecError> {
        let bytes = self.take(bytes)?.iter();
        Ok(bytes.fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn marker(&mut self) -> Result<u8, CodecError> {
        match self.take(2)? {
            [0xff, marker] => Ok(*marker),
            _ => Err(CodecError::Damaged("a marker of theirs is absent")),
        }
    }

    fn segment(&mut self) -> Result<Fields<'a>, CodecError> {
        let length = self.number(2)?.checked_sub(2).ok_or(CodecError::Ended)?;
        Ok(Fields(self.take(length as usize)?))
    }
}

impl Codestream {
    /// Reads all markers, and refuses what the frame does not justify before anything is decoded.
    ///
    /// **Errors**: the frame has another shape; tiles, precincts, code-blocks or layers are out of proportion to it; a
    /// tile is cut off, or has not one byte for each of its packets.
    pub fn read(bytes: &[u8], shape: Shape) -> Result<Self, CodecError> {
        let mut fields = Fields(bytes);
        // Start of codestream, and of its sizes.
        fields.take(4)?;
        let mut sizes = fields.segment()?;
        sizes.take(2)?;
        let mut pair = || Ok::<_, CodecError>([sizes.number(4)?, sizes.number(4)?]);
        let [grid, image, tile, first] = [pair()?, pair()?, pair()?, pair()?];
        if sizes.number(2)? != 1 {
            return Err(CodecError::Unsupported("more than one component"));
        }
        let depth = sizes.number(1)?;
        if [sizes.number(1)?, sizes.number(1)?] != [1, 1] {
            return Err(CodecError::Damaged("their component is subsampled"));
        }
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
        let mut coding = None;
        let marker = header(&mut fields, &mut coding)?;
        let coding = coding.ok_or(CodecError::Damaged("their coding style is absent"))?;
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
                    packets: Vec::new(),
                }
            })
            .collect();
        tile_parts(marker, fields, &mut tiles)?;
        let mut all = 0_u64;
        for tile in &tiles {
            let parts = tile.parts();
            all = all.saturating_add(parts);
            let layers = LAYER_BYTES * u64::from(tile.coding.layers);
            // Tiles are decoded one after the other; going through all of them takes time, if no memory.
            if parts.saturating_mul(PART_BYTES + layers) > allowance || all > allowance / 16 {
                return Err(TOO_MANY);
            }
            if tile.packet_count() > tile.packets.len() as u64 {
                return Err(CodecError::Damaged("packets of theirs are absent"));
            }
        }
        Ok(Self {
            signed: depth & 0x80 != 0,
            precision: (depth & 0x7f) + 1,
            tiles,
        })
    }
}

/// What more tiles, precincts or code-blocks give than the pixels justify.
const TOO_MANY: CodecError =
    CodecError::Damaged("they have more tiles, precincts or code-blocks than their pixels need");

/// Reads marker segments up to a start of a tile-part or its data; gives that marker.
fn header(fields: &mut Fields, coding: &mut Option<Coding>) -> Result<u8, CodecError> {
    loop {
        match fields.marker()? {
            marker @ (0x90 | 0x93) => return Ok(marker),
            0x52 => *coding = Some(Coding::read(&mut fields.segment()?)?),
            0x53 => {
                let mut segment = fields.segment()?;
                if let (0, Some(coding)) = (segment.number(1)?, &mut *coding) {
                    let style = segment.number(1)?;
                    coding.component(style, &mut segment)?;
                }
            }
            0x5f => return Err(CodecError::Unsupported("a change of progression")),
            0x60 | 0x61 => return Err(CodecError::Unsupported("packed packet headers")),
            0x30..=0x3f => {}
            0xd9 | 0x4f => return Err(CodecError::Ended),
            _ => {
                fields.segment()?;
            }
        }
    }
}

/// Collects the packets of all tiles; `marker` is the one before `fields`.
fn tile_parts(marker: u8, mut fields: Fields, tiles: &mut [Tile]) -> Result<(), CodecError> {
    let mut next = marker;
    while next == 0x90 {
        let before = fields.0.len();
        let mut start = fields.segment()?;
        let tile = start.number(2)? as usize;
        let length = start.number(4)? as usize;
        let tile = tiles.get_mut(tile).ok_or(CodecError::Damaged(
            "a tile of theirs does not lie on their grid",
        ))?;
        let mut coding = Some(tile.coding.clone());
        if header(&mut fields, &mut coding)? != 0x93 {
            return Err(CodecError::Damaged("a tile of theirs has no data"));
        }
        tile.coding = coding.unwrap_or_else(|| tile.coding.clone());
        // Lengths count from the marker before the segment; without one, the last tile-part reaches up to the end.
        let passed = 2 + before - fields.0.len();
        let data = match length {
            0 => fields.take(fields.0.len().saturating_sub(2))?,
            _ => fields.take(length.checked_sub(passed).ok_or(CodecError::Ended)?)?,
        };
        tile.packets.extend_from_slice(data);
        next = fields.marker()?;
    }
    if next == 0xd9 {
        Ok(())
    } else {
        Err(CodecError::Damaged("their end is no end of a codestream"))
    }
}

impl Coding {
    /// A.6.1.
    fn read(segment: &mut Fields) -> Result<Self, CodecError> {
        let style = segment.number(1)?;
        let progression = segment.number(1)? as u8;
        let layers = segment.number(2)?;
        segment.take(1)?;
        if progression > 4 || layers == 0 {
            return Err(CodecError::Damaged(
                "their coding style is none of JPEG 2000",
            ));
        }
        let mut coding = Self {
            progression,
            layers,
            levels: 0,
            block: [0; 2],
            terminates: false,
            bypasses: false,
            precincts: Vec::new(),
            markers: [style & 2 != 0, style & 4 != 0],
        };
        coding.component(style, segment)?;
        Ok(coding)
    }

    /// A.6.1, table A.15.
    fn component(&mut self, style: u32, segment: &mut Fields) -> Result<(), CodecError> {
        let damaged = CodecError::Damaged("their coding style is none of JPEG 2000");
        self.levels = segment.number(1)? as u8;
        self.block = [segment.number(1)? + 2, segment.number(1)? + 2];
        let blocks = segment.number(1)?;
        self.bypasses = blocks & 1 != 0;
        self.terminates = blocks & 4 != 0;
        segment.take(1)?;
        let [width, height] = self.block;
        if self.levels > LEVELS_MAX || width > 10 || height > 10 || width + height > 12 {
            return Err(damaged);
        }
        self.precincts.clear();
        for resolution in 0..=self.levels {
            let exponents = if style & 1 != 0 {
                segment.number(1)?
            } else {
                0xff
            };
            let exponents = [exponents & 15, exponents >> 4];
            // Half of a precinct has to be something, except at the lowest resolution.
            if resolution > 0 && exponents.contains(&0) {
                return Err(damaged);
            }
            self.precincts.push(exponents);
        }
        Ok(())
    }
}
