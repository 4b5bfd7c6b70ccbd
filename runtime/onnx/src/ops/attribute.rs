//! Attributes of operators: types, allowed values and defaults.

use crate::error::{AttributeProblem, short};
use crate::proto::{AttributeProto, AttributeType};

/// An attribute that an operator may have.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attribute {
    pub name: &'static str,
    pub kind: Kind,
    pub default: DefaultValue,
}

/// Type of an attribute, and its allowed values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Int,
    /// An integer that must be 0.
    Zero,
    Ints,
    Float,
    /// One of these texts.
    Text(&'static [&'static str]),
}

/// Value of an attribute that is not stated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DefaultValue {
    /// None: it must be stated.
    Required,
    Int(i64),
    Float(f32),
    Text(&'static str),
    /// A list of ones, one for each spatial axis.
    Ones,
    /// A list of zeros, one or two for each spatial axis.
    Zeros,
    /// Inferred from the inputs by the operator's shape rule.
    Derived,
}

impl Attribute {
    const fn new(name: &'static str, kind: Kind, default: DefaultValue) -> Self {
        Self {
            name,
            kind,
            default,
        }
    }

    pub(super) const fn int(name: &'static str, default: i64) -> Self {
        Self::new(name, Kind::Int, DefaultValue::Int(default))
    }

    pub(super) const fn required_int(name: &'static str) -> Self {
        Self::new(name, Kind::Int, DefaultValue::Required)
    }

    /// An integer without a default, whose absence the operator's rule interprets.
    pub(super) const fn optional_int(name: &'static str) -> Self {
        Self::new(name, Kind::Int, DefaultValue::Derived)
    }

    pub(super) const fn zero(name: &'static str) -> Self {
        Self::new(name, Kind::Zero, DefaultValue::Int(0))
    }

    pub(super) const fn float(name: &'static str, default: f32) -> Self {
        Self::new(name, Kind::Float, DefaultValue::Float(default))
    }

    /// One of the texts `allowed`, the first of which is the default.
    pub(super) const fn text(name: &'static str, allowed: &'static [&'static str]) -> Self {
        Self::new(name, Kind::Text(allowed), DefaultValue::Text(allowed[0]))
    }

    pub(super) const fn ones(name: &'static str) -> Self {
        Self::new(name, Kind::Ints, DefaultValue::Ones)
    }

    pub(super) const fn zeros(name: &'static str) -> Self {
        Self::new(name, Kind::Ints, DefaultValue::Zeros)
    }

    pub(super) const fn required_ints(name: &'static str) -> Self {
        Self::new(name, Kind::Ints, DefaultValue::Required)
    }

    pub(super) const fn derived_ints(name: &'static str) -> Self {
        Self::new(name, Kind::Ints, DefaultValue::Derived)
    }

    pub(super) const AUTO_PAD: Self = Self::text("auto_pad", &["NOTSET"]);
}

impl Kind {
    /// The type in the format.
    pub fn attribute_type(self) -> AttributeType {
        match self {
            Self::Int | Self::Zero => AttributeType::Int,
            Self::Ints => AttributeType::Ints,
            Self::Float => AttributeType::Float,
            Self::Text(_) => AttributeType::String,
        }
    }

    /// Checks that an attribute has this type, and a value in the field of that type alone, which is one of those allowed.
    pub(super) fn check(self, attribute: &AttributeProto) -> Result<(), AttributeProblem> {
        let expected = self.attribute_type();
        if attribute.ref_attr_name.is_some() {
            return Err(AttributeProblem::Reference);
        }
        let found = attribute
            .r#type
            .and_then(|number| AttributeType::try_from(number).ok());
        if found != Some(expected) {
            return Err(AttributeProblem::Type { found, expected });
        }
        if attribute.used_fields() != [expected] {
            return Err(AttributeProblem::Field);
        }
        match self {
            Self::Zero if attribute.i != Some(0) => Err(AttributeProblem::Range {
                found: attribute.i.unwrap_or_default().to_string(),
                expected: "0".into(),
            }),
            Self::Text(allowed) => {
                let found = attribute.s.as_deref().unwrap_or_default();
                if allowed.iter().any(|text| text.as_bytes() == found) {
                    return Ok(());
                }
                let found = short(&String::from_utf8_lossy(found));
                Err(AttributeProblem::Range {
                    found: format!("{found:?}"),
                    expected: format!("one of {}", allowed.join(", ")),
                })
            }
            _ => Ok(()),
        }
    }
}
