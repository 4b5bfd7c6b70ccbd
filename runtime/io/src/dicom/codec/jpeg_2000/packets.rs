//! Checks that all packets of a tile are present, without decoding them (ITU-T T.800 annex B).

use super::codestream::Tile;
use super::header_bits::{HeaderBits, Tree};
use crate::dicom::codec::error::CodecError;

/// Limit of zero bit-planes and of the bits of a length: more than any precision has.
const PLANES_MAX: u32 = 80;
const LENGTH_BITS_MAX: u32 = 32;

/// The precincts of a resolution.
struct Resolution {
    /// Exponents of the size of a precinct.
    exponents: [u32; 2],
    /// First precinct along each axis, and how many.
    first: [u32; 2],
    counts: [u32; 2],
    /// Whether the first begins before the tile, so that the tile's first column or row is used for it.
    cut: [bool; 2],
    /// Halvings from the tile to it.
    halvings: u32,
    bands: Vec<Band>,
}

/// A sub-band: its place, and sizes of its precincts and code-blocks as exponents.
struct Band {
    from: [u32; 2],
    to: [u32; 2],
    precinct: [u32; 2],
    block: [u32; 2],
}

/// Rounds a quotient by a power of two up.
fn halved(value: u32, times: u32) -> u32 {
    (u64::from(value)).div_ceil(1 << times) as u32
}

impl Tile<'_> {
    fn resolutions(&self) -> Vec<Resolution> {
        let coding = &self.coding;
        let levels = u32::from(coding.levels);
        let of = |(resolution, &exponents): (u32, &[u32; 2])| {
            let halvings = levels - resolution;
            let [from, to] = [self.from, self.to].map(|at| at.map(|at| halved(at, halvings)));
            let first = [0, 1].map(|axis| from[axis] >> exponents[axis]);
            let counts = [0, 1].map(|axis| {
                if from[axis] == to[axis] {
                    0
                } else {
                    halved(to[axis], exponents[axis]) - first[axis]
                }
            });
            // One band at the lowest resolution, three at the others: the axes with high frequencies.
            let (kinds, down, half): (&[[u32; 2]], u32, u32) = match resolution {
                0 => (&[[0, 0]], levels, 0),
                _ => (&[[1, 0], [0, 1], [1, 1]], halvings + 1, 1),
            };
            let band = |kind: &[u32; 2]| {
                let place = |at: [u32; 2]| {
                    [0, 1].map(|axis| {
                        let offset = (u64::from(kind[axis]) << down) / 2;
                        let at = u64::from(at[axis]).saturating_sub(offset);
                        at.div_ceil(1 << down) as u32
                    })
                };
                let precinct = exponents.map(|exponent| exponent - half);
                Band {
                    from: place(self.from),
                    to: place(self.to),
                    precinct,
                    block: [0, 1].map(|axis| coding.block[axis].min(precinct[axis])),
                }
            };
            Resolution {
                exponents,
                first,
                counts,
                cut: [0, 1].map(|axis| from[axis] & ((1 << exponents[axis]) - 1) != 0),
                halvings,
                bands: kinds.iter().map(band).collect(),
            }
        };
        (0..).zip(&coding.precincts).map(of).collect()
    }

    /// Precincts and code-blocks, each of them of every band.
    pub fn parts(&self) -> u64 {
        let mut parts = 0_u64;
        for resolution in self.resolutions() {
            let precincts = resolution.precincts();
            for band in &resolution.bands {
                let along = |axis: usize| {
                    let blocks = u64::from(halved(band.to[axis], band.block[axis]));
                    // A precinct may cut blocks at both of its ends.
                    blocks - u64::from(band.from[axis] >> band.block[axis])
                };
                parts = parts
                    .saturating_add(precincts)
                    .saturating_add(along(0) * along(1));
            }
        }
        parts
    }

    /// Expected number of packets.
    pub fn packet_count(&self) -> u64 {
        let precincts = self.resolutions();
        let precincts = precincts.iter().map(Resolution::precincts);
        precincts.sum::<u64>() * u64::from(self.coding.layers)
    }

    /// Checks that all packets are present, each with the bytes that it states.
    ///
    /// **Errors**: they end too early, or break a rule of the format.
    pub fn check_packets(&self) -> Result<(), CodecError> {
        let resolutions = self.resolutions();
        let mut states: Vec<Vec<Precinct>> = resolutions
            .iter()
            .map(|resolution| {
                let precincts = (0..resolution.precincts()).map(|at| resolution.precinct(at));
                precincts.collect()
            })
            .collect();
        let mut packets = Packets { tile: self, at: 0 };
        let layers = self.coding.layers;
        let mut each = |resolution: usize, precinct: usize, layer: u32| {
            packets.pass(&mut states[resolution][precinct], layer)
        };
        let counts: Vec<usize> = resolutions
            .iter()
            .map(|resolution| resolution.precincts() as usize)
            .collect();
        match self.coding.progression {
            0 => {
                for layer in 0..layers {
                    for (resolution, &count) in counts.iter().enumerate() {
                        (0..count).try_for_each(|precinct| each(resolution, precinct, layer))?;
                    }
                }
            }
            1 => {
                for (resolution, &count) in counts.iter().enumerate() {
                    for layer in 0..layers {
                        (0..count).try_for_each(|precinct| each(resolution, precinct, layer))?;
                    }
                }
            }
            2 => {
                for (resolution, &count) in counts.iter().enumerate() {
                    for precinct in 0..count {
                        (0..layers).try_for_each(|layer| each(resolution, precinct, layer))?;
                    }
                }
            }
            // With one component, the last two are the same.
            _ => {
                let mut order: Vec<([u64; 2], usize, usize)> = Vec::new();
                for (index, resolution) in resolutions.iter().enumerate() {
                    let places = (0..counts[index]).map(|precinct| {
                        let place = resolution.place(precinct as u64, self.from);
                        (place, index, precinct)
                    });
                    order.extend(places);
                }
                order.sort_unstable();
                for (_, resolution, precinct) in order {
                    (0..layers).try_for_each(|layer| each(resolution, precinct, layer))?;
                }
            }
        }
        Ok(())
    }
}

impl Resolution {
    fn precincts(&self) -> u64 {
        u64::from(self.counts[0]) * u64::from(self.counts[1])
    }

    fn at(&self, precinct: u64) -> [u32; 2] {
        let across = u64::from(self.counts[0]);
        [(precinct % across) as u32, (precinct / across) as u32]
    }

    /// Row and column of the reference grid that a precinct is ordered by (B.12.1.3).
    fn place(&self, precinct: u64, tile: [u32; 2]) -> [u64; 2] {
        let at = self.at(precinct);
        [1, 0].map(|axis| {
            if at[axis] == 0 && self.cut[axis] {
                u64::from(tile[axis])
            } else {
                u64::from(self.first[axis] + at[axis]) << (self.exponents[axis] + self.halvings)
            }
        })
    }

    fn precinct(&self, precinct: u64) -> Precinct {
        let at = self.at(precinct);
        let blocks = |band: &Band| {
            let counts = [0, 1].map(|axis| {
                let start = u64::from(self.first[axis] + at[axis]) << band.precinct[axis];
                let end = start + (1 << band.precinct[axis]);
                let (start, end) = (
                    start.max(band.from[axis].into()),
                    end.min(band.to[axis].into()),
                );
                if start >= end {
                    return 0;
                }
                let size = 1 << band.block[axis];
                (end.div_ceil(size) - start / size) as usize
            });
            Blocks::new(counts)
        };
        Precinct(self.bands.iter().map(blocks).collect())
    }
}

/// State of a precinct's code-blocks, by band.
struct Precinct(Vec<Blocks>);

struct Blocks {
    counts: [usize; 2],
    inclusion: Tree,
    planes: Tree,
    blocks: Vec<CodeBlock>,
}

#[derive(Clone, Default)]
struct CodeBlock {
    is_included: bool,
    passes: u32,
    /// Lblock less its first value.
    length_bits: u32,
}

impl Blocks {
    fn new(counts: [usize; 2]) -> Self {
        Self {
            counts,
            inclusion: Tree::new(counts),
            planes: Tree::new(counts),
            blocks: vec![CodeBlock::default(); counts[0] * counts[1]],
        }
    }
}

struct Packets<'a> {
    tile: &'a Tile<'a>,
    at: usize,
}

impl Packets<'_> {
    /// Skips the packet of a layer.
    fn pass(&mut self, precinct: &mut Precinct, layer: u32) -> Result<(), CodecError> {
        let bytes = &*self.tile.packets;
        let [before, behind] = self.tile.coding.markers;
        if before && bytes.get(self.at..self.at + 2) == Some(&[0xff, 0x91]) {
            self.at += 6;
        }
        let mut bits = HeaderBits::new(bytes, self.at);
        let mut length = 0_u64;
        if bits.bit()? {
            for blocks in &mut precinct.0 {
                length += self.tile.contributions(blocks, layer, &mut bits)?;
            }
        }
        let mut end = bits.end();
        if behind {
            if bytes.get(end..end + 2) != Some(&[0xff, 0x92]) {
                return Err(CodecError::Damaged("a packet header of theirs has no end"));
            }
            end += 2;
        }
        let end = end as u64 + length;
        if end > bytes.len() as u64 {
            return Err(CodecError::Ended);
        }
        self.at = end as usize;
        Ok(())
    }
}

impl Tile<'_> {
    /// Reads the lengths of the code-blocks' contributions to a packet; returns their sum in bytes.
    fn contributions(
        &self,
        blocks: &mut Blocks,
        layer: u32,
        bits: &mut HeaderBits,
    ) -> Result<u64, CodecError> {
        let mut length = 0;
        let across = blocks.counts[0];
        for (index, block) in blocks.blocks.iter_mut().enumerate() {
            let at = [index % across, index / across];
            let contributes = if block.is_included {
                bits.bit()?
            } else {
                blocks.inclusion.is_less(at, layer + 1, bits)?
            };
            if !contributes {
                continue;
            }
            if !block.is_included {
                let mut limit = 1;
                while !blocks.planes.is_less(at, limit, bits)? {
                    limit += 1;
                    if limit > PLANES_MAX {
                        return Err(CodecError::Damaged("a code-block has no bit-planes"));
                    }
                }
            }
            block.is_included = true;
            let first = block.passes;
            block.passes += bits.passes()?;
            while bits.bit()? {
                block.length_bits += 1;
            }
            let mut start = first;
            for pass in first + 1..=block.passes {
                if pass < block.passes && self.segment(pass) == self.segment(pass - 1) {
                    continue;
                }
                let count = 3 + block.length_bits + (pass - start).ilog2();
                if count > LENGTH_BITS_MAX {
                    return Err(CodecError::Damaged("a code-block of theirs is too long"));
                }
                length += u64::from(bits.number(count)?);
                start = pass;
            }
        }
        Ok(length)
    }

    /// The segment that a coding pass is in, of those that a packet may hold (table D.9).
    fn segment(&self, pass: u32) -> u32 {
        if self.coding.terminates {
            pass
        } else if self.coding.bypasses && pass >= 10 {
            1 + 2 * ((pass - 10) / 3) + u32::from((pass - 10) % 3 == 2)
        } else {
            0
        }
    }
}
