//! Attention in windows, as exported networks have it, between two convolutions.

use vesal_onnx::proto::{AttributeProto, ModelProto};
use vesal_onnx::{AxisSize, GraphBuilder};

use super::{Random, Writer};

/// Sizes of the network. A window is a run of voxels in C order.
#[derive(Debug, Clone, Copy)]
pub struct AttentionExample {
    pub size: [usize; 3],
    /// Windows of a case, whose tokens are its voxels.
    pub windows: usize,
    pub heads: usize,
    /// Features of a head.
    pub depth: usize,
    /// Regions of the tokens of a window; without a mask if there is one.
    pub regions: usize,
}

impl AttentionExample {
    pub fn tokens(&self) -> usize {
        self.size.iter().product::<usize>() / self.windows
    }

    /// The factors of the mask: a token's region is 1 in the left one, all others are -100 in the right one. Every
    /// other window lies in one region.
    fn factors(&self) -> [Vec<f32>; 2] {
        let (windows, tokens, regions) = (self.windows, self.tokens(), self.regions);
        let mut left = vec![0.; windows * tokens * regions];
        let mut right = vec![-100.; windows * regions * tokens];
        for window in 0..windows {
            for token in 0..tokens {
                let region = window % 2 * (token * 7 % regions);
                left[(window * tokens + token) * regions + region] = 1.;
                right[(window * regions + region) * tokens + token] = 0.;
            }
        }
        [left, right]
    }

    /// The network: input `image` `[batch, 1, X, Y, Z]`, output `logits` `[batch, 2, X, Y, Z]`. The nodes of the attention
    /// have the names of their outputs.
    pub fn model(&self) -> ModelProto {
        let Self {
            size: [x, y, z],
            windows,
            heads,
            depth,
            regions,
        } = *self;
        let tokens = self.tokens();
        let channels = heads * depth;
        let mut writer = Writer {
            graph: GraphBuilder::new("attention"),
            random: Random(23),
        };
        let shape = |channels| {
            let mut shape = vec![AxisSize::Free("batch"), AxisSize::Fixed(channels)];
            shape.extend([x, y, z].map(AxisSize::Fixed));
            shape
        };
        writer.graph.input("image", &shape(1));
        writer.convolution("Conv", "first", "image", [1, 3 * channels], 1, 1);
        let bias = writer.random.values(heads * tokens * tokens, 1.);
        let graph = &mut writer.graph;
        graph.initializer("position_bias", &[heads, tokens, tokens], &bias);
        graph.initializer("factor", &[], &[(depth as f32).powf(-0.5)]);
        let list = |values: &[usize]| values.iter().map(|&n| n as i64).collect::<Vec<i64>>();
        let parts = list(&[3, heads, depth, windows, tokens]);
        graph.integers("parts", &[&[0][..], &parts].concat());
        graph.integers("volume", &[&[0][..], &list(&[channels, x, y, z])].concat());
        graph.integers("axis", &[1]);
        for part in 0..4 {
            graph.integers(&format!("at{part}"), &[part]);
        }
        let mut node = |operator: &str, inputs: &[&str], output: &str, attributes| {
            let inputs = inputs.iter().map(|&input| input.into()).collect();
            graph.node(operator, output, inputs, output, attributes);
        };
        let perm = |axes: &[usize]| vec![AttributeProto::ints("perm", axes.to_vec())];
        node("Reshape", &["first", "parts"], "split", vec![]);
        node("Transpose", &["split"], "qkv", perm(&[0, 1, 4, 2, 5, 3]));
        for (part, name) in ["q.raw", "k.raw", "v"].into_iter().enumerate() {
            let (from, to) = (format!("at{part}"), format!("at{}", part + 1));
            node("Slice", &["qkv", &from, &to, "axis"], name, vec![]);
        }
        node("Mul", &["q.raw", "factor"], "q", vec![]);
        node("Transpose", &["k.raw"], "k", perm(&[0, 1, 2, 3, 5, 4]));
        node("MatMul", &["q", "k"], "scores", vec![]);
        node("Add", &["scores", "position_bias"], "biased", vec![]);
        if regions > 1 {
            node("MatMul", &["left", "right"], "mask", vec![]);
            node("Add", &["biased", "mask"], "masked", vec![]);
        }
        let scores = if regions > 1 { "masked" } else { "biased" };
        let axis = vec![AttributeProto::int("axis", 5)];
        node("Softmax", &[scores], "weights", axis);
        node("MatMul", &["weights", "v"], "attended", vec![]);
        node(
            "Transpose",
            &["attended"],
            "tokens",
            perm(&[0, 1, 3, 5, 2, 4]),
        );
        node("Reshape", &["tokens", "volume"], "joined", vec![]);
        if regions > 1 {
            let [left, right] = self.factors();
            graph.initializer("left", &[windows, 1, tokens, regions], &left);
            graph.initializer("right", &[windows, 1, regions, tokens], &right);
        }
        writer.convolution("Conv", "logits", "joined", [channels, 2], 1, 1);
        writer.graph.output("logits", &shape(2));
        writer.graph.finish("example")
    }
}
