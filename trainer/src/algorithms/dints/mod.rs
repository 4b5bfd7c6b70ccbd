//! DiNTS, planned and trained as by Auto3DSeg's dints, whose architecture is fixed: Auto3DSeg's runner never searches
//! another one.

mod augmentation;
mod recipe;
mod rules;

use vesal_network::NetworkConfig;

use super::algorithm::{Algorithm, NetworkSize};
use super::swinunetr;

pub static DINTS: Algorithm = Algorithm {
    name: "dints",
    skip: Algorithm::never_skipped,
    plan: |stats, input, budget| swinunetr::rules::plan(&rules::RULES, stats, input, budget),
    network: network_of_size,
    recipe: recipe::RECIPE,
};

fn network_of_size(size: &NetworkSize) -> NetworkConfig {
    let filters = size.init_filters.unwrap_or(rules::FILTERS);
    rules::network(size.in_channels, size.out_channels, filters)
}
