//! The cases of a training, in memory.

use std::sync::mpsc;
use std::thread;

use super::plans::Plans;
use super::{FitError, FitObserver, FitRequest, TrainingCase};
use crate::dataset::{CaseError, TrainingVolume, ValidationVolume, load_training, load_validation};

/// Cases of both kinds, preprocessed.
#[derive(Debug)]
pub struct Data<'a> {
    /// Cases to train on.
    pub training: Vec<TrainingVolume>,
    /// Cases to score, with their names.
    pub validation: Vec<(&'a str, ValidationVolume)>,
}

impl<'a> Data<'a> {
    /// Loads all cases of a request.
    ///
    /// **Errors**: no cases of one kind, or a case that cannot be used.
    pub fn load(
        request: &'a FitRequest,
        plans: &Plans,
        observer: &mut dyn FitObserver,
    ) -> Result<Self, FitError> {
        let (held_out, trained): (Vec<_>, Vec<_>) = request
            .cases
            .iter()
            .partition::<Vec<&TrainingCase>, _>(|case| case.fold == request.fold);
        for (cases, purpose) in [(&trained, "training"), (&held_out, "validation")] {
            if cases.is_empty() {
                return Err(FitError::NoCases {
                    fold: request.fold,
                    purpose,
                    held_out: held_out.len(),
                    total: request.cases.len(),
                });
            }
        }
        let total = request.cases.len();
        let (sender, receiver) = mpsc::channel();
        let load = || -> Result<_, CaseError> {
            // Taken in, so that the receiver below ends with this thread's work.
            let sender = sender;
            // Nobody listens any more only when the observer has panicked.
            let tell = |done: usize| {
                let _ = sender.send(done);
            };
            let training = load_training(&trained, &plans.deploy, plans.train.seed, &tell)?;
            let validation = load_validation(&held_out, &plans.deploy, &|done| {
                tell(training.len() + done)
            })?;
            Ok((training, validation))
        };
        let (training, validation) = thread::scope(|scope| {
            let loader = scope.spawn(load);
            for done in receiver {
                observer.loading(done, total);
            }
            match loader.join() {
                Ok(loaded) => loaded,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })?;
        let names = held_out.iter().map(|case| case.id.as_str());
        Ok(Self {
            training,
            validation: names.zip(validation).collect(),
        })
    }

    /// Memory that the cases take, in bytes.
    pub fn bytes(&self) -> u64 {
        let training = self.training.iter().map(TrainingVolume::bytes);
        training
            .chain(self.validation.iter().map(|(_, case)| case.bytes()))
            .sum()
    }
}
