//! Results of an evaluation, as JSON and as text.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use vesal_bundle::case_scores::{CaseScore, LabelScore, MeanScore};
use vesal_cli::Text;
use vesal_files::VersionedDocument;
use vesal_volume::measure::LabelMeasures;

/// Evaluation of predictions.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// Tolerance of the surface Dice in mm.
    pub tolerance_mm: f64,
    /// Mean over labels of the mean Dice over the cases that have the label; null where no case has a label.
    pub mean_dice: Option<f64>,
    /// Means by label, over the cases that have it.
    pub labels: BTreeMap<String, LabelMeans>,
    pub cases: Vec<ComparedCase>,
    /// Cases without a prediction.
    pub missing: Vec<String>,
    pub failed: Vec<FailedCase>,
}

/// Means of one label.
#[derive(Debug, Serialize)]
pub struct LabelMeans {
    pub dice: Option<f64>,
    pub surface_dice: Option<f64>,
    /// Over the cases in which the prediction has the label as well.
    pub hausdorff95_mm: Option<f64>,
    /// Cases that have it.
    pub cases: usize,
}

#[derive(Debug, Serialize)]
pub struct ComparedCase {
    pub case: String,
    /// By label name.
    pub labels: BTreeMap<String, LabelMeasures>,
}

/// A case that cannot be compared.
#[derive(Debug, Serialize)]
pub struct FailedCase {
    pub case: String,
    pub reason: String,
}

impl VersionedDocument for Evaluation {
    const FORMAT: &str = "vesal-evaluation";
    const VERSION: u32 = 1;
}

impl Evaluation {
    pub(super) fn new(
        tolerance_mm: f64,
        cases: Vec<ComparedCase>,
        missing: Vec<String>,
        failed: Vec<FailedCase>,
    ) -> Self {
        let scores: Vec<CaseScore> = cases.iter().map(ComparedCase::score).collect();
        let mean = MeanScore::over(&scores);
        let any = mean.dice_by_label.values().any(Option::is_some);
        let names: BTreeSet<&String> = cases.iter().flat_map(|case| case.labels.keys()).collect();
        let labels = names
            .into_iter()
            .map(|name| (name.clone(), LabelMeans::over(name, &cases)))
            .collect();
        Self {
            tolerance_mm,
            mean_dice: any.then_some(mean.mean_dice),
            labels,
            cases,
            missing,
            failed,
        }
    }

    /// Whether every case was compared.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.failed.is_empty()
    }

    /// The results as lines of text.
    pub fn text(&self) -> Text {
        let header = |first: &str| -> Vec<String> {
            [
                first,
                "label",
                "Dice",
                "surface Dice",
                "HD95 mm",
                "truth ml",
                "prediction ml",
            ]
            .map(str::to_owned)
            .to_vec()
        };
        let mut rows = vec![header("case")];
        for case in &self.cases {
            for (label, measures) in &case.labels {
                rows.push(vec![
                    case.case.clone(),
                    label.clone(),
                    fraction(measures.dice),
                    fraction(measures.surface_dice),
                    millimeters(measures.hausdorff95_mm),
                    format!("{:.3}", measures.truth_ml),
                    format!("{:.3}", measures.prediction_ml),
                ]);
            }
        }
        let mut text = Text::new();
        if !self.cases.is_empty() {
            text.table(&rows).blank();
        }
        let mut rows = vec![
            ["label", "cases", "Dice", "surface Dice", "HD95 mm"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for (label, means) in &self.labels {
            rows.push(vec![
                label.clone(),
                means.cases.to_string(),
                fraction(means.dice),
                fraction(means.surface_dice),
                millimeters(means.hausdorff95_mm),
            ]);
        }
        rows.push(vec![
            "mean".into(),
            self.cases.len().to_string(),
            fraction(self.mean_dice),
        ]);
        text.table(&rows);
        text
    }

    /// Missing predictions and failures, one line each.
    pub fn complaints(&self) -> Vec<String> {
        let missing = self
            .missing
            .iter()
            .map(|case| format!("case `{case}` has no prediction"));
        let failed = self
            .failed
            .iter()
            .map(|FailedCase { case, reason }| format!("case `{case}` is left out: {reason}"));
        missing.chain(failed).collect()
    }
}

impl ComparedCase {
    fn score(&self) -> CaseScore {
        let label = |measures: &LabelMeasures| LabelScore {
            dice: measures.dice,
            truth_ml: measures.truth_ml,
            prediction_ml: measures.prediction_ml,
        };
        CaseScore {
            case: self.case.clone(),
            labels: self
                .labels
                .iter()
                .map(|(name, measures)| (name.clone(), label(measures)))
                .collect(),
        }
    }
}

impl LabelMeans {
    /// **Definition**: over the cases whose truth has the label; a distance that is undefined is left out.
    fn over(name: &str, cases: &[ComparedCase]) -> Self {
        let present: Vec<&LabelMeasures> = cases
            .iter()
            .filter_map(|case| case.labels.get(name))
            .filter(|measures| measures.dice.is_some())
            .collect();
        let mean = |of: fn(&LabelMeasures) -> Option<f64>| {
            let values: Vec<f64> = present.iter().filter_map(|measures| of(measures)).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        Self {
            dice: mean(|measures| measures.dice),
            surface_dice: mean(|measures| measures.surface_dice),
            hausdorff95_mm: mean(|measures| measures.hausdorff95_mm),
            cases: present.len(),
        }
    }
}

fn fraction(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.4}"))
}

fn millimeters(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_over_the_cases_that_have_the_label() {
        let measures = |dice: Option<f64>, hausdorff95_mm| LabelMeasures {
            label: 1,
            dice,
            hausdorff_mm: None,
            hausdorff95_mm,
            average_surface_distance_mm: None,
            surface_dice: Some(dice.unwrap_or(0.0)),
            truth_ml: 1.0,
            prediction_ml: 1.5,
        };
        let case = |case: &str, measures| ComparedCase {
            case: case.into(),
            labels: [("liver".to_owned(), measures)].into(),
        };
        let cases = vec![
            case("a", measures(Some(0.5), Some(3.0))),
            case("b", measures(Some(1.0), None)),
            case("c", measures(None, None)),
        ];
        let document = Evaluation::new(1.0, cases, vec!["d".into()], Vec::new());
        let means = &document.labels["liver"];
        assert_eq!(
            (
                means.dice,
                means.surface_dice,
                means.hausdorff95_mm,
                means.cases
            ),
            (Some(0.75), Some(0.75), Some(3.0), 2)
        );
        assert_eq!(document.mean_dice, Some(0.75));
        assert!(!document.is_complete());
        assert_eq!(document.complaints(), ["case `d` has no prediction"]);
        assert!(
            document.text().as_str().ends_with("mean   3      0.7500\n"),
            "{}",
            document.text().as_str()
        );
    }
}
