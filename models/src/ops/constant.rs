//! Constants of networks.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::TensorData;
use burn::tensor::backend::Backend;
use burn::tensor::ops::{FloatTensor, IntTensor};
use vesal_kernels::RowGather;

use super::shape::Shape;

/// A constant tensor, such as the mask of an attention or the weights of an interpolation.
///
/// Clones share it. A network stores its constants rather than creating them in each forward pass; copies stay on the
/// devices that used them.
#[derive(Clone)]
pub struct Constant(Arc<Numbers<f32>>);

/// Constant indices along an axis; see [`Constant`].
#[derive(Clone)]
pub struct Indices {
    numbers: Arc<Numbers<usize>>,
    largest: Option<usize>,
}

struct Numbers<T> {
    name: &'static str,
    shape: Shape,
    values: Vec<T>,
    devices: Devices,
}

impl Constant {
    /// A constant of this shape; the name appears in exported networks.
    ///
    /// **Shapes**: `values` in C order, as many as the product of `sizes`.
    #[track_caller]
    pub fn new(name: &'static str, sizes: impl Into<Vec<usize>>, values: Vec<f32>) -> Self {
        let shape = Shape::fixed(sizes);
        assert!(
            shape.elements() == values.len(),
            "{} values are no {shape}",
            values.len()
        );
        Self(Arc::new(Numbers {
            name,
            shape,
            values,
            devices: Devices::default(),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.0.name
    }

    pub fn shape(&self) -> &Shape {
        &self.0.shape
    }

    /// Its values in C order.
    pub fn values(&self) -> &[f32] {
        &self.0.values
    }

    /// A key that clones share, unique while they exist.
    pub fn identity(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }

    pub(super) fn on<B: Backend>(&self, device: &B::Device) -> FloatTensor<B> {
        self.0.devices.find(device, || {
            let data = TensorData::new(self.values().to_vec(), self.shape().sizes().to_vec());
            B::float_from_data(data, device)
        })
    }
}

impl Indices {
    /// These indices, in this order.
    pub fn new(values: Vec<usize>) -> Self {
        Self {
            largest: values.iter().max().copied(),
            numbers: Arc::new(Numbers {
                name: "indices",
                shape: Shape::fixed([values.len()]),
                values,
                devices: Devices::default(),
            }),
        }
    }

    pub fn values(&self) -> &[usize] {
        &self.numbers.values
    }

    /// The largest index.
    pub fn largest(&self) -> Option<usize> {
        self.largest
    }

    /// A key that clones share, unique while they exist.
    pub fn identity(&self) -> usize {
        Arc::as_ptr(&self.numbers) as usize
    }

    /// As numbers of 32 bits, which kernels read.
    pub(super) fn on<B: Backend>(&self, device: &B::Device) -> IntTensor<B> {
        self.numbers.devices.find(device, || {
            let values: Vec<i32> = self.values().iter().map(|&index| index as i32).collect();
            let data = TensorData::new(values, self.numbers.shape.sizes().to_vec());
            B::int_from_data(data, device)
        })
    }

    /// Prepared to gather from this many rows.
    pub(super) fn of_rows<B: Backend>(
        &self,
        rows: usize,
        device: &B::Device,
    ) -> RowGather<IntTensor<B>> {
        let place = (device.clone(), rows);
        self.numbers
            .devices
            .find(&place, || RowGather::new::<B>(self.values(), rows, device))
    }
}

impl<T> fmt::Debug for Numbers<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.shape)
    }
}

impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.numbers.fmt(f)
    }
}

/// Copies on devices, each a pair of a device and a tensor of its backend, or of what else a copy depends on.
#[derive(Default)]
struct Devices(Mutex<Vec<Box<dyn Any + Send + Sync>>>);

impl Devices {
    fn find<D, T>(&self, device: &D, upload: impl FnOnce() -> T) -> T
    where
        D: Clone + PartialEq + Send + Sync + 'static,
        T: Clone + Send + Sync + 'static,
    {
        let mut copies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = copies.iter().find_map(|copy| {
            let (place, tensor) = copy.downcast_ref::<(D, T)>()?;
            (place == device).then(|| tensor.clone())
        });
        found.unwrap_or_else(|| {
            let tensor = upload();
            copies.push(Box::new((device.clone(), tensor.clone())));
            tensor
        })
    }
}
