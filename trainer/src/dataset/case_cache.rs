//! Cases of a training: in memory as far as its limit allows; the others are read again whenever they are needed.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::Scope;

use rayon::prelude::*;

use super::{
    CaseLoadError, CasePreparation, TrainingCase, TrainingVolume, ValidationVolume, load_training,
    load_validation,
};

/// Memory for preprocessed cases, reserved as cases are kept.
#[derive(Debug)]
pub struct CaseMemory {
    budget_bytes: Option<u64>,
    used_bytes: AtomicU64,
    full: AtomicBool,
}

impl CaseMemory {
    /// Memory of `budget_bytes`; `None`: no limit.
    pub fn new(budget_bytes: Option<u64>) -> Self {
        Self {
            budget_bytes,
            used_bytes: AtomicU64::new(0),
            full: AtomicBool::new(budget_bytes == Some(0)),
        }
    }

    /// Bytes reserved so far.
    pub fn used_bytes(&self) -> u64 {
        self.used_bytes.load(Ordering::Relaxed)
    }

    /// Whether a case did not fit.
    fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Reserves memory. Returns false where there is not enough.
    fn take(&self, bytes: u64) -> bool {
        let fits = |used: u64| {
            let sum = used.saturating_add(bytes);
            self.budget_bytes
                .is_none_or(|budget| sum <= budget)
                .then_some(sum)
        };
        let relaxed = Ordering::Relaxed;
        let taken = self.used_bytes.fetch_update(relaxed, relaxed, fits).is_ok();
        if !taken {
            self.full.store(true, relaxed);
        }
        taken
    }
}

/// Kinds of preprocessed cases.
pub trait LoadCase: Clone + Send + Sync {
    /// Reads and preprocesses the case of this index.
    ///
    /// **Errors**: [`CaseLoadError`].
    fn load(
        case: &TrainingCase,
        index: usize,
        preparation: CasePreparation<'_>,
    ) -> Result<Self, CaseLoadError>;

    fn bytes(&self) -> u64;
}

impl LoadCase for TrainingVolume {
    fn load(
        case: &TrainingCase,
        index: usize,
        preparation: CasePreparation<'_>,
    ) -> Result<Self, CaseLoadError> {
        load_training(case, index, preparation)
    }

    fn bytes(&self) -> u64 {
        self.bytes()
    }
}

impl LoadCase for ValidationVolume {
    fn load(
        case: &TrainingCase,
        _: usize,
        preparation: CasePreparation<'_>,
    ) -> Result<Self, CaseLoadError> {
        load_validation(case, preparation.plan)
    }

    fn bytes(&self) -> u64 {
        self.bytes()
    }
}

/// Cases of one kind. The result of [`get`](Self::get) does not depend on which cases are in memory.
#[derive(Debug)]
pub struct CaseCache<'a, V> {
    cases: Vec<&'a TrainingCase>,
    kept: Vec<Option<V>>,
    preparation: CasePreparation<'a>,
}

impl<'a, V: LoadCase> CaseCache<'a, V> {
    /// Reads cases on all cores and keeps them until one does not fit; the others are read when they are needed.
    ///
    /// `progress` is called with the number of finished cases.
    ///
    /// **Errors**: the first [`CaseLoadError`].
    pub fn load(
        cases: Vec<&'a TrainingCase>,
        preparation: CasePreparation<'a>,
        memory: &CaseMemory,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<Self, CaseLoadError> {
        let done = AtomicUsize::new(0);
        let load = |(index, case): (usize, &&TrainingCase)| {
            let volume = match memory.is_full() {
                true => None,
                false => Some(V::load(case, index, preparation)?),
            };
            progress(done.fetch_add(1, Ordering::Relaxed) + 1);
            Ok(volume.filter(|volume| memory.take(volume.bytes())))
        };
        let kept = cases
            .par_iter()
            .enumerate()
            .map(load)
            .collect::<Result<_, _>>()?;
        Ok(Self {
            cases,
            kept,
            preparation,
        })
    }

    pub fn len(&self) -> usize {
        self.cases.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Number of cases in memory.
    pub fn kept(&self) -> usize {
        self.kept.iter().flatten().count()
    }

    pub fn name(&self, index: usize) -> &'a str {
        &self.cases[index].id
    }

    /// A case, from memory or read again.
    ///
    /// **Errors**: [`CaseLoadError`].
    pub fn get(&self, index: usize) -> Result<Cow<'_, V>, CaseLoadError> {
        match &self.kept[index] {
            Some(volume) => Ok(Cow::Borrowed(volume)),
            None => V::load(self.cases[index], index, self.preparation).map(Cow::Owned),
        }
    }

    /// All cases in order; a thread reads the next one while one is in use.
    pub fn in_order<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
    ) -> Receiver<Result<Cow<'scope, V>, CaseLoadError>> {
        // A capacity of 0: the sender itself waits with the one case that is read ahead.
        let (sender, receiver) = sync_channel(0);
        scope.spawn(move || {
            (0..self.len()).try_for_each(|index| sender.send(self.get(index)).ok());
        });
        receiver
    }
}
