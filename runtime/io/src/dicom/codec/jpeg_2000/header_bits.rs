//! The bits of packet headers, and tag trees (ITU-T T.800 B.10).

use crate::dicom::codec::error::CodecError;

/// A tag tree (B.10.2): levels from the leaves to the root.
pub(super) struct Tree(Vec<(usize, Vec<TagTreeNode>)>);

#[derive(Clone, Copy)]
struct TagTreeNode {
    /// Lower bound of its value.
    least: u32,
    is_known: bool,
}

impl Tree {
    /// A tree with this number of leaves in each direction.
    pub fn new([mut width, mut height]: [usize; 2]) -> Self {
        let node = TagTreeNode {
            least: 0,
            is_known: false,
        };
        let mut levels = vec![(width, vec![node; width * height])];
        while width * height > 1 {
            (width, height) = (width.div_ceil(2), height.div_ceil(2));
            levels.push((width, vec![node; width * height]));
        }
        Self(levels)
    }

    /// Whether the value of a leaf is less than a limit.
    pub fn is_less(
        &mut self,
        [x, y]: [usize; 2],
        limit: u32,
        bits: &mut HeaderBits,
    ) -> Result<bool, CodecError> {
        let mut least = 0;
        let mut known = false;
        for (level, (width, nodes)) in self.0.iter_mut().enumerate().rev() {
            let node = &mut nodes[(y >> level) * *width + (x >> level)];
            node.least = node.least.max(least);
            while !node.is_known && node.least < limit {
                if bits.bit()? {
                    node.is_known = true;
                } else {
                    node.least += 1;
                }
            }
            (least, known) = (node.least, node.is_known);
        }
        Ok(known && least < limit)
    }
}

/// Bits of a packet header: after a byte of ones, one stuffing bit is skipped (B.10.1).
pub(super) struct HeaderBits<'a> {
    bytes: &'a [u8],
    at: usize,
    last: u8,
    left: u32,
}

impl<'a> HeaderBits<'a> {
    /// Starts at a byte.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            last: 0,
            left: 0,
        }
    }

    pub fn bit(&mut self) -> Result<bool, CodecError> {
        if self.left == 0 {
            self.left = if self.last == 0xff { 7 } else { 8 };
            self.last = *self.bytes.get(self.at).ok_or(CodecError::Ended)?;
            self.at += 1;
        }
        self.left -= 1;
        Ok(self.last >> self.left & 1 == 1)
    }

    /// Reads a number of `count` bits.
    pub fn number(&mut self, count: u32) -> Result<u32, CodecError> {
        (0..count).try_fold(0, |number, _| Ok(number << 1 | u32::from(self.bit()?)))
    }

    /// Position of the end of the header.
    pub fn end(&self) -> usize {
        self.at + usize::from(self.last == 0xff)
    }

    /// Reads a number of coding passes (table B.4).
    pub fn passes(&mut self) -> Result<u32, CodecError> {
        if !self.bit()? {
            return Ok(1);
        }
        if !self.bit()? {
            return Ok(2);
        }
        match self.number(2)? {
            3 => {}
            more => return Ok(3 + more),
        }
        match self.number(5)? {
            31 => Ok(37 + self.number(7)?),
            more => Ok(6 + more),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_tree_gives_its_values() {
        // 2 × 1 leaves with values 1 and 0: the root is 0; the first leaf is not 0 but 1; the second is 0.
        let bytes = [0b1010_1000];
        let mut bits = HeaderBits::new(&bytes, 0);
        let mut tree = Tree::new([2, 1]);
        assert_eq!(tree.is_less([0, 0], 1, &mut bits), Ok(false));
        assert_eq!(tree.is_less([0, 0], 2, &mut bits), Ok(true));
        assert_eq!(tree.is_less([1, 0], 1, &mut bits), Ok(false));
        assert_eq!(tree.is_less([1, 0], 2, &mut bits), Ok(true));
        assert_eq!(bits.left, 3);
    }

    #[test]
    fn passes_are_counted_as_the_table_says() {
        for (bits, expected) in [
            (0b0000_0000_u16, 1),
            (0b1000_0000_0000_0000, 2),
            (0b1100_0000_0000_0000, 3),
            (0b1110_0000_0000_0000, 5),
            (0b1111_0000_1000_0000, 7),
            (0b1111_1111_1000_0001, 38),
        ] {
            let bytes = bits.to_be_bytes();
            // A byte of ones is followed by a stuffing bit.
            let bytes = if bytes[0] == 0xff {
                vec![0xff, bytes[1] >> 1, 0x80]
            } else {
                bytes.to_vec()
            };
            let mut bits = HeaderBits::new(&bytes, 0);
            assert_eq!(bits.passes(), Ok(expected));
        }
    }
}
