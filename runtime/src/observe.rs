//! What a caller learns while a command runs.

use std::ops::ControlFlow;

use vesal_engine::Stage;

use crate::convert::document::Series;
use crate::error::Error;
use crate::record::Segmented;

/// Listens to a command, and may end it. Methods are called from several threads; by default they do nothing.
pub trait Observer: Sync {
    /// Whether to go on. Asked between cases and between windows; what is complete by then stays.
    fn proceed(&self) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Something that a reader of the results should know.
    fn note(&self, _text: &str) {}

    /// Something that a reader of the results should look at.
    fn warning(&self, _text: &str) {}

    /// Something works that was tried.
    fn works(&self, _text: &str) {}

    /// A step begins that takes a while.
    fn progress(&self, _text: &str) {}

    /// As many cases follow, until [`Self::end`].
    fn begin(&self, _cases: usize) {}

    /// The next case, series or trial begins.
    fn case(&self, _name: &str) {}

    /// Where the networks are in the case.
    fn stage(&self, _stage: Stage) {}

    /// The results of a case are written.
    fn segmented(&self, _case: &str, _segmented: &Segmented) {}

    /// A DICOM series became files, or did not.
    fn converted(&self, _series: &Series) {}

    /// A case failed, and others go on.
    fn failed(&self, _error: &Error) {}

    /// No further case follows.
    fn end(&self) {}
}

impl Observer for () {}

/// Cases that are under way: their end is told, however it comes.
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
