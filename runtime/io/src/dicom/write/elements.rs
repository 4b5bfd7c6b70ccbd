//! Builds data sets.

use dicom_core::value::DataSetSequence;
use dicom_core::{DataElement, PrimitiveValue, Tag, VR};
use dicom_dictionary_std::tags;
use dicom_object::InMemDicomObject;

use crate::dicom::write::code::Code;

/// Attributes of a data set or of an item.
#[derive(Clone)]
pub(super) struct ElementSet(InMemDicomObject);

impl ElementSet {
    pub fn new() -> Self {
        Self(InMemDicomObject::new_empty())
    }

    pub fn object(&self) -> &InMemDicomObject {
        &self.0
    }

    fn put(mut self, tag: Tag, vr: VR, value: PrimitiveValue) -> Self {
        self.0.put(DataElement::new(tag, vr, value));
        self
    }

    /// A text in the file's character set: that of the source, or UTF-8 where a text of the result is not ASCII.
    pub fn text(self, tag: Tag, vr: VR, text: &str) -> Self {
        self.bytes(tag, vr, text.as_bytes())
    }

    pub fn bytes(self, tag: Tag, vr: VR, bytes: &[u8]) -> Self {
        if bytes.is_empty() {
            return self.put(tag, vr, PrimitiveValue::Empty);
        }
        match (vr, std::str::from_utf8(bytes)) {
            // Numbers as text, and UIDs, which are not padded with blanks.
            (VR::DS | VR::IS | VR::UI, Ok(text)) => self.put(tag, vr, PrimitiveValue::from(text)),
            _ => {
                let mut bytes = bytes.to_vec();
                if bytes.len() % 2 == 1 {
                    bytes.push(b' ');
                }
                self.put(tag, vr, PrimitiveValue::U8(bytes.into()))
            }
        }
    }

    /// An attribute without a value.
    pub fn empty(self, tag: Tag, vr: VR) -> Self {
        self.put(tag, vr, PrimitiveValue::Empty)
    }

    /// A code string, or several.
    pub fn word(self, tag: Tag, word: &str) -> Self {
        self.text(tag, VR::CS, word)
    }

    pub fn uid(self, tag: Tag, uid: &str) -> Self {
        self.text(tag, VR::UI, uid)
    }

    /// A number of 16 bits.
    pub fn short(self, tag: Tag, value: u16) -> Self {
        self.put(tag, VR::US, PrimitiveValue::from(value))
    }

    /// Numbers of 16 bits.
    pub fn shorts<const N: usize>(self, tag: Tag, values: [u16; N]) -> Self {
        self.put(tag, VR::US, PrimitiveValue::U16(values.to_vec().into()))
    }

    /// Numbers of 32 bits.
    pub fn longs(self, tag: Tag, values: &[u32]) -> Self {
        self.put(tag, VR::UL, PrimitiveValue::U32(values.into()))
    }

    /// A number of 64 bits.
    pub fn double(self, tag: Tag, value: f64) -> Self {
        self.put(tag, VR::FD, PrimitiveValue::from(value))
    }

    /// The name of an attribute.
    pub fn pointer(self, tag: Tag, to: Tag) -> Self {
        self.put(tag, VR::AT, PrimitiveValue::from(to))
    }

    /// A whole number as text.
    pub fn integer(self, tag: Tag, value: impl ToString) -> Self {
        self.text(tag, VR::IS, &value.to_string())
    }

    pub fn decimals(self, tag: Tag, values: &[f64]) -> Self {
        let texts: Vec<String> = values.iter().map(|value| decimal(*value)).collect();
        self.text(tag, VR::DS, &texts.join("\\"))
    }

    pub fn sequence(mut self, tag: Tag, items: impl IntoIterator<Item = Self>) -> Self {
        let items: Vec<_> = items.into_iter().map(|item| item.0).collect();
        let sequence = DataSetSequence::from(items);
        self.0.put(DataElement::new(tag, VR::SQ, sequence));
        self
    }

    /// The item of a code sequence.
    pub fn code_item(code: &Code) -> Self {
        // Short strings end at 16 characters.
        let item = if code.value.chars().count() > 16 {
            Self::new().text(tags::LONG_CODE_VALUE, VR::UC, &code.value)
        } else {
            Self::new().text(tags::CODE_VALUE, VR::SH, &code.value)
        };
        item.text(tags::CODING_SCHEME_DESIGNATOR, VR::SH, &code.scheme)
            .text(tags::CODE_MEANING, VR::LO, &code.meaning)
    }

    /// A code sequence of one item.
    pub fn code(self, tag: Tag, code: &Code) -> Self {
        self.sequence(tag, [Self::code_item(code)])
    }

    pub fn without(mut self, tag: Tag) -> Self {
        self.0.remove_element(tag);
        self
    }

    /// Adds all attributes of another set, which this one must not have.
    pub fn with(mut self, other: Self) -> Self {
        for element in other.0 {
            self.0.put(element);
        }
        self
    }
}

/// Characters of a decimal string (PS3.5 6.2).
const DECIMAL_LENGTH: usize = 16;

/// A number in at most 16 characters, as precise as they permit.
pub(super) fn decimal(value: f64) -> String {
    // Turns -0 into 0.
    let value = value + 0.0;
    let shortest = value.to_string();
    if shortest.len() <= DECIMAL_LENGTH {
        return shortest;
    }
    let fits = |text: &String| text.len() <= DECIMAL_LENGTH;
    let fixed = (0..DECIMAL_LENGTH)
        .rev()
        .map(|digits| format!("{value:.digits$}"))
        .find(fits)
        .map(|text| match text.contains('.') {
            true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
            false => text,
        });
    let scientific = (0..DECIMAL_LENGTH)
        .rev()
        .map(|digits| format!("{value:.digits$e}"))
        .find(fits);
    let distance = |text: &String| {
        text.parse()
            .map_or(f64::INFINITY, |found: f64| (found - value).abs())
    };
    [fixed, scientific]
        .into_iter()
        .flatten()
        .min_by(|a, b| distance(a).total_cmp(&distance(b)))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn decimals_are_short() {
        for (value, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.5, "1.5"),
            (0.1 + 0.2, "0.3"),
            (-1.0 / 3.0, "-0.3333333333333"),
            (1e-20, "1.0000000000e-20"),
        ] {
            assert_eq!(decimal(value), expected);
        }
    }

    proptest! {
        #[test]
        fn decimals_are_near(value in proptest::num::f64::NORMAL) {
            let text = decimal(value);
            prop_assert!(text.len() <= 16, "{text}");
            let found: f64 = text.parse().unwrap();
            prop_assert!((found - value).abs() <= 1e-8 * value.abs(), "{text}");
        }
    }
}
