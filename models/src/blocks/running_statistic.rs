//! Tensors that training updates without a gradient.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::module::{
    AutodiffModule, Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper,
    ModuleVisitor, Param, ParamId,
};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

/// A vector that forward passes of a training update: a buffer, in PyTorch's words.
///
/// Visited and mapped as a parameter, so that it is stored with the weights under its name; it never has a gradient, so
/// optimizers do not change it. Unlike Burn's `RunningState`, whose clones share one value and whose visitors see the
/// value before the last update, a clone has a value of its own: replicas on several devices do not disturb each other.
#[derive(Debug)]
pub struct RunningStatistic<B: Backend> {
    id: ParamId,
    value: Mutex<Tensor<B, 1>>,
}

impl<B: Backend> RunningStatistic<B> {
    /// A statistic of this value.
    pub fn new(value: Tensor<B, 1>) -> Self {
        Self::with_id(ParamId::new(), value)
    }

    fn with_id(id: ParamId, value: Tensor<B, 1>) -> Self {
        Self {
            id,
            value: Mutex::new(value.set_require_grad(false)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tensor<B, 1>> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value after the last update.
    pub fn value(&self) -> Tensor<B, 1> {
        self.lock().clone()
    }

    pub fn update(&self, value: Tensor<B, 1>) {
        *self.lock() = value;
    }

    /// The value for visitors.
    pub fn parameter(&self) -> Param<Tensor<B, 1>> {
        Param::initialized(self.id, self.value())
    }
}

impl<B: Backend> Clone for RunningStatistic<B> {
    fn clone(&self) -> Self {
        Self::with_id(self.id, self.value())
    }
}

impl<B: Backend> Module<B> for RunningStatistic<B> {
    type Record = Param<Tensor<B, 1>>;

    fn collect_devices(&self, mut devices: Devices<B>) -> Devices<B> {
        let device = self.value().device();
        if !devices.contains(&device) {
            devices.push(device);
        }
        devices
    }

    fn fork(self, device: &B::Device) -> Self {
        self.to_device(device)
    }

    fn to_device(self, device: &B::Device) -> Self {
        Self::with_id(self.id, self.value().to_device(device))
    }

    fn visit<V: ModuleVisitor<B>>(&self, visitor: &mut V) {
        visitor.visit_float(&self.parameter());
    }

    fn map<M: ModuleMapper<B>>(self, mapper: &mut M) -> Self {
        let (id, value, _) = mapper.map_float(self.parameter()).consume();
        Self::with_id(id, value)
    }

    fn load_record(self, record: Self::Record) -> Self {
        let device = self.value().device();
        Self::with_id(record.id, record.val().to_device(&device))
    }

    fn into_record(self) -> Self::Record {
        self.parameter()
    }
}

impl<B: AutodiffBackend> AutodiffModule<B> for RunningStatistic<B> {
    type InnerModule = RunningStatistic<B::InnerBackend>;

    fn valid(&self) -> Self::InnerModule {
        RunningStatistic::with_id(self.id, self.value().inner())
    }

    fn from_inner(module: Self::InnerModule) -> Self {
        Self::with_id(module.id, Tensor::from_inner(module.value()))
    }
}

impl<B: Backend> fmt::Display for RunningStatistic<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunningStatistic({})", self.id)
    }
}

impl<B: Backend> ModuleDisplayDefault for RunningStatistic<B> {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(self).optional()
    }
}

impl<B: Backend> ModuleDisplay for RunningStatistic<B> {}
