//! DICOM rules in plans and in files.

use crate::example;
use serde_json::{Value, json};
use vesal_bundle::deploy_plan::{Activation, CodeError, Label, PatternError, PlanError};
use vesal_bundle::dicom_rules::RulesError;
use vesal_bundle::{DeployPlan, DicomRules};
use vesal_files::DocumentError;

fn read(change: impl FnOnce(&mut Value)) -> Result<DicomRules, RulesError> {
    let mut rules = example::rules_document();
    change(&mut rules);
    DicomRules::from_json(&serde_json::to_vec(&rules).expect("JSON"), "rules.json")
}

#[test]
fn rules_replace_what_the_plan_says_and_leave_the_rest() {
    let mut plan = example::plan();
    plan.channels[0].series_descriptions = vec!["thorax".into()];
    plan.channels[1].series_descriptions = vec!["old".into()];
    let expected = plan.clone();
    example::rules().apply(&mut plan).expect("applies");
    assert_eq!(plan.channels[0], expected.channels[0]);
    assert_eq!(plan.channels[1].series_descriptions, ["*t1*", "mprage"]);
    assert_eq!(plan.labels[0], expected.labels[0]);
    let soft = plan.labels[1].code.as_ref().expect("given");
    assert_eq!(
        (soft.kind.value.as_str(), soft.color),
        ("64033007", Some([200, 100, 0]))
    );
    let hard = plan.labels[2].code.as_ref().expect("given");
    assert_eq!(
        (hard.category.scheme.as_str(), &hard.modifier),
        ("SCT", &None)
    );
    let none = read(|rules| rules["channels"]["t1"]["series_descriptions"] = json!([]));
    none.expect("valid").apply(&mut plan).expect("applies");
    assert!(plan.channels[1].series_descriptions.is_empty());
    let bytes = plan.to_json().expect("valid");
    assert_eq!(DeployPlan::from_json(&bytes).expect("readable"), plan);
}

#[test]
fn what_a_plan_does_not_say_is_not_written() {
    let bytes = example::plan().to_json().expect("valid");
    let text = String::from_utf8(bytes).expect("UTF-8");
    assert!(
        !text.contains("series_descriptions") && !text.contains("code"),
        "{text}"
    );
}

#[test]
fn rules_for_names_that_the_plan_lacks_change_nothing() {
    let refused = |change: fn(&mut Value)| {
        let mut plan = example::plan();
        let error = read(change)
            .expect("valid")
            .apply(&mut plan)
            .expect_err("refused");
        assert_eq!(plan, example::plan());
        error.to_string()
    };
    assert_eq!(
        refused(|rules| rules["channels"] = json!({"T1": {"series_descriptions": []}})),
        "there are rules for the channel `T1`, expected one of `ct`, `t1`"
    );
    assert_eq!(
        refused(|rules| rules["labels"]["bone"] = rules["labels"]["hard"].clone()),
        "there is a code for the label `bone`, expected one of `soft`, `hard`"
    );
    assert_eq!(
        refused(|rules| rules["labels"]["background"] = rules["labels"]["hard"].clone()),
        "label `background` is background and has a code, expected none"
    );
}

#[test]
fn the_first_region_is_no_background() {
    let mut plan = example::plan();
    plan.activation = Activation::Sigmoid;
    plan.labels = vec![Label::new("soft", 1, 0), Label::new("hard", 2, 1)];
    example::rules().apply(&mut plan).expect("applies");
    assert!(plan.labels[0].code.is_some());
    plan.validate().expect("valid");
}

#[test]
fn rules_that_cannot_be_are_refused() {
    let pattern = |pattern: String| {
        read(|rules| rules["channels"]["t1"]["series_descriptions"] = json!(["*", pattern]))
    };
    for (found, bad) in [
        (0, "  ".to_owned()),
        (0, String::new()),
        (65, "é".repeat(65)),
    ] {
        assert!(matches!(
            pattern(bad),
            Err(RulesError::Pattern(PatternError::Length { position: 1, found: f, .. })) if f == found
        ));
    }
    pattern("é".repeat(64)).expect("as long as a description may be");
    assert!(matches!(
        pattern("a\tb".into()),
        Err(RulesError::Pattern(PatternError::Control { .. }))
    ));
    assert!(matches!(
        read(|rules| rules["channels"]["t1"]["series_descriptions"] = json!(vec!["*"; 33])),
        Err(RulesError::Pattern(PatternError::Count { found: 33, .. }))
    ));
    let text = |field: &'static str, text: &str| {
        read(|rules| rules["labels"]["soft"]["modifier"][field] = json!(text))
    };
    for (field, most) in [("value", 64), ("scheme", 16), ("meaning", 64)] {
        text(field, &"x".repeat(most)).expect("as long as it may be");
        for bad in [String::new(), "x".repeat(most + 1)] {
            assert!(matches!(
                text(field, &bad),
                Err(RulesError::Code(CodeError::Length { part: "modifier", field: f, most: m, .. }))
                    if f == field && m == most
            ));
        }
        for bad in ["a\\b", "a\nb", "é", " a", "a "] {
            assert!(matches!(
                text(field, bad),
                Err(RulesError::Code(CodeError::Character {
                    part: "modifier",
                    ..
                }))
            ));
        }
    }
    for json in [
        read(|rules| rules["labels"]["soft"]["color"] = json!([1, 2])),
        read(|rules| rules["labels"]["soft"]["color"] = json!([0, 0, 256])),
        read(|rules| rules["labels"]["soft"]["kind"] = json!("kidney")),
        read(|rules| rules["channels"]["t1"] = json!({})),
        read(|rules| rules["series"] = json!({})),
    ] {
        let error = json.expect_err("refused");
        assert!(
            matches!(error, RulesError::Document(DocumentError::Json { .. })),
            "{error:?}"
        );
        assert!(
            error
                .hint()
                .is_some_and(|hint| hint.contains("vesal-dicom-rules"))
        );
    }
    assert!(matches!(
        read(|rules| rules["format_version"] = json!(2)),
        Err(RulesError::Document(DocumentError::Version {
            found: 2,
            ..
        }))
    ));
}

#[test]
fn plans_keep_the_same_rules() {
    let mut good = example::plan();
    example::rules().apply(&mut good).expect("applies");
    let refused = |change: fn(&mut DeployPlan)| {
        let mut plan = good.clone();
        change(&mut plan);
        plan.validate().expect_err("refused")
    };
    assert!(matches!(
        refused(|plan| plan.channels[0].series_descriptions = vec!["\u{1b}[2J".into()]),
        PlanError::Pattern(PatternError::Control { .. })
    ));
    assert!(matches!(
        refused(|plan| plan.labels[0].code = plan.labels[1].code.clone()),
        PlanError::Code(CodeError::Background { .. })
    ));
    let error = refused(|plan| {
        if let Some(code) = &mut plan.labels[1].code {
            code.kind.scheme = "SNOMED Clinical Terms".into();
        }
    });
    assert_eq!(
        error.to_string(),
        "`type.scheme` of the code of label `soft` has 21 characters, expected 1 to 16"
    );
    assert!(error.hint().is_some_and(|hint| hint.contains("SCT")));
}
