//! Weights and constants of a recorded graph.

use std::collections::{BTreeSet, HashMap};

use burn::module::{Module, Param, ParamId};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_store::ModuleSnapshot;
use vesal_models::ops::{Constant, Indices};
use vesal_onnx::GraphBuilder;

use super::error::LowerError;

/// Values of a parameter, if all are finite.
fn finite<B: Backend, const D: usize>(
    path: &str,
    parameter: &Param<Tensor<B, D>>,
) -> Result<Vec<f32>, LowerError> {
    let data = parameter.val().into_data().convert::<f32>();
    let parameter = || path.to_owned();
    match data.into_vec::<f32>() {
        Ok(values) if values.iter().all(|value| value.is_finite()) => Ok(values),
        Ok(_) => Err(LowerError::NotFinite {
            parameter: parameter(),
        }),
        Err(_) => Err(LowerError::Parameter {
            parameter: parameter(),
        }),
    }
}

/// Adds weights and constants to a graph, each once, and assigns names to all values.
pub(super) struct Initializers {
    paths: HashMap<ParamId, String>,
    /// Names of values and nodes.
    names: BTreeSet<String>,
    weights: BTreeSet<String>,
    /// Names of constants by identity, and whether transposed. Constants are kept, so that no other gets the identity.
    constants: HashMap<(usize, bool), (String, Constant)>,
    indices: HashMap<usize, (String, Indices)>,
}

impl Initializers {
    /// The initializers of a network, whose parameters are named by their paths.
    pub fn new<B: Backend, M: Module<B>>(network: &M) -> Self {
        let parameters = network.collect(None, None, true);
        let paths = parameters
            .iter()
            .filter_map(|parameter| Some((parameter.tensor_id?, parameter.full_path())))
            .collect();
        Self {
            paths,
            names: BTreeSet::new(),
            weights: BTreeSet::new(),
            constants: HashMap::new(),
            indices: HashMap::new(),
        }
    }

    /// An unused name: this one, or this one with a number.
    pub fn unique(&mut self, name: String) -> String {
        let mut unique = name.clone();
        let mut uses = 1;
        while !self.names.insert(unique.clone()) {
            uses += 1;
            unique = format!("{name}.{uses}");
        }
        unique
    }

    /// The name of a weight.
    pub fn weight<B: Backend, const D: usize>(
        &mut self,
        graph: &mut GraphBuilder,
        operator: &'static str,
        parameter: &Param<Tensor<B, D>>,
    ) -> Result<String, LowerError> {
        let path = self.path(operator, parameter)?;
        if self.weights.insert(path.clone()) {
            graph.initializer(&path, &parameter.dims(), &finite(&path, parameter)?);
        }
        Ok(path)
    }

    fn path<B: Backend, const D: usize>(
        &self,
        operator: &'static str,
        parameter: &Param<Tensor<B, D>>,
    ) -> Result<String, LowerError> {
        let path = self.paths.get(&parameter.id).cloned();
        path.ok_or(LowerError::UnknownParameter { operator })
    }

    /// The name of a bias by relative position, which is computed here rather than whenever the network is loaded.
    ///
    /// **Definition**: `bias[h, a, b] = table[indices[a, b], h]`.
    pub fn position_bias<B: Backend>(
        &mut self,
        graph: &mut GraphBuilder,
        table: &Param<Tensor<B, 2>>,
        indices: &Indices,
    ) -> Result<String, LowerError> {
        let path = self.path("bias", table)?;
        let [_, heads] = table.dims();
        let rows = finite(&path, table)?;
        let indices = indices.values();
        let tokens = indices.len().isqrt();
        let bias = (0..heads).flat_map(|head| {
            let rows = &rows;
            indices.iter().map(move |row| rows[row * heads + head])
        });
        let bias: Vec<f32> = bias.collect();
        let name = self.unique(format!("{path}.{tokens}"));
        graph.initializer(&name, &[heads, tokens, tokens], &bias);
        Ok(name)
    }

    /// The name of a constant.
    pub fn constant(&mut self, graph: &mut GraphBuilder, constant: &Constant) -> String {
        let key = (constant.identity(), false);
        if let Some((name, _)) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.unique(constant.name().into());
        graph.initializer(&name, constant.shape().sizes(), constant.values());
        self.constants.insert(key, (name.clone(), constant.clone()));
        name
    }

    /// The name of the transpose of a constant matrix.
    pub fn transposed(&mut self, graph: &mut GraphBuilder, matrix: &Constant) -> String {
        let key = (matrix.identity(), true);
        if let Some((name, _)) = self.constants.get(&key) {
            return name.clone();
        }
        let name = self.unique(format!("{}.transposed", matrix.name()));
        let [rows, columns] = [matrix.shape()[0], matrix.shape()[1]];
        let values: Vec<f32> = (0..columns)
            .flat_map(|column| (0..rows).map(move |row| row * columns + column))
            .map(|place| matrix.values()[place])
            .collect();
        graph.initializer(&name, &[columns, rows], &values);
        self.constants.insert(key, (name.clone(), matrix.clone()));
        name
    }

    /// The name of a vector of one value.
    pub fn filled(
        &mut self,
        graph: &mut GraphBuilder,
        name: &str,
        value: f32,
        count: usize,
    ) -> String {
        let name = format!("{name}.{count}");
        if self.names.insert(name.clone()) {
            graph.initializer(&name, &[count], &vec![value; count]);
        }
        name
    }

    /// The name of constant indices, first used by a node of this name.
    pub fn indices(&mut self, graph: &mut GraphBuilder, node: &str, indices: &Indices) -> String {
        let key = indices.identity();
        if let Some((name, _)) = self.indices.get(&key) {
            return name.clone();
        }
        let values = indices.values().iter().map(|&index| index as i64);
        let name = self.integers(graph, node, "indices", values.collect());
        self.indices.insert(key, (name.clone(), indices.clone()));
        name
    }

    /// The name of integers that a node of this name takes as an input.
    pub fn integers(
        &mut self,
        graph: &mut GraphBuilder,
        node: &str,
        input: &str,
        values: Vec<i64>,
    ) -> String {
        let name = self.unique(format!("{node}.{input}"));
        graph.integers(&name, &values);
        name
    }

    /// The name of a number that a node of this name takes as an input.
    pub fn scalar(
        &mut self,
        graph: &mut GraphBuilder,
        node: &str,
        input: &str,
        value: f32,
    ) -> String {
        let name = self.unique(format!("{node}.{input}"));
        graph.initializer(&name, &[], &[value]);
        name
    }
}
