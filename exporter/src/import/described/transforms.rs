//! Preprocessing from MONAI's transforms of dictionaries.

use serde_json::Value;
use vesal_bundle::deploy_plan::Modality;
use vesal_volume::preprocess::{Normalization, Step};

use super::component::{ComponentError, PREPROCESSING as LIST, StatedComponent};

const POSITIVE: &str = "three positive numbers of mm";

/// The steps of preprocessing, and the modality that its normalization is for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Preparation {
    /// The name of the images.
    pub image: String,
    pub steps: Vec<Step>,
    pub modality: Option<Modality>,
}

impl Preparation {
    /// Reads a list of transforms for images of this many channels.
    ///
    /// **Definition**: a transform is expressed exactly, in its place, or refused.
    ///
    /// **Errors**: [`ComponentError`] for the first transform that a plan cannot express.
    ///
    /// **Source**: MONAI 1.6.1 `monai.transforms`, dictionaries.
    pub fn read(transforms: &Value, channels: usize) -> Result<Self, ComponentError> {
        let (mut image, mut loaded) = (None, Vec::new());
        let mut steps = Vec::new();
        let mut modality = None;
        for transform in StatedComponent::all(LIST, transforms)? {
            let keys = transform.keys()?;
            if transform.class == "LoadImaged" {
                match image {
                    None => image = Some(image_key(&transform, &keys)?),
                    Some(_) if keys.iter().all(|key| is_label(key)) => {}
                    Some(_) => return Err(transform.wrong("keys", "label maps beside the images")),
                }
                loaded.extend(keys.iter().copied());
            }
            let Some(image) = image else {
                return Err(transform.misplaced("before `LoadImaged`"));
            };
            if keys.iter().any(|key| !loaded.contains(key)) {
                return Err(transform.wrong("keys", "names of what `LoadImaged` loads"));
            }
            // Label maps are not prepared for inference.
            let Some(transform) = transform.of(&keys, image) else {
                continue;
            };
            match transform.class {
                "LoadImaged" => transform.allow(&[
                    "reader",
                    "image_only",
                    "ensure_channel_first",
                    "dtype",
                    "overwriting",
                    "simple_keys",
                    "prune_meta_pattern",
                    "prune_meta_sep",
                    "expanduser",
                ])?,
                "EnsureChannelFirstd" => {
                    transform.allow(&["channel_dim", "strict_check"])?;
                    if transform.get("channel_dim").is_some() {
                        return Err(transform.wrong("channel_dim", "none"));
                    }
                }
                "EnsureTyped" | "ToTensord" | "ToDeviced" | "CastToTyped" | "Identityd" => {
                    transform.allow(&[
                        "dtype",
                        "device",
                        "data_type",
                        "wrap_sequence",
                        "track_meta",
                        "non_blocking",
                    ])?;
                    let floats = ["$torch.float32", "$np.float32", "$numpy.float32", "float32"];
                    transform.is_one_of("dtype", &floats, "float32")?;
                }
                "Orientationd" => {
                    orientation(&transform)?;
                    steps.push(Step::OrientRas);
                }
                "Spacingd" => steps.push(resampling(&transform)?),
                "CropForegroundd" => steps.push(crop(&transform, image)?),
                "ScaleIntensityRanged" => {
                    modality = Some(Modality::Ct);
                    steps.push(normalize(clipped_range(&transform)?, channels));
                }
                "NormalizeIntensityd" => {
                    modality = modality.or(Some(Modality::Mri));
                    steps.push(normalize(z_score(&transform, channels)?, channels));
                }
                _ => return Err(transform.unknown()),
            }
        }
        let missing = ComponentError::Missing {
            list: LIST,
            missing: "`LoadImaged`",
        };
        Ok(Self {
            image: image.ok_or(missing)?.to_owned(),
            steps,
            modality,
        })
    }
}

/// The name of the images: the only one that is loaded, beside label maps.
fn image_key<'a>(
    transform: &StatedComponent<'a>,
    keys: &[&'a str],
) -> Result<&'a str, ComponentError> {
    let mut images = keys.iter().filter(|key| !is_label(key));
    match (images.next(), images.next()) {
        (Some(image), None) => Ok(image),
        _ => Err(transform.wrong("keys", "one name of images")),
    }
}

/// Whether this is the name of label maps.
fn is_label(key: &str) -> bool {
    key.contains("label")
}

fn normalize(normalization: Normalization, channels: usize) -> Step {
    Step::Normalize {
        channels: vec![normalization; channels],
    }
}

fn orientation(transform: &StatedComponent<'_>) -> Result<(), ComponentError> {
    transform.allow(&["axcodes", "as_closest_canonical", "labels"])?;
    let standard = serde_json::json!([["L", "R"], ["P", "A"], ["I", "S"]]);
    if transform
        .get("labels")
        .is_some_and(|labels| *labels != standard)
    {
        return Err(transform.wrong("labels", "those of RAS"));
    }
    let canonical = transform.flag("as_closest_canonical", false)?;
    if canonical || transform.text("axcodes")? == Some("RAS") {
        Ok(())
    } else {
        Err(transform.wrong("axcodes", "RAS"))
    }
}

fn resampling(transform: &StatedComponent<'_>) -> Result<Step, ComponentError> {
    transform.allow(&[
        "pixdim",
        "diagonal",
        "mode",
        "padding_mode",
        "align_corners",
        "dtype",
        "scale_extent",
        "recompute_affine",
        "ensure_same_shape",
    ])?;
    transform.is_one_of("mode", &["bilinear"], "bilinear")?;
    transform.is_one_of("padding_mode", &["border"], "border")?;
    transform.requires("diagonal", false, "false")?;
    transform.requires("scale_extent", false, "false")?;
    let pixdim = transform.get("pixdim").and_then(Value::as_array);
    let pixdim =
        pixdim.and_then(|sizes| sizes.iter().map(Value::as_f64).collect::<Option<Vec<_>>>());
    let spacing: Option<[f64; 3]> = pixdim.and_then(|sizes| sizes.try_into().ok());
    match spacing {
        Some(spacing) if spacing.iter().all(|mm| *mm > 0.) => Ok(Step::Resample {
            spacing,
            keep: [1., 1.],
        }),
        _ => Err(transform.wrong("pixdim", POSITIVE)),
    }
}

fn crop(transform: &StatedComponent<'_>, image: &str) -> Result<Step, ComponentError> {
    transform.allow(&[
        "source_key",
        "margin",
        "allow_smaller",
        "k_divisible",
        "mode",
        "start_coord_key",
        "end_coord_key",
    ])?;
    if transform.get("source_key").and_then(Value::as_str) != Some(image) {
        return Err(transform.wrong("source_key", "the name of the images"));
    }
    if transform.number("k_divisible")?.is_some_and(|k| k != 1.) {
        return Err(transform.wrong("k_divisible", "1"));
    }
    let margin = match transform.get("margin") {
        None => 0,
        Some(margin) => margin
            .as_u64()
            .and_then(|margin| usize::try_from(margin).ok())
            .ok_or_else(|| transform.wrong("margin", "one number of voxels"))?,
    };
    // Otherwise MONAI pads what lies outside of the image, and its versions have different defaults.
    if margin > 0 && !transform.flag("allow_smaller", false)? {
        return Err(transform.wrong("allow_smaller", "true with a margin"));
    }
    Ok(Step::CropForeground {
        threshold: 0.,
        margin,
    })
}

fn clipped_range(transform: &StatedComponent<'_>) -> Result<Normalization, ComponentError> {
    transform.allow(&["a_min", "a_max", "b_min", "b_max", "clip", "dtype"])?;
    for (argument, value, expected) in [("b_min", 0., "0"), ("b_max", 1., "1")] {
        if transform.number(argument)? != Some(value) {
            return Err(transform.wrong(argument, expected));
        }
    }
    if !transform.flag("clip", false)? {
        return Err(transform.wrong("clip", "true"));
    }
    let bound = |argument| {
        let number = transform.number(argument)?;
        number.ok_or_else(|| transform.wrong(argument, "a number"))
    };
    let (low, high) = (bound("a_min")? as f32, bound("a_max")? as f32);
    if low < high && (high - low).is_finite() {
        Ok(Normalization::ClippedRange { low, high })
    } else {
        Err(transform.wrong("a_max", "a number above a_min"))
    }
}

fn z_score(
    transform: &StatedComponent<'_>,
    channels: usize,
) -> Result<Normalization, ComponentError> {
    transform.allow(&["nonzero", "channel_wise", "dtype"])?;
    if !transform.flag("nonzero", false)? {
        return Err(transform.wrong("nonzero", "true"));
    }
    if channels > 1 && !transform.flag("channel_wise", false)? {
        return Err(transform.wrong("channel_wise", "true for several channels"));
    }
    Ok(Normalization::ZScoreNonzero)
}

#[cfg(test)]
mod tests;
