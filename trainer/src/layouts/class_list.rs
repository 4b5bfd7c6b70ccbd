//! The classes of a dataset.

use serde_yaml_ng::{Mapping, Value};

use super::error::LayoutError;

/// Names of classes with their labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClassList {
    classes: Vec<(String, Vec<u16>)>,
}

impl ClassList {
    pub(super) fn new(classes: Vec<(String, Vec<u16>)>) -> Self {
        Self { classes }
    }

    /// Classes that are called by their labels.
    pub(super) fn of_labels(labels: impl IntoIterator<Item = u16>) -> Self {
        let labels = labels.into_iter();
        Self::new(
            labels
                .map(|label| (format!("label_{label}"), vec![label]))
                .collect(),
        )
    }

    /// The same with other names.
    pub(super) fn named(self, names: &[String]) -> Result<Self, LayoutError> {
        if names.len() != self.classes.len() {
            return Err(LayoutError::ClassNames {
                found: names.len(),
                expected: self.classes.len(),
                labels: self.described().join(", "),
            });
        }
        let classes = names.iter().zip(self.classes);
        let classes = classes.map(|(name, (_, labels))| (name.clone(), labels));
        Ok(Self::new(classes.collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.classes.is_empty()
    }

    /// Whether the labels are 1, 2, … in the order of the names.
    fn is_plain(&self) -> bool {
        let labels = self.classes.iter().map(|(_, labels)| labels.as_slice());
        labels
            .enumerate()
            .all(|(at, labels)| labels == [at as u16 + 1])
    }

    /// `class_names` of a task.
    pub(super) fn to_yaml(&self) -> Value {
        let is_plain = self.is_plain();
        let class = |(name, labels): &(String, Vec<u16>)| {
            if is_plain {
                return Value::from(name.as_str());
            }
            let labels: Vec<Value> = labels.iter().map(|label| Value::from(*label)).collect();
            let mut entry = Mapping::new();
            entry.insert("name".into(), name.as_str().into());
            entry.insert("index".into(), labels.into());
            entry.into()
        };
        self.classes.iter().map(class).collect()
    }

    /// Labels and name of each class, such as `1 liver` or `1+2 whole`.
    pub fn described(&self) -> Vec<String> {
        let described = |(name, labels): &(String, Vec<u16>)| {
            let labels: Vec<String> = labels.iter().map(u16::to_string).collect();
            format!("{} {name}", labels.join("+"))
        };
        self.classes.iter().map(described).collect()
    }
}
