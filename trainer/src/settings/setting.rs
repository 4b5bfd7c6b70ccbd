//! What is known of a setting.

use std::fmt;
use std::ops::Deref;

use serde_json::Value;
use thiserror::Error;

use super::range::{Limits, Range};
use super::value::{SettingValue, Type};
use crate::train_plan::TrainPlan;

/// What a setting belongs to.
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
    /// In the order that people read them.
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

/// How a search spreads the values that it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    Linear,
    Log,
}

/// Values that a search may try.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Search {
    /// Numbers between bounds, both included; integers for integer settings.
    Range { low: f64, high: f64, scale: Scale },
    /// Every name of the setting, or both values of a flag.
    All,
}

/// Everything about a setting that does not depend on the type of its value.
#[derive(Debug, Clone, Copy)]
pub struct Definition {
    /// Auto3DSeg's, where it has one.
    pub name: &'static str,
    /// Other spellings that are read.
    pub aliases: &'static [&'static str],
    pub category: Category,
    /// As written in the registry; see [`sentence`](Self::sentence).
    pub doc: &'static str,
    /// What holds where it is not set, in words.
    pub rule: &'static str,
    /// A value, as YAML, that no rule gives for usual data.
    pub example: &'static str,
    /// Puts into a plan what holds for every value, where a run goes on although the value has changed; none: another
    /// value makes another run.
    pub same_run: Option<fn(&mut TrainPlan)>,
    /// None: not to be searched.
    pub search: Option<Search>,
}

impl Definition {
    /// A setting without other spellings, which is part of a run's identity and is not searched.
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

    /// What the value is, in one or two sentences.
    pub fn sentence(&self) -> &'static str {
        self.doc.trim()
    }
}

/// A setting with a value of type `T`.
pub struct Setting<T: 'static> {
    pub definition: Definition,
    pub range: Range<T>,
}

/// A value that a setting may not have.
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

/// A setting with one default, whatever the data are.
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

    /// Range in words; empty where the type says all.
    fn expected(&self) -> &'static str;

    fn limits(&self) -> Limits;

    /// The default where it is one for all data.
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
