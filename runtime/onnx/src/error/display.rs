//! Formatting of what is found and expected.

use std::fmt;
use std::ops::RangeInclusive;

/// A number, if there is one.
pub(super) struct Stated<T>(pub Option<T>);

impl<T: fmt::Display> fmt::Display for Stated<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(number) => number.fmt(formatter),
            None => formatter.write_str("none"),
        }
    }
}

/// Numbers that are allowed.
pub(super) struct AllowedRange<'a>(pub &'a RangeInclusive<i64>);

impl fmt::Display for AllowedRange<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = (self.0.start(), self.0.end());
        if least == most {
            least.fmt(formatter)
        } else {
            write!(formatter, "{least} to {most}")
        }
    }
}

/// Number of an element type, and its name.
pub(super) struct Element(pub Option<i32>);

impl fmt::Display for Element {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By number, from 1.
        const NAMES: [&str; 16] = [
            "float",
            "uint8",
            "int8",
            "uint16",
            "int16",
            "int32",
            "int64",
            "string",
            "bool",
            "float16",
            "double",
            "uint32",
            "uint64",
            "complex64",
            "complex128",
            "bfloat16",
        ];
        let index = self
            .0
            .and_then(|number| usize::try_from(number).ok()?.checked_sub(1));
        Stated(self.0).fmt(formatter)?;
        match index.and_then(|index| NAMES.get(index)) {
            Some(name) => write!(formatter, " ({name})"),
            None => Ok(()),
        }
    }
}

/// The first 80 characters of a foreign text.
pub(crate) fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
