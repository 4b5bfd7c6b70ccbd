//! The values of many items in contiguous memory: an item takes a few bytes besides its values.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use crate::dicom::error::DicomHeaderError;
use crate::dicom::tag::Tag;

/// Values of the items of per-frame functional groups.
#[derive(Default)]
pub(super) struct PerFrame {
    /// For each item, the index of its first value.
    starts: Vec<u32>,
    values: Vec<ValueSpan>,
    bytes: Vec<u8>,
}

/// The place of a value in `bytes`.
struct ValueSpan {
    tag: Tag,
    start: u32,
    length: u32,
}

impl PerFrame {
    pub fn begin(&mut self) -> Result<(), DicomHeaderError> {
        self.starts.push(number(self.values.len())?);
        Ok(())
    }

    /// Adds a value to the last item, unless it already has this attribute.
    pub fn add(&mut self, tag: Tag, value: &[u8]) -> Result<(), DicomHeaderError> {
        let Some(last) = self.starts.len().checked_sub(1) else {
            return Ok(());
        };
        if self.get(last, tag).is_none() {
            let (start, length) = (number(self.bytes.len())?, number(value.len())?);
            self.bytes.extend_from_slice(value);
            self.values.push(ValueSpan { tag, start, length });
        }
        Ok(())
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// The value of an attribute in an item.
    pub fn get(&self, item: usize, tag: Tag) -> Option<&[u8]> {
        let place = self.places(item).iter().find(|place| place.tag == tag)?;
        Some(self.bytes_of(place))
    }

    /// For each item, the first item with equal values, which may be itself.
    pub fn first_alike(&self) -> Vec<usize> {
        let mut firsts: HashMap<FrameItem, usize> = HashMap::new();
        let items = 0..self.len();
        items
            .map(|item| *firsts.entry(FrameItem { all: self, item }).or_insert(item))
            .collect()
    }

    fn places(&self, item: usize) -> &[ValueSpan] {
        let Some(&start) = self.starts.get(item) else {
            return &[];
        };
        let next = self.starts.get(item + 1);
        let end = next.map_or(self.values.len(), |next| *next as usize);
        &self.values[start as usize..end]
    }

    fn bytes_of(&self, place: &ValueSpan) -> &[u8] {
        &self.bytes[place.start as usize..][..place.length as usize]
    }
}

/// An item, compared by its values.
#[derive(Clone, Copy)]
struct FrameItem<'a> {
    all: &'a PerFrame,
    item: usize,
}

impl<'a> FrameItem<'a> {
    fn values(self) -> impl ExactSizeIterator<Item = (Tag, &'a [u8])> {
        let places = self.all.places(self.item).iter();
        places.map(move |place| (place.tag, self.all.bytes_of(place)))
    }
}

impl PartialEq for FrameItem<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.values().eq(other.values())
    }
}

impl Eq for FrameItem<'_> {}

impl Hash for FrameItem<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for (Tag(group, element), value) in self.values() {
            (group, element, value).hash(state);
        }
    }
}

fn number(count: usize) -> Result<u32, DicomHeaderError> {
    u32::try_from(count).map_err(|_| DicomHeaderError::TooMuch {
        limit: u32::MAX.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::tag;

    #[test]
    fn items_that_hold_the_same_are_found() {
        let mut items = PerFrame::default();
        for values in [&[(tag::STACK_ID, "a")][..], &[], &[(tag::STACK_ID, "b")]].repeat(2) {
            items.begin().unwrap();
            for (tag, value) in values {
                items.add(*tag, value.as_bytes()).unwrap();
            }
        }
        items.begin().unwrap();
        items.add(tag::ECHO_TIME, b"a").unwrap();
        assert_eq!(items.first_alike(), [0, 1, 2, 0, 1, 2, 6]);
    }
}
