//! Labels and regions: their rules, and how label maps of the training data become label maps of the plan.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use vesal_volume::LabelMap;
use vesal_volume::postprocess::Activation;

use super::code::{CodeError, LabelCode};
use super::error::PlanError;

/// A label, or a region that may overlap others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// Display name.
    pub name: String,
    /// Value in the label map; for a region the bit `2^class_index`, and a voxel holds the sum of its regions' bits.
    pub value: u16,
    /// Output channel of the network.
    pub class_index: usize,
    /// Values in the label maps of the training data that it consists of; absent: `value` itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub index: Option<Vec<u16>>,
    /// Its DICOM code; background has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<LabelCode>,
}

impl Label {
    /// A label that consists of its own value and has no code.
    pub fn new(name: impl Into<String>, value: u16, class_index: usize) -> Self {
        Self {
            name: name.into(),
            value,
            class_index,
            index: None,
            code: None,
        }
    }
}

/// A value in a label map that the plan does not have.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("label map has {voxels} voxels of label {found}, expected one of {expected:?}")]
pub struct UnknownLabel {
    pub found: u16,
    /// Voxels of that value.
    pub voxels: usize,
    /// Values of the plan.
    pub expected: Vec<u16>,
}

/// The value of every class, in `class_index` order.
pub(super) fn values(labels: &[Label]) -> Vec<u16> {
    labels.iter().map(|label| label.value).collect()
}

/// See [`DeployPlan::translate`](super::DeployPlan::translate).
pub(super) fn translate(labels: &[Label], map: &mut LabelMap) -> Result<(), UnknownLabel> {
    let mut translations = vec![None; usize::from(u16::MAX) + 1];
    let mut value_of = |found: u16| {
        *translations[usize::from(found)].get_or_insert_with(|| translation(labels, found))
    };
    if let Some(&found) = map.data.iter().find(|&&found| value_of(found).is_none()) {
        return Err(UnknownLabel {
            found,
            voxels: map.data.iter().filter(|&&value| value == found).count(),
            expected: values(labels),
        });
    }
    map.data.mapv_inplace(|found| value_of(found).unwrap_or(0));
    Ok(())
}

/// The plan's value for a value of the training data; none if the plan does not have it.
fn translation(labels: &[Label], annotated: u16) -> Option<u16> {
    let made_up = labels.iter().any(|label| label.index.is_some());
    let holds = |label: &&Label| match &label.index {
        Some(index) => index.contains(&annotated),
        None => !made_up && label.value == annotated,
    };
    let mut holding = labels.iter().filter(holds).map(|label| label.value);
    match holding.next() {
        Some(first) => Some(holding.fold(first, |all, value| all | value)),
        None => (made_up || annotated == 0).then_some(0),
    }
}

/// Checks the rules of labels or regions that the types do not express.
pub(super) fn validate(labels: &[Label], activation: Activation) -> Result<(), PlanError> {
    let mut values = BTreeSet::new();
    for (expected, label) in labels.iter().enumerate() {
        let found = label.class_index;
        if found != expected {
            return Err(PlanError::ClassIndex {
                label: label.name.clone(),
                found,
                expected,
            });
        }
        validate_value(label, activation)?;
        validate_code(label, activation)?;
        if !values.insert(label.value) {
            return Err(PlanError::Duplicate {
                of: "labels of value",
                what: label.value.to_string(),
            });
        }
    }
    validate_indices(labels, activation)
}

fn validate_value(label: &Label, activation: Activation) -> Result<(), PlanError> {
    let (found, name) = (label.value, || label.name.clone());
    match activation {
        Activation::Softmax if label.class_index == 0 && found != 0 => Err(PlanError::Background {
            label: name(),
            found,
        }),
        Activation::Sigmoid if found != 1 << label.class_index => Err(PlanError::Region {
            label: name(),
            found,
            expected: 1 << label.class_index,
        }),
        Activation::Softmax | Activation::Sigmoid => Ok(()),
    }
}

fn validate_code(label: &Label, activation: Activation) -> Result<(), CodeError> {
    match &label.code {
        Some(_) if activation == Activation::Softmax && label.class_index == 0 => {
            Err(CodeError::Background {
                label: label.name.clone(),
            })
        }
        Some(code) => code.check(&label.name),
        None => Ok(()),
    }
}

/// The values that labels consist of; only regions may share a value.
fn validate_indices(labels: &[Label], activation: Activation) -> Result<(), PlanError> {
    let mut owners: BTreeMap<u16, &Label> = BTreeMap::new();
    for label in labels {
        let Some(index) = &label.index else { continue };
        let distinct: BTreeSet<_> = index.iter().collect();
        if index.is_empty() || distinct.len() < index.len() || index.contains(&0) {
            return Err(PlanError::Index {
                label: label.name.clone(),
                found: index.clone(),
            });
        }
        for &value in index {
            if let (Activation::Softmax, Some(first)) = (activation, owners.insert(value, label)) {
                return Err(PlanError::SharedIndex {
                    first: first.name.clone(),
                    second: label.name.clone(),
                    value,
                });
            }
        }
    }
    Ok(())
}
