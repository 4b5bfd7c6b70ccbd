//! Restart markers (ITU-T T.81 E.1.4).

use crate::dicom::codec::bits::Bits;
use crate::dicom::codec::error::CodecError;

/// Counts units between restart markers and skips the markers.
pub(super) struct Restarts {
    interval: usize,
    left: usize,
}

impl Restarts {
    pub fn new(interval: usize) -> Self {
        Self {
            interval,
            left: interval,
        }
    }

    /// Counts a unit that is about to be read, and skips a restart marker that is due; returns whether prediction
    /// restarts.
    ///
    /// **Errors**: the marker is due and absent.
    pub fn due(&mut self, bits: &mut Bits) -> Result<bool, CodecError> {
        if self.interval == 0 {
            return Ok(false);
        }
        if self.left > 0 {
            self.left -= 1;
            return Ok(false);
        }
        self.left = self.interval - 1;
        if bits.pass_restart() {
            Ok(true)
        } else {
            Err(CodecError::Damaged("a restart marker of theirs is absent"))
        }
    }
}
