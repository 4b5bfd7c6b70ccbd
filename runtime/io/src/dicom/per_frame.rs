//! The values of many items, one behind the other: an item takes a few bytes more than its values.

use crate::dicom::error::HeaderError;
use crate::dicom::tag::Tag;

/// Values of the items of per-frame functional groups.
#[derive(Default)]
pub(super) struct PerFrame {
    /// Of each item, the first of its values.
    starts: Vec<u32>,
    values: Vec<Place>,
    bytes: Vec<u8>,
}

/// A value of an item.
struct Place {
    tag: Tag,
    start: u32,
    length: u32,
}

impl PerFrame {
    /// Begins an item.
    pub fn begin(&mut self) -> Result<(), HeaderError> {
        self.starts.push(number(self.values.len())?);
        Ok(())
    }

    /// Adds a value to the last item, unless it has one of this attribute.
    pub fn add(&mut self, tag: Tag, value: &[u8]) -> Result<(), HeaderError> {
        let Some(last) = self.starts.len().checked_sub(1) else {
            return Ok(());
        };
        if self.get(last, tag).is_none() {
            let (start, length) = (number(self.bytes.len())?, number(value.len())?);
            self.bytes.extend_from_slice(value);
            self.values.push(Place { tag, start, length });
        }
        Ok(())
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The value of an attribute in an item.
    pub fn get(&self, item: usize, tag: Tag) -> Option<&[u8]> {
        let place = self.places(item).iter().find(|place| place.tag == tag)?;
        Some(self.bytes_of(place))
    }

    /// Whether two items hold the same.
    pub fn is_same(&self, a: usize, b: usize) -> bool {
        let (a, b) = (self.places(a), self.places(b));
        a.len() == b.len()
            && a.iter()
                .zip(b)
                .all(|(a, b)| a.tag == b.tag && self.bytes_of(a) == self.bytes_of(b))
    }

    fn places(&self, item: usize) -> &[Place] {
        let Some(&start) = self.starts.get(item) else {
            return &[];
        };
        let next = self.starts.get(item + 1);
        let end = next.map_or(self.values.len(), |next| *next as usize);
        &self.values[start as usize..end]
    }

    fn bytes_of(&self, place: &Place) -> &[u8] {
        &self.bytes[place.start as usize..][..place.length as usize]
    }
}

fn number(count: usize) -> Result<u32, HeaderError> {
    u32::try_from(count).map_err(|_| HeaderError::TooMuch {
        limit: u32::MAX.into(),
    })
}
