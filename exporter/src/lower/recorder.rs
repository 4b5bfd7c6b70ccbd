//! Writes down the operations of a forward pass.

use std::collections::{BTreeSet, HashMap};

use burn::module::{Module, Param, ParamId};
use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, ConvTranspose3d};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use burn_store::ModuleSnapshot;
use vesal_models::NetworkOps;
use vesal_models::blocks::InstanceNorm;
use vesal_onnx::GraphBuilder;
use vesal_onnx::proto::AttributeProto;

use super::LowerError;

/// Interprets a forward pass by recording it; values are the names of tensors.
pub(super) struct Recorder {
    pub graph: GraphBuilder,
    paths: HashMap<ParamId, String>,
    names: BTreeSet<String>,
    initializers: BTreeSet<String>,
    /// First thing that went wrong: layers cannot fail in a forward pass, so recording goes on.
    error: Option<LowerError>,
}

impl Recorder {
    /// A recorder of a network whose parameters have these names.
    pub fn new<B: Backend, M: Module<B>>(graph: &str, network: &M) -> Self {
        let parameters = network.collect(None, None, true);
        let paths = parameters
            .iter()
            .filter_map(|parameter| Some((parameter.tensor_id?, parameter.full_path())))
            .collect();
        Self {
            graph: GraphBuilder::new(graph),
            paths,
            names: BTreeSet::new(),
            initializers: BTreeSet::new(),
            error: None,
        }
    }

    /// The recorded graph, without its outputs.
    pub fn finish(self) -> Result<GraphBuilder, LowerError> {
        match self.error {
            Some(error) => Err(error),
            None => Ok(self.graph),
        }
    }

    fn fail(&mut self, error: LowerError) {
        self.error.get_or_insert(error);
    }

    /// Adds a weight unless it is there already, and gives its name.
    fn weight<B: Backend, const D: usize>(
        &mut self,
        operator: &'static str,
        parameter: &Param<Tensor<B, D>>,
    ) -> String {
        let Some(path) = self.paths.get(&parameter.id).cloned() else {
            self.fail(LowerError::UnknownParameter { operator });
            return String::new();
        };
        if !self.initializers.insert(path.clone()) {
            return path;
        }
        let data = parameter.val().into_data().convert::<f32>();
        match data.as_slice::<f32>() {
            Ok(values) if values.iter().all(|value| value.is_finite()) => {
                self.graph.initializer(&path, &parameter.dims(), values);
            }
            Ok(_) => self.fail(LowerError::NotFinite {
                parameter: path.clone(),
            }),
            Err(_) => self.fail(LowerError::Parameter {
                parameter: path.clone(),
            }),
        }
        path
    }

    /// Adds a node whose output has the same name as itself.
    fn node(
        &mut self,
        operator: &str,
        name: String,
        inputs: Vec<String>,
        attributes: Vec<AttributeProto>,
    ) -> String {
        let mut unique = name.clone();
        let mut uses = 1;
        while !self.names.insert(unique.clone()) {
            uses += 1;
            unique = format!("{name}.{uses}");
        }
        self.graph
            .node(operator, &unique, inputs, &unique, attributes);
        unique
    }
}

/// Path of a layer, from that of its weight.
fn layer(weight: &str) -> String {
    weight.strip_suffix(".weight").unwrap_or(weight).to_owned()
}

/// The same padding at both ends of every axis.
fn pads(padding: [usize; 3]) -> impl Iterator<Item = usize> {
    padding.into_iter().chain(padding)
}

impl<B: Backend> NetworkOps<B> for Recorder {
    type Value = String;

    fn conv(&mut self, module: &Conv3d<B>, x: String) -> String {
        let weight = self.weight("Conv", &module.weight);
        let name = layer(&weight);
        let mut inputs = vec![x, weight];
        inputs.extend(module.bias.as_ref().map(|bias| self.weight("Conv", bias)));
        let padding = match &module.padding {
            PaddingConfig3d::Explicit(x, y, z) => [*x, *y, *z],
            PaddingConfig3d::Valid => [0; 3],
            PaddingConfig3d::Same => {
                self.fail(LowerError::ImplicitPadding {
                    layer: name.clone(),
                });
                [0; 3]
            }
        };
        let attributes = vec![
            AttributeProto::ints("dilations", module.dilation),
            AttributeProto::int("group", module.groups),
            AttributeProto::ints("kernel_shape", module.kernel_size),
            AttributeProto::ints("pads", pads(padding)),
            AttributeProto::ints("strides", module.stride),
        ];
        self.node("Conv", name, inputs, attributes)
    }

    fn conv_transpose(&mut self, module: &ConvTranspose3d<B>, x: String) -> String {
        let weight = self.weight("ConvTranspose", &module.weight);
        let name = layer(&weight);
        let mut inputs = vec![x, weight];
        inputs.extend(
            module
                .bias
                .as_ref()
                .map(|bias| self.weight("ConvTranspose", bias)),
        );
        let attributes = vec![
            AttributeProto::ints("dilations", module.dilation),
            AttributeProto::int("group", module.groups),
            AttributeProto::ints("kernel_shape", module.kernel_size),
            AttributeProto::ints("output_padding", module.padding_out),
            AttributeProto::ints("pads", pads(module.padding)),
            AttributeProto::ints("strides", module.stride),
        ];
        self.node("ConvTranspose", name, inputs, attributes)
    }

    fn instance_norm(&mut self, module: &InstanceNorm<B>, x: String) -> String {
        let weight = self.weight("InstanceNormalization", &module.weight);
        let bias = self.weight("InstanceNormalization", &module.bias);
        let attributes = vec![AttributeProto::float("epsilon", module.epsilon as f32)];
        let name = layer(&weight);
        self.node(
            "InstanceNormalization",
            name,
            vec![x, weight, bias],
            attributes,
        )
    }

    fn relu(&mut self, x: String) -> String {
        self.node("Relu", format!("{x}.relu"), vec![x], Vec::new())
    }

    fn add(&mut self, a: String, b: String) -> String {
        self.node("Add", format!("{a}.add"), vec![a, b], Vec::new())
    }
}
