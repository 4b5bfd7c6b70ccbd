//! `dataset.json` of the Medical Segmentation Decathlon and of nnU-Net.

use std::path::Path;

use serde_json::{Map, Value};
use vesal_files::regular;

use super::class_list::ClassList;
use super::error::LayoutError;
use super::listed_files::{self, ListedFiles};
use super::oddity::{Oddity, OddityKind};

pub(super) const DATASET_JSON: &str = "dataset.json";

const MAX_FILE_BYTES: u64 = 64 << 20;

/// What the file states.
#[derive(Debug, Default)]
pub(super) struct DatasetJson {
    pub name: Option<String>,
    /// Names of the channels in order.
    pub channels: Vec<String>,
    pub classes: ClassList,
    /// nnU-Net's label that is not trained.
    pub ignored: Option<u16>,
    /// Whether it has keys of nnU-Net v2.
    pub is_nnunet2: bool,
    pub file_ending: Option<String>,
    /// Images and label maps of the training cases, where they are listed.
    pub training: Vec<ListedFiles>,
    /// Images of the test cases, where they are listed.
    pub test: Vec<String>,
    pub num_training: Option<u64>,
    pub num_test: Option<u64>,
    pub oddities: Vec<Oddity>,
}

/// Reads JSON; a byte order mark at its start is skipped.
pub(super) fn read_json(path: &Path, oddities: &mut Vec<Oddity>) -> Result<Value, LayoutError> {
    let read = regular::read_up_to(path, MAX_FILE_BYTES).map_err(|source| LayoutError::Json {
        path: path.to_owned(),
        source,
    })?;
    if read.len() as u64 > MAX_FILE_BYTES {
        let path = path.to_owned();
        let limit = MAX_FILE_BYTES;
        return Err(LayoutError::Large { path, limit });
    }
    let bytes = match read.strip_prefix(b"\xef\xbb\xbf") {
        Some(rest) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            oddities.push(Oddity::new(
                OddityKind::ByteOrderMark,
                vec![name.into_owned()],
            ));
            rest
        }
        None => &read,
    };
    serde_json::from_slice(bytes).map_err(|source| LayoutError::Syntax {
        path: path.to_owned(),
        source,
    })
}

impl DatasetJson {
    /// Reads the file of a dataset's folder.
    pub fn read(folder: &Path) -> Result<Self, LayoutError> {
        let mut oddities = Vec::new();
        let value = read_json(&folder.join(DATASET_JSON), &mut oddities)?;
        let Value::Object(entries) = value else {
            return Err(LayoutError::value("the content", &value, "an object"));
        };
        let mut numbers = JsonNumbers::default();
        let mut read = Self {
            is_nnunet2: entries.contains_key("channel_names")
                || entries.contains_key("file_ending"),
            name: entries
                .get("name")
                .and_then(Value::as_str)
                .map(str::to_owned),
            file_ending: entries
                .get("file_ending")
                .and_then(Value::as_str)
                .map(str::to_owned),
            channels: channels(&entries, &mut numbers)?,
            num_training: count(&entries, "numTraining", &mut numbers)?,
            num_test: count(&entries, "numTest", &mut numbers)?,
            ..Self::default()
        };
        read.labels(&entries, &mut numbers, &mut oddities)?;
        read.training = listed_files::training(&entries)?;
        read.test = listed_files::test(&entries)?;
        for (kind, about) in [
            (OddityKind::FloatNumbers, numbers.floats),
            (OddityKind::TextNumbers, numbers.texts),
        ] {
            if !about.is_empty() {
                oddities.push(Oddity::new(kind, about));
            }
        }
        read.oddities = oddities;
        Ok(read)
    }

    /// `labels`: names of values, or values of names.
    fn labels(
        &mut self,
        entries: &Map<String, Value>,
        numbers: &mut JsonNumbers,
        oddities: &mut Vec<Oddity>,
    ) -> Result<(), LayoutError> {
        let labels = match entries.get("labels") {
            Some(Value::Object(labels)) if !labels.is_empty() => labels,
            Some(other) => {
                return Err(LayoutError::value(
                    "labels",
                    other,
                    "an object of names and values",
                ));
            }
            None => return Err(LayoutError::Missing { key: "labels" }),
        };
        let by_value = labels.keys().all(|key| key.parse::<f64>().is_ok());
        let mut classes: Vec<(String, Vec<u16>)> = Vec::new();
        let mut has_regions = false;
        for (key, value) in labels {
            let at = format!("labels.{key}");
            let (name, values) = match value {
                Value::String(name) if by_value => {
                    let value = numbers.whole(&at, &Value::from(key.as_str()))?;
                    (name.as_str(), vec![value])
                }
                Value::Array(values) if !by_value => {
                    has_regions |= values.len() > 1;
                    let values = values.iter().map(|value| numbers.whole(&at, value));
                    (key.as_str(), values.collect::<Result<_, _>>()?)
                }
                value => (key.as_str(), vec![numbers.whole(&at, value)?]),
            };
            let trimmed = name.trim();
            if trimmed != name {
                oddities.push(Oddity::new(OddityKind::Padded, vec![format!("{name:?}")]));
            }
            match values.as_slice() {
                [] => return Err(LayoutError::value(&at, value, "a label or several")),
                [0] => {
                    if !trimmed.eq_ignore_ascii_case("background") {
                        let about = vec![trimmed.to_owned()];
                        oddities.push(Oddity::new(OddityKind::OtherBackground, about));
                    }
                }
                [value] if self.is_nnunet2 && trimmed == "ignore" => self.ignored = Some(*value),
                values if values.contains(&0) => {
                    let name = trimmed.to_owned();
                    return Err(LayoutError::BackgroundInRegion { name });
                }
                _ => classes.push((trimmed.to_owned(), values)),
            }
        }
        if !has_regions {
            classes.sort_by(|(_, a), (_, b)| a.cmp(b));
        }
        self.classes = ClassList::new(classes);
        match self.classes.is_empty() {
            true => Err(LayoutError::NoClasses),
            false => Ok(()),
        }
    }
}

/// Reader of numbers that some programs write as floats or texts.
#[derive(Debug, Default)]
struct JsonNumbers {
    floats: Vec<String>,
    texts: Vec<String>,
}

impl JsonNumbers {
    fn whole<N: TryFrom<u64>>(&mut self, at: &str, value: &Value) -> Result<N, LayoutError> {
        let expected = "a whole number from 0 to 65535";
        let number = match value {
            Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(number), _) => Some(number),
                (None, Some(float)) if float.fract() == 0.0 && (0.0..1e9).contains(&float) => {
                    self.floats.push(format!("`{at}`: {float:?}"));
                    Some(float as u64)
                }
                _ => None,
            },
            Value::String(text) => {
                let number = text.parse().ok();
                // Keys of an object are texts always.
                let is_key = at.rsplit('.').next() == Some(text);
                let float: Option<f64> = text.parse().ok();
                match (number, float) {
                    (Some(number), _) => {
                        if !is_key {
                            self.texts.push(format!("`{at}`: {text:?}"));
                        }
                        Some(number)
                    }
                    (None, Some(float)) if float.fract() == 0.0 && (0.0..1e9).contains(&float) => {
                        self.floats.push(format!("`{at}`: {text:?}"));
                        Some(float as u64)
                    }
                    _ => None,
                }
            }
            _ => None,
        };
        let number = number.and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| LayoutError::value(at, value, expected))
    }
}

fn count(
    entries: &Map<String, Value>,
    key: &str,
    numbers: &mut JsonNumbers,
) -> Result<Option<u64>, LayoutError> {
    let value = entries.get(key).filter(|value| !value.is_null());
    value.map(|value| numbers.whole(key, value)).transpose()
}

/// Names of the channels in the order of their numbers.
fn channels(
    entries: &Map<String, Value>,
    numbers: &mut JsonNumbers,
) -> Result<Vec<String>, LayoutError> {
    let key = match entries.contains_key("channel_names") {
        true => "channel_names",
        false => "modality",
    };
    let named: Vec<(u64, &Value)> = match entries.get(key) {
        Some(Value::Object(channels)) => channels
            .iter()
            .map(|(number, name)| {
                let at = format!("{key}.{number}");
                let number = numbers.whole(&at, &Value::from(number.as_str()))?;
                Ok((number, name))
            })
            .collect::<Result<_, LayoutError>>()?,
        Some(Value::Array(names)) => (0..).zip(names).collect(),
        Some(name @ Value::String(_)) => vec![(0, name)],
        Some(other) => {
            return Err(LayoutError::value(
                key,
                other,
                "an object such as {\"0\": \"CT\"}",
            ));
        }
        None => {
            return Err(LayoutError::Missing {
                key: "channel_names",
            });
        }
    };
    let mut named = named;
    named.sort_by_key(|(number, _)| *number);
    let name = |(number, name): &(u64, &Value)| match name {
        Value::String(name) if !name.trim().is_empty() => Ok(name.trim().to_owned()),
        other => Err(LayoutError::value(
            &format!("{key}.{number}"),
            other,
            "a name",
        )),
    };
    let names: Vec<String> = named.iter().map(name).collect::<Result<_, _>>()?;
    match names.is_empty() {
        true => Err(LayoutError::Missing {
            key: "channel_names",
        }),
        false => Ok(names),
    }
}
