//! Classes of a task: labels that exclude each other, or regions that may overlap.

mod entry;
mod error;

pub use error::ClassError;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_yaml_ng::Value;
use vesal_bundle::deploy_plan::{Activation, Label, MAX_LABELS, MAX_REGIONS};

use super::value::describe;
use entry::{BACKGROUND, check_name, class, shared, values};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Classes {
    names: Vec<String>,
    /// Label values of the training data for each class; `None`: 1, 2, … in the order of the names.
    index: Option<Vec<Vec<u16>>>,
    /// Whether the classes are regions, each with an output and a sigmoid of its own.
    sigmoid: bool,
    /// Whether each class is one label that predictions have as well.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    keeps_values: bool,
}

impl Classes {
    /// Parses `class_names` and `sigmoid`.
    ///
    /// **Definition**: a list of names stands for labels 1, 2, …. A list of `{name, index: [labels]}` joins labels;
    /// labels of no class are background. Classes that share a label are regions; with `sigmoid: true`, all classes
    /// are. A mapping such as `{1: liver, 5: tumor}` or `{liver: 1, tumor: 5}` names labels [by value](Self::by_value).
    ///
    /// **Errors**: [`ClassError`].
    ///
    /// **Source**: Auto3DSeg's `class_names` and its SegResNet's `class_index`; the mapping is an addition.
    pub fn parse(value: Value, sigmoid: Option<bool>) -> Result<Self, ClassError> {
        let items = match value {
            Value::Sequence(items) if !items.is_empty() => items,
            Value::Mapping(entries) if !entries.is_empty() => {
                return Self::by_value(values(entries)?, sigmoid);
            }
            other => {
                return Err(ClassError::List {
                    found: describe(&other),
                });
            }
        };
        let classes: Vec<_> = items
            .into_iter()
            .enumerate()
            .map(|(position, item)| class(position, item))
            .collect::<Result<_, _>>()?;
        let with_index = classes.iter().filter(|(_, index)| index.is_some()).count();
        if let Some(position) = classes.iter().position(|(_, index)| index.is_none())
            && with_index > 0
        {
            return Err(ClassError::Item {
                position,
                found: "a name alone".to_owned(),
            });
        }
        let (names, index): (Vec<_>, Vec<_>) = classes.into_iter().unzip();
        Self::new(names, index.into_iter().collect(), sigmoid)
    }

    /// A class for each label, with names by label value.
    ///
    /// **Definition**: the classes are in the order of their values, and predictions have the same values.
    ///
    /// **Errors**: [`ClassError`].
    pub fn by_value(
        names: BTreeMap<u16, String>,
        sigmoid: Option<bool>,
    ) -> Result<Self, ClassError> {
        for name in names.values() {
            check_name(name)?;
        }
        let are_consecutive = names.keys().zip(1..).all(|(&label, next)| label == next);
        let index: Vec<_> = names.keys().map(|&label| vec![label]).collect();
        let index = (!are_consecutive).then_some(index);
        Ok(Self {
            keeps_values: !are_consecutive,
            ..Self::new(names.into_values().collect(), index, sigmoid)?
        })
    }

    /// The classes of a task without names: one for each label that occurs, `label_1` and so on.
    ///
    /// **Errors**: [`ClassError::TooManyFound`].
    pub fn found(labels: &[u16], sigmoid: Option<bool>) -> Result<Self, ClassError> {
        let found = labels.len();
        let most = match sigmoid {
            Some(true) => MAX_REGIONS,
            _ => MAX_LABELS - 1,
        };
        if found > most {
            return Err(ClassError::TooManyFound { found, most });
        }
        let names = labels
            .iter()
            .map(|&label| (label, format!("label_{label}")));
        Self::by_value(names.collect(), sigmoid)
    }

    fn new(
        names: Vec<String>,
        index: Option<Vec<Vec<u16>>>,
        sigmoid: Option<bool>,
    ) -> Result<Self, ClassError> {
        for (position, name) in names.iter().enumerate() {
            if names[..position].contains(name) {
                return Err(ClassError::TwiceNamed { name: name.clone() });
            }
        }
        let shared = index.as_deref().and_then(|index| shared(&names, index));
        let sigmoid = match (sigmoid, shared) {
            (Some(false), Some(overlap)) => return Err(overlap),
            (wanted, overlap) => wanted.unwrap_or(false) || overlap.is_some(),
        };
        let (what, most) = if sigmoid {
            ("regions", MAX_REGIONS)
        } else {
            ("classes", MAX_LABELS - 1)
        };
        if names.len() > most {
            let found = names.len();
            return Err(ClassError::Count { found, what, most });
        }
        Ok(Self {
            names,
            index,
            sigmoid,
            keeps_values: false,
        })
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Number of output channels of a network: one per class, and one for background unless the classes are regions.
    pub fn outputs(&self) -> usize {
        self.names.len() + usize::from(!self.sigmoid)
    }

    /// Activation that turns logits into labels.
    pub fn activation(&self) -> Activation {
        if self.sigmoid {
            Activation::Sigmoid
        } else {
            Activation::Softmax
        }
    }

    /// Whether classes join labels of the training data, so that labels of no class are background.
    pub fn joins_labels(&self) -> bool {
        self.index.is_some() && !self.keeps_values
    }

    /// Name of the class that is this label and no other.
    pub fn name_of(&self, label: u16) -> Option<&str> {
        let position = match &self.index {
            Some(_) if !self.keeps_values => None,
            Some(index) => index.iter().position(|labels| *labels == [label]),
            None => usize::from(label).checked_sub(1),
        };
        self.names.get(position?).map(String::as_str)
    }

    /// Known label values of the training data: those of all classes.
    pub fn annotated(&self) -> Vec<u16> {
        match &self.index {
            Some(index) => {
                let mut labels = index.concat();
                labels.sort_unstable();
                labels.dedup();
                labels
            }
            None => (1..=self.names.len() as u16).collect(),
        }
    }

    pub fn labels(&self) -> Vec<Label> {
        let index_of = |class: usize| match (&self.index, self.sigmoid) {
            (Some(_), false) if self.keeps_values => None,
            (Some(index), _) => Some(index[class].clone()),
            (None, true) => Some(vec![class as u16 + 1]),
            (None, false) => None,
        };
        let value_of = |class: usize| match &self.index {
            Some(index) if self.keeps_values => index[class][0],
            _ => class as u16 + 1,
        };
        let region = |(class, name): (usize, &String)| Label {
            index: index_of(class),
            ..Label::new(name.clone(), 1 << class, class)
        };
        let label = |(class, name): (usize, &String)| Label {
            index: index_of(class),
            ..Label::new(name.clone(), value_of(class), class + 1)
        };
        let names = self.names.iter().enumerate();
        if self.sigmoid {
            return names.map(region).collect();
        }
        let background = Label::new(BACKGROUND, 0, 0);
        std::iter::once(background)
            .chain(names.map(label))
            .collect()
    }
}

#[cfg(test)]
mod tests;
