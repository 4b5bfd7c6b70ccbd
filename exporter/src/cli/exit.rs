//! Exit codes.

use vesal_cli::Exit;

use crate::assemble::AssembleError;
use crate::lower::LowerError;
use crate::parity::ParityError;

/// Exit code of an assembly error.
pub(super) fn assemble_exit(error: &AssembleError) -> Exit {
    match error {
        AssembleError::Library(_) => Exit::Device,
        AssembleError::Parity { source, .. } => match &**source {
            ParityError::Predictor(_) => Exit::Device,
            _ => Exit::Bug,
        },
        AssembleError::Memory { .. } => Exit::Device,
        AssembleError::Interface { .. } => Exit::Bundle,
        AssembleError::Lower { source, .. } => match &**source {
            LowerError::Window(_) | LowerError::Indices { .. } | LowerError::NotFinite { .. } => {
                Exit::Input
            }
            _ => Exit::Bug,
        },
        AssembleError::Probe(_) => Exit::Bug,
        AssembleError::Write(_) => Exit::Output,
    }
}
