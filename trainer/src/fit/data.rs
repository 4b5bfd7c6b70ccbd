//! The cases of a training.

use std::sync::mpsc;
use std::thread;

use vesal_bundle::deploy_plan::Activation;

use super::plans::Plans;
use super::{FitError, FitObserver, FitRequest};
use crate::dataset::{
    CaseCache, CaseLoadError, CaseMemory, CasePreparation, TrainingCase, TrainingVolume,
    ValidationVolume,
};

/// Cases for training and validation, in memory as far as its limit allows.
#[derive(Debug)]
pub struct Data<'a> {
    pub training: CaseCache<'a, TrainingVolume>,
    pub validation: CaseCache<'a, ValidationVolume>,
    pub kept_bytes: u64,
}

impl<'a> Data<'a> {
    /// Reads the cases of a request until memory is full, training cases first.
    ///
    /// **Errors**: no cases for training or none for validation, or a case that cannot be used.
    ///
    /// **Source**: Auto3DSeg segresnet, `get_cache_rate` with `prioritise_train`.
    pub fn load(
        request: &'a FitRequest,
        plans: &'a Plans,
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
        let memory = CaseMemory::new(request.max_ram_bytes);
        let outside_regions = plans.algorithm.recipe.centers_outside_regions;
        let preparation = CasePreparation {
            plan: &plans.deploy,
            seed: plans.train.seed,
            with_background: plans.deploy.activation == Activation::Softmax || outside_regions,
        };
        let (sender, receiver) = mpsc::channel();
        let load = || -> Result<_, CaseLoadError> {
            // Moved into this thread, so that the receiver below ends when the thread does.
            let sender = sender;
            // Sending fails only if the observer has panicked.
            let tell = |done: usize| {
                let _ = sender.send(done);
            };
            let before = trained.len();
            let training = CaseCache::load(trained, preparation, &memory, &tell)?;
            let tell_more = |done| tell(before + done);
            let validation = CaseCache::load(held_out, preparation, &memory, &tell_more)?;
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
        Ok(Self {
            training,
            validation,
            kept_bytes: memory.used_bytes(),
        })
    }
}
