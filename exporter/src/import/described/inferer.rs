//! Windows from MONAI's sliding window inferers.

use serde_json::Value;
use vesal_volume::window::{Blend, Padding};

use super::component::{ComponentError, INFERER as LIST, StatedComponent};

/// MONAI's default of the shared fraction.
const OVERLAP: f64 = 0.25;
/// MONAI's default of the width of its importance map.
const SIGMA_SCALE: f64 = 0.125;
const FRACTIONS: &str = "fractions of at least 0, below 1";

/// How windows are placed and blended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StatedWindows {
    pub size: [usize; 3],
    pub overlap: [f64; 3],
    pub blend: Blend,
    pub padding: Padding,
}

impl StatedWindows {
    /// Reads an inferer.
    ///
    /// **Errors**: [`ComponentError`] for what a plan cannot express.
    ///
    /// **Source**: MONAI 1.6.1 `SlidingWindowInferer`; its adaptive form differs in where results are kept alone.
    pub fn read(inferer: &Value) -> Result<Self, ComponentError> {
        let component = inferer
            .as_object()
            .and_then(|map| StatedComponent::new(LIST, map));
        let inferer = component.ok_or_else(|| ComponentError::Form {
            list: LIST,
            found: inferer.to_string().chars().take(80).collect(),
        })?;
        if !["SlidingWindowInferer", "SlidingWindowInfererAdapt"].contains(&inferer.class) {
            return Err(inferer.unknown());
        }
        inferer.allow(&[
            "roi_size",
            "sw_batch_size",
            "overlap",
            "mode",
            "sigma_scale",
            "padding_mode",
            "cval",
            "sw_device",
            "device",
            "progress",
            "cache_roi_weight_map",
            "cpu_thresh",
            "buffer_steps",
            "buffer_dim",
            "with_coord",
        ])?;
        inferer.requires("with_coord", false, "false")?;
        let side = |value: &Value| {
            usize::try_from(value.as_u64()?)
                .ok()
                .filter(|side| *side > 0)
        };
        let size = inferer.get("roi_size").and_then(Value::as_array);
        let size = size.and_then(|sides| sides.iter().map(side).collect::<Option<Vec<_>>>());
        let size: Option<[usize; 3]> = size.and_then(|sides| sides.try_into().ok());
        let is_fraction = |fraction: &f64| (0. ..1.).contains(fraction);
        let overlap = match inferer.get("overlap") {
            None => Some([OVERLAP; 3]),
            Some(Value::Array(each)) => {
                let each = each.iter().map(Value::as_f64).collect::<Option<Vec<_>>>();
                each.and_then(|each| each.try_into().ok())
            }
            Some(one) => one.as_f64().map(|one| [one; 3]),
        };
        let overlap = overlap.filter(|each| each.iter().all(is_fraction));
        let scale = inferer.number("sigma_scale")?.unwrap_or(SIGMA_SCALE);
        let blend = match inferer.text("mode")?.unwrap_or("constant") {
            "constant" => Blend::Constant,
            "gaussian" if scale > 0. => Blend::Gaussian { sigma_scale: scale },
            "gaussian" => return Err(inferer.wrong("sigma_scale", "a positive number")),
            _ => return Err(inferer.wrong("mode", "constant or gaussian")),
        };
        let padding = match inferer.text("padding_mode")?.unwrap_or("constant") {
            "constant" => Padding::Constant(inferer.number("cval")?.unwrap_or(0.) as f32),
            "replicate" => Padding::Replicate,
            _ => return Err(inferer.wrong("padding_mode", "constant or replicate")),
        };
        Ok(Self {
            size: size.ok_or_else(|| inferer.wrong("roi_size", "three numbers of voxels"))?,
            overlap: overlap.ok_or_else(|| inferer.wrong("overlap", FRACTIONS))?,
            blend,
            padding,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn windows_have_the_defaults_of_the_class() {
        let windows = StatedWindows::read(&json!({
            "_target_": "monai.inferers.SlidingWindowInferer", "roi_size": [96, 64, 32], "sw_batch_size": 4
        }));
        let expected = StatedWindows {
            size: [96, 64, 32],
            overlap: [0.25; 3],
            blend: Blend::Constant,
            padding: Padding::Constant(0.),
        };
        assert_eq!(windows, Ok(expected));
        let windows = StatedWindows::read(&json!({
            "_target_": "SlidingWindowInfererAdapt", "roi_size": [96, 96, 96], "overlap": [0.5, 0, 0.625],
            "mode": "gaussian", "padding_mode": "replicate"
        }))
        .unwrap();
        assert_eq!(windows.overlap, [0.5, 0., 0.625]);
        assert_eq!(windows.blend, Blend::Gaussian { sigma_scale: 0.125 });
        assert_eq!(windows.padding, Padding::Replicate);
    }

    #[test]
    fn what_a_plan_cannot_express_is_refused() {
        let with = |name: &str, value: Value| {
            let mut inferer = json!({"_target_": "SlidingWindowInferer", "roi_size": [96, 96, 96]});
            inferer[name] = value;
            StatedWindows::read(&inferer).unwrap_err()
        };
        for (name, value) in [
            ("_target_", json!("SimpleInferer")),
            ("roi_size", json!([96, 96])),
            ("roi_size", json!([96, 96, -1])),
            ("roi_size", json!("$[96, 96, 96]")),
            ("overlap", json!(1.0)),
            ("mode", json!("$BlendMode.GAUSSIAN")),
            ("padding_mode", json!("reflect")),
            ("cval", json!("$-1024")),
            ("with_coord", json!(true)),
            ("process_fn", json!("$lambda x: x")),
        ] {
            let error = with(name, value);
            let named = name == "_target_" || error.to_string().contains(name);
            assert!(named, "{error}");
            assert!(error.hint().contains("--roi"), "{}", error.hint());
        }
    }
}
