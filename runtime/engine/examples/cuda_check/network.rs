//! The residual network that is measured, with random weights.

use vesal_onnx::proto::AttributeProto;
use vesal_onnx::{AxisSize, GraphBuilder, OnnxModel};

/// Channels of every level of the large network, and its residual blocks.
const BLOCKS: [usize; 4] = [1, 2, 2, 4];

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

    fn values(&mut self, count: usize, center: f32, scale: f32) -> Vec<f32> {
        (0..count).map(|_| center + scale * self.next()).collect()
    }
}

struct Writer {
    graph: GraphBuilder,
    random: Random,
    names: usize,
}

impl Writer {
    fn name(&mut self, operator: &str) -> String {
        self.names += 1;
        format!("{operator}.{}", self.names)
    }

    fn convolution(
        &mut self,
        operator: &str,
        x: &str,
        [from, to]: [usize; 2],
        kernel: usize,
        stride: usize,
    ) -> String {
        let name = self.name(operator);
        let weight = format!("{name}.weight");
        let transposed = operator == "ConvTranspose";
        let (first, second) = if transposed { (from, to) } else { (to, from) };
        let scale = (6. / (from * kernel.pow(3)) as f32).sqrt();
        let count = from * to * kernel.pow(3);
        let values = self.random.values(count, 0., scale);
        let shape = [first, second, kernel, kernel, kernel];
        self.graph.initializer(&weight, &shape, &values);
        let mut inputs = vec![x.to_owned(), weight];
        if kernel == 1 {
            let bias = format!("{name}.bias");
            let values = self.random.values(to, 0., 0.1);
            self.graph.initializer(&bias, &[to], &values);
            inputs.push(bias);
        }
        let mut attributes = vec![
            AttributeProto::ints("kernel_shape", [kernel; 3]),
            AttributeProto::ints("pads", [kernel / 2; 6]),
            AttributeProto::ints("strides", [stride; 3]),
        ];
        if transposed {
            attributes.push(AttributeProto::ints("output_padding", [stride - 1; 3]));
        }
        self.graph.node(operator, &name, inputs, &name, attributes);
        name
    }

    /// Instance normalization, and then a ReLU of this slope if one is given: 0 is a plain one.
    fn norm(&mut self, x: &str, channels: usize, slope: Option<f32>) -> String {
        let name = self.name("norm");
        let (scale, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let values = self.random.values(channels, 1., 0.2);
        self.graph.initializer(&scale, &[channels], &values);
        let values = self.random.values(channels, 0., 0.2);
        self.graph.initializer(&bias, &[channels], &values);
        let epsilon = vec![AttributeProto::float("epsilon", 1e-5)];
        let inputs = vec![x.into(), scale, bias];
        self.graph
            .node("InstanceNormalization", &name, inputs, &name, epsilon);
        let Some(slope) = slope else {
            return name;
        };
        let relu = format!("{name}.relu");
        let (operator, attributes) = match slope {
            0. => ("Relu", Vec::new()),
            slope => ("LeakyRelu", vec![AttributeProto::float("alpha", slope)]),
        };
        self.graph
            .node(operator, &relu, vec![name], &relu, attributes);
        relu
    }

    fn add(&mut self, a: &str, b: &str) -> String {
        let name = self.name("add");
        let inputs = vec![a.into(), b.into()];
        self.graph.node("Add", &name, inputs, &name, Vec::new());
        name
    }

    fn block(&mut self, x: &str, channels: usize) -> String {
        let mut y = x.to_owned();
        for _ in 0..2 {
            y = self.norm(&y, channels, Some(0.));
            y = self.convolution("Conv", &y, [channels; 2], 3, 1);
        }
        self.add(x, &y)
    }
}

fn shape(channels: usize, window: [usize; 3]) -> Vec<AxisSize<'static>> {
    let mut shape = vec![AxisSize::Free("batch"), AxisSize::Fixed(channels)];
    shape.extend(window.map(AxisSize::Fixed));
    shape
}

fn writer(channels: usize, window: [usize; 3]) -> Writer {
    let mut graph = GraphBuilder::new("check");
    graph.input("image", &shape(channels, window));
    Writer {
        graph,
        random: Random(1),
        names: 0,
    }
}

fn finish(mut writer: Writer, output: &str, classes: usize, window: [usize; 3]) -> Vec<u8> {
    writer.graph.rename(output, "logits");
    writer.graph.output("logits", &shape(classes, window));
    OnnxModel::from(writer.graph.finish("cuda_check")).encode()
}

/// A SegResNet of this many filters and four levels.
pub fn residual(filters: usize, channels: usize, classes: usize, window: [usize; 3]) -> Vec<u8> {
    let mut writer = writer(channels, window);
    let mut x = writer.convolution("Conv", "image", [channels, filters], 3, 1);
    let mut skips = Vec::new();
    for (level, blocks) in BLOCKS.into_iter().enumerate() {
        let width = filters << level;
        for _ in 0..blocks {
            x = writer.block(&x, width);
        }
        if level + 1 < BLOCKS.len() {
            skips.push((x.clone(), width));
            x = writer.convolution("Conv", &x, [width, 2 * width], 3, 2);
        }
    }
    for (skip, width) in skips.into_iter().rev() {
        x = writer.convolution("ConvTranspose", &x, [2 * width, width], 3, 2);
        x = writer.add(&x, &skip);
        x = writer.block(&x, width);
    }
    let head = writer.convolution("Conv", &x, [filters, classes], 1, 1);
    finish(writer, &head, classes, window)
}

/// A network of one normalization, with a ReLU if its slope is given.
pub fn norm(channels: usize, window: [usize; 3], slope: Option<f32>) -> Vec<u8> {
    let mut writer = writer(channels, window);
    let output = writer.norm("image", channels, slope);
    finish(writer, &output, channels, window)
}
