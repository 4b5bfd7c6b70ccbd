//! Writes a new codestream from the checked values, so that the decoder gets nothing unchecked.

use super::codestream::{Codestream, Tile};
use super::segments::Coding;
use crate::dicom::codec::error::CodecError;

impl Codestream<'_> {
    /// The codestream with one tile-part for each tile, whose header repeats everything that applies to the tile.
    ///
    /// **Errors**: the packets of a tile are longer than the format has numbers for.
    pub fn rewritten(self) -> Result<Vec<u8>, CodecError> {
        let packets: usize = self.tiles.iter().map(|tile| tile.packets.len()).sum();
        let mut bytes = Vec::with_capacity(packets + 512 * (1 + self.tiles.len()));
        bytes.extend([0xff, 0x4f]);
        let mut sizes = vec![0, 0];
        sizes.extend(
            self.places
                .as_flattened()
                .iter()
                .flat_map(|place| place.to_be_bytes()),
        );
        let sign = if self.signed { 0x80 } else { 0 };
        let depth = (self.precision as u8 - 1) | sign;
        sizes.extend([0, 1, depth, 1, 1]);
        segment(&mut bytes, 0x51, &sizes);
        if let Some(first) = self.tiles.first() {
            // Tiles state their own styles; the markers that these permit must not come from the main header.
            let coding = Coding {
                markers: [false; 2],
                ..first.coding.clone()
            };
            segment(&mut bytes, 0x52, &coding.written());
            segment(&mut bytes, 0x5c, &first.quantization);
        }
        for (index, tile) in self.tiles.into_iter().enumerate() {
            tile.write(index, &mut bytes)?;
        }
        bytes.extend([0xff, 0xd9]);
        Ok(bytes)
    }
}

impl Tile<'_> {
    fn write(self, index: usize, bytes: &mut Vec<u8>) -> Result<(), CodecError> {
        let too_long = |_| CodecError::Unsupported("a tile of this size");
        let index = u16::try_from(index).map_err(too_long)?;
        let start = bytes.len();
        // The length follows.
        segment(
            bytes,
            0x90,
            &[&index.to_be_bytes()[..], &[0, 0, 0, 0, 0, 1]].concat(),
        );
        segment(bytes, 0x52, &self.coding.written());
        segment(bytes, 0x5c, &self.quantization);
        segment(bytes, 0x5e, &[0, 0, self.shift]);
        bytes.extend([0xff, 0x93]);
        bytes.extend_from_slice(&self.packets);
        let length = u32::try_from(bytes.len() - start).map_err(too_long)?;
        bytes[start + 6..start + 10].copy_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

impl Coding {
    /// Contents of its segment (A.6.1).
    fn written(&self) -> Vec<u8> {
        let [before, behind] = self.markers.map(u8::from);
        let [width, height] = self.block.map(|exponent| exponent as u8 - 2);
        let layers = self.layers as u16;
        let mut bytes = vec![1 | before << 1 | behind << 2, self.progression];
        bytes.extend(layers.to_be_bytes());
        bytes.extend([
            0,
            self.levels,
            width,
            height,
            self.block_style,
            self.wavelet,
        ]);
        bytes.extend(self.precincts.iter().map(|[x, y]| (x | y << 4) as u8));
        bytes
    }
}

/// Writes a marker segment, whose content is short.
fn segment(bytes: &mut Vec<u8>, marker: u8, content: &[u8]) {
    bytes.extend([0xff, marker]);
    bytes.extend((content.len() as u16 + 2).to_be_bytes());
    bytes.extend_from_slice(content);
}
