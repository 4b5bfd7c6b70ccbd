//! Decisions with their reasons.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::settings::{FixedDefault, Setting};

/// Topic of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Grid of the images that the network sees.
    #[default]
    Grid,
    Network,
    /// Size and number of patches.
    Patches,
    /// Epochs, validations, learning rate and other settings over time.
    Schedule,
    Intensities,
}

impl Group {
    /// All topics in reading order.
    pub const ALL: [Self; 5] = [
        Self::Grid,
        Self::Network,
        Self::Patches,
        Self::Schedule,
        Self::Intensities,
    ];
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grid => "grid",
            Self::Network => "network",
            Self::Patches => "patches",
            Self::Schedule => "schedule",
            Self::Intensities => "intensities",
        })
    }
}

/// One decision of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decision {
    pub group: Group,
    /// Name of the decided quantity, Auto3DSeg's where it has one.
    pub name: &'static str,
    pub value: Value,
    pub rule: &'static str,
    /// Facts that the rule was applied to.
    pub because: String,
}

impl Decision {
    /// The value as it would be written in a task; numbers have six digits.
    pub fn value_text(&self) -> String {
        text(&self.value)
    }

    /// Whether the user made the decision.
    pub fn is_set(&self) -> bool {
        self.rule == SET_BY_USER
    }
}

/// Replaces the rule where the user made the decision.
const SET_BY_USER: &str = "as set by you";

/// Collects decisions as they are made.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    pub(crate) taken: Vec<Decision>,
    /// Topic of the following decisions.
    pub(crate) group: Group,
}

impl Decisions {
    /// Uses the user's value, or else that of the setting's rule, and records the decision.
    pub(crate) fn by_rule<T: Serialize>(
        &mut self,
        setting: &Setting<T>,
        set: Option<T>,
        ruled: T,
        because: impl Into<String>,
    ) -> T {
        self.take(setting.name, set, ruled, setting.rule, because)
    }

    /// Uses the user's value, or else the setting's default, and records the decision.
    pub(crate) fn by_default<T: Serialize>(
        &mut self,
        setting: &FixedDefault<T>,
        set: Option<T>,
    ) -> T {
        self.by_rule(setting, set, (setting.default)(), "")
    }

    /// Uses the user's value, if there is one, and records the decision.
    pub(crate) fn optional<T: Serialize>(
        &mut self,
        setting: &Setting<T>,
        set: Option<T>,
        because: impl Into<String>,
    ) -> Option<T> {
        let name = setting.name;
        self.take(name, set.map(Some), None, setting.rule, because)
    }

    /// Uses the user's value, or else that of the rule, and records the decision.
    pub(crate) fn take<T: Serialize>(
        &mut self,
        name: &'static str,
        set: Option<T>,
        ruled: T,
        rule: &'static str,
        because: impl Into<String>,
    ) -> T {
        match set {
            None => self.ruled(name, ruled, rule, because),
            Some(value) => {
                let because = format!("the rule \"{rule}\" gives {}", text(&data(&ruled)));
                self.ruled(name, value, SET_BY_USER, because)
            }
        }
    }

    /// Records a decision that users cannot change.
    pub(crate) fn ruled<T: Serialize>(
        &mut self,
        name: &'static str,
        value: T,
        rule: &'static str,
        because: impl Into<String>,
    ) -> T {
        self.taken.push(Decision {
            group: self.group,
            name,
            value: data(&value),
            rule,
            because: because.into(),
        });
        value
    }
}

/// Formats numbers as `[0.79, 0.79, 1.6]`.
pub(crate) fn numbers(values: &[f64]) -> String {
    text(&data(&values))
}

/// A setting as JSON; a number that JSON cannot represent becomes null.
fn data(value: &impl Serialize) -> Value {
    serde_json::to_value(value).unwrap_or_default()
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::Bool(yes) => yes.to_string(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(real) if number.is_f64() => six_digits(real),
            _ => number.to_string(),
        },
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| format!("{name}: {}", text(value)))
                .collect();
            format!("{{{}}}", fields.join(", "))
        }
    }
}

fn six_digits(real: f64) -> String {
    let rounded = format!("{real:.5e}").parse().unwrap_or(real);
    format!("{rounded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_like_a_task() {
        for (value, expected) in [
            (
                data(&[0.789_000_034_332_275_4, 1.6, 5.0]),
                "[0.789, 1.6, 5]",
            ),
            (data(&2e-4), "0.0002"),
            (data(&-1024.0), "-1024"),
            (data(&[32_usize, 48, 32]), "[32, 48, 32]"),
            (data(&Some(true)), "true"),
            (data(&None::<usize>), "none"),
            (data(&Group::Grid), "grid"),
        ] {
            assert_eq!(text(&value), expected);
        }
    }
}
