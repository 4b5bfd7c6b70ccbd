//! One ONNX network as a predictor of patches.

mod error;
mod interface;
mod load;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ndarray::{
    Array3, Array5, ArrayBase, ArrayView4, ArrayView5, Axis, CowArray, Data, Dimension, Ix5, s,
};
use ort::memory::Allocator;
use ort::session::{IoBinding, Session};
use ort::value::Tensor;
use vesal_bundle::DeployPlan;
use vesal_bundle::manifest::NetworkInterface;
use vesal_onnx::{Bytes, Head, OnnxModel};
use vesal_volume::postprocess::map_features;
use vesal_volume::window::{Blending, PatchPredictor, WindowError, WindowPlan};

use crate::cuda::{Accelerator, CudaInferer, device_bytes};
use crate::device::{self, Device};
use crate::library::Runtime;
use crate::network_memory;
use crate::options::EngineOptions;
use crate::plugin::Provider;

use load::Load;

pub use error::{AxisSizes, PredictorError};

/// Windows per call on a GPU, if not given: more do not make it faster.
const GPU_BATCH: NonZeroUsize = NonZeroUsize::new(4).expect("positive");
/// Largest window of which a GPU gets several per call, if not given.
const GPU_BATCH_VOXELS: usize = 128 * 128 * 128;

/// One ONNX network on one device, for batches of windows of one shape, in memory of its own.
///
/// A batch that is not full is computed like a full one: devices plan for one shape.
#[derive(Debug)]
pub struct OnnxPredictor {
    /// On a GPU allocated when first needed: windows that are cut there do not need it.
    host: Option<HostTensors>,
    session: Session,
    accelerator: Option<Accelerator>,
    device: Device,
    execution: String,
    interface: NetworkInterface,
    run_time: Duration,
    /// `[C, X, Y, Z]`.
    patch: [usize; 4],
    /// Channels of the output: logits, or the features that the head takes.
    channels: usize,
    head: Option<Head>,
    max_batch: usize,
    activation_bytes: u64,
    /// Upper bound in bytes of host memory that custom operators take besides activations.
    kernel_bytes: u64,
    /// Whether runs on a GPU upload arrays that only a run that waits for the GPU releases.
    uploads_arrays: bool,
    /// Bytes of the weights in the precision of the computation.
    weight_bytes: u64,
}

/// Input and output of a network in the host's memory.
#[derive(Debug)]
struct HostTensors {
    binding: IoBinding,
    /// `[N, C, X, Y, Z]`.
    input: Tensor<f32>,
    /// `[N, K, X, Y, Z]`.
    output: Tensor<f32>,
}

impl OnnxPredictor {
    /// Makes a predictor from the bytes of an ONNX file, on exactly this device and with the options' precision,
    /// threads and batch; [`Device::Auto`] means the processor here.
    ///
    /// **Errors**: the file is not a network for this plan and interface, or the device does not run it.
    pub fn new(
        runtime: &'static Runtime,
        network: Arc<[u8]>,
        interface: &NetworkInterface,
        plan: &DeployPlan,
        device: Device,
        options: &EngineOptions,
    ) -> Result<Self, PredictorError> {
        let file = network;
        let network = load_network(&file, interface)?;
        if options.provider == Provider::Native {
            device::check_provider(runtime, device)?;
        }
        let ([x, y, z], channels, classes) =
            (plan.window.size, plan.channels.len(), plan.labels.len());
        let several = matches!(device, Device::Cuda(_)) && x * y * z <= GPU_BATCH_VOXELS;
        let usual = if several {
            GPU_BATCH
        } else {
            NonZeroUsize::MIN
        };
        let batch = options.batch.unwrap_or_else(|| match options.max_vram {
            Some(limit) if device.is_gpu() => {
                network_memory::fitting_batch(&network, file.len(), options, usual, limit)
            }
            _ => usual,
        });
        let load = Load {
            runtime,
            network: &network,
            file: &file,
            device,
            options,
            batch,
        };
        let (session, accelerator, model, execution) = load.session()?;
        let found = model.head.as_ref().map_or(classes, Head::classes);
        if found != classes {
            let axes = |classes| AxisSizes(vec![None, Some(classes), Some(x), Some(y), Some(z)]);
            return Err(PredictorError::Shape {
                what: "output",
                found: axes(found),
                expected: axes(classes),
            });
        }
        let outputs_per_voxel = model.head.as_ref().map_or(classes, Head::features);
        let fixed = model.batch.map(NonZeroUsize::get);
        let (input, output) = (&interface.input, &interface.output);
        let window = |channels| [channels, x, y, z];
        let [inputs, outputs] = [session.inputs(), session.outputs()];
        interface::check_outlet("input", inputs, input, fixed, window(channels))?;
        interface::check_outlet("output", outputs, output, fixed, window(outputs_per_voxel))?;
        let mut predictor = Self {
            host: None,
            session,
            accelerator,
            device,
            execution,
            interface: interface.clone(),
            run_time: Duration::ZERO,
            patch: [channels, x, y, z],
            channels: outputs_per_voxel,
            head: model.head,
            max_batch: batch.get(),
            activation_bytes: model.activation_bytes,
            kernel_bytes: model.own.map_or(0, |own| own.bytes.total()),
            uploads_arrays: model.uploads_arrays,
            weight_bytes: network_memory::weight_bytes(file.len(), options),
        };
        if predictor.accelerator.is_none() {
            predictor.host()?;
        }
        Ok(predictor)
    }

    /// Device that it runs on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// How it runs: execution provider, precision, and the parts that this program computes itself, or the reason why
    /// there are none.
    pub fn execution(&self) -> &str {
        &self.execution
    }

    /// The linear map from blended outputs to logits, where the network has more classes than features before them.
    pub(crate) fn head(&self) -> Option<&Head> {
        self.head.as_ref()
    }

    /// Upper bound in bytes of activations that exist at once.
    pub(crate) fn activation_bytes(&self) -> u64 {
        self.activation_bytes
    }

    /// Upper bound in bytes of host memory that custom operators take besides activations.
    pub(crate) fn kernel_bytes(&self) -> u64 {
        self.kernel_bytes
    }

    /// Upper bound in bytes of the GPU memory that ONNX Runtime takes for the network.
    pub(crate) fn device_network_bytes(&self) -> u64 {
        network_memory::device_network_bytes(self.weight_bytes, self.activation_bytes)
    }

    /// Bytes of the input and output buffers of batches.
    pub(crate) fn buffer_bytes(&self) -> u64 {
        let [channels, x, y, z] = self.patch;
        (self.max_batch * (channels + self.channels) * x * y * z * size_of::<f32>()) as u64
    }

    /// GPU memory in bytes that a volume `[X, Y, Z]` takes besides the network; 0 where windows are blended on the host.
    ///
    /// **Errors**: an invalid plan, or a volume without voxels.
    pub(crate) fn device_bytes(
        &self,
        [x, y, z]: [usize; 3],
        plan: &WindowPlan,
    ) -> Result<u64, WindowError> {
        match self.accelerator {
            Some(_) => {
                let outputs = [self.max_batch, self.channels];
                device_bytes([self.patch[0], x, y, z], plan, outputs)
            }
            None => Ok(0),
        }
    }

    /// Logits of a batch of windows.
    ///
    /// **Shapes**: `[N, C, X, Y, Z]` → `[N, K, X, Y, Z]`.
    ///
    /// **Errors**: as [`PatchPredictor::predict`], or a value is not finite.
    pub fn logits(&mut self, patches: ArrayView5<'_, f32>) -> Result<Array5<f32>, PredictorError> {
        let head = self.head.clone();
        let outputs = self.predict(patches)?;
        check_finite(&outputs)?;
        let Some(head) = head else {
            return Ok(outputs.into_owned());
        };
        let (n, _, x, y, z) = outputs.dim();
        let mut logits = Array5::zeros((n, head.classes(), x, y, z));
        for (features, mut logits) in outputs.outer_iter().zip(logits.outer_iter_mut()) {
            let planes = features.axis_iter(Axis(1));
            for (plane, mut to) in planes.zip(logits.axis_iter_mut(Axis(1))) {
                to.assign(&map_features(plane, &head.weight, &head.bias));
            }
        }
        Ok(logits)
    }

    /// Time that the host has waited for ONNX Runtime so far.
    pub fn run_time(&self) -> Duration {
        self.run_time
    }

    /// Input and output in the host's memory.
    fn host(&mut self) -> Result<&mut HostTensors, PredictorError> {
        if self.host.is_none() {
            let [channels, x, y, z] = self.patch;
            let tensor = |channels: usize| {
                let shape = [self.max_batch, channels, x, y, z];
                Tensor::new(&Allocator::default(), shape).map_err(run)
            };
            let mut output: Tensor<f32> = tensor(self.channels)?;
            let mut input: Tensor<f32> = tensor(channels)?;
            input.extract_array_mut().fill(0.0);
            let mut binding = self.session.create_binding().map_err(run)?;
            binding
                .bind_output(self.interface.output.as_str(), &mut output)
                .map_err(run)?;
            return Ok(self.host.insert(HostTensors {
                binding,
                input,
                output,
            }));
        }
        self.host.as_mut().ok_or(PredictorError::Memory)
    }

    /// Starts sliding-window inference on the GPU; `None` without a GPU, or if its memory does not suffice for the
    /// volume besides the network.
    ///
    /// **Errors**: the GPU fails.
    pub(crate) fn cuda_inferer<'a>(
        &mut self,
        volume: ArrayView4<'a, f32>,
        plan: &WindowPlan,
        blending: &'a Blending,
    ) -> Result<Option<CudaInferer<'a>>, PredictorError> {
        let Some(accelerator) = &mut self.accelerator else {
            return Ok(None);
        };
        let ([channels, x, y, z], batch) = (self.patch, self.max_batch);
        if volume.dim().0 != channels || plan.size != [x, y, z] {
            return Ok(None);
        }
        let names = [&*self.interface.input, &*self.interface.output];
        let shapes = [channels, self.channels].map(|channels| [batch, channels, x, y, z]);
        accelerator
            .bind(&self.session, names, shapes, self.uploads_arrays)
            .map_err(run)?;
        let sizes = [batch, self.channels];
        match CudaInferer::new(volume, plan, blending, sizes, accelerator) {
            Ok(inferer) => Ok(Some(inferer)),
            Err(error) if error.is_out_of_memory() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Predicts the next batch of an inferer of [`Self::cuda_inferer`].
    ///
    /// **Errors**: the network or the GPU fails.
    pub(crate) fn step(&mut self, inferer: &mut CudaInferer<'_>) -> Result<(), PredictorError> {
        if let Some(accelerator) = &mut self.accelerator {
            inferer.step(&mut self.session, accelerator)?;
        }
        Ok(())
    }

    /// Takes complete planes from an inferer of [`Self::cuda_inferer`].
    ///
    /// **Errors**: the network or the GPU fails.
    pub(crate) fn pop(
        &mut self,
        inferer: &mut CudaInferer<'_>,
    ) -> Result<Vec<Array3<f32>>, PredictorError> {
        match &mut self.accelerator {
            Some(accelerator) => inferer.pop(&mut self.session, accelerator),
            None => Ok(Vec::new()),
        }
    }
}

impl PatchPredictor for OnnxPredictor {
    type Error = PredictorError;

    fn output_channels(&self) -> usize {
        self.channels
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
        let expected = [self.max_batch, self.channels, x, y, z];
        let start = Instant::now();
        self.host()?;
        let host = self.host.as_mut().ok_or(PredictorError::Memory)?;
        host.fill(&self.interface.input, patches).map_err(run)?;
        self.session.run_binding(&host.binding).map_err(run)?;
        self.run_time += start.elapsed();
        let logits = host.output.extract_array();
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
        Ok(logits.into())
    }
}

/// Loads the file of a network. ONNX Runtime gets only the checked network, encoded again.
///
/// **Errors**: an unsupported network, or another operator set than the interface states.
pub(crate) fn load_network(
    file: &Arc<[u8]>,
    interface: &NetworkInterface,
) -> Result<OnnxModel, PredictorError> {
    let network = OnnxModel::load(Bytes::from_owner(file.clone())).map_err(Box::new)?;
    let found = network.opset();
    if found != Some(interface.opset) {
        return Err(PredictorError::Opset {
            found,
            expected: interface.opset,
        });
    }
    Ok(network)
}

/// Checks that no value is NaN or infinite.
pub(crate) fn check_finite<S: Data<Elem = f32>, D: Dimension>(
    values: &ArrayBase<S, D>,
) -> Result<(), PredictorError> {
    match values.iter().filter(|value| !value.is_finite()).count() {
        0 => Ok(()),
        values => Err(PredictorError::NotFinite { values }),
    }
}

impl HostTensors {
    /// Copies patches to the network's input; the rest of a batch that is not full stays as it was.
    fn fill(&mut self, name: &str, patches: ArrayView5<'_, f32>) -> Result<(), ort::Error> {
        let mut input = self.input.extract_array_mut();
        let length: usize = patches.len();
        match (patches.as_slice(), input.as_slice_mut()) {
            (Some(patches), Some(input)) => input[..length].copy_from_slice(patches),
            _ => input
                .iter_mut()
                .zip(&patches)
                .for_each(|(to, from)| *to = *from),
        }
        // Bound every time, because ONNX Runtime copies it to the device's memory at binding.
        self.binding.bind_input(name, &self.input)
    }
}

fn run(source: ort::Error) -> PredictorError {
    PredictorError::Run { source }
}
