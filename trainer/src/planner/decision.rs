//! Decisions with their reasons.

use std::fmt::Debug;

use serde::Serialize;

/// One decision of a plan, for people to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What was decided, by its Auto3DSeg name.
    pub name: &'static str,
    /// The outcome.
    pub value: String,
    /// The rule that was followed.
    pub rule: &'static str,
    /// The facts that it was applied to.
    pub because: String,
}

/// Collects decisions while they are taken.
#[derive(Debug, Default)]
pub(super) struct Decisions(pub(super) Vec<Decision>);

impl Decisions {
    /// Takes what the user set, or else what the rule gives, and remembers why.
    pub(super) fn take<T: Debug>(
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
                let because = format!("the rule \"{rule}\" gives {}", show(&ruled));
                self.ruled(name, value, "as set by you", because)
            }
        }
    }

    /// Remembers a decision that is not the user's to take.
    pub(super) fn ruled<T: Debug>(
        &mut self,
        name: &'static str,
        value: T,
        rule: &'static str,
        because: impl Into<String>,
    ) -> T {
        self.0.push(Decision {
            name,
            value: show(&value),
            rule,
            because: because.into(),
        });
        value
    }
}

/// A value as people write it in a task: `Ratio` is `ratio`, `Some([1.0])` is `[1.0]`, `None` is `none`.
fn show(value: &impl Debug) -> String {
    let text = format!("{value:?}").to_ascii_lowercase();
    match text
        .strip_prefix("some(")
        .and_then(|text| text.strip_suffix(')'))
    {
        Some(inner) => inner.to_owned(),
        None => text,
    }
}
