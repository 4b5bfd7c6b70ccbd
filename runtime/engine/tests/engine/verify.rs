//! Bundles whose probe passes, and bundles whose probe fails.

use crate::example::{CONV_A, CONV_B, LABELS, bundle, bundle_with, options, plan};
use vesal_bundle::Probe;
use vesal_bundle::probe::ExpectedLabels;
use vesal_engine::{VerifyReport, verify};

fn verified(change: impl FnOnce(&mut Probe)) -> VerifyReport {
    let (_directory, bundle) =
        bundle_with(&plan(Vec::new()), &[(CONV_A, 1.), (CONV_B, 2.)], change);
    verify(&bundle, &options()).expect("runs")
}

#[test]
fn a_bundle_verifies_where_it_was_made() {
    let (_directory, bundle) = bundle(&plan(Vec::new()), &[(CONV_A, 2.), (CONV_B, 1.)]);
    let report = verify(&bundle, &options()).expect("runs");
    assert_eq!(report.logit_differences, [0., 0.]);
    assert_eq!(report.identical_labels, 1.);
    assert!(report.passed());
    let probe = bundle.probe();
    assert!(
        probe.groups[0].labels.voxels.len() > 1,
        "{:?}",
        probe.groups[0].labels.voxels
    );
    assert!(
        probe.groups[0]
            .members
            .iter()
            .all(|member| member.logits.len() > 100)
    );
}

#[test]
fn a_wrong_logit_fails() {
    let report = verified(|probe| probe.groups[0].members[1].logits[7].value += 1.);
    assert!(!report.passed());
    assert_eq!(report.logit_differences[0], 0.);
    assert!((report.logit_differences[1] - 1.).abs() < 1e-6);
    assert_eq!(report.identical_labels, 1.);
}

#[test]
fn wrong_labels_fail() {
    let report = verified(|probe| {
        let mut labels = probe.groups[0].labels.decode(192).expect("one window");
        labels[..20].fill(LABELS[1]);
        labels[20..40].fill(LABELS[0]);
        probe.groups[0].labels = ExpectedLabels::encode(&labels);
    });
    assert!(!report.passed());
    assert!(report.identical_labels < 0.99);
}

#[test]
fn another_network_of_the_same_shape_fails() {
    let (_directory, made_for_a) = bundle(&plan(Vec::new()), &[(CONV_A, 1.)]);
    let probe = made_for_a.probe().clone();
    let (_directory, swapped) =
        bundle_with(&plan(Vec::new()), &[(CONV_B, 1.)], |other| *other = probe);
    assert!(!verify(&swapped, &options()).expect("runs").passed());
}

#[test]
fn differences_within_the_tolerance_pass() {
    let report = verified(|probe| {
        probe.groups[0].members[0].logits[3].value += 0.009;
        let labels = probe.groups[0].labels.decode(192).expect("one window");
        let changed: Vec<u16> = labels
            .iter()
            .enumerate()
            .map(|(index, label)| if index == 5 { LABELS[1] } else { *label })
            .collect();
        probe.groups[0].labels = ExpectedLabels::encode(&changed);
    });
    assert!(report.passed(), "{report:?}");
}
