//! Records nodes and weights.

use std::collections::HashMap;

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use vesal_models::ops::{Constant, Shape, resizing_matrix};
use vesal_onnx::GraphBuilder;
use vesal_onnx::proto::AttributeProto;

use super::error::LowerError;
use super::initializers::Initializers;

/// Interprets a forward pass by recording it.
pub(super) struct Recorder {
    pub graph: GraphBuilder,
    pub initializers: Initializers,
    /// Matrices that resize axes, by the numbers of voxels before and after.
    resizing: HashMap<[usize; 2], Constant>,
    /// First error; layers cannot fail in a forward pass, so recording continues.
    error: Option<LowerError>,
}

/// A tensor of the recorded graph.
///
/// Where the first axis is N times a constant, the recorded tensor has two axes, N and the constant: cases stay apart.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub name: String,
    pub shape: Shape,
}

impl Recorded {
    /// An axis in the numbering of the graph.
    pub fn axis(&self, axis: usize) -> usize {
        let folded = self.shape.is_batched() && self.shape[0] != 1;
        axis + usize::from(folded && axis > 0)
    }

    /// The last axis in the numbering of the graph.
    pub fn last_axis(&self) -> usize {
        self.axis(self.shape.rank() - 1)
    }

    /// One value per axis of the graph's tensor, with that for N first.
    pub fn by_axis<T: Clone>(&self, values: impl IntoIterator<Item = T>, folded: T) -> Vec<T> {
        let mut values: Vec<T> = values.into_iter().collect();
        if self.axis(1) == 2 {
            values.insert(1, folded);
        }
        values
    }
}

impl Recorder {
    /// A recorder of a network.
    pub fn new<B: Backend, M: Module<B>>(graph: &str, network: &M) -> Self {
        Self {
            graph: GraphBuilder::new(graph),
            initializers: Initializers::new(network),
            resizing: HashMap::new(),
            error: None,
        }
    }

    /// The matrix that resizes an axis linearly, the same constant each time.
    pub fn resizing_matrix(&mut self, from: usize, to: usize) -> Constant {
        let matrix = self.resizing.entry([from, to]).or_insert_with(|| {
            Constant::new("interpolation", [to, from], resizing_matrix(from, to))
        });
        matrix.clone()
    }

    /// The recorded graph, without its outputs.
    pub fn finish(self) -> Result<GraphBuilder, LowerError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.graph),
        }
    }

    pub fn fail(&mut self, error: LowerError) {
        self.error.get_or_insert(error);
    }

    /// Adds a weight unless it exists, and returns its name.
    pub fn weight<B: Backend, const D: usize>(
        &mut self,
        operator: &'static str,
        parameter: &Param<Tensor<B, D>>,
    ) -> String {
        let name = self
            .initializers
            .weight(&mut self.graph, operator, parameter);
        self.or_fail(name)
    }

    /// The name of an initializer; none after a failure.
    pub fn or_fail(&mut self, name: Result<String, LowerError>) -> String {
        name.unwrap_or_else(|error| {
            self.fail(error);
            String::new()
        })
    }

    /// A weight of a normalization, or a constant vector in its place.
    pub fn weight_or<B: Backend>(
        &mut self,
        operator: &'static str,
        parameter: &Option<Param<Tensor<B, 1>>>,
        (name, value, count): (&str, f32, usize),
    ) -> String {
        match parameter {
            Some(parameter) => self.weight(operator, parameter),
            None => {
                let graph = &mut self.graph;
                self.initializers.filled(graph, name, value, count)
            }
        }
    }

    /// Adds a node whose output has the same name as itself.
    pub fn node(
        &mut self,
        operator: &str,
        name: String,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
        shape: Shape,
    ) -> Recorded {
        let name = self.initializers.unique(name);
        self.graph.node(operator, &name, inputs, &name, attributes);
        Recorded { name, shape }
    }

    /// Adds a node that is named by its first input and its operation.
    pub fn operation(
        &mut self,
        operator: &str,
        verb: &str,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
        shape: Shape,
    ) -> Recorded {
        let name = format!("{}.{verb}", inputs[0]);
        self.node(operator, name, inputs, attributes, shape)
    }

    /// Adds a node whose further inputs are integers.
    pub fn with_integers<const I: usize>(
        &mut self,
        operator: &str,
        verb: &str,
        x: &Recorded,
        integers: [(&str, Vec<i64>); I],
        shape: Shape,
    ) -> Recorded {
        let name = format!("{}.{verb}", x.name);
        let mut inputs = vec![x.name.clone()];
        for (input, values) in integers {
            let graph = &mut self.graph;
            inputs.push(self.initializers.integers(graph, &name, input, values));
        }
        self.node(operator, name, inputs, Vec::new(), shape)
    }

    /// Adds a reshape; the number of cases follows from the other sizes.
    pub fn reshaped(&mut self, x: &Recorded, shape: Shape) -> Recorded {
        let (first, sizes) = shape.sizes().split_at(usize::from(shape.is_batched()));
        let cases = first.iter().map(|_| -1);
        let folded = first.iter().filter(|&&size| size != 1);
        let sizes = folded.chain(sizes).map(|&size| size as i64);
        let sizes = cases.chain(sizes).collect();
        self.with_integers("Reshape", "reshape", x, [("shape", sizes)], shape)
    }

    /// Adds a product of matrices.
    pub fn product(&mut self, a: String, b: String, shape: Shape) -> Recorded {
        self.operation("MatMul", "matmul", vec![a, b], Vec::new(), shape)
    }
}
