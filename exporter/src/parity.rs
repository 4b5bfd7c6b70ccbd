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
/// magnitude more.
pub const TOLERANCE: f64 = 1e-4;

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
    /// Window that was compared.
    pub window: [usize; 3],
}

impl Parity {
    /// Largest tolerated absolute difference of a logit.
    pub fn limit(&self) -> f64 {
        TOLERANCE * self.max_logit.max(1.)
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
/// **Errors**: [`ParityError`]; [`ParityError::Differ`] beyond [`TOLERANCE`].
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
        window: [x, y, z],
    };
    for (found, expected) in found.iter().zip(&expected) {
        let difference = f64::from((found - expected).abs());
        // NaN counts as a difference.
        if difference.is_nan() || difference > parity.max_difference {
            parity.max_difference = difference;
        }
        parity.max_logit = parity.max_logit.max(f64::from(expected.abs()));
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
