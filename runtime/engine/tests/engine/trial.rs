//! Trials of settings.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::example::{CONV_A, CONV_B, bundle, options, plan};
use vesal_engine::verify::VerifyError;
use vesal_engine::{EngineError, EngineOptions, PreparedCase, Provider, trial};

#[test]
fn a_trial_counts_windows_of_all_members() {
    let plan = plan(Vec::new());
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 2.), (CONV_B, 1.)]);
    let case = PreparedCase::made_up(bundle.groups(), 5).expect("made up");
    let options = EngineOptions {
        batch: NonZeroUsize::new(2),
        ..options()
    };
    let mut rounds = 0;
    let found = trial(&bundle, &options, &case, &mut || {
        rounds += 1;
        ControlFlow::Continue(())
    })
    .expect("runs");
    assert!(found.report.passed());
    assert_eq!((found.windows, found.batch), (10, 2));
    assert!(found.rounds.len() >= 3 && rounds > found.rounds.len());
    let fastest = found.rounds.iter().min().expect("several");
    assert_eq!(found.window_time(), Some(fastest.div_f64(10.)));
}

#[test]
fn a_trial_stops_on_request_and_refuses_providers_that_are_not_there() {
    let plan = plan(Vec::new());
    let (_directory, bundle) = bundle(&plan, &[(CONV_A, 2.)]);
    let case = PreparedCase::made_up(bundle.groups(), 1).expect("made up");
    let stopped = trial(&bundle, &options(), &case, &mut || ControlFlow::Break(()));
    assert!(matches!(
        stopped,
        Err(VerifyError::Engine(EngineError::Stopped))
    ));
    let elsewhere = EngineOptions {
        provider: Provider::TensorRtRtx,
        ..options()
    };
    let error = trial(
        &bundle,
        &elsewhere,
        &case,
        &mut || ControlFlow::Continue(()),
    );
    let error = error.expect_err("for GPUs");
    assert!(matches!(
        error,
        VerifyError::Engine(EngineError::Member { .. })
    ));
}
