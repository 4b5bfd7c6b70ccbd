//! A label map and its segments.

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use vesal_volume::LabelMap;

use crate::dicom::write::catalog::{self, TISSUE};
use crate::dicom::write::code::{Code, check_text};
use crate::dicom::write::color;
use crate::dicom::write::error::Unwritable;
use crate::dicom::write::uid::digest;

/// Voxels that are digested at once.
const BLOCK_VOXELS: usize = 1 << 14;

/// A label or region of a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// Its value in the map; of a region its bit.
    pub value: u16,
    /// Segment label, at most 64 characters.
    pub name: String,
    /// Property category: an anatomical structure, an altered one, a substance.
    pub category: Code,
    pub kind: Code,
    /// Its side, where it has one.
    pub modifier: Option<Code>,
    /// Color for display in sRGB; `None` gives one by the value.
    pub color: Option<[u8; 3]>,
}

impl Segment {
    /// A segment with a name but no code.
    ///
    /// **Definition**: common organs and lesions are found by their English name, with a side before or behind it;
    /// other names are coded as tissue, with the name as label.
    pub fn named(value: u16, name: impl Into<String>) -> Self {
        let name = name.into();
        let (category, kind, modifier) =
            catalog::find(&name).unwrap_or_else(|| (TISSUE.clone(), TISSUE.clone(), None));
        Self {
            value,
            name,
            category,
            kind,
            modifier,
            color: None,
        }
    }

    pub(super) fn color(&self, index: usize) -> [u8; 3] {
        self.color.unwrap_or_else(|| color::of_number(index))
    }

    fn check(&self) -> Result<(), Unwritable> {
        check_text("name of a segment", &self.name, 64)?;
        self.category.check()?;
        self.kind.check()?;
        self.modifier.as_ref().map_or(Ok(()), Code::check)
    }

    /// The parts of a segment besides texts that UIDs depend on.
    pub(super) fn looks(&self) -> String {
        format!("{} {:?}", self.value, self.color)
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let codes = [&self.category, &self.kind].into_iter();
        std::iter::once(self.name.as_str()).chain(
            codes
                .chain(&self.modifier)
                .flat_map(|code| [&*code.value, &*code.scheme, &*code.meaning]),
        )
    }
}

/// A label map and its segments.
#[derive(Debug, Clone, Copy)]
pub struct SegmentedMap<'a> {
    /// Labels, or the sums of the bits of regions.
    pub map: &'a LabelMap,
    /// The segments, in the order of their numbers.
    pub segments: &'a [Segment],
    /// Whether values are sums of bits, one for each region, so that regions may overlap.
    pub regions: bool,
}

impl<'a> SegmentedMap<'a> {
    pub(super) fn texts(&self) -> impl Iterator<Item = &'a str> {
        self.segments.iter().flat_map(Segment::texts)
    }

    /// Digest of the map: its voxels and where they lie.
    pub(super) fn content(&self) -> [u8; 32] {
        let data = self.map.data.as_standard_layout();
        let blocks: Vec<[u8; 32]> = data
            .as_slice()
            .unwrap_or_default()
            .par_chunks(BLOCK_VOXELS)
            .map(|block| {
                // Most voxels are background.
                if block.iter().all(|value| *value == 0) {
                    return [0; 32];
                }
                let bytes: Vec<u8> = block.iter().flat_map(|value| value.to_le_bytes()).collect();
                Sha256::digest(bytes).into()
            })
            .collect();
        let place = format!("{:?} {:?}", self.map.data.shape(), self.map.affine);
        digest([place.as_bytes(), blocks.as_flattened()])
    }

    /// Whether a value stands for a segment.
    pub(super) fn holds(&self, segment: &Segment, value: u16) -> bool {
        if self.regions {
            value & segment.value != 0
        } else {
            value == segment.value
        }
    }

    /// Checks the segments, without looking at the map.
    pub(super) fn check(&self) -> Result<(), Unwritable> {
        if self.segments.is_empty() {
            return Err(Unwritable::NoSegments);
        }
        for (index, segment) in self.segments.iter().enumerate() {
            segment.check()?;
            let expected = match self.regions {
                true if !segment.value.is_power_of_two() => "one bit",
                false if segment.value == 0 => "more than 0, which is background",
                _ => "",
            };
            if !expected.is_empty() {
                return Err(Unwritable::Value {
                    segment: segment.name.clone(),
                    value: segment.value,
                    expected,
                });
            }
            let same = |other: &&Segment| other.value == segment.value;
            if let Some(first) = self.segments[..index].iter().find(same) {
                return Err(Unwritable::Duplicate {
                    first: first.name.clone(),
                    second: segment.name.clone(),
                    value: segment.value,
                });
            }
        }
        Ok(())
    }
}
