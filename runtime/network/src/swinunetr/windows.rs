//! Windows of attention.

/// Edge of a window of attention in tokens, where the volume has as many.
pub(super) const WINDOW: usize = 7;
/// Windows of attention over a volume of tokens, of which the first of each axis may be shifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShiftedWindows {
    /// Tokens of the volume.
    pub tokens: [usize; 3],
    /// Tokens of a window.
    pub window: [usize; 3],
    /// Tokens by which windows are moved towards the end of an axis.
    pub shift: [usize; 3],
}

impl ShiftedWindows {
    /// The windows of a block over this many tokens.
    ///
    /// **Definition**: `min(n, 7)` tokens along an axis; shifted ones are moved by 3 where there is more than one.
    pub fn new(tokens: [usize; 3], is_shifted: bool) -> Self {
        let shift = |size: usize| match is_shifted && size > WINDOW {
            true => WINDOW / 2,
            false => 0,
        };
        Self {
            tokens,
            window: tokens.map(|size| size.min(WINDOW)),
            shift: tokens.map(shift),
        }
    }

    /// Tokens of the volume with those that fill the last window of each axis.
    pub fn padded(&self) -> [usize; 3] {
        let [x, y, z] = self.windows();
        let [along_x, along_y, along_z] = self.window;
        [x * along_x, y * along_y, z * along_z]
    }

    /// Windows along each axis.
    pub fn windows(&self) -> [usize; 3] {
        std::array::from_fn(|axis| self.tokens[axis].div_ceil(self.window[axis]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_those_of_the_reference() {
        for (tokens, window, shift, padded) in [
            ([32, 48, 16], [7, 7, 7], [3, 3, 3], [35, 49, 21]),
            ([8, 12, 4], [7, 7, 4], [3, 3, 0], [14, 14, 4]),
            ([14, 2, 7], [7, 2, 7], [3, 0, 0], [14, 2, 7]),
        ] {
            let windows = ShiftedWindows::new(tokens, true);
            assert_eq!((windows.window, windows.shift), (window, shift));
            assert_eq!(windows.padded(), padded);
            assert_eq!(ShiftedWindows::new(tokens, false).shift, [0; 3]);
        }
    }
}
