//! Rewriting a network for a device when it is loaded. The bundle's bytes stay as they are.

use std::num::NonZeroUsize;
use std::sync::Arc;

use vesal_onnx::{Bytes, Head, Interface, OnnxModel, RewriteError};

use crate::cpu::{KernelBytes, Processor};
use crate::device::Device;
use crate::options::{EngineOptions, InferencePrecision};
use crate::plugin::Provider;

/// Name of the file in memory that holds a network's weights.
pub(crate) const WEIGHTS: &str = "weights";

/// A network, rewritten for the device that it runs on.
#[derive(Debug)]
pub(crate) struct OptimizedModel {
    /// Its ONNX file, encoded from the checked graph; never the bundle's bytes.
    pub bytes: Bytes,
    /// Contents of the external file [`WEIGHTS`]: the bundle's file, from which ONNX Runtime takes the weights without
    /// parsing.
    pub weights: Option<Arc<[u8]>>,
    /// Size of its batch axis, if that is not free.
    pub batch: Option<NonZeroUsize>,
    /// Its last convolution, where it is applied after blending.
    pub head: Option<Head>,
    /// Instance normalizations computed by one operator each, with the activation after them.
    pub fused: usize,
    /// Operators computed by this program's kernels on the processor.
    pub own: Option<OwnKernels>,
    /// Upper bound in bytes of activations that exist at once.
    pub activation_bytes: u64,
    /// Whether runs on a GPU upload arrays that only a run that waits for the GPU releases.
    pub uploads_arrays: bool,
}

/// Operators of a network that this program's kernels compute on the processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnKernels {
    pub processor: Processor,
    pub convolutions: usize,
    pub attentions: usize,
    pub bytes: KernelBytes,
}

/// Custom operators that a network may use.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kernels {
    None,
    /// Normalizations on a GPU.
    Gpu,
    /// Convolutions and attention on this processor.
    Cpu(Processor),
}

impl OptimizedModel {
    /// A trusted network of this program, without rewrites.
    pub(crate) fn plain(bytes: Bytes) -> Self {
        Self {
            bytes,
            weights: None,
            batch: None,
            head: None,
            fused: 0,
            own: None,
            activation_bytes: 0,
            uploads_arrays: false,
        }
    }

    /// Rewrites a network for a device: without its last convolution where that has more classes than features, in
    /// 16-bit floats if asked for, on a GPU and for providers that compile with a batch of fixed size, and with custom
    /// operators where `kernels` allows them. Rewrites that the network does not permit are skipped, except the
    /// precision. `file` is the file that the network was loaded from.
    ///
    /// **Errors**: it cannot be computed in this precision.
    pub(crate) fn new(
        network: &OnnxModel,
        file: &Arc<[u8]>,
        device: Device,
        options: &EngineOptions,
        batch: NonZeroUsize,
        kernels: Kernels,
    ) -> Result<Self, RewriteError> {
        let native = options.provider == Provider::Native;
        // Other providers convert to 16 bits themselves, by an option.
        let half = native && options.precision == InferencePrecision::Float16;
        let mut model = Self::plain(Bytes::new());
        let mut network = network.clone();
        let element = if half {
            size_of::<u16>()
        } else {
            size_of::<f32>()
        };
        if let Ok((rewritten, head)) = network.split_head() {
            (network, model.head) = (rewritten, Some(head));
        }
        if half {
            network = network.scale_batch_norms()?;
        }
        let mut bytes = KernelBytes::default();
        let own = match kernels {
            Kernels::Cpu(processor) if native && !half => Some(processor),
            _ => None,
        };
        let mut attentions = 0;
        // Before memory is planned: its matrices of weights do not exist any more.
        if let Some(processor) = own {
            let fused = network.fuse_attention(|sizes| {
                let attention = processor.plan_attention(sizes);
                attention
                    .inspect(|attention| bytes.add_attention(attention))
                    .is_some()
            });
            if let Ok((rewritten, count @ 1..)) = fused {
                (network, attentions) = (rewritten, count);
            }
        }
        let counted = network.clone();
        // Before the precision, so that scales stay 32-bit floats.
        if device.is_gpu()
            && matches!(kernels, Kernels::Gpu)
            && let Ok((rewritten, fused)) = network.fuse_norms()
        {
            (network, model.fused) = (rewritten, fused);
        }
        if let Some(processor) = own {
            let planned = network.own_convolutions(|sizes| {
                let convolution = processor.plan(sizes);
                convolution
                    .inspect(|convolution| bytes.add(convolution))
                    .is_some()
            });
            let convolutions = match planned {
                Ok((rewritten, convolutions)) => {
                    network = rewritten;
                    convolutions
                }
                Err(_) => 0,
            };
            model.own = (convolutions + attentions > 0).then_some(OwnKernels {
                processor,
                convolutions,
                attentions,
                bytes,
            });
        }
        // Of a processor's own transposed convolutions there is none, and GPUs need none.
        let columns = !device.is_gpu() && network.has_operator("ConvTranspose");
        model.activation_bytes = counted.activation_bytes(batch.get(), element, columns)?;
        model.uploads_arrays = device.is_gpu() && counted.uploads_arrays();
        if half {
            network = network.half(Interface::Single)?;
        }
        if (device.is_gpu() || !native)
            && let Ok(rewritten) = network.fix_batch(batch)
        {
            (network, model.batch) = (rewritten, Some(batch));
        }
        if native {
            model.bytes = network.encode_mapped(WEIGHTS)?.into();
            model.weights = Some(file.clone());
        } else {
            model.bytes = network.encode().into();
        }
        Ok(model)
    }
}
