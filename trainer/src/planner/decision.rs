//! Decisions with their reasons.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::settings::{FixedDefault, Setting};

/// What a decision is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The grid that the network sees images on.
    #[default]
    Grid,
    Network,
    /// Patches, and how many a step takes.
    Patches,
    /// Epochs, validations, learning rate and what else follows time.
    Schedule,
    Intensities,
}

impl Group {
    /// All groups, in the order that people read them.
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
    /// What it is about.
    pub group: Group,
    /// What was decided, by its Auto3DSeg name.
    pub name: &'static str,
    pub value: Value,
    /// The rule that was followed.
    pub rule: &'static str,
    /// The facts that it was applied to.
    pub because: String,
}

impl Decision {
    /// The outcome as people write it in a task; numbers to six digits.
    pub fn value_text(&self) -> String {
        text(&self.value)
    }

    /// Whether the user took it.
    pub fn is_set(&self) -> bool {
        self.rule == SET_BY_USER
    }
}

/// In place of a rule where the user decided.
const SET_BY_USER: &str = "as set by you";

/// Collects decisions while they are taken.
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    pub(crate) taken: Vec<Decision>,
    /// What the next ones are about.
    pub(crate) group: Group,
}

impl Decisions {
    /// Takes what the user set, or else what the setting's rule gives, and remembers why.
    pub(crate) fn by_rule<T: Serialize>(
        &mut self,
        setting: &Setting<T>,
        set: Option<T>,
        ruled: T,
        because: impl Into<String>,
    ) -> T {
        self.take(setting.name, set, ruled, setting.rule, because)
    }

    /// Takes what the user set, or else the setting's default.
    pub(crate) fn by_default<T: Serialize>(
        &mut self,
        setting: &FixedDefault<T>,
        set: Option<T>,
    ) -> T {
        self.by_rule(setting, set, (setting.default)(), "")
    }

    /// Takes what the user set, if anything.
    pub(crate) fn optional<T: Serialize>(
        &mut self,
        setting: &Setting<T>,
        set: Option<T>,
        because: impl Into<String>,
    ) -> Option<T> {
        let name = setting.name;
        self.take(name, set.map(Some), None, setting.rule, because)
    }

    /// Takes what the user set, or else what the rule gives, and remembers why.
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

    /// Remembers a decision that is not the user's to take.
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

/// Numbers as people read them: `[0.79, 0.79, 1.6]`.
pub(crate) fn numbers(values: &[f64]) -> String {
    text(&data(&values))
}

/// Settings are plain data; a number that JSON cannot hold becomes null.
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
