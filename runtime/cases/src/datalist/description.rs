//! What a datalist says about its cases beside their files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::error::DatalistError;
use super::item::{ITEM_KEYS, List, Lists};

/// Keys that describe a dataset to its readers, as in the `dataset.json` of the Medical Segmentation Decathlon.
const DESCRIPTIVE: [&str; 13] = [
    "name",
    "description",
    "reference",
    "licence",
    "license",
    "release",
    "version",
    "author",
    "date",
    "tensorImageSize",
    "numTraining",
    "numValidation",
    "numTest",
];

/// Names and facts of a datalist that are not files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatasetDescription {
    /// Names of the labels besides 0 by value, `labels`; empty where the datalist names none.
    pub labels: BTreeMap<u16, String>,
    /// Whether `labels` is there in another form, so that it names nothing.
    pub has_other_labels: bool,
    /// Modalities of the channels, `modality`.
    pub modalities: Vec<String>,
    /// Keys of the datalist and of its items that nothing reads.
    pub ignored: BTreeSet<String>,
}

impl DatasetDescription {
    /// Reads the description; `further` are the keys of images on grids of their own.
    ///
    /// **Definition**: `labels` is `{"1": "liver", "2": "tumor"}`, or `{"liver": 1, "tumor": 2}`, with or without 0.
    /// `modality` is a text, a list, or `{"0": "CT"}`.
    ///
    /// **Errors**: [`DatalistError`] for bytes that are no JSON object.
    ///
    /// **Source**: `dataset.json` of the Medical Segmentation Decathlon (Antonelli et al. 2022); the second form of
    /// `labels` is nnU-Net's.
    pub fn from_json(bytes: &[u8], further: &[String]) -> Result<Self, DatalistError> {
        let Lists(mut entries) = Lists::from_json(bytes)?;
        let mut ignored = BTreeSet::new();
        for list in List::ALL {
            for key in std::iter::once(list.key()).chain(list.other_key()) {
                let items = entries.remove(key);
                let items = items.iter().filter_map(Value::as_array).flatten();
                let keys = items.filter_map(Value::as_object).flat_map(Map::keys);
                ignored.extend(keys.filter(|key| !is_read(key, further)).cloned());
            }
        }
        let labels = entries.remove("labels").filter(|value| !value.is_null());
        let names = labels.as_ref().map(label_names);
        let modalities = entries.remove("modality").map(texts).unwrap_or_default();
        ignored.extend(
            entries
                .into_iter()
                .map(|(key, _)| key)
                .filter(|key| !DESCRIPTIVE.contains(&key.as_str())),
        );
        Ok(Self {
            has_other_labels: names == Some(None),
            labels: names.flatten().unwrap_or_default(),
            modalities,
            ignored,
        })
    }
}

fn is_read(key: &str, further: &[String]) -> bool {
    ITEM_KEYS.contains(&key) || further.iter().any(|other| other == key)
}

/// Names by value; `None` where `labels` has another form.
fn label_names(labels: &Value) -> Option<BTreeMap<u16, String>> {
    let mut names = BTreeMap::new();
    for (key, value) in labels.as_object()? {
        let (label, name) = match (key.parse(), value) {
            (Ok(label), Value::String(name)) => (label, name),
            (_, Value::Number(label)) => (u16::try_from(label.as_u64()?).ok()?, key),
            _ => return None,
        };
        if names.insert(label, name.trim().to_owned()).is_some() {
            return None;
        }
    }
    names.remove(&0);
    Some(names)
}

/// All texts of a value, in order; entries of an object in the order of their numbers.
fn texts(value: Value) -> Vec<String> {
    let values: Vec<Value> = match value {
        Value::Array(values) => values,
        Value::Object(entries) => {
            let mut entries: Vec<_> = entries.into_iter().collect();
            entries.sort_by_key(|(key, _)| key.parse().unwrap_or(usize::MAX));
            entries.into_iter().map(|(_, value)| value).collect()
        }
        other => vec![other],
    };
    let text = |value| match value {
        Value::String(text) => Some(text),
        _ => None,
    };
    values.into_iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> DatasetDescription {
        DatasetDescription::from_json(text.as_bytes(), &["pet".to_owned()]).unwrap()
    }

    #[test]
    fn a_decathlon_names_labels_and_modalities() {
        let found = read(
            r#"{"name": "x", "numTraining": 2, "tensorImageSize": "4D", "modality": {"10": "T2", "2": "FLAIR"},
            "labels": {"0": "background", "2": "tumor ", "1": "edema"}, "numTest": 1, "test": ["a.nii"],
            "training": [{"image": "b.nii", "label": "c.nii", "pet": "d.nii", "age": 3, "fold": 0, "patient": "p"}],
            "sources": []}"#,
        );
        let names: Vec<_> = found
            .labels
            .iter()
            .map(|(&value, name)| (value, name.as_str()))
            .collect();
        assert_eq!(names, [(1, "edema"), (2, "tumor")]);
        assert_eq!(found.modalities, ["FLAIR", "T2"]);
        let ignored: Vec<_> = found.ignored.iter().collect();
        assert_eq!(ignored, ["age", "sources"]);
        assert!(!found.has_other_labels);
    }

    #[test]
    fn labels_of_other_forms_name_nothing() {
        let found = read(r#"{"labels": {"background": 0, "tumor": 5}, "modality": "MRI"}"#);
        assert_eq!(found.labels, BTreeMap::from([(5, "tumor".to_owned())]));
        assert_eq!(found.modalities, ["MRI"]);
        for labels in [
            r#"["liver"]"#,
            r#"{"whole": [1, 2]}"#,
            r#"{"1": 2.5}"#,
            r#"{"a": -1}"#,
            r#"{"a": 70000}"#,
            r#"{"a": 1, "b": 1}"#,
            r#"{"1": "a", "b": 1}"#,
            "7",
        ] {
            let found = read(&format!(r#"{{"labels": {labels}}}"#));
            assert!(found.has_other_labels, "{labels}");
            assert!(found.labels.is_empty(), "{labels}");
        }
        assert_eq!(read("{}"), DatasetDescription::default());
        assert_eq!(
            read(r#"{"labels": null, "modality": 3}"#),
            DatasetDescription::default()
        );
        assert!(DatasetDescription::from_json(b"[]", &[]).is_err());
    }
}
