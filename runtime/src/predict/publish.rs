//! Finishes predicted cases, writes their results, and records them.

use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use vesal_bundle::{Bundle, DeployPlan};

use super::item::{PipelineItem, PredictedCase, attempted};
use super::write::ResultWriter;
use crate::error::Error;
use crate::observe::Observer;
use crate::outputs::Outputs;
use crate::record::{
    CaseOutcome, CaseRecord, PredictionRecord, Segmented, StageSeconds, measure, seconds,
};

/// Finishes cases, writes results and reports them.
pub(super) struct Publisher<'a> {
    pub bundle: &'a Bundle,
    pub plan: &'a DeployPlan,
    pub writer: &'a ResultWriter<'a>,
    pub observer: &'a dyn Observer,
    pub tells_results: bool,
    /// Whether there is only one case, whose error is that of the run.
    pub is_alone: bool,
}

impl Publisher<'_> {
    /// Finishes cases one after the other, writes their results, and records them.
    pub fn publish_all(
        &self,
        cases: Receiver<PipelineItem<PredictedCase>>,
        record: &mut PredictionRecord,
        errors: &mut Vec<(String, Error)>,
        go_on: SyncSender<()>,
    ) {
        for case in cases {
            let case = case.then(|predicted, outputs| self.publish(predicted, outputs));
            let PipelineItem {
                name,
                input,
                series,
                result,
                ..
            } = case;
            let outcome = match result {
                Ok(segmented) => {
                    self.tell(&name, &segmented);
                    CaseOutcome::Segmented(segmented)
                }
                Err(error) => {
                    let error = attempted(error, self.bundle, &name);
                    let outcome = CaseOutcome::failed(&error);
                    if !self.is_alone {
                        self.observer.failed(&error);
                    }
                    errors.push((name.clone(), error));
                    outcome
                }
            };
            record.cases.push(CaseRecord {
                case: name,
                input,
                series,
                outcome,
            });
            // The receiver is gone once all cases have begun.
            let _ = go_on.try_send(());
        }
    }

    fn publish(&self, predicted: PredictedCase, outputs: &Outputs) -> Result<Segmented, Error> {
        let found = predicted.pending.finish()?;
        let start = Instant::now();
        let context = predicted.context;
        let written = self.writer.write(outputs, &found.labels, &context.origin)?;
        let labels = measure(&found.labels, self.plan);
        let (times, write) = (found.times, start.elapsed());
        let stages = [
            context.read,
            times.prepare,
            times.network,
            times.stitch,
            times.restore,
            write,
        ];
        let [read, prepare, network, stitch, restore, write] = stages.map(seconds);
        Ok(Segmented {
            outputs: written,
            windows: found.windows,
            seconds: StageSeconds {
                read,
                prepare,
                network,
                stitch,
                restore,
                write,
                total: seconds(stages.iter().sum()),
            },
            labels,
            remarks: context.origin.remarks.text(),
            warnings: context.warnings,
        })
    }

    fn tell(&self, case: &str, segmented: &Segmented) {
        if !self.tells_results {
            return;
        }
        for warning in &segmented.warnings {
            self.observer.warning(&format!("case `{case}`: {warning}"));
        }
        self.observer.segmented(case, segmented);
    }
}
