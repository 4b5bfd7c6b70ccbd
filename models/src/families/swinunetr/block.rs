//! A block of attention within windows.

use burn::module::{Initializer, Module, Param};
use burn::tensor::{Tensor, backend::Backend};
use vesal_network::SwinUnetrConfig;

use super::layout::BlockLayout;
use crate::blocks::{LayerNorm, Linear};
use crate::ops::{NetworkOps, Shape, WindowAttention};

/// Standard deviation of fresh biases by relative position.
const TABLE_DEVIATION: f64 = 0.02;

/// `x + attn(norm1(x))`, then `x + mlp(norm2(x))`.
///
/// **Source**: MONAI 1.6.1 `SwinTransformerBlock`.
#[derive(Module, Debug)]
pub(super) struct AttentionBlock<B: Backend> {
    norm1: LayerNorm<B>,
    attn: Attention<B>,
    norm2: LayerNorm<B>,
    mlp: Mlp<B>,
}

/// Attention of the tokens of a window to one another, with a bias by relative position.
#[derive(Module, Debug)]
struct Attention<B: Backend> {
    /// `[positions, heads]`.
    relative_position_bias_table: Param<Tensor<B, 2>>,
    qkv: Linear<B>,
    proj: Linear<B>,
    heads: usize,
}

/// `linear2(gelu(linear1(x)))` with four times the channels in between.
#[derive(Module, Debug)]
struct Mlp<B: Backend> {
    linear1: Linear<B>,
    linear2: Linear<B>,
}

impl<B: Backend> AttentionBlock<B> {
    pub fn new(channels: usize, heads: usize, device: &B::Device) -> Self {
        let positions = SwinUnetrConfig::relative_positions();
        let table = Initializer::Normal {
            mean: 0.,
            std: TABLE_DEVIATION,
        };
        let linear = |channels| Linear::new(channels, true, device);
        Self {
            norm1: LayerNorm::new(channels, device),
            attn: Attention {
                relative_position_bias_table: table.init([positions, heads], device),
                qkv: linear([channels, 3 * channels]),
                proj: linear([channels; 2]),
                heads,
            },
            norm2: LayerNorm::new(channels, device),
            mlp: Mlp {
                linear1: linear([channels, 4 * channels]),
                linear2: linear([4 * channels, channels]),
            },
        }
    }

    /// Interprets the block.
    ///
    /// **Shapes**: `[N, T, C]` → the same.
    pub fn run<O: NetworkOps<B>>(
        &self,
        ops: &mut O,
        x: O::Value,
        layout: &BlockLayout,
    ) -> O::Value {
        let y = ops.layer_norm(&self.norm1, x.clone());
        let y = self.attn.run(ops, y, layout);
        let x = ops.add(x, y);
        let y = ops.layer_norm(&self.norm2, x.clone());
        let y = ops.linear(&self.mlp.linear1, y);
        let y = ops.gelu(y);
        let y = ops.linear(&self.mlp.linear2, y);
        ops.add(x, y)
    }
}

impl<B: Backend> Attention<B> {
    /// Moves tokens to their windows, where those beyond the volume are zero but attend as any other, and back.
    fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value, layout: &BlockLayout) -> O::Value {
        let channels = ops.shape(&x).last();
        let [windows, tokens] = layout.windows;
        let x = match layout.is_padded {
            true => ops.pad(x, &[[0, 0], [0, 1], [0, 0]]),
            false => x,
        };
        let x = ops.gather(x, 1, &layout.to_windows);
        let qkv = ops.linear(&self.qkv, x);
        let attention = WindowAttention {
            qkv: ops.reshape(qkv, &Shape::batched([windows, tokens, 3 * channels])),
            bias: ops.position_bias(&self.relative_position_bias_table, &layout.positions),
            regions: layout.regions.clone(),
            heads: self.heads,
        };
        let y = ops.window_attention(attention);
        let y = ops.reshape(y, &Shape::batched([1, windows * tokens, channels]));
        let y = ops.linear(&self.proj, y);
        ops.gather(y, 1, &layout.from_windows)
    }
}
