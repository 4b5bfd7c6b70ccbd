//! How large a network is, without building it.

use super::cells::{BLOCKS, CellOperation, CellRate, NODES};
use super::config::DintsConfig;
use crate::family::Activations;

impl DintsConfig {
    /// Channels of the stem after so many halvings of the input.
    pub fn width(&self, halvings: usize) -> usize {
        self.filters << halvings
    }

    /// Name and shape of every tensor of the state dict.
    ///
    /// **Source**: MONAI 1.6.1 `DiNTS`, `TopologyInstance`, `Cell`.
    pub(super) fn all_tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut found = Tensors(Vec::new());
        for cell in self.architecture.cells() {
            let prefix = format!("dints_space.cell_tree.{}", cell.key());
            let [from, to] = [cell.path.from, cell.path.to].map(|node| self.width(node + 1));
            let before = format!("{prefix}.preprocess");
            match cell.path.rate() {
                CellRate::Same => {}
                CellRate::Up => found.conv(&format!("{before}.conv"), [from, to], [1; 3]),
                CellRate::Down => {
                    found.conv(&format!("{before}.conv_1"), [from, to / 2], [1; 3]);
                    found.conv(&format!("{before}.conv_2"), [from, to - to / 2], [1; 3]);
                }
            }
            if cell.path.rate() != CellRate::Same {
                found.norm(&format!("{before}.norm"), to);
            }
            let operation = format!("{prefix}.op.ops.0");
            for (name, &kernel) in ["conv", "conv_1"].iter().zip(cell.operation.kernels()) {
                found.conv(&format!("{operation}.{name}"), [to, to], kernel);
            }
            if cell.operation != CellOperation::Skip {
                found.norm(&format!("{operation}.norm"), to);
            }
        }
        for node in 0..NODES {
            let [fine, coarse] = [node, node + 1].map(|halvings| self.width(halvings));
            let down = format!("stem_down.{node}.mod");
            found.conv(&format!("{down}.1"), [self.in_channels, fine], [3; 3]);
            found.norm(&format!("{down}.2"), fine);
            found.conv(&format!("{down}.4"), [fine, coarse], [3; 3]);
            found.norm(&format!("{down}.5"), coarse);
            let up = format!("stem_up.{node}.mod");
            found.conv(&format!("{up}.1"), [coarse, fine], [3; 3]);
            found.norm(&format!("{up}.2"), fine);
        }
        found.conv("stem_finals.0.conv", [self.filters; 2], [3; 3]);
        found.norm("stem_finals.0.norm", self.filters);
        let head = [self.filters, self.out_channels];
        found.conv("stem_finals.1", head, [1; 3]);
        found.add("stem_finals.1.bias", vec![self.out_channels]);
        found.0
    }

    /// What a training step on a patch of this size holds.
    ///
    /// **Definition**: inputs of convolutions and of normalizations, for all that the output depends on; an input that
    /// several share counts once.
    pub(super) fn step(&self, patch: [usize; 3]) -> Activations {
        // Elements of `channels` after so many halvings.
        let volume = |channels: usize, halvings: usize| {
            let voxels = patch.map(|side| (side >> halvings) as u64);
            voxels.iter().product::<u64>() * channels as u64
        };
        let node = |node: usize| volume(self.width(node + 1), node + 1);
        let full = volume(self.filters, 0);
        let mut kept = 3 * full;

        let stems = self.architecture.needed(0);
        for stem in (0..NODES).filter(|&stem| stems[stem]) {
            let resized = if stem == 0 { 0 } else { self.in_channels };
            kept += volume(resized + 2 * self.width(stem), stem) + node(stem);
        }
        for block in 0..BLOCKS {
            let needed = self.architecture.needed(block + 1);
            let cells = self.architecture.cells().filter(|cell| cell.block == block);
            let cells = cells.filter(|cell| needed[cell.path.to]);
            let mut rectified = [false; NODES];
            for cell in cells {
                let (from, to) = (cell.path.from, cell.path.to);
                let input = volume(self.width(from + 1), to + 1);
                let convolutions = cell.operation.kernels().len() as u64;
                // A convolution after resampling has an input of its own: what was normalized.
                let second = u64::from(convolutions > 0);
                kept += convolutions * node(to);
                kept += match cell.path.rate() {
                    CellRate::Same => 0,
                    CellRate::Up => input + (1 + second) * node(to),
                    CellRate::Down => 2 * input + (1 + second) * node(to),
                };
                rectified[from] |= match cell.path.rate() {
                    CellRate::Same => convolutions > 0,
                    CellRate::Up => false,
                    CellRate::Down => true,
                };
            }
            let inputs = (0..NODES).filter(|&from| rectified[from]);
            kept += inputs.map(node).sum::<u64>();
        }
        let ends = self.architecture.nodes(BLOCKS);
        let coarsest = (0..NODES).rev().find(|&end| ends[end]).unwrap_or(0);
        for end in 0..=coarsest {
            kept += node(end) + volume(self.width(end), end + 1);
        }

        let logits = volume(self.out_channels, 0);
        Activations {
            kept,
            largest: full,
            logits,
            finest_logits: logits,
        }
    }
}

/// Tensors in the order in which they are added.
struct Tensors(Vec<(String, Vec<usize>)>);

impl Tensors {
    fn add(&mut self, name: impl Into<String>, shape: Vec<usize>) {
        self.0.push((name.into(), shape));
    }

    fn conv(&mut self, layer: &str, [inputs, outputs]: [usize; 2], kernel: [usize; 3]) {
        let [x, y, z] = kernel;
        self.add(format!("{layer}.weight"), vec![outputs, inputs, x, y, z]);
    }

    fn norm(&mut self, layer: &str, channels: usize) {
        self.add(format!("{layer}.weight"), vec![channels]);
        self.add(format!("{layer}.bias"), vec![channels]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Family;

    fn config(filters: usize, classes: usize) -> DintsConfig {
        DintsConfig {
            in_channels: 1,
            out_channels: classes,
            filters,
            architecture: Default::default(),
        }
    }

    #[test]
    fn tensors_are_those_of_the_reference() {
        assert_eq!(config(32, 2).parameters(), 152_360_994);
        assert_eq!(config(32, 2).all_tensors().len(), 502);
        assert_eq!(config(2, 3).parameters(), 599_907);
    }

    #[test]
    fn a_step_grows_with_the_patch_and_the_filters() {
        let one = config(32, 2).activations([32; 3]);
        let twice = config(64, 2).activations([32, 32, 64]);
        assert_eq!(one.largest, 32 * 32 * 32 * 32);
        assert_eq!((one.logits, one.finest_logits), (2 << 15, 2 << 15));
        assert_eq!(twice.largest, 4 * one.largest);
        // But for the image, which is resized for two stems.
        let resized = (16_u64.pow(3) + 8_u64.pow(3)) * 2;
        assert_eq!(twice.kept, 4 * one.kept - resized);
    }
}
