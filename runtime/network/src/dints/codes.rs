//! The matrices by which MONAI states an architecture.

use std::fmt;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The three matrices of an architecture, as MONAI's search writes them. A row is a text of digits or a list of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DintsCodes {
    /// Whether there is a node, `[13, 4]`: the nodes of the input, then those after each block.
    pub node_a: Vec<CodeRow>,
    /// Whether there is a path, `[12, 10]`: blocks and their paths.
    pub code_a: Vec<CodeRow>,
    /// Operations of the paths, `[12, 10]`; those of paths that do not exist have no meaning.
    pub code_c: Vec<CodeRow>,
}

/// A row of small whole numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeRow(pub Vec<u8>);

impl Serialize for CodeRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = self.0.iter().map(u8::to_string).collect();
        serializer.serialize_str(&digits)
    }
}

impl<'de> Deserialize<'de> for CodeRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Row;

        impl<'de> Visitor<'de> for Row {
            type Value = CodeRow;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row of whole numbers from 0 to 9: a text of digits, or a list")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<CodeRow, E> {
                let digits = text.chars().map(|digit| {
                    let digit = digit.to_digit(10).and_then(|digit| digit.try_into().ok());
                    digit.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
                });
                digits.collect::<Result<_, _>>().map(CodeRow)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<CodeRow, A::Error> {
                let mut numbers = Vec::new();
                // Numbers of NumPy's matrices of floats are written with a point.
                while let Some(number) = row.next_element::<f64>()? {
                    if number.fract() != 0. || !(0. ..=9.).contains(&number) {
                        let found = de::Unexpected::Float(number);
                        return Err(de::Error::invalid_value(found, &self));
                    }
                    numbers.push(number as u8);
                }
                Ok(CodeRow(numbers))
            }
        }

        deserializer.deserialize_any(Row)
    }
}
