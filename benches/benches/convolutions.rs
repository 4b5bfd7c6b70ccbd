//! Convolutions on the processor: ours and ONNX Runtime's, as networks of one or two of them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array5;
use vesal_bundle::deploy_plan::{Activation, Channel, DeployPlan, Label, Modality};
use vesal_bundle::manifest::NetworkInterface;
use vesal_engine::{Convolutions, Device, EngineOptions, OnnxPredictor, library};
use vesal_onnx::proto::AttributeProto;
use vesal_onnx::{AxisSize, GraphBuilder, OPSET, OnnxModel};

/// Kernels of 3×3×3 voxels.
const TAPS: usize = 27;

/// Channels and window of levels of networks of 8 and of 32 filters.
const LEVELS: [(usize, [usize; 3]); 5] = [
    (8, [96, 96, 96]),
    (32, [32, 48, 32]),
    (128, [8, 12, 8]),
    (256, [4, 6, 4]),
    (512, [2, 3, 2]),
];

/// A network from `image` to `logits`, both with these channels and this window.
struct Net {
    graph: GraphBuilder,
    channels: usize,
    window: [usize; 3],
    multiplications: usize,
}

impl Net {
    fn new(channels: usize, window: [usize; 3]) -> Self {
        let mut graph = GraphBuilder::new("convolutions");
        let mut shape = vec![AxisSize::Free("batch"), AxisSize::Fixed(channels)];
        shape.extend(window.map(AxisSize::Fixed));
        graph.input("image", &shape);
        graph.output("logits", &shape);
        Self {
            graph,
            channels,
            window,
            multiplications: 0,
        }
    }

    /// Adds a convolution with weights of this shape.
    fn convolution(
        mut self,
        operator: &str,
        shape: [usize; 2],
        stride: usize,
        [from, to]: [&str; 2],
    ) -> Self {
        let weight = format!("{to}.weight");
        let [first, second] = shape;
        let values: Vec<f32> = (0..first * second * TAPS)
            .map(|at| (at * 389 % 1009) as f32 / 504.5 - 1.)
            .collect();
        self.graph
            .initializer(&weight, &[first, second, 3, 3, 3], &values);
        let mut attributes = vec![
            AttributeProto::ints("kernel_shape", [3; 3]),
            AttributeProto::ints("pads", [1; 6]),
            AttributeProto::ints("strides", [stride; 3]),
        ];
        if operator == "ConvTranspose" {
            attributes.push(AttributeProto::ints("output_padding", [stride - 1; 3]));
        }
        let inputs = vec![from.to_owned(), weight];
        self.graph.node(operator, to, inputs, to, attributes);
        let voxels: usize = self.window.iter().product();
        self.multiplications += first * second * TAPS * voxels / stride.pow(3);
        self
    }

    fn plan(&self) -> DeployPlan {
        let name = |index: usize| format!("{index}");
        let label = |index: usize| Label::new(name(index), index as u16, index);
        let channel = |index: usize| Channel::new(name(index), Modality::Mri);
        DeployPlan {
            restore: Default::default(),
            name: "convolutions".into(),
            channels: (0..self.channels).map(channel).collect(),
            labels: (0..self.channels).map(label).collect(),
            activation: Activation::Softmax,
            preprocessing: Vec::new(),
            window: vesal_benches::window_plan(self.window),
        }
    }
}

/// Measures a network with our convolutions and with ONNX Runtime's, in multiplications per second.
fn measure(criterion: &mut Criterion, what: &str, net: Net) {
    let runtime = library::runtime(None).expect("ONNX Runtime");
    let (plan, [x, y, z]) = (net.plan(), net.window);
    let interface = NetworkInterface {
        opset: OPSET,
        input: "image".into(),
        output: "logits".into(),
    };
    let images = Array5::from_shape_fn((1, net.channels, x, y, z), |(_, c, x, y, z)| {
        ((c * 389 + x * 193 + y * 71 + z * 37) % 1009) as f32 / 63.0 - 8.0
    });
    let mut group =
        criterion.benchmark_group(format!("{what}, {} channels, {x}×{y}×{z}", net.channels));
    group.sample_size(20);
    group.throughput(Throughput::Elements(net.multiplications as u64));
    let network: Arc<[u8]> = OnnxModel::from(net.graph.finish("benches")).encode().into();
    for convolutions in [Convolutions::Own, Convolutions::OnnxRuntime] {
        let options = EngineOptions {
            convolutions,
            threads: NonZeroUsize::new(2),
            ..EngineOptions::default()
        };
        let predictor = OnnxPredictor::new(
            runtime,
            network.clone(),
            &interface,
            &plan,
            Device::Cpu,
            &options,
        );
        let mut predictor = predictor.expect("a predictor");
        group.bench_function(BenchmarkId::from_parameter(convolutions), |b| {
            b.iter(|| predictor.logits(images.view()).expect("logits"));
        });
    }
    group.finish();
}

fn levels(criterion: &mut Criterion) {
    for (channels, window) in LEVELS {
        let net = Net::new(channels, window);
        let net = net.convolution("Conv", [channels; 2], 1, ["image", "logits"]);
        measure(criterion, "a convolution", net);
    }
    for (channels, window) in &LEVELS[..2] {
        let net = Net::new(*channels, *window)
            .convolution("Conv", [2 * channels, *channels], 2, ["image", "down"])
            .convolution(
                "ConvTranspose",
                [2 * channels, *channels],
                2,
                ["down", "logits"],
            );
        measure(criterion, "down a level and up", net);
    }
}

criterion_group!(benches, levels);
criterion_main!(benches);
