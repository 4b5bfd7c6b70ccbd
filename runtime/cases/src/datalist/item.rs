//! The JSON of a datalist: lists of items, each with files under its keys.

use serde_json::{Map, Value};

use super::error::{DatalistError, ItemError};

/// A list of a datalist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Cases to train on, and if they have folds, to validate on.
    Training,
    /// Cases to validate on.
    Validation,
    /// Cases that training does not use.
    Testing,
}

impl List {
    pub const ALL: [Self; 3] = [Self::Training, Self::Validation, Self::Testing];

    /// Its key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Testing => "testing",
        }
    }

    /// The key that files of the Medical Segmentation Decathlon have for it instead.
    pub(super) fn other_key(self) -> Option<&'static str> {
        (self == Self::Testing).then_some("test")
    }
}

/// Keys of items that every datalist may have.
pub(super) const ITEM_KEYS: [&str; 4] = ["image", "label", "fold", "patient"];

/// The mark of UTF-8 that some editors put before a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The lists of a file.
pub(super) struct Lists(pub Map<String, Value>);

impl Lists {
    pub fn from_json(bytes: &[u8]) -> Result<Self, DatalistError> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        match serde_json::from_slice(bytes).map_err(|source| DatalistError::Json { source })? {
            Value::Object(lists) => Ok(Self(lists)),
            other => Err(DatalistError::NoLists {
                found: kind(&other),
            }),
        }
    }

    /// Applies `read` to the items of a list; empty where there is no such list.
    pub fn take<T>(
        &mut self,
        list: List,
        read: impl Fn(Value) -> Result<T, ItemError>,
    ) -> Result<Vec<T>, DatalistError> {
        let mut found = self.0.remove(list.key());
        if let (None | Some(Value::Null), Some(other)) = (&found, list.other_key()) {
            found = self.0.remove(other);
        }
        let list = list.key();
        let items = match found {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::Array(items)) => items,
            Some(other) => {
                return Err(DatalistError::List {
                    list,
                    found: kind(&other),
                });
            }
        };
        let in_list =
            |(index, value)| read(value).map_err(|rule| DatalistError::Item { list, index, rule });
        items.into_iter().enumerate().map(in_list).collect()
    }
}

/// An item whose values are removed as they are read; `null` counts as absent.
pub(super) struct DatalistItem(pub Map<String, Value>);

impl DatalistItem {
    pub fn new(value: Value) -> Result<Self, ItemError> {
        match value {
            Value::Object(item) => Ok(Self(item)),
            other => Err(ItemError::NoObject {
                found: kind(&other),
            }),
        }
    }

    /// An item that may be just a file, as Auto3DSeg lists test cases.
    pub fn or_image(value: Value) -> Result<Self, ItemError> {
        match value {
            image @ Value::String(_) => Ok(Self(Map::from_iter([("image".to_owned(), image)]))),
            value => Self::new(value),
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).filter(|value| !value.is_null())
    }

    /// The files under `image`; none where it is absent.
    pub fn images(&mut self) -> Result<Vec<String>, ItemError> {
        let images = self.take("image").map(|value| files("image", value));
        Ok(images.transpose()?.unwrap_or_default())
    }

    /// The one file under a key.
    pub fn file(&mut self, key: &str) -> Result<Option<String>, ItemError> {
        self.take(key).map(|value| one_file(key, value)).transpose()
    }

    pub fn fold(&mut self) -> Result<Option<usize>, ItemError> {
        let fold = self.take("fold").map(|value| {
            let whole = match &value {
                Value::String(digits) => digits.parse().ok(),
                value => value.as_u64().and_then(|fold| usize::try_from(fold).ok()),
            };
            whole.ok_or_else(|| ItemError::Fold {
                found: value.to_string(),
            })
        });
        fold.transpose()
    }

    pub fn patient(&mut self) -> Result<Option<String>, ItemError> {
        let patient = self.take("patient").map(|value| match value {
            Value::String(name) => Ok(name),
            Value::Number(number) => Ok(number.to_string()),
            other => Err(ItemError::Patient {
                found: kind(&other),
            }),
        });
        patient.transpose()
    }
}

fn one_file(key: &str, value: Value) -> Result<String, ItemError> {
    match <[String; 1]>::try_from(files(key, value)?) {
        Ok([file]) => Ok(file),
        Err(_) => Err(ItemError::Files {
            key: key.to_owned(),
            found: "a list of several files",
            expected: "one file",
        }),
    }
}

fn files(key: &str, value: Value) -> Result<Vec<String>, ItemError> {
    let wrong = |found| ItemError::Files {
        key: key.to_owned(),
        found,
        expected: "a file or a list of files",
    };
    let values = match value {
        Value::Array(values) => values,
        value => vec![value],
    };
    if values.is_empty() {
        return Err(wrong("an empty list"));
    }
    let file = |value: Value| match value {
        Value::String(path) if !path.is_empty() => Ok(path),
        other => Err(wrong(kind(&other))),
    };
    values.into_iter().map(file).collect()
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(text) if text.is_empty() => "an empty text",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
