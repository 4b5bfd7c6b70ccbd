//! The residual U-Net with deep supervision.

use burn::module::Module;
use burn::nn::conv::{Conv3d, Conv3dConfig};
use burn::tensor::backend::Backend;
use vesal_network::ResidualUNetConfig;

use super::{Norm, ResidualBlock, UpSample, conv};
use crate::ops::NetworkOps;
use crate::segmentation::{Heads, SegmentationNetwork};

/// The network. Module paths equal the keys of the state dict of MONAI's SegResNetDS.
///
/// **Shapes**: `[N, in_channels, X, Y, Z]` → `[N, out_channels, X, Y, Z]`.
///
/// **Source**: MONAI 1.6.1 `SegResNetDS` with `act="relu"`, `upsample_mode="deconv"`.
#[derive(Module, Debug)]
pub struct ResidualUNet<B: Backend, N: Module<B>> {
    encoder: Encoder<B, N>,
    up_layers: Vec<UpLayer<B, N>>,
    shape_factor: [usize; 3],
}

/// The contracting half.
#[derive(Module, Debug)]
struct Encoder<B: Backend, N: Module<B>> {
    conv_init: Conv3d<B>,
    layers: Vec<DownLayer<B, N>>,
}

/// One level of the encoder.
#[derive(Module, Debug)]
struct DownLayer<B: Backend, N: Module<B>> {
    blocks: Vec<ResidualBlock<B, N>>,
    downsample: Option<Conv3d<B>>,
}

/// One level of the decoder. A flat network (one level) has a single one with nothing but its head.
#[derive(Module, Debug)]
struct UpLayer<B: Backend, N: Module<B>> {
    upsample: Option<UpSample<B>>,
    blocks: Vec<ResidualBlock<B, N>>,
    head: Option<Conv3d<B>>,
}

impl<B: Backend, N: Norm<B>> ResidualUNet<B, N> {
    /// Builds the network with fresh weights (PyTorch's default initialization).
    pub fn with_config(config: &ResidualUNetConfig, device: &B::Device) -> Self {
        let (scales, kernels) = (&config.scales, config.kernels());
        let last = config.blocks_down.len() - 1;
        let filters = |level: usize| config.init_filters << level;

        let layers = config
            .blocks_down
            .iter()
            .enumerate()
            .map(|(level, &blocks)| DownLayer {
                blocks: (0..blocks)
                    .map(|_| ResidualBlock::new(filters(level), kernels[level], device))
                    .collect(),
                downsample: (level < last).then(|| {
                    let channels = [filters(level), filters(level + 1)];
                    conv(channels, kernels[level], scales[level], device)
                }),
            });
        let channels = [config.in_channels, filters(0)];
        let encoder = Encoder {
            conv_init: conv(channels, kernels[0], [1; 3], device),
            layers: layers.collect(),
        };

        let head = |level: usize| {
            Conv3dConfig::new([filters(level), config.out_channels], [1; 3]).init(device)
        };
        let mut up_layers: Vec<_> = (0..last)
            .rev()
            .map(|level| UpLayer {
                upsample: Some(UpSample::new(
                    [filters(level + 1), filters(level)],
                    scales[level],
                    device,
                )),
                blocks: vec![ResidualBlock::new(filters(level), kernels[level], device)],
                head: (level < config.dsdepth.max(1)).then(|| head(level)),
            })
            .collect();
        if last == 0 {
            up_layers.push(UpLayer {
                upsample: None,
                blocks: Vec::new(),
                head: Some(head(0)),
            });
        }
        Self {
            encoder,
            up_layers,
            shape_factor: config.shape_factor(),
        }
    }
}

impl<B: Backend, N: Norm<B>> SegmentationNetwork<B> for ResidualUNet<B, N> {
    fn run<O: NetworkOps<B>>(&self, ops: &mut O, input: O::Value, heads: Heads) -> Vec<O::Value> {
        let mut x = ops.conv(&self.encoder.conv_init, input);
        let mut skips = Vec::new();
        for layer in &self.encoder.layers {
            for block in &layer.blocks {
                x = block.run(ops, x);
            }
            if let Some(downsample) = &layer.downsample {
                skips.push(x.clone());
                x = ops.conv(downsample, x);
            }
        }

        let mut outputs = Vec::new();
        let finest = self.up_layers.len() - 1;
        for (index, layer) in self.up_layers.iter().enumerate() {
            if let Some(upsample) = &layer.upsample {
                x = upsample.run(ops, x);
            }
            if let Some(skip) = skips.pop() {
                x = ops.add(x, skip);
            }
            for block in &layer.blocks {
                x = block.run(ops, x);
            }
            if let Some(head) = &layer.head
                && (heads == Heads::All || index == finest)
            {
                outputs.push(ops.conv(head, x.clone()));
            }
        }
        outputs.reverse();
        outputs
    }

    fn shape_factor(&self) -> [usize; 3] {
        self.shape_factor
    }
}
