//! What an algorithm consists of.

use std::fmt;

use vesal_network::NetworkConfig;

use super::recipe::Recipe;
use crate::analyze::stats::StatsSummary;
use crate::planner::{Budget, PlannerError, PlannerInput, PlannerOutput};

/// A network family with the rules that plan it and the recipe that trains it.
pub struct Algorithm {
    /// Auto3DSeg's name where it has one, in lower case: part of the names of runs, and a folder of the work directory.
    pub name: &'static str,
    /// Why these cases are not for this algorithm, to be read after "skipped, because"; none: they are.
    pub skip: fn(&StatsSummary) -> Option<String>,
    /// Decides everything that preprocessing, training and deployment need to know. What the user sets is taken as it is,
    /// and what follows from it follows from the user's value.
    ///
    /// **Errors**: [`PlannerError`] where the user's settings contradict each other or the data.
    pub plan: fn(&StatsSummary, &PlannerInput<'_>, &Budget) -> Result<PlannerOutput, PlannerError>,
    /// A network of the algorithm's family without a plan, to measure steps with; its validity is not checked.
    pub network: fn(&NetworkSize) -> NetworkConfig,
    pub recipe: Recipe,
}

/// What a network without a plan is built from; families take of it what they have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSize {
    pub in_channels: usize,
    pub out_channels: usize,
    /// Channels of the first level.
    pub init_filters: usize,
    /// Blocks of each level.
    pub blocks_down: Vec<usize>,
}

impl Algorithm {
    /// [`skip`](Self::skip) of an algorithm for all cases.
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
