//! Tensors of the state dict, and what their shapes tell.

use super::config::SwinUnetrConfig;
use super::merging::PatchMerging;
use crate::error::ArchitectureError;
use crate::family::Family;
use crate::shapes::Shapes;

/// The convolution that makes tokens, which no other family has.
pub(super) const PATCH_EMBEDDING: &str = "swinViT.patch_embed.proj.weight";
/// The convolutions that read the image.
pub(super) const OF_IMAGE: [&str; 3] = [
    PATCH_EMBEDDING,
    "encoder1.layer.conv1.conv.weight",
    "encoder1.layer.conv3.conv.weight",
];
/// The convolution that makes logits.
const HEAD: &str = "out.conv.conv.weight";

impl SwinUnetrConfig {
    /// Hyperparameters from the shapes of a state dict, of which every one is checked.
    pub(super) fn from_shapes(shapes: &Shapes<'_>) -> Result<Self, ArchitectureError> {
        let [feature_size, in_channels, ..] = shapes.convolution(PATCH_EMBEDDING, Self::NAME)?;
        let [out_channels, ..] = shapes.convolution(HEAD, Self::NAME)?;
        let config = Self {
            in_channels,
            out_channels,
            feature_size,
            patch_merging: PatchMerging::default(),
        };
        if config.validate().is_err() {
            return Err(ArchitectureError::Features {
                tensor: PATCH_EMBEDDING.into(),
                found: feature_size,
                family: Self::NAME,
            });
        }
        shapes.check_all(config.all_tensors(), Self::NAME)?;
        Ok(config)
    }

    /// Path and shape of every parameter.
    pub(super) fn all_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let c = self.feature_size;
        let mut tensors = vec![
            (
                PATCH_EMBEDDING.to_owned(),
                vec![c, self.in_channels, 2, 2, 2],
            ),
            ("swinViT.patch_embed.proj.bias".to_owned(), vec![c]),
        ];
        for stage in 0..Self::STAGES {
            let path = format!("swinViT.layers{}.0", stage + 1);
            for block in 0..Self::BLOCKS {
                let path = format!("{path}.blocks.{block}");
                let block = block_tensors(self.channels(stage), Self::heads(stage));
                tensors.extend(block.map(|(name, shape)| (format!("{path}.{name}"), shape)));
            }
            let merged = 8 * self.channels(stage);
            let path = format!("{path}.downsample");
            let reduction = vec![self.channels(stage + 1), merged];
            tensors.push((format!("{path}.reduction.weight"), reduction));
            tensors.push((format!("{path}.norm.weight"), vec![merged]));
            tensors.push((format!("{path}.norm.bias"), vec![merged]));
        }
        for (encoder, channels) in [
            (1, [self.in_channels, c]),
            (2, [c; 2]),
            (3, [2 * c; 2]),
            (4, [4 * c; 2]),
            (10, [16 * c; 2]),
        ] {
            residual_tensors(&mut tensors, &format!("encoder{encoder}.layer"), channels);
        }
        for decoder in 1..=5 {
            let [coarse, fine] = self.decoder_channels(decoder);
            let path = format!("decoder{decoder}");
            let up = format!("{path}.transp_conv.conv.weight");
            tensors.push((up, vec![coarse, fine, 2, 2, 2]));
            residual_tensors(
                &mut tensors,
                &format!("{path}.conv_block"),
                [2 * fine, fine],
            );
        }
        let classes = self.out_channels;
        tensors.push((HEAD.to_owned(), vec![classes, c, 1, 1, 1]));
        tensors.push(("out.conv.conv.bias".to_owned(), vec![classes]));
        tensors
    }

    /// Channels that a block of the decoder takes from below, and gives. The last is number 1, at full resolution.
    pub fn decoder_channels(&self, decoder: usize) -> [usize; 2] {
        let coarse = self.feature_size << (decoder - 1);
        [coarse, self.feature_size << decoder.saturating_sub(2)]
    }
}

/// Parameters of a block of attention.
fn block_tensors(c: usize, heads: usize) -> [(&'static str, Vec<usize>); 13] {
    let positions = SwinUnetrConfig::relative_positions();
    [
        ("norm1.weight", vec![c]),
        ("norm1.bias", vec![c]),
        ("attn.relative_position_bias_table", vec![positions, heads]),
        ("attn.qkv.weight", vec![3 * c, c]),
        ("attn.qkv.bias", vec![3 * c]),
        ("attn.proj.weight", vec![c, c]),
        ("attn.proj.bias", vec![c]),
        ("norm2.weight", vec![c]),
        ("norm2.bias", vec![c]),
        ("mlp.linear1.weight", vec![4 * c, c]),
        ("mlp.linear1.bias", vec![4 * c]),
        ("mlp.linear2.weight", vec![c, 4 * c]),
        ("mlp.linear2.bias", vec![c]),
    ]
}

/// Parameters of a residual block: a convolution of one voxel joins other numbers of channels.
fn residual_tensors(
    tensors: &mut Vec<(String, Vec<usize>)>,
    path: &str,
    [inputs, outputs]: [usize; 2],
) {
    let mut push = |conv: usize, [inputs, outputs]: [usize; 2], kernel: usize| {
        let shape = vec![outputs, inputs, kernel, kernel, kernel];
        tensors.push((format!("{path}.conv{conv}.conv.weight"), shape));
    };
    push(1, [inputs, outputs], 3);
    push(2, [outputs, outputs], 3);
    if inputs != outputs {
        push(3, [inputs, outputs], 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(feature_size: usize) -> SwinUnetrConfig {
        SwinUnetrConfig {
            in_channels: 2,
            out_channels: 3,
            feature_size,
            patch_merging: PatchMerging::Monai14,
        }
    }

    #[test]
    fn a_network_is_told_from_its_shapes_but_for_the_order_of_merging() {
        let tensors = config(24).all_tensors();
        assert_eq!(tensors.len(), 151);
        let shapes = |tensors: &[(String, Vec<usize>)]| {
            let shapes = tensors.iter();
            let shapes = shapes.map(|(tensor, shape)| (tensor.as_str(), shape.clone()));
            SwinUnetrConfig::infer(&shapes.collect())
        };
        let expected = SwinUnetrConfig {
            patch_merging: PatchMerging::Monai15,
            ..config(24)
        };
        assert_eq!(shapes(&tensors), Ok(expected));
        for place in 0..tensors.len() {
            let mut other = tensors.clone();
            other[place].1.push(1);
            assert!(shapes(&other).is_err(), "{} may differ", other[place].0);
            let (missing, _) = other.remove(place);
            assert!(shapes(&other).is_err(), "{missing} may be missing");
        }
    }

    #[test]
    fn wide_weights_are_refused_by_their_number_of_features() {
        let shapes = Shapes::from_iter([
            (PATCH_EMBEDDING, vec![4000, 1, 2, 2, 2]),
            (HEAD, vec![2, 4000, 1, 1, 1]),
        ]);
        assert!(matches!(
            SwinUnetrConfig::infer(&shapes),
            Err(ArchitectureError::Features { found: 4000, .. })
        ));
    }
}
