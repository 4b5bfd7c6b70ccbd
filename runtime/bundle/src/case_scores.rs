//! Scores of single cases, `scores.json` of a run, and their means.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::run_record::{RunRecordError, Score, check_dice};
use vesal_files::document::{self, VersionedDocument};

/// File name inside a run directory.
pub const FILE_NAME: &str = "scores.json";

/// Scores of one label of one case.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelScore {
    /// Dice; null where the truth does not have the label.
    pub dice: Option<f64>,
    /// Volume in the truth, in ml.
    pub truth_ml: f64,
    /// Volume in the prediction, in ml.
    pub prediction_ml: f64,
}

/// Scores of one case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseScore {
    /// Name of the case.
    pub case: String,
    /// By label name.
    pub labels: BTreeMap<String, LabelScore>,
}

/// `scores.json`: scores of a run's best weights on each case that it held out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseScores {
    /// Fold that the run held out.
    pub fold: usize,
    /// Epoch (1-based) whose weights were kept.
    pub epoch: usize,
    /// Epochs that were trained.
    pub epochs_trained: usize,
    /// In the order of the datalist.
    pub cases: Vec<CaseScore>,
}

/// The mean over cases.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanScore {
    /// Mean over labels of the mean Dice over cases in which the label is present.
    pub mean_dice: f64,
    /// The same per label name; absent from every case: null.
    pub dice_by_label: BTreeMap<String, Option<f64>>,
    pub cases: usize,
}

impl CaseScore {
    /// Mean Dice over the labels that the truth has; none without such a label.
    pub fn mean_dice(&self) -> Option<f64> {
        mean(self.labels.values().filter_map(|label| label.dice))
    }
}

impl MeanScore {
    /// The mean over these cases.
    ///
    /// **Definition**: per label the mean over the cases that have it, then the mean over the labels that any case has;
    /// 0 where there is none. All cases count alike, independently of their fold.
    ///
    /// **Source**: MONAI 1.6.1 `DiceHelper(ignore_empty=True)`, averaged as Auto3DSeg's segresnet does.
    pub fn over<'a>(cases: impl IntoIterator<Item = &'a CaseScore>) -> Self {
        let mut values: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut count = 0;
        for case in cases {
            count += 1;
            for (name, label) in &case.labels {
                values.entry(name).or_default().extend(label.dice);
            }
        }
        let dice_by_label: BTreeMap<String, Option<f64>> = values
            .into_iter()
            .map(|(name, values)| (name.to_owned(), mean(values.into_iter())))
            .collect();
        Self {
            mean_dice: mean(dice_by_label.values().copied().flatten()).unwrap_or(0.0),
            dice_by_label,
            cases: count,
        }
    }

    /// The score of an epoch (from 1).
    pub fn at_epoch(self, epoch: usize) -> Score {
        Score {
            epoch,
            mean_dice: self.mean_dice,
            dice_by_label: self.dice_by_label,
            cases: self.cases,
        }
    }

    /// Checks that the figures can be a score.
    ///
    /// **Errors**: [`RunRecordError::Score`].
    pub fn validate(&self) -> Result<(), RunRecordError> {
        check_dice(self.mean_dice, &self.dice_by_label)
    }
}

impl VersionedDocument for CaseScores {
    const FORMAT: &str = "vesal-case-scores";
    const VERSION: u32 = 1;
    const MAX_BYTES: u64 = 256 << 20;
}

impl CaseScores {
    /// Reads and validates scores.
    ///
    /// **Errors**: [`RunRecordError`].
    pub fn read(path: &Path) -> Result<Self, RunRecordError> {
        Self::validated(document::read(path)?)
    }

    /// Parses and validates scores.
    ///
    /// **Errors**: [`RunRecordError`].
    pub fn from_json(bytes: &[u8]) -> Result<Self, RunRecordError> {
        Self::validated(document::parse(bytes, FILE_NAME)?)
    }

    fn validated(self) -> Result<Self, RunRecordError> {
        self.validate()?;
        Ok(self)
    }

    /// Validates the scores and writes them atomically.
    ///
    /// **Errors**: [`RunRecordError`].
    pub fn write(&self, path: &Path) -> Result<(), RunRecordError> {
        self.validate()?;
        Ok(document::write(path, self)?)
    }

    fn validate(&self) -> Result<(), RunRecordError> {
        MeanScore::over(&self.cases)
            .at_epoch(self.epoch)
            .validate()?;
        let labels = self.cases.iter().flat_map(|case| &case.labels);
        for (name, label) in labels {
            check_dice(label.dice.unwrap_or(0.0), &BTreeMap::new())?;
            let volumes = [label.truth_ml, label.prediction_ml];
            if let Some(found) = volumes
                .into_iter()
                .find(|ml| !(ml.is_finite() && *ml >= 0.0))
            {
                return Err(RunRecordError::Score {
                    what: format!("ml of {name}"),
                    found,
                    expected: "0 or more",
                });
            }
        }
        Ok(())
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0u32), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, dice: [Option<f64>; 2]) -> CaseScore {
        let label = |dice| LabelScore {
            dice,
            truth_ml: 1.0,
            prediction_ml: 2.0,
        };
        CaseScore {
            case: name.into(),
            labels: [("a", dice[0]), ("b", dice[1])]
                .map(|(name, dice)| (name.to_owned(), label(dice)))
                .into(),
        }
    }

    #[test]
    fn labels_are_averaged_over_the_cases_that_have_them() {
        let cases = [
            case("x", [Some(0.5), None]),
            case("y", [Some(1.0), Some(0.25)]),
            case("z", [Some(0.75), None]),
        ];
        let found = MeanScore::over(&cases);
        assert_eq!(found.dice_by_label["a"], Some(0.75));
        assert_eq!(found.dice_by_label["b"], Some(0.25));
        assert_eq!((found.mean_dice, found.cases), (0.5, 3));
        assert_eq!(cases[1].mean_dice(), Some(0.625));
        let none = MeanScore::over(&[case("x", [None, None])]);
        assert_eq!((none.mean_dice, none.dice_by_label["a"]), (0.0, None));
    }

    #[test]
    fn impossible_scores_are_refused() {
        let scores = |case| CaseScores {
            fold: 0,
            epoch: 2,
            epochs_trained: 3,
            cases: vec![case],
        };
        let whole = scores(case("x", [Some(0.5), None]));
        let bytes = document::to_json(&whole, FILE_NAME).unwrap();
        assert_eq!(CaseScores::from_json(&bytes).unwrap(), whole);
        let mut broken = case("x", [Some(1.5), None]);
        assert!(scores(broken.clone()).validate().is_err());
        broken = case("x", [Some(0.5), None]);
        broken.labels.get_mut("b").unwrap().truth_ml = f64::NAN;
        let error = scores(broken).validate().unwrap_err().to_string();
        assert!(error.contains("ml of b"), "{error}");
    }
}
