//! A slice: one frame of an image file.

use std::path::Path;
use std::sync::Arc;

use crate::dicom::distinguishing_key::DistinguishingKey;
use crate::dicom::frame_header::FrameHeader;
use crate::dicom::pixels::Image;

/// One frame of an image file.
#[derive(Debug, Clone)]
pub struct Slice {
    pub(super) image: Arc<Image>,
    pub(super) frame: usize,
}

impl Slice {
    pub fn path(&self) -> &Path {
        &self.image.path
    }

    /// UID of the instance.
    pub fn instance(&self) -> &str {
        &self.image.header.instance
    }

    /// UID of the SOP class.
    pub fn class(&self) -> &str {
        &self.image.header.class
    }

    /// Number of the frame in its file, from 1.
    pub fn frame_number(&self) -> usize {
        self.frame + 1
    }

    pub(super) fn place(&self) -> &FrameHeader {
        self.image.header.frames.get(self.frame)
    }

    /// The value of a key.
    pub(super) fn key(&self, key: DistinguishingKey) -> Option<&str> {
        self.image.header.frames.key(self.frame, key)
    }
}
