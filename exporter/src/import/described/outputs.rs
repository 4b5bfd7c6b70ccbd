//! Activation and restoring from MONAI's postprocessing.

use serde_json::Value;
use vesal_bundle::deploy_plan::Activation;
use vesal_volume::preprocess::Restore;

use super::component::{ComponentError, POSTPROCESSING as LIST, StatedComponent};

/// MONAI's name of a network's outputs.
const OUTPUT: &str = "pred";

/// How outputs become labels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct StatedOutputs {
    pub activation: Activation,
    /// None where nothing is brought back to the grid of the input.
    pub restore: Option<Restore>,
}

/// What is undone to bring outputs back to the grid of the input, as far as it is known.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Inverted<'a> {
    /// All transforms of preprocessing.
    pub transforms: Option<&'a Value>,
    /// Name of the images.
    pub image: Option<&'a str>,
}

impl Inverted<'_> {
    fn check(&self, invert: &StatedComponent<'_>) -> Result<(), ComponentError> {
        let known = self.transforms;
        if known.is_some_and(|known| invert.get("transform") != Some(known)) {
            return Err(invert.wrong("transform", "the configuration's `preprocessing`"));
        }
        let image = match invert.get("orig_keys") {
            Some(Value::Array(keys)) if keys.len() == 1 => keys[0].as_str(),
            Some(Value::String(key)) => Some(key.as_str()),
            _ => None,
        };
        if image.is_none() || self.image.is_some_and(|known| image != Some(known)) {
            return Err(invert.wrong("orig_keys", "the name of the images"));
        }
        Ok(())
    }
}

impl StatedOutputs {
    pub fn is_sigmoid(&self) -> bool {
        self.activation == Activation::Sigmoid
    }

    /// Reads a list of transforms.
    ///
    /// **Definition**: what is interpolated back (`Invertd`) before the activation are logits, after it probabilities.
    ///
    /// **Errors**: [`ComponentError`] for the first transform that a plan cannot express.
    ///
    /// **Source**: MONAI 1.6.1 `monai.transforms`, dictionaries.
    pub fn read(transforms: &Value, inverted: &Inverted<'_>) -> Result<Self, ComponentError> {
        let (mut activation, mut restore, mut labeled) = (None, None, None);
        for transform in StatedComponent::all(LIST, transforms)? {
            let decides = ["Activationsd", "Invertd", "AsDiscreted"].contains(&transform.class);
            if decides && transform.keys()? != [OUTPUT] {
                return Err(transform.wrong("keys", "pred, the outputs of the network"));
            }
            match transform.class {
                "Activationsd" => {
                    transform.allow(&["softmax", "sigmoid"])?;
                    let flags = ["softmax", "sigmoid"].map(|name| transform.flag(name, false));
                    let found = match flags {
                        [Ok(true), Ok(false)] => Activation::Softmax,
                        [Ok(false), Ok(true)] => Activation::Sigmoid,
                        [Err(error), _] | [_, Err(error)] => return Err(error),
                        _ => return Err(transform.wrong("softmax", "either softmax or sigmoid")),
                    };
                    if labeled.is_some() || activation.is_some() {
                        return Err(transform.misplaced("after the labels or twice"));
                    }
                    activation = Some(found);
                }
                "Invertd" => {
                    transform.allow(&[
                        "transform",
                        "orig_keys",
                        "orig_meta_keys",
                        "nearest_interp",
                        "to_tensor",
                        "device",
                        "support_channels",
                    ])?;
                    if labeled.is_some() {
                        return Err(transform.misplaced("after the labels"));
                    }
                    inverted.check(&transform)?;
                    if transform.flag("nearest_interp", true)? {
                        return Err(transform.wrong("nearest_interp", "false"));
                    }
                    restore = Some(match activation {
                        None => Restore::Logits,
                        Some(_) => Restore::Probabilities,
                    });
                }
                "AsDiscreted" => {
                    transform.allow(&["argmax", "threshold"])?;
                    let picks = match (
                        transform.flag("argmax", false)?,
                        transform.number("threshold")?,
                    ) {
                        (true, None) => Activation::Softmax,
                        (false, Some(0.5)) => Activation::Sigmoid,
                        _ => return Err(transform.wrong("argmax", "argmax, or the threshold 0.5")),
                    };
                    labeled = Some(picks);
                }
                "SaveImaged" | "EnsureTyped" | "CastToTyped" | "ToTensord" | "ToDeviced"
                | "DeleteItemsd" => {}
                _ => return Err(transform.unknown()),
            }
        }
        let activation = match (activation, labeled) {
            (Some(activation), Some(labels)) if activation != labels => {
                let missing = "labels that follow from its activation";
                return Err(ComponentError::Missing {
                    list: LIST,
                    missing,
                });
            }
            // The largest of the logits is the largest of the probabilities.
            (Some(activation), _) | (None, Some(activation @ Activation::Softmax)) => activation,
            _ => {
                let missing = "`Activationsd`";
                return Err(ComponentError::Missing {
                    list: LIST,
                    missing,
                });
            }
        };
        Ok(Self {
            activation,
            restore,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SOFTMAX: &str = r#"{"_target_": "Activationsd", "keys": "pred", "softmax": true}"#;
    const SIGMOID: &str = r#"{"_target_": "Activationsd", "keys": "pred", "sigmoid": true}"#;
    const INVERT: &str = r#"{"_target_": "Invertd", "keys": "pred", "transform": {}, "orig_keys": "image", "nearest_interp": false}"#;
    const ARGMAX: &str = r#"{"_target_": "AsDiscreted", "keys": "pred", "argmax": true}"#;
    const SAVE: &str = r#"{"_target_": "SaveImaged", "keys": "pred", "output_dir": "$x"}"#;

    fn read(transforms: &[&str]) -> Result<StatedOutputs, ComponentError> {
        let preprocessing = json!({});
        let inverted = Inverted {
            transforms: Some(&preprocessing),
            image: Some("image"),
        };
        let transforms = transforms
            .iter()
            .map(|text| serde_json::from_str(text).unwrap());
        StatedOutputs::read(
            &json!({"_target_": "Compose", "transforms": transforms.collect::<Vec<Value>>()}),
            &inverted,
        )
    }

    #[test]
    fn the_order_tells_what_is_restored() {
        for (transforms, activation, restore) in [
            (
                vec![SOFTMAX, INVERT, ARGMAX, SAVE],
                Activation::Softmax,
                Some(Restore::Probabilities),
            ),
            (
                vec![INVERT, SOFTMAX, ARGMAX],
                Activation::Softmax,
                Some(Restore::Logits),
            ),
            (
                vec![INVERT, SIGMOID],
                Activation::Sigmoid,
                Some(Restore::Logits),
            ),
            (
                vec![INVERT, ARGMAX],
                Activation::Softmax,
                Some(Restore::Logits),
            ),
            (vec![SOFTMAX, SAVE], Activation::Softmax, None),
        ] {
            assert_eq!(
                read(&transforms),
                Ok(StatedOutputs {
                    activation,
                    restore
                })
            );
        }
    }

    #[test]
    fn other_postprocessing_is_refused_by_name() {
        let largest = r#"{"_target_": "KeepLargestConnectedComponentd", "keys": "pred"}"#;
        let nearest =
            r#"{"_target_": "Invertd", "keys": "pred", "transform": {}, "orig_keys": "image"}"#;
        let threshold = r#"{"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.3}"#;
        let both =
            r#"{"_target_": "Activationsd", "keys": "pred", "softmax": true, "sigmoid": true}"#;
        let other = r#"{"_target_": "Activationsd", "keys": "pred", "sigmoid": true, "other": "$torch.tanh"}"#;
        let elsewhere = SOFTMAX.replace("pred", "other");
        let undone = INVERT.replace("{}", "[]");
        let image = INVERT.replace("\"orig_keys\": \"image\"", "\"orig_keys\": \"pred\"");
        let unnamed = INVERT.replace("\"orig_keys\": \"image\", ", "");
        let custom = SOFTMAX.replace("Activationsd", "scripts.Activationsd");
        for (transforms, named) in [
            (vec![elsewhere.as_str(), INVERT, ARGMAX], "keys"),
            (vec![SOFTMAX, &undone, ARGMAX], "transform = []"),
            (vec![SOFTMAX, &image, ARGMAX], "orig_keys"),
            (vec![SOFTMAX, &unnamed, ARGMAX], "orig_keys"),
            (
                vec![custom.as_str(), INVERT, ARGMAX],
                "`scripts.Activationsd`",
            ),
            (vec![SOFTMAX, largest], "KeepLargestConnectedComponentd"),
            (vec![SOFTMAX, nearest], "nearest_interp"),
            (vec![SOFTMAX, ARGMAX, INVERT], "after the labels"),
            (vec![SIGMOID, threshold], "AsDiscreted"),
            (vec![SIGMOID, ARGMAX], "labels that follow"),
            (vec![both], "either softmax or sigmoid"),
            (vec![other], "other"),
            (vec![INVERT], "Activationsd"),
        ] {
            let error = read(&transforms).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
            assert!(error.hint().contains("--activation"), "{}", error.hint());
        }
    }
}
