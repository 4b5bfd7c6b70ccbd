//! The form in which a network is run: what is rewritten when it is loaded. The bundle's bytes stay what they are.

use std::borrow::Cow;
use std::num::NonZeroUsize;

use vesal_onnx::{Interface, Network};

use crate::device::Device;
use crate::options::Precision;
use crate::predictor::RewriteError;

/// A network in the form in which it is run.
#[derive(Debug)]
pub(crate) struct Form<'a> {
    /// Its ONNX file.
    pub bytes: Cow<'a, [u8]>,
    /// Size of its batch axis, if that is not free.
    pub batch: Option<NonZeroUsize>,
    /// Instance normalizations that are one operator with the ReLU after them.
    pub fused: usize,
}

impl<'a> Form<'a> {
    /// Rewrites a network for a device: 16-bit floats if asked for, and on a GPU a batch of fixed size and, where `fuse`
    /// says so, fused normalizations. What a network does not allow is left, but for the precision.
    ///
    /// **Errors**: it cannot be computed in this precision.
    pub(crate) fn of(
        network: &'a [u8],
        device: Device,
        precision: Precision,
        batch: NonZeroUsize,
        fuse: bool,
    ) -> Result<Self, RewriteError> {
        let gpu = matches!(device, Device::Cuda(_));
        let as_it_is = Self {
            bytes: network.into(),
            batch: None,
            fused: 0,
        };
        if !gpu && precision == Precision::F32 {
            return Ok(as_it_is);
        }
        let mut network = match Network::decode(network.to_vec()) {
            Ok(network) => network,
            Err(_) if precision == Precision::F32 => return Ok(as_it_is),
            Err(error) => return Err(error.into()),
        };
        let mut form = as_it_is;
        // First: scales then stay 32-bit floats.
        if gpu
            && fuse
            && let Ok((rewritten, fused)) = network.fuse_norm_relu()
        {
            (network, form.fused) = (rewritten, fused);
        }
        if precision == Precision::F16 {
            network = network.half(Interface::Single)?;
        }
        if gpu && let Ok(rewritten) = network.fix_batch(batch) {
            (network, form.batch) = (rewritten, Some(batch));
        }
        form.bytes = network.encode().into();
        Ok(form)
    }
}
