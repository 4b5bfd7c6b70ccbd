//! Types of settings' values.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// One of the names that a setting can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub name: &'static str,
    /// Other accepted spellings.
    pub aliases: &'static [&'static str],
    /// Meaning in one phrase.
    pub doc: &'static str,
}

/// Type of a setting's value, as YAML and JSON write it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Type {
    Flag,
    /// Non-negative integer.
    Integer,
    Number,
    Text,
    /// One of several names.
    Name(&'static [Choice]),
    List {
        of: &'static Type,
        /// Number of elements; `None`: any number.
        length: Option<usize>,
    },
}

impl Type {
    /// Type in listings: `flag`, `integer`, `number`, `text`, `name` or `list`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Text => "text",
            Self::Name(_) => "name",
            Self::List { .. } => "list",
        }
    }

    /// Names that the value, or each element of a list, may have.
    pub fn choices(&self) -> &'static [Choice] {
        match self {
            Self::Name(choices) => choices,
            Self::List { of, .. } => of.choices(),
            _ => &[],
        }
    }

    /// The type as JSON Schema.
    pub fn schema(&self) -> Map<String, Value> {
        let fields = match self {
            Self::Flag => json!({"type": "boolean"}),
            Self::Integer => json!({"type": "integer", "minimum": 0}),
            Self::Number => json!({"type": "number"}),
            Self::Text => json!({"type": "string"}),
            Self::Name(choices) => {
                let names = choices.iter().flat_map(|choice| {
                    std::iter::once(choice.name).chain(choice.aliases.iter().copied())
                });
                json!({"enum": names.collect::<Vec<_>>()})
            }
            Self::List { of, length } => {
                let mut list = json!({"type": "array", "items": of.schema()});
                if let Some(length) = length {
                    list["minItems"] = json!(length);
                    list["maxItems"] = json!(length);
                }
                list
            }
        };
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

impl fmt::Display for Type {
    /// The type in words: `integer`, `list of 3 numbers`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("true or false"),
            Self::Name(choices) => {
                let names: Vec<_> = choices.iter().map(|choice| choice.name).collect();
                f.write_str(&names.join(", "))
            }
            Self::List { of, length } => {
                f.write_str("list of ")?;
                if let Some(length) = length {
                    write!(f, "{length} ")?;
                }
                match of {
                    Self::List { of, length } => {
                        let length = length.map_or(String::new(), |length| format!("{length} "));
                        write!(f, "lists of {length}{}s", of.name())
                    }
                    of => write!(f, "{}s", of.name()),
                }
            }
            other => f.write_str(other.name()),
        }
    }
}

/// A Rust type of settings' values.
pub trait SettingValue: Clone + fmt::Debug + Serialize + 'static {
    /// Type in YAML and JSON.
    const TYPE: Type;
}

macro_rules! values {
    ($($rust:ty: $of:expr;)+) => {
        $(impl SettingValue for $rust {
            const TYPE: Type = $of;
        })+
    };
}

values! {
    bool: Type::Flag;
    usize: Type::Integer;
    u64: Type::Integer;
    f64: Type::Number;
    String: Type::Text;
    [usize; 2]: Type::List { of: &Type::Integer, length: Some(2) };
    [usize; 3]: Type::List { of: &Type::Integer, length: Some(3) };
    [f64; 2]: Type::List { of: &Type::Number, length: Some(2) };
    [f64; 3]: Type::List { of: &Type::Number, length: Some(3) };
    Vec<usize>: Type::List { of: &Type::Integer, length: None };
    Vec<f64>: Type::List { of: &Type::Number, length: None };
    Vec<[usize; 2]>: Type::List { of: &<[usize; 2]>::TYPE, length: None };
}
