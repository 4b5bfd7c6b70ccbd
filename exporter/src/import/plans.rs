//! The deploy plans of imported networks: networks of one family share theirs.

use std::path::{Path, PathBuf};

use super::plan::Planned;

/// Plans in the order of the first checkpoints that have them.
#[derive(Debug, Default)]
pub(super) struct FamilyPlans {
    pub plans: Vec<FamilyPlan>,
}

/// The plan of a family of networks.
#[derive(Debug)]
pub(super) struct FamilyPlan {
    /// The first checkpoint of the family.
    path: PathBuf,
    family: &'static str,
    pub planned: Planned,
}

/// Two checkpoints that cannot vote together.
#[derive(Debug)]
pub(super) struct Disagreement {
    /// The earlier one.
    pub first: PathBuf,
    pub what: &'static str,
}

impl FamilyPlans {
    /// Adds the plan of a checkpoint, and gives its index.
    ///
    /// **Errors**: plans of one family differ, or those of two in channels, labels or activation.
    pub fn add(
        &mut self,
        path: &Path,
        family: &'static str,
        planned: Planned,
    ) -> Result<usize, Disagreement> {
        let same = self.plans.iter().position(|known| known.family == family);
        let known = self.plans.get(same.unwrap_or(0));
        let different = known.and_then(|known| {
            let (a, b) = (&planned.plan, &known.planned.plan);
            let what = a.disagreement(b).or_else(|| match same {
                None => None,
                Some(_) if a.preprocessing != b.preprocessing => Some("preprocessing"),
                Some(_) => (a.window != b.window).then_some("window"),
            });
            what.map(|what| Disagreement {
                first: known.path.clone(),
                what,
            })
        });
        match (different, same) {
            (Some(different), _) => Err(different),
            (None, Some(index)) => {
                let known = &mut self.plans[index].planned.assumptions;
                for assumption in planned.assumptions {
                    if !known.contains(&assumption) {
                        known.push(assumption);
                    }
                }
                Ok(index)
            }
            (None, None) => {
                self.plans.push(FamilyPlan {
                    path: path.to_owned(),
                    family,
                    planned,
                });
                Ok(self.plans.len() - 1)
            }
        }
    }
}
