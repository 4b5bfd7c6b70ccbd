//! Paths and shapes of the parameters of modules.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;

/// Shapes of all parameters by path. Weights that are not drawn yet stay so, and take no memory.
pub fn parameter_shapes<B: Backend>(module: &impl Module<B>) -> BTreeMap<String, Vec<usize>> {
    let mut visitor = ShapeVisitor::default();
    module.visit(&mut visitor);
    visitor.found
}

#[derive(Default)]
struct ShapeVisitor {
    /// Names of the modules around the present one.
    modules: Vec<String>,
    found: BTreeMap<String, Vec<usize>>,
}

impl<B: Backend> ModuleVisitor<B> for ShapeVisitor {
    fn enter_module(&mut self, name: &str, _container: &str) {
        self.modules.push(name.to_owned());
    }

    fn exit_module(&mut self, _name: &str, _container: &str) {
        self.modules.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
        let shape = param.lazy_shape().to_vec();
        self.found.insert(self.modules.join("."), shape);
    }
}
