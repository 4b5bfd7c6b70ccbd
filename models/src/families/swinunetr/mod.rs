//! Swin UNETR: shifted windows of attention encode, residual blocks of convolutions decode.

#![allow(non_snake_case, reason = "paths of parameters are those of MONAI")]

mod block;
mod convolutions;
mod encoder;
mod layout;
pub(crate) mod monai;

use burn::module::Module;
use burn::tensor::backend::Backend;
use vesal_network::{Family, SwinUnetrConfig};

use crate::ops::NetworkOps;
use crate::segmentation::{Heads, SegmentationNetwork};
use convolutions::{DecoderBlock, EncoderBlock, SwinConvolution};
use encoder::SwinEncoder;

/// The network. Module paths equal the keys of MONAI's state dict, whose indices of relative positions are constants here.
///
/// **Shapes**: `[N, in_channels, X, Y, Z]` → `[N, out_channels, X, Y, Z]`.
///
/// **Source**: MONAI 1.6.1 `SwinUNETR` with its defaults; Hatamizadeh et al. 2022, "Swin UNETR".
#[derive(Module, Debug)]
pub struct SwinUnetr<B: Backend> {
    swinViT: SwinEncoder<B>,
    encoder1: EncoderBlock<B>,
    encoder2: EncoderBlock<B>,
    encoder3: EncoderBlock<B>,
    encoder4: EncoderBlock<B>,
    encoder10: EncoderBlock<B>,
    decoder5: DecoderBlock<B>,
    decoder4: DecoderBlock<B>,
    decoder3: DecoderBlock<B>,
    decoder2: DecoderBlock<B>,
    decoder1: DecoderBlock<B>,
    out: OutputBlock<B>,
    shape_factor: [usize; 3],
}

/// The map to logits.
#[derive(Module, Debug)]
struct OutputBlock<B: Backend> {
    conv: SwinConvolution<B>,
}

impl<B: Backend> SwinUnetr<B> {
    /// Builds the network with fresh weights (PyTorch's default initialization; tables of relative positions are normal
    /// with a deviation of 0.02).
    pub(crate) fn new(config: &SwinUnetrConfig, device: &B::Device) -> Self {
        let c = config.feature_size;
        let encoder = |channels| EncoderBlock::new(channels, device);
        let decoder = |number| DecoderBlock::new(config.decoder_channels(number), device);
        let head = SwinConvolution::with_bias([c, config.out_channels], device);
        Self {
            swinViT: SwinEncoder::new(config, device),
            encoder1: encoder([config.in_channels, c]),
            encoder2: encoder([c; 2]),
            encoder3: encoder([2 * c; 2]),
            encoder4: encoder([4 * c; 2]),
            encoder10: encoder([16 * c; 2]),
            decoder5: decoder(5),
            decoder4: decoder(4),
            decoder3: decoder(3),
            decoder2: decoder(2),
            decoder1: decoder(1),
            out: OutputBlock { conv: head },
            shape_factor: config.shape_factor(),
        }
    }

    /// Interprets the encoder: what the decoder takes, finest first, normalized over channels.
    ///
    /// **Shapes**: `[N, in_channels, X, Y, Z]` → `[N, C, X/2, Y/2, Z/2]` to `[N, 16 C, X/32, Y/32, Z/32]`.
    pub fn encode<O: NetworkOps<B>>(&self, ops: &mut O, input: O::Value) -> [O::Value; 5] {
        self.swinViT.run(ops, input)
    }
}

impl<B: Backend> SegmentationNetwork<B> for SwinUnetr<B> {
    fn run<O: NetworkOps<B>>(&self, ops: &mut O, input: O::Value, _: Heads) -> Vec<O::Value> {
        let [hidden0, hidden1, hidden2, hidden3, hidden4] = self.encode(ops, input.clone());
        let skip0 = self.encoder1.run(ops, input);
        let skip1 = self.encoder2.run(ops, hidden0);
        let skip2 = self.encoder3.run(ops, hidden1);
        let skip3 = self.encoder4.run(ops, hidden2);
        let x = self.encoder10.run(ops, hidden4);
        let x = self.decoder5.run(ops, x, hidden3);
        let x = self.decoder4.run(ops, x, skip3);
        let x = self.decoder3.run(ops, x, skip2);
        let x = self.decoder2.run(ops, x, skip1);
        let x = self.decoder1.run(ops, x, skip0);
        vec![self.out.conv.run(ops, x)]
    }

    fn shape_factor(&self) -> [usize; 3] {
        self.shape_factor
    }
}
