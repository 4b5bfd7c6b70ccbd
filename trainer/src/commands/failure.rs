//! Errors of the library as failures of the program, with exit codes.

use vesal_cli::{Exit, Failure};
use vesal_trainer::fit::FitError;
use vesal_trainer::work_dir::{Fault, WorkError};

pub(super) fn failure(error: WorkError) -> Failure {
    let exit = match error.fault() {
        Fault::Usage => Exit::Usage,
        Fault::Input => Exit::Input,
        Fault::Plan => Exit::Bundle,
        Fault::Output => Exit::Output,
    };
    let hint = error.hint();
    Failure::new(exit, error).hint(hint)
}

pub(super) fn fit_failure(error: FitError) -> Failure {
    let exit = match &error {
        FitError::Case(_) | FitError::NoCases { .. } | FitError::InitialWeights { .. } => {
            Exit::Input
        }
        FitError::DeployPlan { .. }
        | FitError::TrainPlan { .. }
        | FitError::Network(_)
        | FitError::Algorithm(_)
        | FitError::Plans { .. }
        | FitError::Controls(_)
        | FitError::OtherRun { .. }
        | FitError::Busy { .. }
        | FitError::NoWeights { .. }
        | FitError::Record(_)
        | FitError::NotRelative { .. }
        | FitError::TensorFile(_) => Exit::Bundle,
        FitError::Shares { .. } => Exit::Usage,
        FitError::Device(_)
        | FitError::Memory(_)
        | FitError::Replica { .. }
        | FitError::Diverged { .. }
        | FitError::LowScore { .. }
        | FitError::Validate { .. }
        | FitError::DataLoader { .. } => Exit::Device,
        FitError::Io { .. } | FitError::Write(_) => Exit::Output,
    };
    let hint = error.hint();
    Failure::new(exit, error).hint(hint)
}
