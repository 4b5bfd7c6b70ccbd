//! Copies of numbers to the host, while the GPU continues.
#![allow(unsafe_code, reason = "starts copies from the GPU")]

use std::sync::mpsc;

use super::backend::{Cuda, CudaTensor};
use super::operation::{Operation, flush, panic_if_failed};
use super::pages::ROOM;
use super::tensor::is_single;
use crate::reference;
use crate::results::Scalars;

pub fn read_scalars(tensors: Vec<CudaTensor>) -> Scalars {
    let known = |tensor: &CudaTensor| is_single(tensor) && tensor.meta.shape().num_elements() == 1;
    let Some(first) = tensors
        .first()
        .filter(|_| tensors.len() <= ROOM && tensors.iter().all(known))
    else {
        return reference::read_scalars::<Cuda>(tensors);
    };
    let device = first.device.clone();
    let mut operation = Operation::beside(first);
    let buffers: Vec<_> = tensors
        .iter()
        .map(|tensor| operation.strided(tensor))
        .collect();
    let (sender, receiver) = mpsc::channel();
    operation.submit(move |gpu, at| {
        let addresses: Vec<_> = buffers.iter().map(|&buffer| at.of(buffer)).collect();
        let (context, stream) = (gpu.context(), gpu.stream());
        // SAFETY: a tensor of one number is behind each address; their count was checked.
        let reading = unsafe { gpu.pages.read(&addresses, context, stream)? };
        // The receiver is gone if the training has failed meanwhile.
        let _ = sender.send(reading);
        Ok(())
    });
    flush(&device);
    Scalars::new(move || {
        let reading = receiver.recv().unwrap_or_else(|_| {
            panic_if_failed(&device);
            panic!("CubeCL's device thread has ended")
        });
        reading
            .wait()
            .unwrap_or_else(|error| panic!("results cannot be read from the GPU: {error}"))
    })
}
