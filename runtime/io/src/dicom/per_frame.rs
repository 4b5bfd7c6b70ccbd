//! The values of many items, one behind the other: an item takes a few bytes more than its values.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

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

    /// Of each item, the first that holds the same: itself where none before it does.
    pub fn first_alike(&self) -> Vec<usize> {
        let mut firsts: HashMap<Item, usize> = HashMap::new();
        let items = 0..self.len();
        items
            .map(|item| *firsts.entry(Item { all: self, item }).or_insert(item))
            .collect()
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

/// An item, compared by what it holds.
#[derive(Clone, Copy)]
struct Item<'a> {
    all: &'a PerFrame,
    item: usize,
}

impl<'a> Item<'a> {
    fn values(self) -> impl ExactSizeIterator<Item = (Tag, &'a [u8])> {
        let places = self.all.places(self.item).iter();
        places.map(move |place| (place.tag, self.all.bytes_of(place)))
    }
}

impl PartialEq for Item<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.values().eq(other.values())
    }
}

impl Eq for Item<'_> {}

impl Hash for Item<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for (Tag(group, element), value) in self.values() {
            (group, element, value).hash(state);
        }
    }
}

fn number(count: usize) -> Result<u32, HeaderError> {
    u32::try_from(count).map_err(|_| HeaderError::TooMuch {
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
