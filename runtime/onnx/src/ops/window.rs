//! Output sizes of windows that move over an input.

/// One axis along which a window moves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowAxis {
    /// Size of the input.
    pub size: i64,
    pub kernel: i64,
    pub stride: i64,
    pub dilation: i64,
    /// Padding before the first element.
    pub before: i64,
    /// Padding after the last element.
    pub after: i64,
}

impl WindowAxis {
    /// Elements from the first to the last that a window reaches: `dilation (kernel - 1) + 1`.
    pub fn extent(&self) -> i64 {
        self.dilation
            .saturating_mul(self.kernel.saturating_sub(1))
            .saturating_add(1)
    }

    /// Elements by which the window can move; negative if it does not fit.
    fn room(&self) -> i64 {
        self.size
            .saturating_add(self.before)
            .saturating_add(self.after)
            .saturating_sub(self.extent())
    }

    /// Number of positions of the window, the output's size; not positive if it does not fit.
    ///
    /// **Definition**: `floor((size + before + after - extent) / stride) + 1`.
    pub fn positions(&self) -> i64 {
        let room = self.room();
        if room < 0 {
            room
        } else {
            room / self.stride.max(1) + 1
        }
    }

    /// The same, rounded up, without a last window that would begin beyond the input and the padding before it.
    pub fn positions_rounded_up(&self) -> i64 {
        let (room, positions) = (self.room(), self.positions());
        if room <= 0 || room % self.stride.max(1) == 0 {
            return positions;
        }
        let begins = positions.saturating_mul(self.stride);
        positions + i64::from(begins < self.size.saturating_add(self.before))
    }

    /// Output size of a transposed convolution; not positive if the padding exceeds it.
    ///
    /// **Definition**: `stride (size - 1) + output_padding + extent - before - after`.
    pub fn transposed(&self, output_padding: i64) -> i64 {
        self.stride
            .saturating_mul(self.size.saturating_sub(1))
            .saturating_add(output_padding)
            .saturating_add(self.extent())
            .saturating_sub(self.before.saturating_add(self.after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXIS: WindowAxis = WindowAxis {
        size: 7,
        kernel: 3,
        stride: 2,
        dilation: 1,
        before: 0,
        after: 0,
    };

    #[test]
    fn windows_fit_where_the_input_has_room() {
        assert_eq!(AXIS.positions(), 3);
        let dilated = WindowAxis {
            dilation: 3,
            ..AXIS
        };
        assert_eq!((dilated.extent(), dilated.positions()), (7, 1));
        let padded = WindowAxis {
            before: 1,
            after: 1,
            ..AXIS
        };
        assert_eq!(padded.positions(), 4);
        let large = WindowAxis { kernel: 9, ..AXIS };
        assert_eq!(large.positions(), -2);
    }

    #[test]
    fn rounding_up_adds_a_window_that_begins_inside() {
        let axis = WindowAxis { size: 8, ..AXIS };
        assert_eq!((axis.positions(), axis.positions_rounded_up()), (3, 4));
        assert_eq!(AXIS.positions_rounded_up(), 3);
        // It would begin beyond the input: at 3, of 2 elements and 1 before them.
        let axis = WindowAxis {
            size: 2,
            kernel: 2,
            stride: 3,
            before: 1,
            after: 1,
            ..AXIS
        };
        assert_eq!((axis.positions(), axis.positions_rounded_up()), (1, 1));
    }

    #[test]
    fn transposed_windows_undo_strides() {
        let doubled = WindowAxis {
            before: 1,
            after: 1,
            ..AXIS
        };
        assert_eq!(doubled.transposed(1), 14);
        assert_eq!(AXIS.transposed(0), 15);
    }
}
