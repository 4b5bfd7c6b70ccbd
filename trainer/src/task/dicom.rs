//! The task's DICOM rules: series of its channels, codes of its classes.

use serde_yaml_ng::Value;
use vesal_bundle::DicomRules;
use vesal_bundle::dicom_rules::RulesError;

use super::{Classes, TaskError};

/// Name of the channel of an image with a single channel.
const FIRST: &str = "image";

/// Parses `dicom`, and checks it against the keys of secondary images, and the classes where they are known.
///
/// **Definition**: the number of channels of the first image is known only from the data; until the planning, both
/// `image` and `image_0`, `image_1`, … are accepted.
pub(super) fn parse<'a>(
    value: Value,
    further: impl Iterator<Item = &'a str>,
    classes: Option<&Classes>,
) -> Result<DicomRules, TaskError> {
    let rules: DicomRules =
        serde_yaml_ng::from_value(value).map_err(|source| TaskError::DicomForm { source })?;
    check(&rules, further).map_err(|source| TaskError::Dicom { source })?;
    if let Some(classes) = classes {
        check_labels(&rules, classes)?;
    }
    Ok(rules)
}

/// Checks that every code is that of a class.
pub(super) fn check_labels(rules: &DicomRules, classes: &Classes) -> Result<(), TaskError> {
    let checked = rules.check_labels(&classes.labels(), classes.activation());
    checked.map_err(|source| TaskError::Dicom { source })
}

fn check<'a>(rules: &DicomRules, further: impl Iterator<Item = &'a str>) -> Result<(), RulesError> {
    rules.validate()?;
    let further: Vec<&str> = further.collect();
    let known = |name: &str| is_first(name) || further.contains(&name);
    match rules.channels.keys().find(|name| !known(name)) {
        None => Ok(()),
        Some(found) => Err(RulesError::Channel {
            found: found.clone(),
            expected: [FIRST, "image_0"]
                .into_iter()
                .chain(further)
                .map(str::to_owned)
                .collect(),
        }),
    }
}

/// Whether a channel of the first image may have this name.
fn is_first(name: &str) -> bool {
    let number = |digits: &str| {
        digits
            .parse::<usize>()
            .is_ok_and(|n| n.to_string() == digits)
    };
    name == FIRST || name.strip_prefix("image_").is_some_and(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVER: &str = "
      category: {value: '91723000', scheme: SCT, meaning: Anatomical Structure}
      type: {value: '10200004', scheme: SCT, meaning: Liver}
      color: [221, 130, 101]
";

    fn read(text: &str) -> Result<DicomRules, TaskError> {
        let classes = serde_yaml_ng::from_str("[liver, tumor]").unwrap();
        let classes = Classes::parse(classes, None).unwrap();
        let value = serde_yaml_ng::from_str(text).unwrap();
        parse(value, ["pet"].into_iter(), Some(&classes))
    }

    fn refusal(text: &str) -> String {
        match read(text).unwrap_err() {
            TaskError::Dicom { source } => source.to_string(),
            TaskError::DicomForm { source } => source.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn channels_and_classes_have_rules() {
        let channels = "channels:\n  image: {series_descriptions: ['*portal*']}\n  pet: {series_descriptions: [WB]}";
        let rules = read(&format!("{channels}\nlabels:\n  liver:{LIVER}")).unwrap();
        assert_eq!(rules.channels["image"].series_descriptions, ["*portal*"]);
        assert_eq!(rules.channels["pet"].series_descriptions, ["WB"]);
        assert_eq!(rules.labels["liver"].kind.value, "10200004");
        assert_eq!(rules.labels["liver"].color, Some([221, 130, 101]));
        assert_eq!(rules.labels.len(), 1);
        assert!(read("{}").unwrap().is_empty());
        read("channels: {image_0: {series_descriptions: []}, image_11: {series_descriptions: []}}")
            .unwrap();
    }

    #[test]
    fn names_that_the_task_lacks_are_refused() {
        for name in ["t1", "image_", "image_01", "image_x", "Pet"] {
            assert_eq!(
                refusal(&format!(
                    "channels: {{{name}: {{series_descriptions: []}}}}"
                )),
                format!(
                    "there are rules for the channel `{name}`, expected one of `image`, `image_0`, `pet`"
                )
            );
        }
        assert_eq!(
            refusal(&format!("labels:\n  spleen:{LIVER}")),
            "there is a code for the label `spleen`, expected one of `liver`, `tumor`"
        );
        let found = refusal(&format!("labels:\n  background:{LIVER}"));
        assert!(found.contains("is background"), "{found}");
    }

    #[test]
    fn what_breaks_the_format_is_refused() {
        let number = LIVER.replace("'10200004'", "10200004");
        let error = read(&format!("labels:\n  liver:{number}")).unwrap_err();
        assert!(matches!(error, TaskError::DicomForm { .. }), "{error:?}");
        assert!(error.hint().unwrap().contains("quotes"));
        for bad in [
            "[]",
            "format: vesal-dicom-rules",
            "channels: {image: ['*']}",
        ] {
            let error = read(bad).unwrap_err();
            assert!(matches!(error, TaskError::DicomForm { .. }), "{error:?}");
        }
        let found = refusal("channels: {image: {series_descriptions: ['']}}");
        assert!(found.contains("of 0 characters at position 0"), "{found}");
        let found = refusal(&format!("labels:\n  liver:{}", LIVER.replace("SCT", "''")));
        assert!(found.contains("`category.scheme`"), "{found}");
    }
}
