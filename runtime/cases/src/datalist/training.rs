//! The datalist of a training.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use serde_json::{Map, Value, json};
use vesal_io::image::without_ending;

use super::error::{DatalistError, ItemError};
use super::item::{DatalistItem, List, Lists};

/// One subject at one time, with files as the datalist names them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Case {
    /// Name, unique in its datalist: the first image's file name without extension; where several cases share that,
    /// their whole path with `_` for `/`, and where they share that as well, with `_2` and so on.
    pub id: String,
    /// Files of the channels that share the first grid, relative to the data root; none where the datalist names a label
    /// map alone, which the analysis reports.
    pub images: Vec<String>,
    /// Files of further images on grids of their own, in the order of [`Datalist::further`].
    pub further: Vec<String>,
    /// File of the label map, relative to the data root.
    pub label: Option<String>,
    /// Fold in which the case is held out, where the datalist gives one.
    pub fold: Option<usize>,
    /// The patient, if the datalist states one: cases of one patient are never on both sides of a fold.
    pub patient: Option<String>,
}

impl Case {
    /// All files: images, further images and the label map.
    pub fn files(&self) -> impl Iterator<Item = &String> {
        self.images.iter().chain(&self.further).chain(&self.label)
    }

    /// The file from which the case is named.
    fn first_file(&self) -> &str {
        let first = self.images.first().or(self.label.as_ref());
        first.map_or("", String::as_str)
    }
}

/// The cases of a datalist.
///
/// **Definition**: `{"training": [{"image": FILE or [FILES], "label": FILE, "fold": N, "patient": TEXT}],
/// "validation": [...], "testing": [...]}`, and a file for each of the keys that the task has under
/// `extra_modalities`. `test` stands for `testing` where there is none. Other keys are left alone, apart from images that
/// the task does not name, such as `image2`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Datalist {
    /// Cases to train on, and if they have folds, to validate on.
    pub training: Vec<Case>,
    /// Cases to validate on.
    pub validation: Vec<Case>,
    /// Cases that training does not use.
    pub testing: Vec<Case>,
    /// Keys of images on grids of their own.
    pub further: Vec<String>,
}

impl Datalist {
    /// Decodes a datalist; absolute paths become relative to `dataroot`. `further` are the keys of images on grids of
    /// their own.
    ///
    /// **Errors**: [`DatalistError`] names the list and the item.
    pub fn from_json(
        bytes: &[u8],
        dataroot: &Path,
        further: &[String],
    ) -> Result<Self, DatalistError> {
        let mut lists = Lists::from_json(bytes)?;
        let case = |value| case(DatalistItem::new(value)?, dataroot, further);
        let mut datalist = Self {
            training: lists.take(List::Training, case)?,
            validation: lists.take(List::Validation, case)?,
            testing: lists.take(List::Testing, |value| {
                self::case(DatalistItem::or_image(value)?, dataroot, further)
            })?,
            further: further.to_vec(),
        };
        if datalist.training.is_empty() {
            let mut keys: Vec<_> = lists.0.into_iter().map(|(key, _)| key).collect();
            keys.sort_unstable();
            return Err(DatalistError::Empty { keys });
        }
        datalist.name_cases();
        Ok(datalist)
    }

    /// The bytes of a file that reads as this datalist.
    pub fn to_json(&self) -> Vec<u8> {
        let mut lists = Map::new();
        for (list, cases) in
            List::ALL
                .into_iter()
                .zip([&self.training, &self.validation, &self.testing])
        {
            if !cases.is_empty() || list == List::Training {
                lists.insert(
                    list.key().to_owned(),
                    cases.iter().map(|case| self.item(case)).collect(),
                );
            }
        }
        let mut text = format!("{:#}", Value::Object(lists));
        text.push('\n');
        text.into_bytes()
    }

    fn item(&self, case: &Case) -> Value {
        let mut item = Map::new();
        match case.images.as_slice() {
            [] => None,
            [image] => item.insert("image".to_owned(), json!(image)),
            images => item.insert("image".to_owned(), json!(images)),
        };
        for (key, file) in self.further.iter().zip(&case.further) {
            item.insert(key.clone(), json!(file));
        }
        if let Some(label) = &case.label {
            item.insert("label".to_owned(), json!(label));
        }
        if let Some(fold) = case.fold {
            item.insert("fold".to_owned(), json!(fold));
        }
        if let Some(patient) = &case.patient {
            item.insert("patient".to_owned(), json!(patient));
        }
        Value::Object(item)
    }

    /// Gives every case its unique name.
    fn name_cases(&mut self) {
        let mut shared = BTreeSet::new();
        let mut seen = BTreeSet::new();
        for case in self.training.iter().chain(&self.validation) {
            if !seen.insert(stem(case.first_file())) {
                shared.insert(stem(case.first_file()));
            }
        }
        let mut taken = BTreeSet::new();
        for case in self.training.iter_mut().chain(&mut self.validation) {
            let first = name(case.first_file(), &shared);
            let further = (2..).map(|count| format!("{first}_{count}"));
            let free = std::iter::once(first.clone())
                .chain(further)
                .find(|id| taken.insert(id.clone()));
            case.id = free.unwrap_or(first);
        }
        for case in &mut self.testing {
            case.id = name(case.first_file(), &shared);
        }
    }
}

/// File name without the ending of an image.
pub fn stem(path: &str) -> String {
    without_ending(path.rsplit('/').next().unwrap_or(path)).to_owned()
}

fn name(path: &str, shared: &BTreeSet<String>) -> String {
    let stem = stem(path);
    if shared.contains(&stem) {
        without_ending(path).replace('/', "_")
    } else {
        stem
    }
}

fn case(mut item: DatalistItem, dataroot: &Path, further: &[String]) -> Result<Case, ItemError> {
    let located = |file: String| relative(&file, dataroot);
    let images = item.images()?.into_iter().map(located);
    let images: Vec<_> = images.collect::<Result<_, _>>()?;
    // A label map without images is kept, because the analysis reports it.
    let further = if images.is_empty() { &[] } else { further };
    let further = further.iter().map(|key| {
        let file = item.file(key)?;
        located(file.ok_or_else(|| ItemError::MissingImage { key: key.clone() })?)
    });
    let further = further.collect::<Result<_, _>>()?;
    let label = item.file("label")?.map(located).transpose()?;
    if images.is_empty() && label.is_none() {
        return Err(ItemError::NoImage);
    }
    let case = Case {
        id: String::new(),
        images,
        further,
        label,
        fold: item.fold()?,
        patient: item.patient()?,
    };
    match item.0.iter().find(|(key, value)| is_image(key, value)) {
        Some((key, _)) => Err(ItemError::UnknownImage { key: key.clone() }),
        None => Ok(case),
    }
}

/// Whether an entry of an item is an image by its key and its value; `image_id` is none.
fn is_image(key: &str, value: &Value) -> bool {
    let file = |value: &Value| {
        value
            .as_str()
            .is_some_and(|text| without_ending(text) != text)
    };
    let names_files = match value {
        Value::Array(values) => values.iter().any(file),
        value => file(value),
    };
    key.starts_with("image") && names_files
}

/// A path relative to its data root; `.` is dropped, and paths that leave the data root are errors.
fn relative(path: &str, dataroot: &Path) -> Result<String, ItemError> {
    let outside = || ItemError::Outside {
        path: path.to_owned(),
    };
    let as_path = Path::new(path);
    let inner = if as_path.is_absolute() {
        let root = std::path::absolute(dataroot).unwrap_or_else(|_| dataroot.to_owned());
        as_path
            .strip_prefix(&root)
            .map_err(|_| outside())?
            .to_owned()
    } else {
        PathBuf::from(path)
    };
    let mut parts = Vec::new();
    for component in inner.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_string_lossy().into_owned()),
            Component::CurDir => {}
            Component::ParentDir => parts.pop().map(drop).ok_or_else(outside)?,
            Component::RootDir | Component::Prefix(_) => return Err(outside()),
        }
    }
    if parts.is_empty() {
        Err(outside())
    } else {
        Ok(parts.join("/"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Datalist, DatalistError> {
        Datalist::from_json(text.as_bytes(), Path::new("/data"), &[])
    }

    #[test]
    fn cases_are_named_by_their_files_and_survive_writing() {
        let text = r#"{"name": "x", "training": [
        {"image": "images/a.b.nii.gz", "label": "labels/a.nii.gz", "fold": "1"},
        {"image": ["/data/p1/t1.nii", "./p1/t2.nii"], "label": ["p1/seg.nii"]},
        {"image": "p2/t1.nii", "class": 3, "image_id": "7"}],
        "test": ["c.NII.GZ", {"image": "d.nii"}]}"#;
        let datalist = read(text).unwrap();
        assert_eq!(datalist.training[0].fold, Some(1));
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
        let message = |items: &str| {
            read(&format!(r#"{{"training": [{{"image": "a"}}, {items}]}}"#)).unwrap_err()
        };
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
                r#"{"image": "b", "image2": "c.nii"}"#,
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
        let empty = |text: &str| match read(text) {
            Err(error @ DatalistError::Empty { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(empty("{}"), "the datalist has no case under `training`");
        let found =
            empty(r#"{"training": [], "train": [1], "a": 1, "b": 1, "c": 1, "d": 1, "e": 1}"#);
        assert!(
            found.ends_with(", but has `a`, `b`, `c`, `d`, `e` and others"),
            "{found}"
        );
        assert!(matches!(
            read("[]"),
            Err(DatalistError::NoLists { found: "a list" })
        ));
        assert!(matches!(
            read(r#"{"training": {}}"#),
            Err(DatalistError::List { .. })
        ));
        assert!(matches!(read("{"), Err(DatalistError::Json { .. })));
    }
}
