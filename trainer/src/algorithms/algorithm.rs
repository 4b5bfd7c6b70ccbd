//! What an algorithm consists of.

use std::fmt;

use vesal_network::NetworkConfig;

use super::recipe::Recipe;
use crate::analyze::stats::StatsSummary;
use crate::planner::{Budget, PlannerError, PlannerInput, PlannerOutput};

/// A network family with the rules that plan it and the recipe that trains it.
pub struct Algorithm {
    /// Auto3DSeg's name where it has one, in lower case. Names of runs and a folder of the work directory contain it.
    pub name: &'static str,
    /// Why these cases do not suit the algorithm, as a clause that follows "skipped, because"; `None` where they do.
    pub skip: fn(&StatsSummary) -> Option<String>,
    /// Decides everything that preprocessing, training and deployment need to know. Values that the user set are kept,
    /// and dependent decisions follow from them.
    ///
    /// **Errors**: [`PlannerError`] where the user's settings contradict each other or the data.
    pub plan: fn(&StatsSummary, &PlannerInput<'_>, &Budget) -> Result<PlannerOutput, PlannerError>,
    /// A network of the algorithm's family without a plan, to measure optimization steps with; its validity is not
    /// checked.
    pub network: fn(&NetworkSize) -> NetworkConfig,
    pub recipe: Recipe,
}

/// Sizes that a network without a plan is built from; a family uses those that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSize {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Channels of the first level; `None`: as many as the algorithm plans by default.
    pub init_filters: Option<usize>,
    pub blocks_down: Vec<usize>,
}

impl Algorithm {
    /// A [`skip`](Self::skip) rule for algorithms that suit all cases.
    pub fn never_skipped(_: &StatsSummary) -> Option<String> {
        None
    }
}

impl PartialEq for Algorithm {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Algorithm {}

impl fmt::Debug for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Algorithm").field(&self.name).finish()
    }
}
