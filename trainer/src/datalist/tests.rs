//! Tests of reading and writing datalists.

use super::*;

fn read(text: &str) -> Result<Datalist, DatalistError> {
    Datalist::from_json(text.as_bytes(), Path::new("/data"), &[])
}

#[test]
fn cases_are_named_by_their_files_and_survive_writing() {
    let text = r#"{"name": "x", "training": [
        {"image": "images/a.b.nii.gz", "label": "labels/a.nii.gz", "fold": 1},
        {"image": ["/data/p1/t1.nii", "./p1/t2.nii"], "label": ["p1/seg.nii"]},
        {"image": "p2/t1.nii", "class": 3}],
        "testing": ["c.NII.GZ", {"image": "d.nii"}]}"#;
    let datalist = read(text).unwrap();
    let ids: Vec<_> = datalist
        .training
        .iter()
        .map(|case| case.id.as_str())
        .collect();
    assert_eq!(ids, ["a.b", "p1_t1", "p2_t1"]);
    assert_eq!(datalist.training[1].images, ["p1/t1.nii", "p1/t2.nii"]);
    assert_eq!(datalist.training[1].label.as_deref(), Some("p1/seg.nii"));
    assert_eq!(datalist.training[2].label, None);
    assert_eq!(datalist.testing[0].id, "c");
    let written = datalist.to_json();
    assert_eq!(
        Datalist::from_json(&written, Path::new("elsewhere"), &[]).unwrap(),
        datalist
    );
    assert!(!String::from_utf8(written).unwrap().contains("/data"));
}

#[test]
fn further_images_and_patients_survive_writing() {
    let text = r#"{"training": [{"image": "ct.nii", "pet": "pet.nii", "image3": ["t1.nii"],
        "label": "seg.nii", "patient": 17}]}"#;
    let keys = ["pet".to_owned(), "image3".to_owned()];
    let read = |bytes: &[u8]| Datalist::from_json(bytes, Path::new("/data"), &keys);
    let datalist = read(text.as_bytes()).unwrap();
    let case = &datalist.training[0];
    assert_eq!(case.further, ["pet.nii", "t1.nii"]);
    assert_eq!(case.patient.as_deref(), Some("17"));
    let files: Vec<_> = case.files().collect();
    assert_eq!(files, ["ct.nii", "pet.nii", "t1.nii", "seg.nii"]);
    assert_eq!(read(&datalist.to_json()).unwrap(), datalist);
    let error = read(br#"{"training": [{"image": "ct.nii", "pet": "p.nii"}]}"#).unwrap_err();
    assert!(error.to_string().contains("it has no `image3`"), "{error}");
}

#[test]
fn equal_items_and_labels_alone_are_left_to_the_analysis() {
    let text = r#"{"training": [{"image": "x/a.nii", "patient": 7}, {"image": "x/./a.nii"}, {"label": "x/b.nii"}]}"#;
    let datalist = read(text).unwrap();
    let ids: Vec<_> = datalist.training.iter().map(|case| &case.id).collect();
    assert_eq!(ids, ["x_a", "x_a_2", "b"]);
    assert_eq!(datalist.training[0].patient.as_deref(), Some("7"));
    assert_eq!(datalist.training[2].images, [""; 0]);
    let again = Datalist::from_json(&datalist.to_json(), Path::new("/data"), &[]).unwrap();
    assert_eq!(again, datalist);
}

#[test]
fn errors_name_the_item() {
    let message =
        |items: &str| read(&format!(r#"{{"training": [{{"image": "a"}}, {items}]}}"#)).unwrap_err();
    for (items, expected) in [
        (
            "3",
            "item 1 of `training` in the datalist: it is a number, expected an object with `image` and `label`",
        ),
        (r#"{"fold": 1}"#, "it has no `image`"),
        (
            r#"{"image": "b", "patient": []}"#,
            "`patient` is a list, expected a text or a number",
        ),
        (
            r#"{"image": []}"#,
            "`image` is an empty list, expected a file or a list of files",
        ),
        (r#"{"image": [""]}"#, "`image` is an empty text"),
        (
            r#"{"image": "b", "label": ["x", "y"]}"#,
            "`label` is a list of several files, expected one file",
        ),
        (
            r#"{"image": "b", "fold": -1}"#,
            "`fold` is -1, expected a whole number from 0",
        ),
        (
            r#"{"image": "b", "image2": "c"}"#,
            "an image under `image2`, which the task does not name",
        ),
        (r#"{"image": "../b"}"#, "`../b` is outside of the data root"),
        (
            r#"{"image": "/elsewhere/b"}"#,
            "`/elsewhere/b` is outside of the data root",
        ),
    ] {
        let error = message(items).to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert!(matches!(read("{}"), Err(DatalistError::Empty)));
    assert!(matches!(
        read("[]"),
        Err(DatalistError::List {
            list: "training",
            found: "a list"
        })
    ));
    assert!(matches!(
        read(r#"{"training": {}}"#),
        Err(DatalistError::List { .. })
    ));
    assert!(matches!(read("{"), Err(DatalistError::Json { .. })));
}
