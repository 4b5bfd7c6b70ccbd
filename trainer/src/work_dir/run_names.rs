//! Names of runs for people.

use vesal_bundle::work_dir::RunId;

/// Names of runs: the fold, preceded by the algorithm where there are several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunNames {
    several_algorithms: bool,
}

impl RunNames {
    /// Names that distinguish these runs.
    pub fn among<'a>(runs: impl IntoIterator<Item = &'a RunId>) -> Self {
        let mut runs = runs.into_iter();
        let first = runs.next();
        let several_algorithms =
            first.is_some_and(|first| runs.any(|run| run.algorithm != first.algorithm));
        Self { several_algorithms }
    }

    pub fn several_algorithms(self) -> bool {
        self.several_algorithms
    }

    /// The name in a sentence: `fold 2`, or `segresnet fold 2`.
    pub fn phrase(self, run: &RunId) -> String {
        match self.several_algorithms {
            true => format!("{} fold {}", run.algorithm, run.fold),
            false => format!("fold {}", run.fold),
        }
    }

    /// The columns of a table that name a run: `fold` alone, or `algorithm` and `fold`.
    pub fn columns<T>(self, algorithm: T, fold: T) -> Vec<T> {
        match self.several_algorithms {
            true => vec![algorithm, fold],
            false => vec![fold],
        }
    }

    /// The cells of a run in these columns.
    pub fn cells(self, run: &RunId) -> Vec<String> {
        self.columns(run.algorithm.clone(), run.fold.to_string())
    }
}
