//! How large a network is, without building it.

use super::ResidualUNetConfig;
use crate::family::Activations;

impl ResidualUNetConfig {
    /// Number of parameters; running statistics of normalizations are none.
    pub(crate) fn parameters(&self) -> u64 {
        let (kernels, last) = (self.kernels(), self.blocks_down.len().saturating_sub(1));
        let filters = |level: usize| (self.init_filters as u64) << level;
        let kernel = |level: usize| kernels[level].iter().product::<usize>() as u64;
        let block = |level: usize| {
            let width = filters(level);
            2 * width * width * kernel(level) + 4 * width
        };
        let head = |level: usize| (filters(level) + 1) * self.out_channels as u64;
        let mut sum = self.in_channels as u64 * filters(0) * kernel(0);
        for (level, &blocks) in self.blocks_down.iter().enumerate() {
            sum += blocks as u64 * block(level);
            if level < last {
                let sampling = filters(level) * filters(level + 1) * kernel(level);
                sum += 2 * sampling + block(level);
                sum += if level < self.dsdepth.max(1) {
                    head(level)
                } else {
                    0
                };
            }
        }
        sum + if last == 0 { head(0) } else { 0 }
    }

    /// What a training step on a patch of this size holds.
    ///
    /// **Definition**: per level the output of what leads there and four tensors for every residual block (two norms, a
    /// convolution, the sum); the decoder the same with one block.
    pub(crate) fn activations(&self, patch: [usize; 3]) -> Activations {
        let last = self.blocks_down.len().saturating_sub(1);
        let mut side = patch.map(|side| side as u64);
        let mut found = Activations::default();
        for (level, &blocks) in self.blocks_down.iter().enumerate() {
            let voxels: u64 = side.iter().product();
            let one = voxels * ((self.init_filters as u64) << level);
            let decoder = if level < last { 5 } else { 0 };
            found.kept += one * (1 + 4 * blocks as u64 + decoder);
            found.largest = found.largest.max(one);
            if level < last.max(1) && level < self.dsdepth.max(1) {
                found.logits += voxels * self.out_channels as u64;
            }
            if level == 0 {
                found.finest_logits = found.logits;
            }
            let scale = self.scales[level];
            side = std::array::from_fn(|axis| side[axis].div_ceil(scale[axis] as u64));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(filters: usize, blocks: &[usize], classes: usize) -> ResidualUNetConfig {
        ResidualUNetConfig {
            in_channels: 1,
            out_channels: classes,
            init_filters: filters,
            blocks_down: blocks.to_vec(),
            dsdepth: 4,
            scales: vec![[2; 3]; blocks.len()],
        }
    }

    #[test]
    fn parameters_are_those_of_the_reference() {
        for (filters, blocks, classes, expected) in [
            (32, [1, 2, 2, 4, 4].as_slice(), 3, 87_164_684),
            (32, &[1, 2, 2, 4], 3, 19_914_761),
            (8, &[1, 2, 2, 4], 3, 1_246_217),
            (8, &[1, 2, 4], 3, 305_190),
            (32, &[1, 2, 2, 4, 4], 105, 87_214_052),
        ] {
            assert_eq!(config(filters, blocks, classes).parameters(), expected);
        }
    }

    #[test]
    fn parameters_of_slices_are_those_of_the_reference() {
        let slices = ResidualUNetConfig {
            dsdepth: 2,
            scales: vec![[2, 2, 1]; 4],
            ..config(8, &[1, 2, 2, 4], 3)
        };
        assert_eq!(slices.parameters(), 416_534);
    }

    #[test]
    fn a_flat_network_keeps_its_one_level() {
        let found = config(8, &[2], 3).activations([4, 4, 4]);
        assert_eq!((found.kept, found.largest), (64 * 8 * 9, 64 * 8));
        assert_eq!((found.logits, found.finest_logits), (192, 192));
    }

    #[test]
    fn deeper_levels_have_twice_the_channels_and_an_eighth_of_the_voxels() {
        let found = config(32, &[1, 2], 3).activations([8, 8, 8]);
        assert_eq!(found.kept, 512 * 32 * 10 + 64 * 64 * 9);
        assert_eq!(found.logits, 512 * 3);
    }
}
