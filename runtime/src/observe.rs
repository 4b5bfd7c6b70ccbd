//! Progress of a command, for the caller.

use std::ops::ControlFlow;

use vesal_engine::Stage;

use crate::convert::document::Series;
use crate::error::Error;
use crate::record::Segmented;

/// Observes a command, and may stop it. Methods are called from several threads; by default they do nothing.
pub trait Observer: Sync {
    /// Whether to continue. Called between cases and between windows; complete results are kept.
    fn proceed(&self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// A note for the reader of the results.
    fn note(&self, _text: &str) {}

    /// A warning for the reader of the results.
    fn warning(&self, _text: &str) {}

    /// A check succeeded.
    fn works(&self, _text: &str) {}

    /// A long step begins.
    fn progress(&self, _text: &str) {}

    /// This many cases follow, until [`Self::end`].
    fn begin(&self, _cases: usize) {}

    /// The next case, series or trial begins.
    fn case(&self, _name: &str) {}

    /// Progress of the networks in the case.
    fn stage(&self, _stage: Stage) {}

    /// The results of a case are written.
    fn segmented(&self, _case: &str, _segmented: &Segmented) {}

    /// A DICOM series was converted, or not.
    fn converted(&self, _series: &Series) {}

    /// A case failed; others continue.
    fn failed(&self, _error: &Error) {}

    /// No further case follows.
    fn end(&self) {}
}

impl Observer for () {}

/// Reports the end of cases when dropped.
pub(crate) struct Cases<'a>(&'a dyn Observer);

impl<'a> Cases<'a> {
    pub fn begin(observer: &'a dyn Observer, cases: usize) -> Self {
        observer.begin(cases);
        Self(observer)
    }
}

impl Drop for Cases<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Whether the caller wants to stop.
pub(crate) fn stops(observer: &dyn Observer) -> bool {
    observer.proceed().is_break()
}
