//! Records the operations of a forward pass.

use std::ops::Range;

use burn::module::Param;
use burn::nn::PaddingConfig3d;
use burn::nn::conv::{Conv3d, ConvTranspose3d};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use vesal_models::NetworkOps;
use vesal_models::blocks::{BatchNorm, InstanceNorm, LayerNorm, Linear};
use vesal_models::ops::{Constant, Indices, Shape, conv_shape, conv_transpose_shape};
use vesal_onnx::proto::AttributeProto;

use super::error::LowerError;
use super::recorder::{Recorded, Recorder};

/// Path of a layer, from that of its weight.
fn layer(weight: &str) -> String {
    weight.strip_suffix(".weight").unwrap_or(weight).to_owned()
}

/// The same padding at both ends of every axis.
fn pads(padding: [usize; 3]) -> impl Iterator<Item = usize> {
    padding.into_iter().chain(padding)
}

impl<B: Backend> NetworkOps<B> for Recorder {
    type Value = Recorded;

    fn shape<'v>(&self, x: &'v Recorded) -> &'v Shape {
        &x.shape
    }

    fn parameter<const D: usize>(&mut self, parameter: &Param<Tensor<B, D>>) -> Recorded {
        Recorded {
            name: self.weight("constant", parameter),
            shape: Shape::fixed(parameter.dims()),
        }
    }

    fn constant(&mut self, constant: &Constant) -> Recorded {
        Recorded {
            name: self.initializers.constant(&mut self.graph, constant),
            shape: constant.shape().clone(),
        }
    }

    fn conv(&mut self, module: &Conv3d<B>, x: Recorded) -> Recorded {
        let weight = self.weight("Conv", &module.weight);
        let name = layer(&weight);
        let shape = conv_shape(module, &x.shape);
        let mut inputs = vec![x.name, weight];
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
        self.node("Conv", name, inputs, attributes, shape)
    }

    fn conv_transpose(&mut self, module: &ConvTranspose3d<B>, x: Recorded) -> Recorded {
        let weight = self.weight("ConvTranspose", &module.weight);
        let name = layer(&weight);
        let shape = conv_transpose_shape(module, &x.shape);
        let mut inputs = vec![x.name, weight];
        let bias = module.bias.as_ref();
        inputs.extend(bias.map(|bias| self.weight("ConvTranspose", bias)));
        let attributes = vec![
            AttributeProto::ints("dilations", module.dilation),
            AttributeProto::int("group", module.groups),
            AttributeProto::ints("kernel_shape", module.kernel_size),
            AttributeProto::ints("output_padding", module.padding_out),
            AttributeProto::ints("pads", pads(module.padding)),
            AttributeProto::ints("strides", module.stride),
        ];
        self.node("ConvTranspose", name, inputs, attributes, shape)
    }

    fn instance_norm(&mut self, module: &InstanceNorm<B>, x: Recorded) -> Recorded {
        let operator = "InstanceNormalization";
        let channels = module.channels;
        let shape = x.shape.normalized(1, channels);
        let weight = self.weight_or(operator, &module.weight, ("ones", 1., channels));
        let bias = self.weight_or(operator, &module.bias, ("zeros", 0., channels));
        let attributes = vec![AttributeProto::float("epsilon", module.epsilon as f32)];
        let name = match module.weight {
            Some(_) => layer(&weight),
            None => format!("{}.instance_norm", x.name),
        };
        self.node(
            operator,
            name,
            vec![x.name, weight, bias],
            attributes,
            shape,
        )
    }

    fn batch_norm(&mut self, module: &BatchNorm<B>, x: Recorded) -> Recorded {
        let operator = "BatchNormalization";
        let [channels] = module.weight.dims();
        let shape = x.shape.normalized(1, channels);
        let [mean, variance] = [&module.running_mean, &module.running_var];
        let inputs = vec![
            x.name,
            self.weight(operator, &module.weight),
            self.weight(operator, &module.bias),
            self.weight(operator, &mean.parameter()),
            self.weight(operator, &variance.parameter()),
        ];
        let attributes = vec![AttributeProto::float("epsilon", module.epsilon as f32)];
        let name = layer(&inputs[1]);
        self.node(operator, name, inputs, attributes, shape)
    }

    /// As products with matrices.
    fn resize_linear(&mut self, x: Recorded, space: [usize; 3]) -> Recorded {
        let whole = x.shape.resized(space);
        let (_, found) = x.shape.volume();
        let [first, second, third] = std::array::from_fn(|axis| {
            let (from, to) = (found[axis], space[axis]);
            (from != to).then(|| self.resizing_matrix(from, to))
        });
        let mut y = x;
        let mut sizes = y.shape.sizes().to_vec();
        // Matrices act on the last two axes: the first spatial one is brought there by joining the others.
        if let Some(matrix) = first {
            let joined = Shape::batched([sizes[0], sizes[1], sizes[2], sizes[3] * sizes[4]]);
            let joined = self.reshaped(&y, joined);
            let matrix = NetworkOps::<B>::constant(self, &matrix);
            let shape = matrix.shape.multiplied(&joined.shape);
            let product = self.product(matrix.name, joined.name, shape);
            sizes[2] = whole[2];
            y = self.reshaped(&product, Shape::batched(sizes.clone()));
        }
        if let Some(matrix) = second {
            let matrix = NetworkOps::<B>::constant(self, &matrix);
            let shape = matrix.shape.multiplied(&y.shape);
            y = self.product(matrix.name, y.name, shape);
        }
        if let Some(matrix) = third {
            let name = self.initializers.transposed(&mut self.graph, &matrix);
            y = self.product(y.name, name, whole);
        }
        y
    }

    fn relu(&mut self, x: Recorded) -> Recorded {
        self.operation("Relu", "relu", vec![x.name], Vec::new(), x.shape)
    }

    fn leaky_relu(&mut self, x: Recorded, slope: f32) -> Recorded {
        let attributes = vec![AttributeProto::float("alpha", slope)];
        self.operation("LeakyRelu", "leaky_relu", vec![x.name], attributes, x.shape)
    }

    fn gelu(&mut self, x: Recorded) -> Recorded {
        self.operation("Gelu", "gelu", vec![x.name], Vec::new(), x.shape)
    }

    fn add(&mut self, a: Recorded, b: Recorded) -> Recorded {
        let shape = a.shape.broadcast(&b.shape);
        self.operation("Add", "add", vec![a.name, b.name], Vec::new(), shape)
    }

    fn mul(&mut self, a: Recorded, b: Recorded) -> Recorded {
        let shape = a.shape.broadcast(&b.shape);
        self.operation("Mul", "mul", vec![a.name, b.name], Vec::new(), shape)
    }

    fn scale(&mut self, x: Recorded, factor: f32) -> Recorded {
        let name = format!("{}.scale", x.name);
        let graph = &mut self.graph;
        let factor = self.initializers.scalar(graph, &name, "factor", factor);
        self.node("Mul", name, vec![x.name, factor], Vec::new(), x.shape)
    }

    fn linear(&mut self, module: &Linear<B>, x: Recorded) -> Recorded {
        let [inputs, outputs] = module.channels();
        let shape = x.shape.mapped([inputs, outputs]);
        let weight = self.weight("MatMul", &module.weight);
        let name = layer(&weight);
        // Only a plain matrix product could use the weight untransposed, but the batch axis must be kept.
        let turned = format!("{weight}.transpose");
        let perm = vec![AttributeProto::ints("perm", [1, 0])];
        let fixed = Shape::fixed([inputs, outputs]);
        let turned = self.node("Transpose", turned, vec![weight], perm, fixed);
        let factors = vec![x.name, turned.name];
        let y = self.node("MatMul", name, factors, Vec::new(), shape);
        match &module.bias {
            None => y,
            Some(bias) => {
                let bias = self.weight("Add", bias);
                let name = format!("{}.add", y.name);
                self.node("Add", name, vec![y.name, bias], Vec::new(), y.shape)
            }
        }
    }

    fn matmul(&mut self, a: Recorded, b: Recorded) -> Recorded {
        let shape = a.shape.multiplied(&b.shape);
        self.product(a.name, b.name, shape)
    }

    fn softmax(&mut self, x: Recorded) -> Recorded {
        let attributes = vec![AttributeProto::int("axis", x.last_axis())];
        self.operation("Softmax", "softmax", vec![x.name], attributes, x.shape)
    }

    fn position_bias(&mut self, table: &Param<Tensor<B, 2>>, indices: &Indices) -> Recorded {
        let [_, heads] = table.dims();
        let tokens = indices.values().len().isqrt();
        let graph = &mut self.graph;
        let name = self.initializers.position_bias(graph, table, indices);
        Recorded {
            name: self.or_fail(name),
            shape: Shape::fixed([heads, tokens, tokens]),
        }
    }

    fn layer_norm(&mut self, module: &LayerNorm<B>, x: Recorded) -> Recorded {
        let operator = "LayerNormalization";
        let channels = module.channels;
        let shape = x.shape.normalized(x.shape.rank() - 1, channels);
        let weight = self.weight_or(operator, &module.weight, ("ones", 1., channels));
        let bias = module.bias.as_ref();
        let bias = bias.map(|bias| self.weight(operator, bias));
        let attributes = vec![
            AttributeProto::int("axis", x.last_axis()),
            AttributeProto::float("epsilon", module.epsilon as f32),
        ];
        let name = match module.weight {
            Some(_) => layer(&weight),
            None => format!("{}.layer_norm", x.name),
        };
        let inputs = [x.name, weight].into_iter().chain(bias);
        self.node(operator, name, inputs.collect(), attributes, shape)
    }

    fn reshape(&mut self, x: Recorded, shape: &Shape) -> Recorded {
        let shape = x.shape.reshaped(shape);
        self.reshaped(&x, shape)
    }

    fn transpose(&mut self, x: Recorded, axes: &[usize]) -> Recorded {
        let shape = x.shape.transposed(axes);
        let perm = x.by_axis(axes.iter().map(|&axis| x.axis(axis)), 1);
        let attributes = vec![AttributeProto::ints("perm", perm)];
        self.operation("Transpose", "transpose", vec![x.name], attributes, shape)
    }

    fn gather(&mut self, x: Recorded, axis: usize, indices: &Indices) -> Recorded {
        let shape = x
            .shape
            .gathered(axis, indices.values().len(), indices.largest());
        let name = format!("{}.gather", x.name);
        let graph = &mut self.graph;
        let indices = self.initializers.indices(graph, &name, indices);
        let attributes = vec![AttributeProto::int("axis", x.axis(axis))];
        self.node("Gather", name, vec![x.name, indices], attributes, shape)
    }

    fn slice(&mut self, x: Recorded, axis: usize, range: Range<usize>, step: usize) -> Recorded {
        let shape = x.shape.sliced(axis, &range, step);
        let integers = [
            ("starts", range.start),
            ("ends", range.end),
            ("axes", x.axis(axis)),
            ("steps", step),
        ];
        let integers = integers.map(|(input, value)| (input, vec![value as i64]));
        self.with_integers("Slice", "slice", &x, integers, shape)
    }

    fn subsample(&mut self, x: Recorded, start: usize, step: usize) -> Recorded {
        let (_, space) = x.shape.volume();
        let axes = [2, 3, 4];
        let shape = axes
            .into_iter()
            .zip(space)
            .fold(x.shape.clone(), |shape, (axis, size)| {
                shape.sliced(axis, &(start..size), step)
            });
        let integers = [
            ("starts", [start; 3]),
            ("ends", space),
            ("axes", axes),
            ("steps", [step; 3]),
        ];
        let integers =
            integers.map(|(input, values)| (input, values.map(|value| value as i64).to_vec()));
        self.with_integers("Slice", "subsample", &x, integers, shape)
    }

    fn concat(&mut self, values: Vec<Recorded>, axis: usize) -> Recorded {
        let shape = Shape::concatenated(values.iter().map(|value| &value.shape), axis);
        let attributes = vec![AttributeProto::int("axis", values[0].axis(axis))];
        let names = values.into_iter().map(|value| value.name).collect();
        self.operation("Concat", "concat", names, attributes, shape)
    }

    fn pad(&mut self, x: Recorded, widths: &[[usize; 2]]) -> Recorded {
        let shape = x.shape.padded(widths);
        if shape == x.shape {
            return x;
        }
        let side = |side: usize| x.by_axis(widths.iter().map(|width| width[side] as i64), 0);
        let pads = [side(0), side(1)].concat();
        self.with_integers("Pad", "pad", &x, [("pads", pads)], shape)
    }
}
