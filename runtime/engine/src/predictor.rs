//! One ONNX network as a predictor of patches.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use ndarray::{ArrayView5, CowArray, Ix5, s};
use ort::memory::Allocator;
use ort::session::IoBinding;
use ort::session::Session;
use ort::value::{Outlet, Tensor, TensorElementType, ValueType};
use thiserror::Error;
use vesal_bundle::DeployPlan;
use vesal_bundle::manifest::NetworkInterface;
use vesal_volume::window::PatchPredictor;

use crate::device::{self, Device, DeviceError};
use crate::library::Runtime;
use crate::model::{MalformedModel, Model};
use crate::options::EngineOptions;
use crate::plugin::{PluginError, Provider};
use crate::session;

/// Windows per call on a GPU, if not given: more do not make it faster.
const GPU_BATCH: usize = 4;
/// Largest window of which a GPU gets several per call, if not given.
const GPU_BATCH_VOXELS: usize = 128 * 128 * 128;

/// A shape with free axes, as in `[?, 1, 96, 96, 96]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AxisSizes(pub Vec<Option<usize>>);

impl fmt::Display for AxisSizes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes: Vec<String> = self
            .0
            .iter()
            .map(|size| size.map_or_else(|| "?".into(), |size| size.to_string()))
            .collect();
        write!(formatter, "[{}]", sizes.join(", "))
    }
}

/// Why a network cannot be used or fails.
#[derive(Debug, Error)]
pub enum PredictorError {
    /// No ONNX file.
    #[error(transparent)]
    Malformed(#[from] MalformedModel),
    /// Its values lie in another file.
    #[error("the network keeps tensor {tensor:?} in another file, expected all of it in one")]
    ExternalData {
        /// Name of the tensor.
        tensor: String,
    },
    /// Another operator set than the manifest states.
    #[error("the network has opset {}, expected {expected}", found.map_or("none".into(), |found| found.to_string()))]
    Opset {
        /// Its operator set.
        found: Option<i64>,
        /// The manifest's.
        expected: i64,
    },
    /// ONNX Runtime refuses it.
    #[error("ONNX Runtime refuses the network")]
    Refused {
        /// Why.
        source: ort::Error,
    },
    /// The device refuses it.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The provider is not there or refuses it.
    #[error(transparent)]
    Provider(#[from] PluginError),
    /// Inputs or outputs have other names, or there are several.
    #[error("the network's {what}s are {found:?}, expected only {expected:?}")]
    Names {
        /// Input or output.
        what: &'static str,
        /// Their names.
        found: Vec<String>,
        /// The one name in the manifest.
        expected: String,
    },
    /// No tensor of `float32`.
    #[error("the network's {what} holds {found}, expected a tensor of f32")]
    ElementType {
        /// Input or output.
        what: &'static str,
        /// What it holds.
        found: String,
    },
    /// A shape that the plan's windows do not fit.
    #[error("the network's {what} has shape {found}, the deploy plan needs {expected}")]
    Shape {
        /// Input or output.
        what: &'static str,
        /// Its shape.
        found: AxisSizes,
        /// The plan's.
        expected: AxisSizes,
    },
    /// It was given something else than windows of the plan.
    #[error("the patches have shape {found:?}, the network takes {expected:?} after the batch")]
    Patches {
        /// Their shape.
        found: [usize; 5],
        /// Channels and window.
        expected: [usize; 4],
    },
    /// It failed while running.
    #[error("the network fails")]
    Run {
        /// Why.
        source: ort::Error,
    },
    /// Its output has another shape than it promised.
    #[error("the network's output has shape {found:?}, expected {expected:?}")]
    Output {
        /// Its shape.
        found: Vec<usize>,
        /// What was promised.
        expected: [usize; 5],
    },
    /// It overflowed.
    #[error("the network returns {values} logits that are NaN or infinite")]
    NotFinite {
        /// How many.
        values: usize,
    },
}

impl PredictorError {
    /// A remedy, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Device(error) => error.hint(),
            Self::Provider(error) => error.hint(),
            Self::Run { .. } => Some("if memory is short, `--batch 1` needs least"),
            Self::Patches { .. } | Self::Output { .. } | Self::NotFinite { .. } => None,
            _ => Some("the bundle was put together wrongly: export it again"),
        }
    }
}

/// One ONNX network on one device, for batches of windows of one shape, in memory of its own.
///
/// A batch that is not full is computed as if it were: one shape is what a device plans for.
#[derive(Debug)]
pub struct OnnxPredictor {
    session: Session,
    binding: IoBinding,
    device: Device,
    name: String,
    /// `[N, C, X, Y, Z]`.
    input: Tensor<f32>,
    /// `[N, K, X, Y, Z]`.
    output: Tensor<f32>,
    run_time: Duration,
    /// `[C, X, Y, Z]`.
    patch: [usize; 4],
    classes: usize,
    max_batch: usize,
}

impl OnnxPredictor {
    /// Makes a predictor of the bytes of an ONNX file, on exactly this device; [`Device::Auto`] means the processor
    /// here, for only who holds all networks can choose. The device of the options is not looked at.
    ///
    /// **Errors**: the file is no network for this plan and interface, or the device does not run it.
    pub fn new(
        runtime: &'static Runtime,
        network: &[u8],
        interface: &NetworkInterface,
        plan: &DeployPlan,
        device: Device,
        options: &EngineOptions,
    ) -> Result<Self, PredictorError> {
        let Model { opset, external } = Model::inspect(network)?;
        if let Some(tensor) = external {
            return Err(PredictorError::ExternalData { tensor });
        }
        if opset != Some(interface.opset) {
            return Err(PredictorError::Opset {
                found: opset,
                expected: interface.opset,
            });
        }
        let session = if options.provider == Provider::Native {
            device::check_provider(runtime, device)?;
            session::build(runtime, network, device, options).map_err(|source| match device {
                Device::Cuda(_) => PredictorError::Device(DeviceError::Unusable { device, source }),
                Device::Auto | Device::Cpu => PredictorError::Refused { source },
            })?
        } else {
            session::build_with(runtime, network, device, options)?
        };
        let ([x, y, z], channels, classes) =
            (plan.window.size, plan.channels.len(), plan.labels.len());
        check_outlet(
            "input",
            session.inputs(),
            &interface.input,
            [channels, x, y, z],
        )?;
        check_outlet(
            "output",
            session.outputs(),
            &interface.output,
            [classes, x, y, z],
        )?;
        let several = matches!(device, Device::Cuda(_)) && x * y * z <= GPU_BATCH_VOXELS;
        let max_batch = if several { GPU_BATCH } else { 1 };
        let max_batch = options.batch.map_or(max_batch, NonZeroUsize::get);
        let tensor = |channels: usize| {
            Tensor::new(&Allocator::default(), [max_batch, channels, x, y, z]).map_err(run)
        };
        let mut output: Tensor<f32> = tensor(classes)?;
        let mut input: Tensor<f32> = tensor(channels)?;
        input.extract_array_mut().fill(0.0);
        let mut binding = session.create_binding().map_err(run)?;
        binding
            .bind_output(interface.output.as_str(), &mut output)
            .map_err(run)?;
        Ok(Self {
            session,
            binding,
            device,
            name: interface.input.clone(),
            input,
            output,
            run_time: Duration::ZERO,
            patch: [channels, x, y, z],
            classes,
            max_batch,
        })
    }

    /// Device that it runs on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Time that ONNX Runtime has taken so far.
    pub fn run_time(&self) -> Duration {
        self.run_time
    }
}

impl PatchPredictor for OnnxPredictor {
    type Error = PredictorError;

    fn output_channels(&self) -> usize {
        self.classes
    }

    fn max_batch(&self) -> usize {
        self.max_batch
    }

    fn predict(
        &mut self,
        patches: ArrayView5<'_, f32>,
    ) -> Result<CowArray<'_, f32, Ix5>, PredictorError> {
        let (n, c, x, y, z) = patches.dim();
        if [c, x, y, z] != self.patch || n > self.max_batch {
            return Err(PredictorError::Patches {
                found: [n, c, x, y, z],
                expected: self.patch,
            });
        }
        let start = Instant::now();
        self.fill(patches).map_err(run)?;
        self.session.run_binding(&self.binding).map_err(run)?;
        self.run_time += start.elapsed();
        let logits = self.output.extract_array();
        let expected = [self.max_batch, self.classes, x, y, z];
        let output = || PredictorError::Output {
            found: logits.shape().to_vec(),
            expected,
        };
        let all = logits
            .clone()
            .into_dimensionality::<Ix5>()
            .map_err(|_| output())?;
        if all.shape() != expected {
            return Err(output());
        }
        let logits = all.slice_move(s![..n, .., .., .., ..]);
        let values = logits.iter().filter(|logit| !logit.is_finite()).count();
        if values > 0 {
            return Err(PredictorError::NotFinite { values });
        }
        Ok(logits.into())
    }
}

impl OnnxPredictor {
    /// Puts patches where the network reads them; what a batch lacks stays as it was.
    fn fill(&mut self, patches: ArrayView5<'_, f32>) -> Result<(), ort::Error> {
        let mut input = self.input.extract_array_mut();
        let length: usize = patches.len();
        match (patches.as_slice(), input.as_slice_mut()) {
            (Some(patches), Some(input)) => input[..length].copy_from_slice(patches),
            _ => input
                .iter_mut()
                .zip(&patches)
                .for_each(|(to, from)| *to = *from),
        }
        // Bound anew every time: what lies in a device's own memory is copied there now.
        self.binding.bind_input(self.name.as_str(), &self.input)
    }
}

fn run(source: ort::Error) -> PredictorError {
    PredictorError::Run { source }
}

/// Checks that there is one input or output, of this name, and that it takes windows of this shape in free number.
fn check_outlet(
    what: &'static str,
    outlets: &[Outlet],
    name: &str,
    expected: [usize; 4],
) -> Result<(), PredictorError> {
    let [outlet] = outlets else {
        return Err(names(what, outlets, name));
    };
    if outlet.name() != name {
        return Err(names(what, outlets, name));
    }
    let ValueType::Tensor {
        ty: TensorElementType::Float32,
        shape,
        ..
    } = outlet.dtype()
    else {
        return Err(PredictorError::ElementType {
            what,
            found: outlet.dtype().to_string(),
        });
    };
    let found = AxisSizes(
        shape
            .iter()
            .map(|&size| usize::try_from(size).ok())
            .collect(),
    );
    let expected = AxisSizes(std::iter::once(None).chain(expected.map(Some)).collect());
    if found == expected {
        Ok(())
    } else {
        Err(PredictorError::Shape {
            what,
            found,
            expected,
        })
    }
}

fn names(what: &'static str, outlets: &[Outlet], expected: &str) -> PredictorError {
    let found = outlets
        .iter()
        .map(|outlet| outlet.name().to_owned())
        .collect();
    PredictorError::Names {
        what,
        found,
        expected: expected.into(),
    }
}
