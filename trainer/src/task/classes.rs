//! Classes of a task: labels that exclude each other, or regions that may overlap.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_yaml_ng::{Mapping, Value};
use thiserror::Error;
use vesal_bundle::deploy_plan::{Activation, Label, MAX_LABELS, MAX_REGIONS};
use vesal_bundle::name::{self, NameError};

use super::value::describe;

const BACKGROUND: &str = "background";

/// Why the classes are invalid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClassError {
    /// `class_names` is not a list of classes.
    #[error(
        "`class_names` of the task is {found}, expected a list of names, or of `name` and `index`"
    )]
    List { found: String },
    /// A class is neither a name nor a name with an index.
    #[error(
        "class {position} of `class_names` is {found}, expected all to be names, or all to have `name` and `index`"
    )]
    Item {
        /// Position of the class, from 0.
        position: usize,
        found: String,
    },
    /// A name breaks the rules for names.
    #[error("`class_names` of the task has an unusable name")]
    Name(#[from] NameError),
    /// Two classes share a name.
    #[error("`class_names` of the task has `{name}` twice")]
    TwiceNamed { name: String },
    /// Background is listed, although it is always label 0.
    #[error("`class_names` of the task has `{name}`, expected the labels 1, 2, … only")]
    Background { name: String },
    /// The labels of a class are no valid label values.
    #[error(
        "`index` of class `{name}` is {found}, expected label values from 1 to 65535, each once"
    )]
    Index { name: String, found: String },
    /// Classes overlap although the task says that they exclude each other.
    #[error(
        "label {label} belongs to both `{first}` and `{second}`, and `sigmoid: false` says that no classes overlap"
    )]
    Overlap {
        label: u16,
        first: String,
        second: String,
    },
    /// There are more classes than a plan can hold.
    #[error("`class_names` of the task has {found} {what}, expected at most {most}")]
    Count {
        found: usize,
        what: &'static str,
        /// Maximum number.
        most: usize,
    },
}

impl ClassError {
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Background { .. } => "leave background out: it is always label 0",
            Self::Overlap { .. } => {
                "leave `sigmoid` out: overlapping classes become regions of their own"
            }
            Self::Count { .. } => "segment fewer classes, or train several bundles",
            _ => {
                "`class_names: [liver, tumor]` names the labels 1 and 2; \
                 `class_names: [{name: whole, index: [1, 2]}, {name: tumor, index: [2]}]` joins labels"
            }
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Classes {
    names: Vec<String>,
    /// Label values of the training data for each class; `None`: 1, 2, … in the order of the names.
    index: Option<Vec<Vec<u16>>>,
    /// Whether the classes are regions, each with an output and a sigmoid of its own.
    sigmoid: bool,
}

impl Classes {
    /// Parses `class_names` and `sigmoid`.
    ///
    /// **Definition**: a list of names stands for labels 1, 2, …. A list of `{name, index: [labels]}` joins labels;
    /// labels of no class are background. Classes that share a label are regions; with `sigmoid: true`, all classes
    /// are.
    ///
    /// **Errors**: [`ClassError`].
    ///
    /// **Source**: Auto3DSeg's `class_names` and its SegResNet's `class_index`.
    pub fn parse(value: Value, sigmoid: Option<bool>) -> Result<Self, ClassError> {
        let items = match value {
            Value::Sequence(items) if !items.is_empty() => items,
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
        for (position, name) in names.iter().enumerate() {
            if names[..position].contains(name) {
                return Err(ClassError::TwiceNamed { name: name.clone() });
            }
        }
        let index: Option<Vec<Vec<u16>>> = index.into_iter().collect();
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

    /// Whether classes are given by labels of the training data.
    pub fn is_indexed(&self) -> bool {
        self.index.is_some()
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
            (Some(index), _) => Some(index[class].clone()),
            (None, true) => Some(vec![class as u16 + 1]),
            (None, false) => None,
        };
        let region = |(class, name): (usize, &String)| Label {
            index: index_of(class),
            ..Label::new(name.clone(), 1 << class, class)
        };
        let label = |(class, name): (usize, &String)| Label {
            index: index_of(class),
            ..Label::new(name.clone(), class as u16 + 1, class + 1)
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

/// Parses one class: its name, and its label values if they are given.
fn class(position: usize, item: Value) -> Result<(String, Option<Vec<u16>>), ClassError> {
    let wrong = |found: String| ClassError::Item { position, found };
    let (name, index) = match item {
        Value::String(name) => (name, None),
        Value::Number(number) => (number.to_string(), None),
        Value::Mapping(mut entries) => {
            let name = match entries.remove("name") {
                Some(Value::String(name)) => name,
                _ => return Err(wrong(describe(&Value::Mapping(entries)))),
            };
            (name.clone(), Some(index(&name, &mut entries)?))
        }
        other => return Err(wrong(describe(&other))),
    };
    name::check(&name)?;
    if name.eq_ignore_ascii_case(BACKGROUND) {
        return Err(ClassError::Background { name });
    }
    Ok((name, index))
}

fn index(name: &str, entries: &mut Mapping) -> Result<Vec<u16>, ClassError> {
    let wrong = |found: String| ClassError::Index {
        name: name.to_owned(),
        found,
    };
    let labels = match entries.remove("index") {
        Some(Value::Sequence(labels)) => labels,
        Some(single @ Value::Number(_)) => vec![single],
        Some(other) => return Err(wrong(describe(&other))),
        None => return Err(wrong("absent".to_owned())),
    };
    let whole = |label: &Value| label.as_u64().and_then(|label| u16::try_from(label).ok());
    let found: Vec<u16> = labels.iter().filter_map(whole).collect();
    let mut distinct = found.clone();
    distinct.sort_unstable();
    distinct.dedup();
    if found.is_empty() || distinct.len() < labels.len() || distinct[0] == 0 {
        let labels: Vec<_> = labels.iter().map(describe).collect();
        return Err(wrong(format!("[{}]", labels.join(", "))));
    }
    Ok(distinct)
}

/// The error for the first label that two classes share.
fn shared(names: &[String], index: &[Vec<u16>]) -> Option<ClassError> {
    let mut owners = BTreeMap::new();
    for (name, labels) in names.iter().zip(index) {
        for &label in labels {
            if let Some(first) = owners.insert(label, name) {
                return Some(ClassError::Overlap {
                    label,
                    first: first.clone(),
                    second: name.clone(),
                });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, sigmoid: Option<bool>) -> Result<Classes, ClassError> {
        Classes::parse(serde_yaml_ng::from_str(text).unwrap(), sigmoid)
    }

    fn row(label: &Label) -> (&str, u16, usize, Option<&[u16]>) {
        (
            &label.name,
            label.value,
            label.class_index,
            label.index.as_deref(),
        )
    }

    #[test]
    fn names_are_labels_from_1() {
        let classes = parse("[anterior, posterior]", None).unwrap();
        assert_eq!(classes.activation(), Activation::Softmax);
        assert_eq!((classes.outputs(), classes.annotated()), (3, vec![1, 2]));
        let labels = classes.labels();
        let rows: Vec<_> = labels.iter().map(row).collect();
        let expected = [
            ("background", 0, 0, None),
            ("anterior", 1, 1, None),
            ("posterior", 2, 2, None),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn labels_are_joined_and_regions_overlap() {
        let merged = parse(
            "[{name: kidney, index: [4, 2]}, {name: tumor, index: 7}]",
            None,
        )
        .unwrap();
        assert_eq!(merged.activation(), Activation::Softmax);
        assert_eq!(merged.annotated(), [2, 4, 7]);
        assert_eq!(
            row(&merged.labels()[1]),
            ("kidney", 1, 1, Some(&[2, 4][..]))
        );

        let text = "[{name: whole, index: [1, 2]}, {name: anterior, index: [1]}]";
        let regions = parse(text, None).unwrap();
        assert_eq!(
            (regions.activation(), regions.outputs()),
            (Activation::Sigmoid, 2)
        );
        let labels = regions.labels();
        assert_eq!(row(&labels[0]), ("whole", 1, 0, Some(&[1, 2][..])));
        assert_eq!(row(&labels[1]), ("anterior", 2, 1, Some(&[1][..])));
        let error = parse(text, Some(false)).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("label 1 belongs to both `whole` and `anterior`"),
            "{error}"
        );

        let apart = parse("[a, b]", Some(true)).unwrap();
        assert_eq!(row(&apart.labels()[1]), ("b", 2, 1, Some(&[2][..])));
    }

    #[test]
    fn what_is_unclear_is_named() {
        for (text, expected) in [
            ("[]", "is a list of 0, expected a list of names"),
            ("anterior", "is \"anterior\", expected a list"),
            (
                "[background, a]",
                "has `background`, expected the labels 1, 2, … only",
            ),
            ("[a, a]", "has `a` twice"),
            (
                "[a, {name: b, index: [2]}]",
                "class 0 of `class_names` is a name alone",
            ),
            (
                "[{index: [1]}]",
                "class 0 of `class_names` is a mapping of 1",
            ),
            ("[{name: a}]", "`index` of class `a` is absent"),
            (
                "[{name: a, index: [0, 1]}]",
                "`index` of class `a` is [0, 1]",
            ),
            (
                "[{name: a, index: [1, 1]}]",
                "`index` of class `a` is [1, 1]",
            ),
            (
                "[{name: a, index: [70000]}]",
                "`index` of class `a` is [70000]",
            ),
            ("[\" a\"]", "has an unusable name"),
        ] {
            let error = parse(text, None).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let many: Vec<_> = (0..17).map(|class| format!("c{class}")).collect();
        let error = parse(&format!("[{}]", many.join(", ")), Some(true)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`class_names` of the task has 17 regions, expected at most 16"
        );
    }
}
