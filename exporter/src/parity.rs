//! Whole-tensor comparison of a network in Burn with its ONNX form in ONNX Runtime.

use std::num::NonZeroUsize;

use burn::tensor::{Tensor, TensorData};
use burn_flex::Flex;
use ndarray::{Array4, Array5, Axis, ShapeError};
use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_bundle::deploy_plan::{Activation, Channel, Label, Modality};
use vesal_bundle::manifest::NetworkInterface;
use vesal_bundle::probe::ProbeInput;
use vesal_engine::library::Runtime;
use vesal_engine::{Device, EngineOptions, OnnxPredictor, PredictorError};
use vesal_models::{Network, SegmentationNetwork};
use vesal_network::NetworkConfig;
use vesal_onnx::OPSET;
use vesal_volume::window::{Blend, Padding, WindowPlan};

use crate::lower::{INPUT, OUTPUT};

/// Largest tolerated difference, as a fraction of the largest logit or of 1, whichever is more.
///
/// Both sides compute in 32-bit floats and add in different orders; a wrong padding, stride or weight is off by orders of
/// magnitude more. Networks that amplify rounding may differ by more, see [`Parity::limit`].
pub const TOLERANCE: f64 = 1e-4;
/// Largest tolerated difference of networks that amplify rounding, likewise as a fraction.
const WIDEST_TOLERANCE: f64 = 1e-3;
/// Tolerated difference for each unit of [`Parity::amplified`]: rounding happens in every layer, not in the input alone.
///
/// Of SwinUNETR and DiNTS, from tiny networks to full ones, logits in 32-bit floats were 1 to 20 times as far from those of
/// another order of sums.
const LAYERS: f64 = 64.;

/// Why a network and its ONNX form cannot be compared, or how they differ.
#[derive(Debug, Error)]
pub enum ParityError {
    /// ONNX Runtime refuses or fails.
    #[error(transparent)]
    Predictor(#[from] PredictorError),
    /// The input does not have the shape that it states.
    #[error("the compared input has no shape")]
    Input(#[from] ShapeError),
    /// Burn's logits cannot be read.
    #[error("the network gives no 32-bit floats in Burn")]
    Logits,
    #[error(
        "Burn and ONNX Runtime differ by {difference:e} on the same weights and input, expected at most {limit:e}"
    )]
    Differ {
        /// Largest absolute difference of a logit.
        difference: f64,
        limit: f64,
    },
}

/// How well Burn and ONNX Runtime agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parity {
    /// Largest absolute difference of a logit.
    pub max_difference: f64,
    /// Largest absolute logit.
    pub max_logit: f64,
    /// Largest change of a logit when every value of the input is changed by its last bit; measured where the difference
    /// exceeds [`TOLERANCE`].
    pub amplified: Option<f64>,
    /// Window that was compared.
    pub window: [usize; 3],
}

impl Parity {
    /// Largest tolerated absolute difference of a logit.
    ///
    /// A chain of normalizations amplifies what 32-bit floats round away. How much depends on architecture and weights, so
    /// it is measured: a network that turns a change of the input by one bit into a large one cannot agree
    /// better with itself, when sums are added in another order.
    ///
    /// **Definition**: with `m` the largest logit or 1, `1e-4 m`, or if that is more, 64 times the amplified rounding of
    /// the input, at most `1e-3 m`.
    pub fn limit(&self) -> f64 {
        let scale = self.max_logit.max(1.);
        let amplified = self.amplified.map_or(0., |amplified| LAYERS * amplified);
        // Not a number is no reason for a wider limit.
        if amplified > TOLERANCE * scale {
            amplified.min(WIDEST_TOLERANCE * scale)
        } else {
            TOLERANCE * scale
        }
    }
}

/// Interface that all exported networks have.
pub fn interface() -> NetworkInterface {
    NetworkInterface {
        opset: OPSET,
        input: INPUT.into(),
        output: OUTPUT.into(),
    }
}

/// Runs an ONNX network in ONNX Runtime on the processor.
///
/// **Shapes**: `[N, C, X, Y, Z]` → `[N, K, X, Y, Z]`; `[X, Y, Z]` is the network's window.
///
/// **Errors**: ONNX Runtime refuses the network or fails.
pub fn run_onnx(
    runtime: &'static Runtime,
    onnx: &[u8],
    config: &NetworkConfig,
    input: &Array5<f32>,
) -> Result<Array5<f32>, PredictorError> {
    let (n, _, x, y, z) = input.dim();
    let plan = plain_plan(config, [x, y, z]);
    let options = EngineOptions {
        batch: NonZeroUsize::new(n),
        ..EngineOptions::default()
    };
    OnnxPredictor::new(
        runtime,
        onnx.into(),
        &interface(),
        &plan,
        Device::Cpu,
        &options,
    )?
    .logits(input.view())
}

/// Compares a network with its ONNX form on an input.
///
/// Also returns Burn's logits, `[N, K, X, Y, Z]`.
///
/// **Errors**: [`ParityError`]; [`ParityError::Differ`] beyond [`Parity::limit`].
pub fn compare_on(
    runtime: &'static Runtime,
    onnx: &[u8],
    network: &Network<Flex>,
    config: &NetworkConfig,
    input: &Array5<f32>,
) -> Result<(Parity, Array5<f32>), ParityError> {
    let (n, c, x, y, z) = input.dim();
    let found = run_onnx(runtime, onnx, config, input)?;
    let values: Vec<f32> = input.iter().copied().collect();
    let tensor = Tensor::<Flex, 5>::from_data(
        TensorData::new(values, [n, c, x, y, z]),
        &Default::default(),
    );
    let logits = network.forward(tensor);
    let [n, k, x, y, z] = logits.dims();
    let logits = logits.into_data().into_vec::<f32>();
    let logits = logits.map_err(|_| ParityError::Logits)?;
    let expected = Array5::from_shape_vec([n, k, x, y, z], logits)?;
    if expected.dim() != found.dim() {
        return Err(ParityError::Logits);
    }

    let mut parity = Parity {
        max_difference: 0.,
        max_logit: 0.,
        amplified: None,
        window: [x, y, z],
    };
    parity.max_difference = largest_difference(&found, &expected);
    let logits = expected.iter().map(|logit| f64::from(logit.abs()));
    parity.max_logit = logits.fold(0., f64::max);
    if parity.max_difference > parity.limit() && parity.max_difference.is_finite() {
        let changed = run_onnx(runtime, onnx, config, &last_bits_changed(input))?;
        parity.amplified = Some(largest_difference(&changed, &found));
    }
    let limit = parity.limit();
    // Of an infinite logit, the limit is infinite as well.
    if parity.max_difference.is_finite() && parity.max_difference <= limit {
        Ok((parity, expected))
    } else {
        Err(ParityError::Differ {
            difference: parity.max_difference,
            limit,
        })
    }
}

/// Largest absolute difference; NaN counts as one.
fn largest_difference(found: &Array5<f32>, expected: &Array5<f32>) -> f64 {
    let mut largest = 0.;
    for (found, expected) in found.iter().zip(expected) {
        let difference = f64::from((found - expected).abs());
        if difference.is_nan() || difference > largest {
            largest = difference;
        }
    }
    largest
}

/// Every value changed by its last bit, up or down by its position.
fn last_bits_changed(input: &Array5<f32>) -> Array5<f32> {
    let mut changed = input.clone();
    for (index, value) in changed.iter_mut().enumerate() {
        // Multiplied by 2^64 over the golden ratio, positions give both directions equally often, in no pattern.
        let up = (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1;
        *value *= if up {
            1. + f32::EPSILON
        } else {
            1. - f32::EPSILON
        };
    }
    changed
}

/// Compares a network with the bytes of its ONNX file on one window, and returns Burn's logits, `[K, X, Y, Z]`.
///
/// **Errors**: as [`compare_on`].
pub fn compare(
    runtime: &'static Runtime,
    onnx: &[u8],
    network: &Network<Flex>,
    config: &NetworkConfig,
    input: &ProbeInput,
) -> Result<(Parity, Array4<f32>), ParityError> {
    let input = Array5::from_shape_vec(input.shape, input.values())?;
    let (parity, logits) = compare_on(runtime, onnx, network, config, &input)?;
    Ok((parity, logits.index_axis_move(Axis(0), 0)))
}

/// A minimal plan with the shape of a network.
fn plain_plan(config: &NetworkConfig, window: [usize; 3]) -> DeployPlan {
    let channel = |index| Channel::new(format!("image {index}"), Modality::Mri);
    let label = |class_index| Label::new(format!("class {class_index}"), 0, class_index);
    DeployPlan {
        restore: Default::default(),
        name: "parity".into(),
        channels: (0..config.in_channels()).map(channel).collect(),
        labels: (0..config.out_channels()).map(label).collect(),
        activation: Activation::Softmax,
        preprocessing: Vec::new(),
        window: WindowPlan {
            size: window,
            overlap: [0.; 3],
            blend: Blend::Constant,
            padding: Padding::Constant(0.),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(max_logit: f64, amplified: Option<f64>) -> f64 {
        Parity {
            max_difference: 0.,
            max_logit,
            amplified,
            window: [8; 3],
        }
        .limit()
    }

    #[test]
    fn the_limit_follows_what_the_network_amplifies() {
        assert_eq!(limit(0.5, None), 1e-4);
        assert_eq!(limit(20., None), 2e-3);
        assert_eq!(limit(20., Some(1e-6)), 2e-3);
        assert_eq!(limit(16., Some(1e-4)), 6.4e-3);
        // Never more than ten times as much, whatever is measured.
        assert_eq!(limit(20., Some(1.)), 2e-2);
        assert_eq!(limit(20., Some(f64::NAN)), 2e-3);
    }

    #[test]
    fn every_value_changes_by_its_last_bit() {
        let input = Array5::from_shape_fn((1, 1, 4, 5, 6), |(.., x, y, z)| {
            (x * 30 + y * 6 + z) as f32 - 60.
        });
        let changed = last_bits_changed(&input);
        let mut up = 0;
        for (before, after) in input.iter().zip(&changed) {
            let off = (f64::from(*after) - f64::from(*before)).abs();
            let bit = f64::from(f32::EPSILON) * f64::from(before.abs());
            // Rounded to whole last bits.
            assert!(
                (bit / 2.0..=1.5 * bit).contains(&off),
                "{before} to {after}"
            );
            up += usize::from(after.abs() > before.abs());
        }
        assert!((40..80).contains(&up), "{up}");
    }
}
