//! `vesal-export bundle`

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use vesal_cli::{Exit, Failure};
use vesal_volume::postprocess::Combine;

use super::exit::assemble_exit;
use super::output::{OutputFlags, progress};
use crate::package::{PackageError, package};
use crate::runs::RunsError;
use crate::selection::{RunChoice, SelectionError, SelectionOptions};

/// Packs the trained runs of a work directory
///
/// The best weights of each chosen run become an ONNX network, which is checked and compared with the trained one; all
/// of them become one bundle, an ensemble.
#[derive(Debug, Args)]
#[command(after_help = "\
An ensemble file lists runs by name or by fold, with weights (1 if not given), and may say how to combine them:
  combine: vote
  members:
    - {run: segresnet_0, weight: 2}
    - {fold: 1}

Examples:
  vesal-export bundle --work-dir work --output spleen-1.0.0
  vesal-export bundle --work-dir work --output spleen-1.0.0 --ensemble best-n:3
  vesal-export bundle --work-dir work --output spleen-1.0.0 --ensemble chosen.yaml")]
pub(super) struct BundleArguments {
    /// Work directory of `vesal-train`
    #[arg(long, value_name = "DIR")]
    work_dir: PathBuf,
    /// Which runs become members: the best of each fold (`best-by-fold`), the N of highest mean Dice (`best-n:N`), every
    /// finished one (`all`), or those that FILE.yaml lists
    #[arg(long, value_name = "CHOICE", default_value = "best-by-fold", value_parser = str::parse::<RunChoice>)]
    ensemble: RunChoice,
    /// How the members' predictions become one: `mean` of probabilities, or `vote` [default: mean, or what FILE.yaml says]
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    combine: Option<CombineFlag>,
    /// Folds to choose from; by default all folds that the work directory is to train
    #[arg(long, value_name = "FOLD,...", value_delimiter = ',')]
    folds: Option<Vec<usize>>,
    /// Leave out folds without a finished run
    #[arg(long)]
    allow_missing_folds: bool,
    #[command(flatten)]
    output: OutputFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CombineFlag {
    /// The weighted mean of the probabilities
    Mean,
    /// Weighted votes
    Vote,
}

impl From<CombineFlag> for Combine {
    fn from(flag: CombineFlag) -> Self {
        match flag {
            CombineFlag::Mean => Self::Mean,
            CombineFlag::Vote => Self::Vote,
        }
    }
}

impl BundleArguments {
    pub fn run(&self) -> Result<Exit, Failure> {
        let options = SelectionOptions {
            choice: self.ensemble.clone(),
            folds: self.folds.clone(),
            allow_missing_folds: self.allow_missing_folds,
            combine: self.combine.map(Combine::from),
        };
        let packed = package(
            &self.work_dir,
            &options,
            self.output.name.as_deref(),
            &self.output.destination(),
            &mut progress,
        );
        let assembled = packed.map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            Failure::new(exit(&error), error)
                .attempting(format!("cannot export `{}`", self.work_dir.display()))
                .hint(hint)
        })?;
        self.output.report(&assembled, Vec::new())
    }
}

fn exit(error: &PackageError) -> Exit {
    match error {
        PackageError::Plan { .. } => Exit::Bundle,
        PackageError::Assemble(error) => assemble_exit(error),
        PackageError::Runs(RunsError::WorkRecord { .. }) => Exit::Bundle,
        PackageError::Selection(SelectionError::TooFew { .. }) => Exit::Usage,
        _ => Exit::Input,
    }
}
