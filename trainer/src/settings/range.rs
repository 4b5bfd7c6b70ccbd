//! Ranges of settings: as a condition, in words and as JSON Schema.

use std::path::Path;

use serde_json::{Map, Value, json};
use vesal_bundle::deploy_plan::MAX_WINDOW_SIDE;

/// Valid values of a setting.
pub struct Range<T: ?Sized + 'static> {
    /// The range in words.
    pub expected: &'static str,
    /// Whether a value is in the range.
    pub holds: fn(&T) -> bool,
    /// Limits of the value, or of each element of a list, as far as JSON Schema can express them.
    pub limits: Limits,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    pub minimum: Option<f64>,
    pub maximum: Option<f64>,
    pub exclusive_minimum: Option<f64>,
    pub exclusive_maximum: Option<f64>,
    /// Least number of elements.
    pub min_items: Option<usize>,
    pub unique_items: bool,
}

impl Limits {
    pub const NONE: Self = Self {
        minimum: None,
        maximum: None,
        exclusive_minimum: None,
        exclusive_maximum: None,
        min_items: None,
        unique_items: false,
    };

    const fn from(minimum: f64) -> Self {
        Self {
            minimum: Some(minimum),
            ..Self::NONE
        }
    }

    const fn between(minimum: f64, maximum: f64) -> Self {
        Self {
            minimum: Some(minimum),
            maximum: Some(maximum),
            ..Self::NONE
        }
    }

    const fn above(limit: f64) -> Self {
        Self {
            exclusive_minimum: Some(limit),
            ..Self::NONE
        }
    }

    /// Adds the limits to the schema of a type; limits of numbers apply to the innermost elements of a list.
    pub fn add_to(&self, schema: &mut Map<String, Value>) {
        if let Some(count) = self.min_items {
            schema.insert("minItems".into(), json!(count));
        }
        if self.unique_items {
            schema.insert("uniqueItems".into(), json!(true));
        }
        self.add_numbers(schema);
    }

    fn add_numbers(&self, schema: &mut Map<String, Value>) {
        if let Some(Value::Object(items)) = schema.get_mut("items") {
            return self.add_numbers(items);
        }
        let is_integer = schema.get("type") == Some(&json!("integer"));
        for (key, limit) in [
            ("minimum", self.minimum),
            ("maximum", self.maximum),
            ("exclusiveMinimum", self.exclusive_minimum),
            ("exclusiveMaximum", self.exclusive_maximum),
        ] {
            match limit {
                Some(limit) if is_integer => schema.insert(key.into(), json!(limit as i64)),
                Some(limit) => schema.insert(key.into(), json!(limit)),
                None => None,
            };
        }
    }
}

impl<T> Range<T> {
    /// All values of the type.
    pub const ANY: Self = Self {
        expected: "",
        holds: |_| true,
        limits: Limits::NONE,
    };
}

/// Counts of at least 1.
pub const AT_LEAST_1: Range<usize> = Range {
    expected: "at least 1",
    holds: |&count| count > 0,
    limits: Limits::from(1.0),
};

/// Patches in voxels.
pub const PATCH: Range<[usize; 3]> = Range {
    expected: "1 to 1024 voxels on every axis",
    holds: |patch| {
        patch
            .iter()
            .all(|side| (1..=MAX_WINDOW_SIDE).contains(side))
    },
    limits: Limits::between(1.0, MAX_WINDOW_SIDE as f64),
};

/// Spacing in mm.
pub const SPACING: Range<[f64; 3]> = Range {
    expected: "0.001 to 1000 mm on every axis",
    holds: |spacing| spacing.iter().all(|mm| (1e-3..=1e3).contains(mm)),
    limits: Limits::between(1e-3, 1e3),
};

/// Lower and upper bound of intensities.
pub const BOUNDS: Range<[f64; 2]> = Range {
    expected: "[low, high] with low < high",
    holds: |[low, high]| low < high && low.is_finite() && high.is_finite(),
    limits: Limits::NONE,
};

/// Blocks of each level of a network.
pub const BLOCKS: Range<Vec<usize>> = Range {
    expected: "at least one level of at least 1 block",
    holds: |levels| !levels.is_empty() && levels.iter().all(|&blocks| blocks > 0),
    limits: Limits {
        min_items: Some(1),
        ..Limits::from(1.0)
    },
};

/// Positive numbers.
pub const POSITIVE: Range<f64> = Range {
    expected: "a positive number",
    holds: |&number| number > 0.0 && number.is_finite(),
    limits: Limits::above(0.0),
};

/// Numbers from 0 on.
pub const NOT_NEGATIVE: Range<f64> = Range {
    expected: "a finite number of at least 0",
    holds: |&number| number >= 0.0 && number.is_finite(),
    limits: Limits::from(0.0),
};

/// Limits of norms, which have to be positive in single precision as well.
pub const NORM_LIMIT: Range<f64> = Range {
    expected: POSITIVE.expected,
    holds: |&limit| limit.is_finite() && limit as f32 > 0.0,
    limits: Limits::above(0.0),
};

/// Fractions from 0 on, below 1.
pub const FRACTION: Range<f64> = Range {
    expected: "at least 0 and below 1",
    holds: |value| (0.0..1.0).contains(value),
    limits: Limits {
        exclusive_maximum: Some(1.0),
        ..Limits::from(0.0)
    },
};

pub const CLASS_WEIGHTS: Range<Vec<f64>> = Range {
    expected: "finite numbers of at least 0, not all of them 0",
    holds: |weights| {
        let mut all = weights.iter();
        all.all(|weight| weight.is_finite() && *weight >= 0.0)
            && weights.iter().any(|weight| *weight > 0.0)
    },
    limits: Limits {
        min_items: Some(1),
        ..Limits::from(0.0)
    },
};

/// Axes of a patch, each at most once.
pub const AXES: Range<Vec<usize>> = Range {
    expected: "different axes of 0, 1 and 2",
    holds: |axes| are_axes(axes),
    limits: Limits {
        unique_items: true,
        ..Limits::between(0.0, 2.0)
    },
};

/// Planes of a patch, as pairs of axes.
pub const PLANES: Range<Vec<[usize; 2]>> = Range {
    expected: "pairs of different axes of 0, 1 and 2",
    holds: |planes| planes.iter().all(|axes| are_axes(axes)),
    limits: Limits::between(0.0, 2.0),
};

/// Paths that mean the same file in every folder.
pub const ABSOLUTE_PATH: Range<String> = Range {
    expected: "an absolute path",
    holds: |path| Path::new(path).is_absolute(),
    limits: Limits::NONE,
};

/// Whether these are axes of a patch, each at most once.
pub fn are_axes(axes: &[usize]) -> bool {
    (0..axes.len()).all(|i| axes[i] < 3 && !axes[..i].contains(&axes[i]))
}
