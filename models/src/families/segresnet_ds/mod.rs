//! SegResNetDS: a residual U-Net with deep supervision and kernels that follow anisotropic spacing.

pub(crate) mod monai;

use burn::module::Module;
use burn::nn::conv::{Conv3d, Conv3dConfig};
use burn::tensor::backend::Backend;
use vesal_network::{Family, SegResNetDsConfig, kernel_for_scale};

use crate::blocks::{ResidualBlock, UpSample, conv};
use crate::ops::NetworkOps;
use crate::segmentation::{Heads, SegmentationNetwork};

/// The network. Module paths equal the keys of MONAI's state dict.
///
/// **Shapes**: `[N, in_channels, X, Y, Z]` → `[N, out_channels, X, Y, Z]`.
///
/// **Source**: MONAI 1.6.1 `SegResNetDS` with `norm="INSTANCE"`, `act="relu"`, `upsample_mode="deconv"`.
#[derive(Module, Debug)]
pub struct SegResNetDs<B: Backend> {
    encoder: Encoder<B>,
    up_layers: Vec<UpLayer<B>>,
    shape_factor: [usize; 3],
}

#[derive(Module, Debug)]
struct Encoder<B: Backend> {
    conv_init: Conv3d<B>,
    layers: Vec<DownLayer<B>>,
}

/// One level of the encoder.
#[derive(Module, Debug)]
struct DownLayer<B: Backend> {
    blocks: Vec<ResidualBlock<B>>,
    downsample: Option<Conv3d<B>>,
}

/// One level of the decoder. A flat network (one level) has a single one with nothing but its head.
#[derive(Module, Debug)]
struct UpLayer<B: Backend> {
    upsample: Option<UpSample<B>>,
    blocks: Vec<ResidualBlock<B>>,
    head: Option<Conv3d<B>>,
}

impl<B: Backend> SegResNetDs<B> {
    /// Builds the network with fresh weights (PyTorch's default initialization).
    pub(crate) fn new(config: &SegResNetDsConfig, device: &B::Device) -> Self {
        let scales = config.scales();
        let last = config.blocks_down.len() - 1;
        let filters = |level: usize| config.init_filters << level;

        let layers = config
            .blocks_down
            .iter()
            .enumerate()
            .map(|(level, &blocks)| {
                let kernel = kernel_for_scale(scales[level]);
                DownLayer {
                    blocks: (0..blocks)
                        .map(|_| ResidualBlock::new(filters(level), kernel, device))
                        .collect(),
                    downsample: (level < last).then(|| {
                        conv(
                            [filters(level), filters(level + 1)],
                            kernel,
                            scales[level],
                            device,
                        )
                    }),
                }
            });
        let encoder = Encoder {
            conv_init: conv(
                [config.in_channels, filters(0)],
                kernel_for_scale(scales[0]),
                [1; 3],
                device,
            ),
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
                blocks: vec![ResidualBlock::new(
                    filters(level),
                    kernel_for_scale(scales[level]),
                    device,
                )],
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
            shape_factor: Family::shape_factor(config),
        }
    }
}

impl<B: Backend> SegmentationNetwork<B> for SegResNetDs<B> {
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
