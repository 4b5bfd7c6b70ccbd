//! The encoder: stages of attention, whose tokens are voxels of ever coarser volumes.

use burn::module::Module;
use burn::nn::conv::{Conv3d, Conv3dConfig};
use burn::tensor::backend::Backend;
use vesal_network::{PatchMerging, SwinUnetrConfig};

use super::block::AttentionBlock;
use super::layout::{Layouts, StageLayout};
use crate::blocks::{LayerNorm, Linear};
use crate::ops::{NetworkOps, Shape};

/// Channels to the end, `[N, C, X, Y, Z]` → `[N, X, Y, Z, C]`.
const LAST: [usize; 5] = [0, 2, 3, 4, 1];
/// Channels to the front, `[N, X, Y, Z, C]` → `[N, C, X, Y, Z]`.
const FIRST: [usize; 5] = [0, 4, 1, 2, 3];

/// The encoder.
///
/// **Source**: MONAI 1.6.1 `SwinTransformer`; Liu et al. 2021, "Swin Transformer".
#[derive(Module, Debug)]
pub(super) struct SwinEncoder<B: Backend> {
    patch_embed: PatchEmbedding<B>,
    layers1: Vec<Stage<B>>,
    layers2: Vec<Stage<B>>,
    layers3: Vec<Stage<B>>,
    layers4: Vec<Stage<B>>,
    #[module(skip)]
    merging: PatchMerging,
    #[module(skip)]
    layouts: Layouts,
}

/// Makes a token of each 2×2×2 voxels.
#[derive(Module, Debug)]
struct PatchEmbedding<B: Backend> {
    proj: Conv3d<B>,
}

/// Blocks of attention on one resolution, and the way to the next.
#[derive(Module, Debug)]
struct Stage<B: Backend> {
    blocks: Vec<AttentionBlock<B>>,
    downsample: Downsampling<B>,
}

/// Makes one token of eight.
#[derive(Module, Debug)]
struct Downsampling<B: Backend> {
    reduction: Linear<B>,
    norm: LayerNorm<B>,
}

impl<B: Backend> Stage<B> {
    fn new(config: &SwinUnetrConfig, stage: usize, device: &B::Device) -> Self {
        let (channels, heads) = (config.channels(stage), SwinUnetrConfig::heads(stage));
        let blocks = 0..SwinUnetrConfig::BLOCKS;
        Self {
            blocks: blocks
                .map(|_| AttentionBlock::new(channels, heads, device))
                .collect(),
            downsample: Downsampling {
                reduction: Linear::new([8 * channels, 2 * channels], false, device),
                norm: LayerNorm::new(8 * channels, device),
            },
        }
    }

    /// Interprets the stage.
    ///
    /// **Shapes**: `[N, T, C]` → `[N, T / 8, 2 C]`.
    fn run<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value, layout: &StageLayout) -> O::Value {
        let blocks = self.blocks.iter().zip(&layout.blocks);
        let x = blocks.fold(x, |x, (block, layout)| block.run(ops, x, layout));
        let [_, tokens, channels] = *ops.shape(&x).sizes() else {
            panic!("expected tokens, found {}", ops.shape(&x));
        };
        let x = ops.gather(x, 1, &layout.neighbors);
        let x = ops.reshape(x, &Shape::batched([1, tokens / 8, 8 * channels]));
        let x = ops.layer_norm(&self.downsample.norm, x);
        ops.linear(&self.downsample.reduction, x)
    }
}

impl<B: Backend> SwinEncoder<B> {
    pub fn new(config: &SwinUnetrConfig, device: &B::Device) -> Self {
        let c = config.feature_size;
        let proj = Conv3dConfig::new([config.in_channels, c], [2; 3]).with_stride([2; 3]);
        let stage = |stage| vec![Stage::new(config, stage, device)];
        Self {
            patch_embed: PatchEmbedding {
                proj: proj.init(device),
            },
            layers1: stage(0),
            layers2: stage(1),
            layers3: stage(2),
            layers4: stage(3),
            merging: config.patch_merging,
            layouts: Layouts::default(),
        }
    }

    /// Interprets the encoder, see [`SwinUnetr::encode`](super::SwinUnetr::encode).
    pub fn run<O: NetworkOps<B>>(&self, ops: &mut O, image: O::Value) -> [O::Value; 5] {
        let x = ops.conv(&self.patch_embed.proj, image);
        let (channels, tokens) = ops.shape(&x).volume();
        let layout = self.layouts.of(tokens, self.merging);
        let x = ops.transpose(x, &LAST);
        let count = tokens.iter().product();
        let x = ops.reshape(x, &Shape::batched([1, count, channels]));

        let hidden0 = to_volume(ops, x.clone(), tokens);
        let mut x = x;
        let mut next = |stage: usize, layers: &Vec<Stage<B>>| {
            let layout = &layout.stages[stage];
            let layers = layers.iter();
            x = layers.fold(x.clone(), |x, layer| layer.run(ops, x, layout));
            to_volume(ops, x.clone(), layout.tokens.map(|side| side / 2))
        };
        [
            hidden0,
            next(0, &self.layers1),
            next(1, &self.layers2),
            next(2, &self.layers3),
            next(3, &self.layers4),
        ]
    }
}

/// Tokens as a volume, normalized over channels without weights.
///
/// **Shapes**: `[N, T, C]` → `[N, C, X, Y, Z]`.
fn to_volume<B: Backend, O: NetworkOps<B>>(
    ops: &mut O,
    x: O::Value,
    tokens: [usize; 3],
) -> O::Value {
    let channels = ops.shape(&x).last();
    let x = ops.layer_norm(&LayerNorm::without_weights(channels), x);
    let [along_x, along_y, along_z] = tokens;
    let x = ops.reshape(x, &Shape::batched([1, along_x, along_y, along_z, channels]));
    ops.transpose(x, &FIRST)
}
