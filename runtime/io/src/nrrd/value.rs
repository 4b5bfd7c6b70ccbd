//! Parsing of the values of fields.

use super::error::NrrdError;
use super::lines::Field;
use crate::image::data_files::shown;
use crate::image::header::{ByteOrder, DataType};
use crate::image::parts::DataEncoding;

/// The name of an encoding in the format.
pub(super) fn encoding_name(encoding: DataEncoding) -> &'static str {
    match encoding {
        DataEncoding::Raw => "raw",
        DataEncoding::Gzip | DataEncoding::Zlib => "gzip",
        DataEncoding::Text => "text",
    }
}

/// The error of a value that is not what the field takes.
pub(super) fn wrong(field: Field, found: &str, expected: &'static str) -> NrrdError {
    NrrdError::Value {
        field: field.name(),
        found: shown(found),
        expected,
    }
}

pub(super) fn data_type(text: &str) -> Result<DataType, NrrdError> {
    let lower = text.to_ascii_lowercase();
    let words: Vec<_> = lower.split_whitespace().collect();
    Ok(match words.join(" ").as_str() {
        "signed char" | "int8" | "int8_t" => DataType::I8,
        "uchar" | "unsigned char" | "uint8" | "uint8_t" => DataType::U8,
        "short" | "short int" | "signed short" | "signed short int" | "int16" | "int16_t" => {
            DataType::I16
        }
        "ushort" | "unsigned short" | "unsigned short int" | "uint16" | "uint16_t" => DataType::U16,
        "int" | "signed int" | "int32" | "int32_t" => DataType::I32,
        "uint" | "unsigned int" | "uint32" | "uint32_t" => DataType::U32,
        "longlong"
        | "long long"
        | "long long int"
        | "signed long long"
        | "signed long long int"
        | "int64"
        | "int64_t" => DataType::I64,
        "ulonglong" | "unsigned long long" | "unsigned long long int" | "uint64" | "uint64_t" => {
            DataType::U64
        }
        "float" => DataType::F32,
        "double" => DataType::F64,
        _ => {
            return Err(wrong(
                Field::Type,
                text,
                "an integer type of 8 to 64 bits, `float` or `double`",
            ));
        }
    })
}

pub(super) fn encoding(text: &str) -> Result<DataEncoding, NrrdError> {
    match text.to_ascii_lowercase().as_str() {
        "raw" => Ok(DataEncoding::Raw),
        "gz" | "gzip" => Ok(DataEncoding::Gzip),
        "txt" | "text" | "ascii" => Ok(DataEncoding::Text),
        "hex" | "bz2" | "bzip2" => Err(NrrdError::Unsupported {
            field: "encoding",
            found: text.to_ascii_lowercase(),
            expected: "raw, gzip or text",
        }),
        _ => Err(wrong(Field::Encoding, text, "`raw`, `gzip` or `text`")),
    }
}

pub(super) fn byte_order(text: &str) -> Result<ByteOrder, NrrdError> {
    match text.to_ascii_lowercase().as_str() {
        "little" => Ok(ByteOrder::Little),
        "big" => Ok(ByteOrder::Big),
        _ => Err(wrong(Field::Endian, text, "`little` or `big`")),
    }
}

/// A whole number of at least `least`.
pub(super) fn whole(field: Field, text: &str, least: i64) -> Result<i64, NrrdError> {
    let number = text.parse().ok().filter(|&number: &i64| number >= least);
    let expected = match least {
        1.. => "a whole number from 1",
        0 => "a whole number from 0",
        _ => "a whole number from 0, or -1",
    };
    number.ok_or_else(|| wrong(field, text, expected))
}

/// One entry for each axis.
pub(super) fn per_axis<T>(
    field: Field,
    text: &str,
    dimension: usize,
    entry: impl Fn(&str) -> Result<T, NrrdError>,
) -> Result<Vec<T>, NrrdError> {
    let words: Vec<_> = words(text);
    if words.len() != dimension {
        return Err(NrrdError::Count {
            field: field.name(),
            found: words.len(),
            expected: dimension,
        });
    }
    words.into_iter().map(entry).collect()
}

/// Words separated by white space; a parenthesized group is one word.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = match rest.find(')') {
            Some(close) if rest.starts_with('(') => close + 1,
            _ => rest.find(char::is_whitespace).unwrap_or(rest.len()),
        };
        words.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    words
}

/// Three numbers in parentheses; the caller checks whether they are finite.
pub(super) fn vector(field: Field, text: &str) -> Result<[f64; 3], NrrdError> {
    let inner = text
        .strip_prefix('(')
        .and_then(|text| text.strip_suffix(')'));
    let numbers: Option<Vec<f64>> = inner.and_then(|inner| {
        let numbers = inner.split(',').map(|number| number.trim().parse().ok());
        numbers.collect()
    });
    numbers
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| wrong(field, text, "three numbers such as `(0,0,2.5)`"))
}

/// Millimeters per unit of length.
pub(super) fn unit_mm(text: &str) -> Result<f64, NrrdError> {
    match text.trim_matches('"').trim() {
        "" | "mm" | "millimeter" | "millimeters" => Ok(1.0),
        "um" | "µm" | "μm" | "micron" | "microns" => Ok(0.001),
        "cm" => Ok(10.0),
        "m" => Ok(1000.0),
        _ => Err(wrong(Field::SpaceUnits, text, "`mm`, `um`, `cm` or `m`")),
    }
}

/// Signs that turn the numbers of a space into RAS.
pub(super) fn to_ras(space: Option<&str>) -> Result<[f64; 3], NrrdError> {
    let lower = space.map(str::to_ascii_lowercase);
    match lower.as_deref() {
        Some("right-anterior-superior" | "ras") => Ok([1.0, 1.0, 1.0]),
        Some("left-anterior-superior" | "las") => Ok([-1.0, 1.0, 1.0]),
        Some("left-posterior-superior" | "lps") => Ok([-1.0, -1.0, 1.0]),
        _ => Err(NrrdError::Space {
            found: space.map(shown),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_words() {
        assert_eq!(
            words(" (1, 0,0)  none (0,1,0) "),
            ["(1, 0,0)", "none", "(0,1,0)"]
        );
        assert_eq!(words("(1,0"), ["(1,0"]);
        assert_eq!(words(" "), [""; 0]);
        assert_eq!(
            vector(Field::SpaceOrigin, "(1, -2.5,3e1)"),
            Ok([1.0, -2.5, 30.0])
        );
        for text in ["", "()", "(1,2)", "(1,2,3,4)", "1,2,3", "(1,2,x)"] {
            assert!(vector(Field::SpaceOrigin, text).is_err(), "{text}");
        }
    }
}
