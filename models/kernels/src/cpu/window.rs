//! Boxes of activations, with zeros where they reach beyond the case.

use super::lanes::LANES;

/// The activations of one case.
#[derive(Clone, Copy)]
pub struct CaseActivations<'a> {
    /// `[X, Y, Z, C]`.
    pub values: &'a [f32],
    /// `[X, Y, Z]`.
    pub shape: [usize; 3],
    pub channels: usize,
}

/// A box of a case, with zeros where it reaches beyond the case.
#[derive(Clone, Copy)]
pub struct Window<'a> {
    /// At least the box's values; z and channels are contiguous.
    pub values: &'a [f32],
    /// Position of the first value.
    origin: [isize; 3],
    /// Strides of x, y and z.
    pub strides: [usize; 3],
}

impl<'a> Window<'a> {
    /// The whole case without a copy, for boxes inside of it.
    pub fn whole(case: CaseActivations<'a>) -> Self {
        let [_, y, z] = case.shape;
        Self {
            values: case.values,
            origin: [0; 3],
            strides: [y * z * case.channels, z * case.channels, case.channels],
        }
    }

    /// Copies the box of `shape` at `origin` to a buffer, followed by one vector of slack.
    pub fn copy(
        case: CaseActivations,
        origin: [isize; 3],
        shape: [usize; 3],
        buffer: &'a mut Vec<f32>,
    ) -> Self {
        let [_, case_y, case_z] = case.shape;
        let c = case.channels;
        let row = shape[2] * c;
        buffer.resize((shape[0] * shape[1] * row).max(1) + LANES, 0.0);
        let covered = overlap(origin[2], shape[2], case_z);
        let (before, length) = (covered.start * c, covered.len() * c);
        let first_z = (origin[2] + covered.start as isize).max(0) as usize;
        let mut rows = buffer.chunks_exact_mut(row.max(1));
        for x in origin[0]..origin[0] + shape[0] as isize {
            for y in origin[1]..origin[1] + shape[1] as isize {
                let Some(to) = rows.next() else { break };
                let inside = |at: isize, length: usize| (0..length as isize).contains(&at);
                if !inside(x, case.shape[0]) || !inside(y, case_y) || length == 0 {
                    to.fill(0.0);
                    continue;
                }
                let from = ((x as usize * case_y + y as usize) * case_z + first_z) * c;
                to[..before].fill(0.0);
                to[before..before + length].copy_from_slice(&case.values[from..from + length]);
                to[before + length..].fill(0.0);
            }
        }
        Self {
            values: buffer,
            origin,
            strides: [shape[1] * row, row, c],
        }
    }

    /// Offset of the first value of a position.
    pub fn offset(&self, position: [isize; 3]) -> usize {
        (0..3)
            .map(|axis| (position[axis] - self.origin[axis]) as usize * self.strides[axis])
            .sum()
    }
}

/// The range of `length` positions from `origin` on that lie in `0..extent`.
fn overlap(origin: isize, length: usize, extent: usize) -> std::ops::Range<usize> {
    let start = (-origin).clamp(0, length as isize);
    let end = (extent as isize - origin).clamp(start, length as isize);
    start as usize..end as usize
}
