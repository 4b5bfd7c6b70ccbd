//! Tests of classes.

use super::*;

fn parse(text: &str, sigmoid: Option<bool>) -> Result<Classes, ClassError> {
    Classes::parse(serde_yaml_ng::from_str(text).unwrap(), sigmoid)
}

fn row(label: &Label) -> (&str, u16, usize, Option<&[u16]>) {
    (
        &label.name,
        label.value,
        label.class_index,
        label.index.as_deref(),
    )
}

#[test]
fn names_are_labels_from_1() {
    let classes = parse("[anterior, posterior]", None).unwrap();
    assert_eq!(classes.activation(), Activation::Softmax);
    assert_eq!((classes.outputs(), classes.annotated()), (3, vec![1, 2]));
    let labels = classes.labels();
    let rows: Vec<_> = labels.iter().map(row).collect();
    let expected = [
        ("background", 0, 0, None),
        ("anterior", 1, 1, None),
        ("posterior", 2, 2, None),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn labels_are_joined_and_regions_overlap() {
    let merged = parse(
        "[{name: kidney, index: [4, 2]}, {name: tumor, index: 7}]",
        None,
    )
    .unwrap();
    assert_eq!(merged.activation(), Activation::Softmax);
    assert_eq!(merged.annotated(), [2, 4, 7]);
    assert_eq!(
        row(&merged.labels()[1]),
        ("kidney", 1, 1, Some(&[2, 4][..]))
    );

    let text = "[{name: whole, index: [1, 2]}, {name: anterior, index: [1]}]";
    let regions = parse(text, None).unwrap();
    assert_eq!(
        (regions.activation(), regions.outputs()),
        (Activation::Sigmoid, 2)
    );
    let labels = regions.labels();
    assert_eq!(row(&labels[0]), ("whole", 1, 0, Some(&[1, 2][..])));
    assert_eq!(row(&labels[1]), ("anterior", 2, 1, Some(&[1][..])));
    let error = parse(text, Some(false)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("label 1 belongs to both `whole` and `anterior`"),
        "{error}"
    );

    let apart = parse("[a, b]", Some(true)).unwrap();
    assert_eq!(row(&apart.labels()[1]), ("b", 2, 1, Some(&[2][..])));
}

#[test]
fn what_is_unclear_is_named() {
    for (text, expected) in [
        ("[]", "is a list of 0, expected a list of names"),
        ("anterior", "is \"anterior\", expected a list"),
        (
            "[background, a]",
            "has `background`, expected the labels 1, 2, … only",
        ),
        ("[a, a]", "has `a` twice"),
        (
            "[a, {name: b, index: [2]}]",
            "class 0 of `class_names` is a name alone",
        ),
        (
            "[{index: [1]}]",
            "class 0 of `class_names` is a mapping of 1",
        ),
        ("[{name: a}]", "`index` of class `a` is absent"),
        (
            "[{name: a, index: [0, 1]}]",
            "`index` of class `a` is [0, 1]",
        ),
        (
            "[{name: a, index: [1, 1]}]",
            "`index` of class `a` is [1, 1]",
        ),
        (
            "[{name: a, index: [70000]}]",
            "`index` of class `a` is [70000]",
        ),
        ("[\" a\"]", "has an unusable name"),
        ("{}", "is a mapping of 0"),
        ("{0: background}", "is a mapping of label 0 alone"),
        (
            "{liver: [1, 2]}",
            "has the entry \"liver\", expected label values",
        ),
        ("{70000: liver}", "has the entry 70000"),
        ("{1: [liver]}", "has the entry 1"),
        ("{1: a, '1': b}", "has label 1 twice"),
        ("{1: a, 2: a}", "has `a` twice"),
    ] {
        let error = parse(text, None).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let many: Vec<_> = (0..17).map(|class| format!("c{class}")).collect();
    let error = parse(&format!("[{}]", many.join(", ")), Some(true)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`class_names` of the task has 17 regions, expected at most 16"
    );
}

#[test]
fn labels_that_are_not_consecutive_keep_their_values() {
    let classes = parse("{1: liver, 5: tumor, 0: background}", None).unwrap();
    assert_eq!((classes.outputs(), classes.annotated()), (3, vec![1, 5]));
    assert!(!classes.joins_labels(), "other labels are errors");
    let labels = classes.labels();
    let rows: Vec<_> = labels.iter().map(row).collect();
    let expected = [
        ("background", 0, 0, None),
        ("liver", 1, 1, None),
        ("tumor", 5, 2, None),
    ];
    assert_eq!(rows, expected);
    assert_eq!(classes.name_of(5), Some("tumor"));
    assert_eq!((classes.name_of(0), classes.name_of(2)), (None, None));

    let regions = Classes::found(&[2, 7], Some(true)).unwrap();
    assert_eq!(row(&regions.labels()[1]), ("label_7", 2, 1, Some(&[7][..])));
    assert_eq!(regions.annotated(), [2, 7]);

    let found = Classes::found(&[1, 2], None).unwrap();
    assert_eq!(found, parse("[label_1, label_2]", None).unwrap());
    assert_eq!(found, parse("{'2': label_2, 1: label_1}", None).unwrap());
    let by_name = "{label_2: 2, background: 0, label_1: 1}";
    assert_eq!(found, parse(by_name, None).unwrap());
    assert_eq!(
        (found.name_of(2), found.name_of(3)),
        (Some("label_2"), None)
    );
    let all: Vec<u16> = (1..1024).collect();
    assert_eq!(Classes::found(&all, None).unwrap().outputs(), 1024);
    let all: Vec<u16> = (1..1025).collect();
    assert!(matches!(
        Classes::found(&all, None),
        Err(ClassError::TooManyFound {
            found: 1024,
            most: 1023
        })
    ));
}
