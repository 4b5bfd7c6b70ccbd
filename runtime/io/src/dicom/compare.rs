//! Decides whether slices at one position are copies of each other.
//!
//! Stored bytes are compared first, in parts, without memory for frames. Only copies that are stored differently are
//! decoded: one frame at a time, and within limits by the size of their files.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::dicom::codec::DECODER_BYTES_PER_PIXEL;
use crate::dicom::error::DicomError;
use crate::dicom::pixels::Image;
use crate::dicom::slice::Slice;
use crate::dicom::stack_finding::StackFinding;
use crate::dicom::syntax::TransferSyntax;

/// Limit of inflated or decoded bytes of a comparison: a base, shared by stacks that were found together, and per byte
/// of a stack's files.
const COMPARED_BASE: u64 = 32 << 20;
const COMPARED_PER_BYTE: u64 = 32;

/// Memory limit for decoding a frame before its pixels are requested: a base, and per byte of the files.
const DECODED_BASE: u64 = 48 << 20;
const DECODED_PER_BYTE: u64 = 8;

/// Bytes of a decoded pixel.
const VALUE_BYTES: u64 = 4;

/// A digest, or `None` where computing it would exceed the allowance.
type Digest = Option<[u8; 32]>;

/// Compares slices at one position; returns the reason to refuse them if any are not copies.
pub(super) fn compare(
    places: &[Vec<&Slice>],
    mut allowance: Allowance,
) -> Result<Option<StackFinding>, DicomError> {
    let stored = digests(places, |image, frames| {
        if image.header.syntax == TransferSyntax::Deflated && !allowance.take(inflated(image)) {
            return Ok(vec![None; frames.len()]);
        }
        Ok(image
            .stored_digests(frames)?
            .into_iter()
            .map(Some)
            .collect())
    })?;
    let open: Vec<Vec<&Slice>> = places
        .iter()
        .zip(stored)
        .filter(|(_, digests)| agreement(digests) != Agreement::Same)
        .map(|(place, _)| place.clone())
        .collect();
    let values = digests(&open, |image, frames| allowance.values(image, frames))?;
    let count = |wanted| {
        let agreements = values.iter().map(|digests| agreement(digests));
        agreements.filter(|found| *found == wanted).count()
    };
    Ok(
        match (count(Agreement::Different), count(Agreement::Unknown)) {
            (0, 0) => None,
            (0, places) => Some(StackFinding::Uncompared { places }),
            (places, _) => Some(StackFinding::Conflict { places }),
        },
    )
}

fn limit(base: u64, per_byte: u64, bytes: u64) -> u64 {
    bytes.saturating_mul(per_byte).saturating_add(base)
}

/// Bytes that are inflated to read the pixels of an image once.
fn inflated(image: &Image) -> u64 {
    image
        .header
        .pixels
        .offset
        .saturating_add(image.pixel_bytes())
}

/// Remaining bytes that a comparison may inflate or decode.
pub(super) struct Allowance {
    compared: u64,
    decoded: u64,
}

impl Allowance {
    /// The allowance of a stack whose files have `bytes` bytes, one of `stacks` that were found together.
    pub fn new(bytes: u64, stacks: usize) -> Self {
        let base = COMPARED_BASE / stacks.max(1) as u64;
        Self {
            compared: limit(base, COMPARED_PER_BYTE, bytes),
            // Stacks are compared one after the other.
            decoded: limit(DECODED_BASE, DECODED_PER_BYTE, bytes),
        }
    }

    fn take(&mut self, bytes: u64) -> bool {
        let left = self.compared.checked_sub(bytes);
        self.compared = left.unwrap_or(self.compared);
        left.is_some()
    }

    /// Digests of the values of frames.
    fn values(&mut self, image: &Image, frames: &[usize]) -> Result<Vec<Digest>, DicomError> {
        let header = &image.header;
        let native = !header.syntax.is_encapsulated();
        if native {
            let is_deflated = header.syntax == TransferSyntax::Deflated;
            if is_deflated && !self.take(inflated(image)) {
                return Ok(vec![None; frames.len()]);
            }
            let digests = image.value_digests(frames)?;
            return Ok(digests.into_iter().map(Some).collect());
        }
        let pixels = (header.columns * header.rows) as u64;
        if pixels.saturating_mul(DECODER_BYTES_PER_PIXEL + VALUE_BYTES) > self.decoded {
            return Ok(vec![None; frames.len()]);
        }
        let found = image.find()?;
        let digest = |&frame: &usize| {
            if !self.take(VALUE_BYTES * pixels) {
                return Ok(None);
            }
            image.value_digest(frame, &found).map(Some)
        };
        frames.iter().map(digest).collect()
    }
}

/// A frame, and the number of its position and its index there.
type Wanted = (usize, [usize; 2]);

/// Digests of all slices, by position; each image is read once.
fn digests(
    places: &[Vec<&Slice>],
    mut of: impl FnMut(&Image, &[usize]) -> Result<Vec<Digest>, DicomError>,
) -> Result<Vec<Vec<Digest>>, DicomError> {
    let mut numbers: HashMap<*const Image, usize> = HashMap::new();
    // In the order of images, so that the use of the allowance does not depend on addresses.
    let mut by_image: BTreeMap<usize, (&Image, Vec<Wanted>)> = BTreeMap::new();
    for (number, place) in places.iter().enumerate() {
        for (index, slice) in place.iter().enumerate() {
            let next = numbers.len();
            let image = *numbers.entry(Arc::as_ptr(&slice.image)).or_insert(next);
            let (_, frames) = by_image
                .entry(image)
                .or_insert_with(|| (&*slice.image, Vec::new()));
            frames.push((slice.frame, [number, index]));
        }
    }
    let mut digests: Vec<Vec<Digest>> =
        places.iter().map(|place| vec![None; place.len()]).collect();
    for (image, mut slices) in by_image.into_values() {
        slices.sort_unstable();
        let frames: Vec<usize> = slices.iter().map(|(frame, _)| *frame).collect();
        for (digest, (_, [number, index])) in of(image, &frames)?.into_iter().zip(slices) {
            digests[number][index] = digest;
        }
    }
    Ok(digests)
}

/// Result of a comparison of slices at one position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Agreement {
    Same,
    Different,
    Unknown,
}

fn agreement(digests: &[Digest]) -> Agreement {
    let mut known = digests.iter().flatten();
    let first = known.next();
    if known.any(|digest| Some(digest) != first) {
        Agreement::Different
    } else if digests.iter().all(Option::is_some) {
        Agreement::Same
    } else {
        Agreement::Unknown
    }
}
