//! Properties of settings.

use std::fmt;
use std::ops::Deref;

use serde_json::Value;
use thiserror::Error;

use super::range::{Limits, Range};
use super::value::{SettingValue, Type};
use crate::train_plan::TrainPlan;

/// Topic of a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    Data,
    Network,
    Patches,
    Augmentation,
    Schedule,
    Optimization,
    Hardware,
}

impl Category {
    /// All topics in reading order.
    pub const ALL: [Self; 7] = [
        Self::Schedule,
        Self::Optimization,
        Self::Patches,
        Self::Augmentation,
        Self::Data,
        Self::Network,
        Self::Hardware,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Network => "network",
            Self::Patches => "patches",
            Self::Augmentation => "augmentation",
            Self::Schedule => "schedule",
            Self::Optimization => "optimization",
            Self::Hardware => "hardware",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Distribution of the values that a search tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Log,
}

/// Domain of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Search {
    /// Numbers between bounds, both included; integers for integer settings.
    Range { low: f64, high: f64, scale: Scale },
    /// All names of the setting, or both values of a flag.
    All,
}

/// Properties of a setting that do not depend on the type of its value.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Name; Auto3DSeg's where it has one.
    pub name: &'static str,
    /// Other accepted spellings.
    pub aliases: &'static [&'static str],
    pub category: Category,
    /// Documentation comment of the registry; see [`sentence`](Self::sentence).
    pub doc: &'static str,
    /// Default, or rule that gives it, in words.
    pub rule: &'static str,
    /// A value as YAML that no rule gives for usual data.
    pub example: &'static str,
    /// Overwrites the setting in a plan by a fixed value, so that runs with different values have the same identity;
    /// `None` where another value makes another run.
    pub same_run: Option<fn(&mut TrainPlan)>,
    /// `None` where the setting is not searched.
    pub search: Option<Search>,
}

impl Definition {
    /// Usual properties: no aliases, part of a run's identity, not searched.
    pub(super) const USUAL: Self = Self {
        name: "",
        aliases: &[],
        category: Category::Data,
        doc: "",
        rule: "",
        example: "",
        same_run: None,
        search: None,
    };

    /// The meaning of the value, in one or two sentences.
    pub fn sentence(&self) -> &'static str {
        self.doc.trim()
    }
}

/// A setting with a value of type `T`.
pub struct Setting<T: 'static> {
    pub definition: Definition,
    pub range: Range<T>,
}

/// A value out of the range of its setting.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{name}` is {found}, expected {expected}")]
pub struct OutOfRange {
    pub name: &'static str,
    pub found: String,
    pub expected: &'static str,
}

impl<T: fmt::Debug> Setting<T> {
    /// Checks a value, if there is one.
    ///
    /// **Errors**: [`OutOfRange`].
    pub fn check(&self, value: Option<&T>) -> Result<(), OutOfRange> {
        match value {
            Some(value) if !(self.range.holds)(value) => Err(OutOfRange {
                name: self.name,
                found: format!("{value:?}"),
                expected: self.range.expected,
            }),
            _ => Ok(()),
        }
    }
}

impl<T> Deref for Setting<T> {
    type Target = Definition;

    fn deref(&self) -> &Definition {
        &self.definition
    }
}

/// A setting with one default for all data.
pub struct FixedDefault<T: 'static> {
    pub setting: Setting<T>,
    pub default: fn() -> T,
}

impl<T> Deref for FixedDefault<T> {
    type Target = Setting<T>;

    fn deref(&self) -> &Setting<T> {
        &self.setting
    }
}

/// A setting of any type.
pub trait AnySetting: Sync {
    fn definition(&self) -> &Definition;

    fn value_type(&self) -> Type;

    /// Range in words; empty where the type says everything.
    fn expected(&self) -> &'static str;

    fn limits(&self) -> Limits;

    /// The default, where it does not depend on the data.
    fn fixed_default(&self) -> Option<Value>;
}

impl<T: SettingValue> AnySetting for Setting<T> {
    fn definition(&self) -> &Definition {
        &self.definition
    }

    fn value_type(&self) -> Type {
        T::TYPE
    }

    fn expected(&self) -> &'static str {
        self.range.expected
    }

    fn limits(&self) -> Limits {
        self.range.limits
    }

    fn fixed_default(&self) -> Option<Value> {
        None
    }
}

impl<T: SettingValue> AnySetting for FixedDefault<T> {
    fn definition(&self) -> &Definition {
        &self.setting.definition
    }

    fn value_type(&self) -> Type {
        T::TYPE
    }

    fn expected(&self) -> &'static str {
        self.setting.range.expected
    }

    fn limits(&self) -> Limits {
        self.setting.range.limits
    }

    fn fixed_default(&self) -> Option<Value> {
        serde_json::to_value((self.default)()).ok()
    }
}
