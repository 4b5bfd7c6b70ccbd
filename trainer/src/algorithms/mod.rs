//! The registry of algorithms: what can be planned, trained and exported by name.
//!
//! An algorithm is a network family, rules that plan it, and a recipe that trains it: a value of type [`Algorithm`] in
//! a folder of its own, and one line here. The registry is a table and not a trait, because an algorithm has neither
//! state nor types of its own: plain data and functions can be listed, compared by name and read in one place. The
//! training loop is generic over Burn's backends and could not call generic methods of a trait object; it reads the
//! recipe as data instead. Code that several algorithms share is in [`planner`](crate::planner),
//! [`augment`](crate::augment) and [`schedule`](crate::schedule).

mod algorithm;
pub mod dints;
mod recipe;
mod rounds;
pub mod segresnet;
pub mod segresnet2d;
pub mod swinunetr;

pub use algorithm::{Algorithm, NetworkSize};
pub use recipe::{EarlyStopping, Loss, Optimizer, Recipe};

use std::fmt;

use thiserror::Error;

use crate::settings::suggest;

/// All algorithms, in the order of planning and listing.
static ALL: &[&Algorithm] = &[
    &segresnet::SEGRESNET,
    &segresnet2d::SEGRESNET2D,
    &swinunetr::SWINUNETR,
    &dints::DINTS,
];

/// The algorithm that is trained where none is chosen. Records without the name of an algorithm are about this one.
pub const DEFAULT: &Algorithm = &segresnet::SEGRESNET;

pub fn all() -> &'static [&'static Algorithm] {
    ALL
}

/// The algorithm of a name; case is ignored.
///
/// **Errors**: [`UnknownAlgorithm`].
pub fn find(name: &str) -> Result<&'static Algorithm, UnknownAlgorithm> {
    let mut algorithms = ALL.iter().copied();
    let found = algorithms.find(|algorithm| algorithm.name.eq_ignore_ascii_case(name.trim()));
    found.ok_or_else(|| UnknownAlgorithm {
        name: name.to_owned(),
    })
}

/// Stands for all algorithms where names are given.
const EVERY: &str = "all";

/// The algorithms of these names, each once, in their order; `all` stands for every algorithm. A text may hold several
/// names, separated by commas.
///
/// **Errors**: [`UnknownAlgorithm`].
pub fn parse<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<&'static Algorithm>, UnknownAlgorithm> {
    let mut found = Vec::new();
    let names = names.into_iter().flat_map(|names| names.split(','));
    for name in names.filter(|name| !name.trim().is_empty()) {
        let named = match name.trim().eq_ignore_ascii_case(EVERY) {
            true => ALL.to_vec(),
            false => vec![find(name)?],
        };
        for algorithm in named {
            if !found.contains(&algorithm) {
                found.push(algorithm);
            }
        }
    }
    Ok(found)
}

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct UnknownAlgorithm {
    pub name: String,
}

impl fmt::Display for UnknownAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = ALL.iter().map(|algorithm| algorithm.name).collect();
        let suggestion = suggest::closest(&self.name, names.iter().copied());
        write!(
            f,
            "`{}` is no algorithm{}; algorithms are: {}, or `{EVERY}` of them",
            self.name,
            suggest::phrase(&suggestion),
            names.join(", ")
        )
    }
}
