//! Components: dictionaries with the name of a class and its arguments.

use serde_json::{Map, Value};
use thiserror::Error;
use vesal_models::monai::{class_of, flag};

/// The parts of a configuration that are read, as messages call them.
pub(super) const PREPROCESSING: &str = "preprocessing";
pub(super) const INFERER: &str = "inferer";
pub(super) const POSTPROCESSING: &str = "postprocessing";

/// Nothing that changes the result: documentation of a component, and what it does with missing or named data.
const HARMLESS: [&str; 9] = [
    "_target_",
    "_desc_",
    "_requires_",
    "_disabled_",
    "keys",
    "allow_missing_keys",
    "meta_keys",
    "meta_key_postfix",
    "lazy",
];

/// Why a part of a configuration cannot become a part of a plan.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ComponentError {
    /// No component where one is expected.
    #[error("the configuration's `{list}` has an entry that is no component: {found}")]
    Form { list: &'static str, found: String },
    /// A class that a plan cannot express.
    #[error("the configuration's `{list}` has `{class}`, which a bundle cannot express")]
    Class { list: &'static str, class: String },
    /// An argument, or a value of one, that a plan cannot express.
    #[error(
        "`{class}` of the configuration's `{list}` has {argument} = {found}, expected {expected}"
    )]
    Argument {
        list: &'static str,
        class: String,
        argument: String,
        found: String,
        expected: &'static str,
    },
    /// Components that are known, but not in this order.
    #[error(
        "`{class}` of the configuration's `{list}` comes {place}, which a bundle cannot express"
    )]
    Order {
        list: &'static str,
        class: String,
        place: &'static str,
    },
    /// A list that lacks what a plan needs.
    #[error("the configuration's `{list}` lacks {missing}")]
    Missing {
        list: &'static str,
        missing: &'static str,
    },
}

impl ComponentError {
    /// A remedy for the user.
    pub fn hint(&self) -> &'static str {
        let (Self::Form { list, .. }
        | Self::Class { list, .. }
        | Self::Argument { list, .. }
        | Self::Order { list, .. }
        | Self::Missing { list, .. }) = self;
        match *list {
            INFERER => "`--roi X,Y,Z` and `--overlap FRACTION` state the windows in its place",
            POSTPROCESSING => {
                "`--activation softmax` or `--activation sigmoid` states in its place how classes are told"
            }
            _ => {
                "`--modality`, with `--spacing X,Y,Z` and for CT `--bounds LOW,HIGH`, states in its place how Auto3DSeg prepares images"
            }
        }
    }
}

/// A component and its arguments.
pub(super) struct StatedComponent<'a> {
    pub list: &'static str,
    /// Name of the class: MONAI's without its package, others with theirs.
    pub class: &'a str,
    map: &'a Map<String, Value>,
    /// Position of the image among the keys that the component is for, and their number.
    image: (usize, usize),
}

impl<'a> StatedComponent<'a> {
    /// All components of a list in order, those of nested lists (`Compose`) included and disabled ones left out.
    ///
    /// **Errors**: [`ComponentError::Form`].
    pub fn all(list: &'static str, value: &'a Value) -> Result<Vec<Self>, ComponentError> {
        let mut found = Vec::new();
        Self::gather(list, value, &mut found)?;
        Ok(found)
    }

    fn gather(
        list: &'static str,
        value: &'a Value,
        found: &mut Vec<Self>,
    ) -> Result<(), ComponentError> {
        let wrong = || ComponentError::Form {
            list,
            found: shown(value),
        };
        match value {
            Value::Array(items) => {
                for item in items {
                    Self::gather(list, item, found)?;
                }
                Ok(())
            }
            Value::Object(map) => {
                let component = Self::new(list, map).ok_or_else(wrong)?;
                match map.get("_disabled_") {
                    Some(Value::Bool(true)) => Ok(()),
                    Some(Value::Bool(false)) | None if component.class == "Compose" => {
                        component.allow(&["transforms"])?;
                        Self::gather(list, map.get("transforms").ok_or_else(wrong)?, found)
                    }
                    Some(Value::Bool(false)) | None => {
                        found.push(component);
                        Ok(())
                    }
                    Some(_) => Err(component.wrong("_disabled_", "true or false")),
                }
            }
            _ => Err(wrong()),
        }
    }

    /// A single component; none without the name of a class.
    pub fn new(list: &'static str, map: &'a Map<String, Value>) -> Option<Self> {
        let target = map.get("_target_")?.as_str()?;
        Some(Self {
            list,
            class: class_of(target).unwrap_or(target),
            map,
            image: (0, 1),
        })
    }

    /// The names of the data that the component is for.
    ///
    /// **Errors**: [`ComponentError::Argument`] where there are none, or other values than names.
    pub fn keys(&self) -> Result<Vec<&'a str>, ComponentError> {
        let keys = match self.map.get("keys") {
            Some(Value::String(key)) => Some(vec![key.as_str()]),
            Some(Value::Array(keys)) => keys.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let keys = keys.filter(|keys| !keys.is_empty());
        keys.ok_or_else(|| self.wrong("keys", "names of data"))
    }

    /// The component for one of its data; none if it is for others alone.
    pub fn of(mut self, keys: &[&str], name: &str) -> Option<Self> {
        self.image = (keys.iter().position(|key| *key == name)?, keys.len());
        Some(self)
    }

    /// Refuses arguments other than these.
    ///
    /// **Errors**: [`ComponentError::Argument`].
    pub fn allow(&self, arguments: &[&str]) -> Result<(), ComponentError> {
        let known = |name: &str| HARMLESS.contains(&name) || arguments.contains(&name);
        match self
            .map
            .iter()
            .find(|(name, value)| !known(name) && !value.is_null())
        {
            None => Ok(()),
            Some((name, _)) => Err(self.wrong(name, "no such argument")),
        }
    }

    /// An argument; null is none. Of a list with a value for each key, the image's.
    pub fn get(&self, argument: &str) -> Option<&'a Value> {
        let value = self.map.get(argument)?;
        (!value.is_null()).then_some(value)
    }

    /// An argument that may be a list with a value for each key.
    fn get_of_image(&self, argument: &str) -> Option<&'a Value> {
        let (position, keys) = self.image;
        match self.get(argument)? {
            Value::Array(each) if each.len() == keys => each.get(position),
            value => Some(value),
        }
    }

    pub fn flag(&self, argument: &str, default: bool) -> Result<bool, ComponentError> {
        match self.get_of_image(argument) {
            None => Ok(default),
            Some(value) => flag(value).ok_or_else(|| self.wrong(argument, "true or false")),
        }
    }

    pub fn number(&self, argument: &str) -> Result<Option<f64>, ComponentError> {
        match self.get(argument) {
            None => Ok(None),
            Some(value) => value
                .as_f64()
                .map(Some)
                .ok_or_else(|| self.wrong(argument, "a number")),
        }
    }

    pub fn text(&self, argument: &str) -> Result<Option<&'a str>, ComponentError> {
        match self.get_of_image(argument) {
            None => Ok(None),
            Some(value) => value
                .as_str()
                .map(Some)
                .ok_or_else(|| self.wrong(argument, "a text")),
        }
    }

    /// Refuses an argument that is none of these texts; absent, it is the first.
    ///
    /// **Errors**: [`ComponentError::Argument`].
    pub fn is_one_of(
        &self,
        argument: &str,
        texts: &[&str],
        expected: &'static str,
    ) -> Result<(), ComponentError> {
        match self.get_of_image(argument) {
            None => Ok(()),
            Some(Value::String(text)) if texts.contains(&text.as_str()) => Ok(()),
            Some(_) => Err(self.wrong(argument, expected)),
        }
    }

    /// Refuses a flag that is not `value`, which is also its default.
    ///
    /// **Errors**: [`ComponentError::Argument`].
    pub fn requires(
        &self,
        argument: &str,
        value: bool,
        expected: &'static str,
    ) -> Result<(), ComponentError> {
        if self.flag(argument, value)? == value {
            Ok(())
        } else {
            Err(self.wrong(argument, expected))
        }
    }

    pub fn wrong(&self, argument: &str, expected: &'static str) -> ComponentError {
        ComponentError::Argument {
            list: self.list,
            class: self.class.into(),
            argument: argument.into(),
            found: self.map.get(argument).map_or("nothing".into(), shown),
            expected,
        }
    }

    pub fn unknown(&self) -> ComponentError {
        ComponentError::Class {
            list: self.list,
            class: self.class.into(),
        }
    }

    pub fn misplaced(&self, place: &'static str) -> ComponentError {
        ComponentError::Order {
            list: self.list,
            class: self.class.into(),
            place,
        }
    }
}

/// A value for messages, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 80 {
        text.chars().take(77).chain("...".chars()).collect()
    } else {
        text
    }
}
