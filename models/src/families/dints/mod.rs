//! DiNTS: cells between nodes of four resolutions, as a search arranged them.

mod cell;
mod layers;
pub(crate) mod monai;
mod stem;

pub use monai::{DintsFileError, read_architecture};

use burn::module::Module;
use burn::nn::conv::{Conv3d, Conv3dConfig};
use burn::tensor::backend::Backend;
use vesal_network::{DintsArchitecture, DintsConfig, Family};

use crate::blocks::NamedModules;
use crate::ops::NetworkOps;
use crate::segmentation::{Heads, SegmentationNetwork};
use cell::Cell;
use layers::{ConvNorm, Rectifiable};
use stem::{StemDown, StemUp};

/// Nodes of different resolutions.
const NODES: usize = 4;
/// Blocks of cells.
const BLOCKS: usize = 12;

/// The network. Module paths equal the keys of MONAI's state dict.
///
/// Cells and stems that the output does not depend on keep their weights and are not computed.
///
/// **Shapes**: `[N, in_channels, X, Y, Z]` → `[N, out_channels, X, Y, Z]`.
///
/// **Source**: He et al. 2021, "DiNTS: Differentiable neural network topology search for 3D medical image segmentation";
/// MONAI 1.6.1 `DiNTS` with `TopologyInstance`, `use_downsample=True`.
#[derive(Module, Debug)]
pub struct Dints<B: Backend> {
    dints_space: Space<B>,
    /// From the image to each node, finest first.
    stem_down: Vec<StemDown<B>>,
    /// From each node to the next finer one, or the output.
    stem_up: Vec<StemUp<B>>,
    stem_finals: (ConvNorm<B>, Conv3d<B>),
    #[module(skip)]
    architecture: DintsArchitecture,
    shape_factor: [usize; 3],
}

#[derive(Module, Debug)]
struct Space<B: Backend> {
    cell_tree: NamedModules<Cell<B>>,
}

impl<B: Backend> Dints<B> {
    /// Builds the network with fresh weights (PyTorch's default initialization).
    pub(crate) fn new(config: &DintsConfig, device: &B::Device) -> Self {
        let cells = config.architecture.cells();
        let cells = cells.map(|place| (place.key(), Cell::new(config, place, device)));
        let head = Conv3dConfig::new([config.filters, config.out_channels], [1; 3]);
        Self {
            dints_space: Space {
                cell_tree: cells.collect(),
            },
            stem_down: (0..NODES)
                .map(|node| StemDown::to(node, config, device))
                .collect(),
            stem_up: (0..NODES)
                .map(|node| StemUp::from(node, config, device))
                .collect(),
            stem_finals: (
                ConvNorm::new([config.filters; 2], &[[3; 3]], device),
                head.init(device),
            ),
            architecture: config.architecture.clone(),
            shape_factor: config.shape_factor(),
        }
    }

    /// The nodes of the input.
    fn stems<O: NetworkOps<B>>(&self, ops: &mut O, image: O::Value) -> Nodes<O::Value> {
        let needed = self.architecture.needed(0);
        std::array::from_fn(|node| {
            let stem = &self.stem_down[node];
            needed[node].then(|| stem.run(ops, node, image.clone()))
        })
    }

    /// The nodes after a block, from those before it.
    fn block<O: NetworkOps<B>>(
        &self,
        ops: &mut O,
        block: usize,
        nodes: Nodes<O::Value>,
    ) -> Nodes<O::Value> {
        let mut before = nodes.map(|node| node.map(Rectifiable::new));
        let mut after = Nodes::<O::Value>::default();
        let needed = self.architecture.needed(block + 1);
        let cells = self.dints_space.cell_tree.modules();
        for cell in cells.filter(|cell| cell.place.block == block) {
            let path = cell.place.path;
            let Some(from) = before[path.from].as_mut().filter(|_| needed[path.to]) else {
                continue;
            };
            let y = cell.run(ops, from);
            after[path.to] = Some(match after[path.to].take() {
                Some(sum) => ops.add(sum, y),
                None => y,
            });
        }
        after
    }

    /// The logits, from the nodes after the last block.
    fn decode<O: NetworkOps<B>>(&self, ops: &mut O, nodes: Nodes<O::Value>) -> O::Value {
        let mut coarser: Option<O::Value> = None;
        for (node, stem) in nodes.into_iter().zip(&self.stem_up).rev() {
            let sum = match (node, coarser.take()) {
                (Some(node), Some(coarser)) => Some(ops.add(node, coarser)),
                (node, coarser) => node.or(coarser),
            };
            coarser = sum.map(|x| stem.run(ops, x));
        }
        let x = coarser.expect("an architecture leads from the image to a node");
        let (last, head) = &self.stem_finals;
        let x = ops.relu(x);
        let x = last.run(ops, x);
        ops.conv(head, x)
    }
}

/// The value of each node, finest first.
type Nodes<V> = [Option<V>; NODES];

impl<B: Backend> SegmentationNetwork<B> for Dints<B> {
    fn run<O: NetworkOps<B>>(&self, ops: &mut O, input: O::Value, _: Heads) -> Vec<O::Value> {
        let nodes = self.stems(ops, input);
        let nodes = (0..BLOCKS).fold(nodes, |nodes, block| self.block(ops, block, nodes));
        vec![self.decode(ops, nodes)]
    }

    fn shape_factor(&self) -> [usize; 3] {
        self.shape_factor
    }
}
