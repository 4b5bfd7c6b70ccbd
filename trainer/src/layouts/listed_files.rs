//! The files that `dataset.json` lists.

use serde_json::{Map, Value};

use super::error::LayoutError;

/// The files of a case, with paths below the dataset's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ListedFiles {
    pub images: Vec<String>,
    pub label: Option<String>,
}

/// `training` of the Decathlon and of nnU-Net v1, or `dataset` of nnU-Net v2.
pub(super) fn training(entries: &Map<String, Value>) -> Result<Vec<ListedFiles>, LayoutError> {
    let label = |item: &Value| item.get("label").and_then(Value::as_str).map(inner);
    if let Some(Value::Object(cases)) = entries.get("dataset") {
        let case = |(name, item): (&String, &Value)| {
            let at = format!("dataset.{name}.images");
            let images = item.get("images").unwrap_or(&Value::Null);
            let Value::Array(images) = images else {
                return Err(LayoutError::value(&at, images, "a list of files"));
            };
            let image = |image: &Value| match image {
                Value::String(path) => inner(path),
                other => Err(LayoutError::value(&at, other, "a file")),
            };
            let images = images.iter().map(image).collect::<Result<_, _>>()?;
            let label = label(item).transpose()?;
            Ok(ListedFiles { images, label })
        };
        return cases.iter().map(case).collect();
    }
    let items = match entries.get("training") {
        Some(Value::Array(items)) => items.as_slice(),
        None | Some(Value::Null) => &[],
        Some(other) => return Err(LayoutError::value("training", other, "a list of cases")),
    };
    let case = |(index, item): (usize, &Value)| {
        let at = format!("training[{index}]");
        match item.get("image").and_then(Value::as_str) {
            Some(image) => Ok(ListedFiles {
                images: vec![inner(image)?],
                label: label(item).transpose()?,
            }),
            None => Err(LayoutError::value(
                &at,
                item,
                "an object with `image` and `label`",
            )),
        }
    };
    items.iter().enumerate().map(case).collect()
}

/// Images of the test cases.
pub(super) fn test(entries: &Map<String, Value>) -> Result<Vec<String>, LayoutError> {
    let items = match entries.get("test") {
        Some(Value::Array(items)) => items.as_slice(),
        None | Some(Value::Null) => &[],
        Some(other) => return Err(LayoutError::value("test", other, "a list of images")),
    };
    let image = |(index, item): (usize, &Value)| {
        let path = item.as_str().or(item.get("image").and_then(Value::as_str));
        match path {
            Some(path) => inner(path),
            None => Err(LayoutError::value(
                &format!("test[{index}]"),
                item,
                "an image",
            )),
        }
    };
    items.iter().enumerate().map(image).collect()
}

/// A path below the dataset's folder, without `./`.
fn inner(path: &str) -> Result<String, LayoutError> {
    let parts: Vec<&str> = path
        .split(['/', '\\'])
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    if path.starts_with(['/', '\\']) || parts.contains(&"..") || parts.is_empty() {
        let path = path.to_owned();
        return Err(LayoutError::Outside { path });
    }
    Ok(parts.join("/"))
}
