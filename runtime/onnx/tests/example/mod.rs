//! A small residual network with an encoder level, a decoder level and a head, with random weights.

#![allow(dead_code, unused_imports)]

mod attention;

use vesal_onnx::proto::{AttributeProto, ModelProto};
use vesal_onnx::{AxisSize, GraphBuilder};

pub use attention::AttentionExample;

/// Sizes of the network.
#[derive(Debug, Clone, Copy)]
pub struct Example {
    pub features: usize,
    pub classes: usize,
    pub window: [usize; 3],
    pub seed: u64,
}

/// Uniform numbers from -1 to 1.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.
    }

    pub fn values(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| scale * self.next()).collect()
    }
}

struct Writer {
    graph: GraphBuilder,
    random: Random,
}

impl Writer {
    fn convolution(
        &mut self,
        operator: &str,
        name: &str,
        x: &str,
        [fan_in, channels]: [usize; 2],
        kernel: usize,
        stride: usize,
    ) -> String {
        let weight = format!("{name}.weight");
        let transposed = operator == "ConvTranspose";
        let (first, second) = if transposed {
            (fan_in, channels)
        } else {
            (channels, fan_in)
        };
        let shape = [first, second, kernel, kernel, kernel];
        let scale = (6. / (fan_in * kernel.pow(3)) as f32).sqrt();
        let values = self.random.values(shape.iter().product(), scale);
        self.graph.initializer(&weight, &shape, &values);
        let mut inputs = vec![x.to_owned(), weight];
        if kernel == 1 {
            let bias = format!("{name}.bias");
            let values = self.random.values(channels, 0.5);
            self.graph.initializer(&bias, &[channels], &values);
            inputs.push(bias);
        }
        let mut attributes = vec![
            AttributeProto::ints("kernel_shape", [kernel; 3]),
            AttributeProto::ints("pads", [kernel / 2; 6]),
            AttributeProto::ints("strides", [stride; 3]),
            AttributeProto::ints("dilations", [1; 3]),
            AttributeProto::int("group", 1),
        ];
        if transposed {
            attributes.push(AttributeProto::ints("output_padding", [stride - 1; 3]));
        }
        self.graph.node(operator, name, inputs, name, attributes);
        name.to_owned()
    }

    fn norm_relu(&mut self, name: &str, x: &str, channels: usize) -> String {
        let (scale, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let values: Vec<f32> = (0..channels)
            .map(|_| 1. + 0.3 * self.random.next())
            .collect();
        self.graph.initializer(&scale, &[channels], &values);
        let values = self.random.values(channels, 0.3);
        self.graph.initializer(&bias, &[channels], &values);
        self.graph.node(
            "InstanceNormalization",
            name,
            vec![x.into(), scale, bias],
            name,
            vec![AttributeProto::float("epsilon", 1e-5)],
        );
        let relu = format!("{name}.relu");
        self.graph
            .node("Relu", &relu, vec![name.into()], &relu, Vec::new());
        relu
    }

    fn add(&mut self, name: &str, a: &str, b: &str) -> String {
        self.graph
            .node("Add", name, vec![a.into(), b.into()], name, Vec::new());
        name.to_owned()
    }

    fn block(&mut self, name: &str, x: &str, channels: usize) -> String {
        let mut y = x.to_owned();
        for half in 1..=2 {
            y = self.norm_relu(&format!("{name}.norm{half}"), &y, channels);
            y = self.convolution(
                "Conv",
                &format!("{name}.conv{half}"),
                &y,
                [channels; 2],
                3,
                1,
            );
        }
        self.add(&format!("{name}.add"), x, &y)
    }
}

impl Example {
    /// The network: input `image` `[batch, 1, X, Y, Z]`, output `logits` `[batch, K, X, Y, Z]`.
    pub fn model(&self) -> ModelProto {
        let mut writer = Writer {
            graph: GraphBuilder::new("example"),
            random: Random(self.seed),
        };
        let features = self.features;
        let shape = |channels| {
            let mut shape = vec![AxisSize::Free("batch"), AxisSize::Fixed(channels)];
            shape.extend(self.window.map(AxisSize::Fixed));
            shape
        };
        writer.graph.input("image", &shape(1));
        let x = writer.convolution("Conv", "first", "image", [1, features], 3, 1);
        let skip = writer.block("down", &x, features);
        let x = writer.convolution("Conv", "stride", &skip, [features, 2 * features], 3, 2);
        let x = writer.block("deep", &x, 2 * features);
        let x = writer.convolution("ConvTranspose", "up", &x, [2 * features, features], 3, 2);
        let x = writer.add("skip", &x, &skip);
        let x = writer.block("fine", &x, features);
        let head = writer.convolution("Conv", "head", &x, [features, self.classes], 1, 1);
        writer.graph.rename(&head, "logits");
        writer.graph.output("logits", &shape(self.classes));
        writer.graph.finish("example")
    }
}
