//! Tests of settings.

use super::*;

fn set(texts: &[&str]) -> Result<Overrides, OverrideError> {
    let mut overrides = Overrides::default();
    texts.iter().try_for_each(|text| overrides.set_text(text))?;
    Ok(overrides)
}

#[test]
fn every_name_sets_its_field_and_only_known_names_are_listed() {
    let examples: Vec<_> = registry::all()
        .iter()
        .map(|setting| setting.definition())
        .map(|setting| format!("{}={}", setting.name, setting.example))
        .collect();
    let examples: Vec<_> = examples.iter().map(String::as_str).collect();
    let all = set(&examples).unwrap();
    let Value::Mapping(entries) = serde_yaml_ng::to_value(&all).unwrap() else {
        panic!("a mapping")
    };
    let names: Vec<_> = entries.keys().filter_map(Value::as_str).collect();
    assert_eq!(names, Overrides::NAMES);
    assert_eq!(Overrides::default().over(&all), all);
    assert_eq!(all.over(&Overrides::default()), all);
}

#[test]
fn other_spellings_set_the_same() {
    let pairs = [
        ("normalize_mode=ct", "normalize_mode=range"),
        ("normalize_mode=mr", "normalize_mode=meanstd"),
        ("amp=false", "use_amp=false"),
        ("batch_size=3", "num_images_per_batch=3"),
        ("optimizer#lr=0.01", "learning_rate=0.01"),
    ];
    for (other, usual) in pairs {
        assert_eq!(set(&[other]).unwrap(), set(&[usual]).unwrap());
    }
    let twice = set(&["use_amp=true", "amp=false"]).unwrap();
    assert_eq!(twice.use_amp, Some(false));
}

#[test]
fn every_choice_is_read() {
    for setting in registry::all() {
        let name = setting.definition().name;
        for choice in setting.value_type().choices() {
            for spelling in choice.aliases.iter().chain([&choice.name]) {
                set(&[&format!("{name}={spelling}")]).unwrap();
            }
        }
    }
}

#[test]
fn a_later_setting_wins_and_an_empty_one_takes_it_back() {
    assert_eq!(
        set(&["num_epochs=5", "num_epochs=7"]).unwrap().num_epochs,
        Some(7)
    );
    assert_eq!(
        set(&["num_epochs=5", "num_epochs="]).unwrap(),
        Overrides::default()
    );
    assert_eq!(
        set(&["num_epochs=5", "num_epochs=null"]).unwrap(),
        Overrides::default()
    );
}

#[test]
fn bad_settings_say_what_is_wrong() {
    let message = |text: &str| set(&[text]).unwrap_err().to_string();
    assert!(
        message("roi_sise=[1]").starts_with("`roi_sise` is no setting, did you mean `roi_size`?")
    );
    assert_eq!(
        message("num_epochs"),
        "\"num_epochs\" sets nothing, expected NAME=VALUE"
    );
    assert_eq!(
        message("num_epochs=0"),
        "`num_epochs` is 0, expected at least 1"
    );
    assert_eq!(
        message("learning_rate=-1"),
        "`learning_rate` is -1.0, expected a positive number"
    );
    for text in [
        "augment_flips=[0, 0]",
        "augment_rots=[[1, 3]]",
        "class_weights=[0, 0]",
        "class_weights=[1, -1]",
        "clip_grad_norm=0",
        "ema_decay=1",
        "early_stopping_fraction=-0.1",
    ] {
        let name = text.split('=').next().unwrap();
        let told = message(text);
        assert!(told.starts_with(&format!("`{name}` is ")), "{told}");
    }
    assert_eq!(
        message("augment_mode=ct"),
        "`augment_mode` is \"ct\", expected default, none, ct_ax_1, mri_1"
    );
    assert_eq!(
        message("num_epochs=5.0"),
        "`num_epochs` is 5.0, expected integer: at least 1"
    );
    assert!(matches!(
        set(&["roi_size=[1, 2]"]),
        Err(OverrideError::Kind { .. })
    ));
    assert!(matches!(
        set(&["use_amp=maybe"]),
        Err(OverrideError::Kind { .. })
    ));
    assert!(matches!(
        set(&["roi_size=[1"]),
        Err(OverrideError::Yaml { .. })
    ));
    assert!(matches!(
        set(&["learning_rate=.nan"]),
        Err(OverrideError::Range { .. })
    ));
}
