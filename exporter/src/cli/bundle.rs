//! `vesal-export bundle`

use std::path::PathBuf;

use clap::Args;
use vesal_cli::{Exit, Failure};

use super::{Common, assemble_exit, progress};
use crate::package::{PackageError, package};

/// Packs the trained folds of a work directory
///
/// Every fold's best weights become an ONNX network, which is checked and compared with the trained one; all of them
/// become one bundle, an ensemble.
#[derive(Debug, Args)]
pub(super) struct Bundle {
    /// Work directory of `vesal-train`
    #[arg(long, value_name = "DIR")]
    work_dir: PathBuf,
    /// Folds to pack; all finished ones if not given
    #[arg(long, value_name = "FOLD,...", value_delimiter = ',')]
    folds: Option<Vec<usize>>,
    #[command(flatten)]
    common: Common,
}

impl Bundle {
    pub fn run(&self) -> Result<Exit, Failure> {
        let (folds, name) = (self.folds.as_deref(), self.common.name.as_deref());
        let packed = package(
            &self.work_dir,
            folds,
            name,
            &self.common.destination(),
            &mut progress,
        );
        let assembled = packed.map_err(|error| {
            let hint = error.hint().map(str::to_owned);
            Failure::new(exit(&error), error)
                .attempting(format!("cannot export `{}`", self.work_dir.display()))
                .hint(hint)
        })?;
        self.common.report(&assembled, Vec::new())
    }
}

fn exit(error: &PackageError) -> Exit {
    match error {
        PackageError::Plan { .. } => Exit::Bundle,
        PackageError::Assemble(error) => assemble_exit(error),
        _ => Exit::Input,
    }
}
