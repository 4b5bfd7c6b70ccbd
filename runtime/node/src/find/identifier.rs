//! Identifiers of C-FIND: a few elements in implicit little endian (PS3.5 7.1.3, PS3.4 C.2.2.1).
//!
//! Only UIDs, modalities and numbers of an answer are kept; other texts count as absent.

use std::collections::BTreeMap;

type Tag = (u16, u16);

pub const INSTANCE: Tag = (0x0008, 0x0018);
const LEVEL: Tag = (0x0008, 0x0052);
pub const MODALITY: Tag = (0x0008, 0x0060);
pub const STUDY: Tag = (0x0020, 0x000d);
pub const SERIES: Tag = (0x0020, 0x000e);
/// Number of Study Related Instances.
pub const STUDY_INSTANCES: Tag = (0x0020, 0x1208);
/// Number of Series Related Instances.
pub const SERIES_INSTANCES: Tag = (0x0020, 0x1209);

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identifier(BTreeMap<Tag, String>);

impl Identifier {
    /// Keys of a query at a level: `STUDY`, `SERIES` or `IMAGE`.
    pub fn at(level: &str) -> Self {
        Self(BTreeMap::from([(LEVEL, level.to_owned())]))
    }

    /// Adds a key; an empty text requests the element.
    pub fn put(&mut self, tag: Tag, text: &str) {
        self.0.insert(tag, text.to_owned());
    }

    /// The text of an element.
    pub fn text(&self, tag: Tag) -> Option<&str> {
        self.0.get(&tag).map(String::as_str)
    }

    /// The number of an element.
    pub fn number(&self, tag: Tag) -> Option<usize> {
        self.text(tag)?.parse().ok()
    }

    /// Whether a UID is present and equal, as the unique key of the level must be in every answer (PS3.4 C.2.2.1.1).
    pub fn names(&self, tag: Tag, uid: &str) -> bool {
        self.text(tag) == Some(uid)
    }

    /// Whether a UID is equal or absent.
    pub fn is(&self, tag: Tag, uid: &str) -> bool {
        self.text(tag).is_none_or(|found| found == uid)
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (tag, text) in &self.0 {
            let padding = if is_uid(*tag) { b'\0' } else { b' ' };
            let mut value = text.as_bytes().to_vec();
            if value.len() % 2 == 1 {
                value.push(padding);
            }
            bytes.extend(tag.0.to_le_bytes());
            bytes.extend(tag.1.to_le_bytes());
            bytes.extend((value.len() as u32).to_le_bytes());
            bytes.extend(value);
        }
        bytes
    }

    /// Decodes a data set; `None` where an element reaches beyond it or has no length.
    pub fn decode(mut bytes: &[u8]) -> Option<Self> {
        let mut found = BTreeMap::new();
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_first_chunk::<8>()?;
            let [g0, g1, e0, e1, l0, l1, l2, l3] = *head;
            let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
            let (value, rest) = rest.split_at_checked(length)?;
            bytes = rest;
            let tag = (u16::from_le_bytes([g0, g1]), u16::from_le_bytes([e0, e1]));
            if let Some(text) = text(tag, value) {
                found.insert(tag, text);
            }
        }
        Some(Self(found))
    }
}

fn is_uid(tag: Tag) -> bool {
    [INSTANCE, STUDY, SERIES].contains(&tag)
}

/// The text of a known element, if it is valid.
fn text(tag: Tag, value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    let text = text.trim_matches([' ', '\0']);
    let (length, fits): (_, fn(u8) -> bool) = match tag {
        MODALITY => (16, |byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit()
        }),
        STUDY_INSTANCES | SERIES_INSTANCES => (8, |byte| byte.is_ascii_digit()),
        _ if is_uid(tag) => (64, |byte| byte == b'.' || byte.is_ascii_digit()),
        _ => return None,
    };
    let is_one = !text.is_empty() && text.len() <= length && text.bytes().all(fits);
    is_one.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer() -> Identifier {
        let mut answer = Identifier::default();
        answer.put(MODALITY, "CT");
        answer.put(STUDY, "1.2.3");
        answer.put(SERIES, "1.2.3.4");
        answer.put(SERIES_INSTANCES, "120");
        answer
    }

    #[test]
    fn keys_are_encoded_in_order_and_even() {
        let mut keys = Identifier::at("SERIES");
        keys.put(SERIES_INSTANCES, "");
        keys.put(STUDY, "1.2.3");
        let bytes = keys.encode();
        let expected = [
            &[8, 0, 0x52, 0, 6, 0, 0, 0][..],
            b"SERIES",
            &[0x20, 0, 0x0d, 0, 6, 0, 0, 0],
            b"1.2.3\0",
            &[0x20, 0, 0x09, 0x12, 0, 0, 0, 0],
        ];
        assert_eq!(bytes, expected.concat());
    }

    #[test]
    fn answers_come_back_as_they_were_put() {
        let answer = answer();
        assert_eq!(Identifier::decode(&answer.encode()), Some(answer.clone()));
        assert_eq!(answer.number(SERIES_INSTANCES), Some(120));
        assert_eq!(answer.number(STUDY_INSTANCES), None);
        assert!(answer.is(STUDY, "1.2.3") && !answer.is(STUDY, "1.2"));
        assert!(answer.is(INSTANCE, "1.2"), "it is not told");
        assert!(answer.names(STUDY, "1.2.3") && !answer.names(INSTANCE, "1.2"));
    }

    #[test]
    fn only_uids_modalities_and_numbers_are_kept() {
        let mut odd = Identifier::default();
        odd.put(STUDY, "DOE^JOHN");
        odd.put(SERIES_INSTANCES, "-3");
        odd.put(STUDY_INSTANCES, "999999999");
        odd.put((0x0010, 0x0010), "DOE^JOHN");
        assert_eq!(
            Identifier::decode(&odd.encode()),
            Some(Identifier::default())
        );
    }

    #[test]
    fn no_cut_or_changed_answer_panics() {
        let whole = answer().encode();
        for length in 0..whole.len() {
            let _ = Identifier::decode(&whole[..length]);
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = value;
                let _ = Identifier::decode(&changed);
            }
        }
        assert_eq!(
            Identifier::decode(&[8, 0, 5, 0, 0xff, 0xff, 0xff, 0xff]),
            None
        );
    }
}
