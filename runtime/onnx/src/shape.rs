//! Shapes of values.

use std::fmt;

/// Size of one axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Dim {
    Fixed(i64),
    /// Free, under a name.
    Free(String),
}

impl fmt::Display for Dim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(size) => write!(formatter, "{size}"),
            Self::Free(name) => write!(formatter, "{name}"),
        }
    }
}

/// Sizes of all axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SymbolicShape(pub Vec<Dim>);

impl SymbolicShape {
    pub fn rank(&self) -> usize {
        self.0.len()
    }

    /// Whether a declaration is compatible: equal where it states sizes.
    pub fn fits(&self, declared: &Self) -> bool {
        let fits = |(found, declared): (&Dim, &Dim)| match (found, declared) {
            (Dim::Fixed(found), Dim::Fixed(declared)) => found == declared,
            (Dim::Free(_), Dim::Fixed(_)) => false,
            (_, Dim::Free(_)) => true,
        };
        self.0.len() == declared.0.len() && self.0.iter().zip(&declared.0).all(fits)
    }
}

impl fmt::Display for SymbolicShape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self.0.iter().map(Dim::to_string).collect();
        write!(formatter, "[{}]", sizes.join(", "))
    }
}
