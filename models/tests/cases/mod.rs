//! Tiny networks, one for each operation, and an attention block.

use burn::module::{Module, ModuleMapper, Param};
use burn::nn::conv::{Conv3d, Conv3dConfig, ConvTranspose3d, ConvTranspose3dConfig};
use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use vesal_models::blocks::{BatchNorm, InstanceNorm, LayerNorm, Linear};
use vesal_models::ops::{AttentionRegions, Constant, Indices, Shape, WindowAttention};
use vesal_models::{Heads, NetworkOps, SegmentationNetwork};

/// Input channels of all of them.
pub const CHANNELS: usize = 6;
/// Input and output voxels of all of them.
pub const WINDOW: [usize; 3] = [4, 6, 8];
/// Windows of the attention.
const ATTENDED: [usize; 3] = [2, 3, 4];
const TOKENS: usize = 24;
const HEADS: usize = 2;

/// Operation of a tiny network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    Conv,
    ConvTranspose,
    InstanceNorm,
    InstanceNormWithoutWeights,
    NormRelu,
    NormLeakyRelu,
    BatchNorm,
    BatchNormRelu,
    Relu,
    LeakyRelu,
    AddLeakyRelu,
    Gelu,
    AddAndMul,
    RepeatedConstants,
    Scale,
    Linear,
    LinearOfRows,
    Matmul,
    MatmulOfConstants,
    Softmax,
    LayerNorm,
    LayerNormWithoutWeights,
    ReshapeAndTranspose,
    Gather,
    SliceAndConcat,
    Subsample,
    Roll,
    Pad,
    Interpolate,
    Attention,
    WindowAttention,
    WindowAttentionOfRegions,
}

pub const CASES: [Case; 32] = [
    Case::Conv,
    Case::ConvTranspose,
    Case::InstanceNorm,
    Case::InstanceNormWithoutWeights,
    Case::NormRelu,
    Case::NormLeakyRelu,
    Case::BatchNorm,
    Case::BatchNormRelu,
    Case::Relu,
    Case::LeakyRelu,
    Case::AddLeakyRelu,
    Case::Gelu,
    Case::AddAndMul,
    Case::RepeatedConstants,
    Case::Scale,
    Case::Linear,
    Case::LinearOfRows,
    Case::Matmul,
    Case::MatmulOfConstants,
    Case::Softmax,
    Case::LayerNorm,
    Case::LayerNormWithoutWeights,
    Case::ReshapeAndTranspose,
    Case::Gather,
    Case::SliceAndConcat,
    Case::Subsample,
    Case::Roll,
    Case::Pad,
    Case::Interpolate,
    Case::Attention,
    Case::WindowAttention,
    Case::WindowAttentionOfRegions,
];

/// A network of one operation, with the layers of all.
#[derive(Module, Debug)]
pub struct Tiny<B: Backend> {
    conv: Conv3d<B>,
    up: ConvTranspose3d<B>,
    instance_norm: InstanceNorm<B>,
    plain_instance_norm: InstanceNorm<B>,
    batch_norm: BatchNorm<B>,
    layer_norm: LayerNorm<B>,
    plain_layer_norm: LayerNorm<B>,
    pub qkv: Linear<B>,
    pub proj: Linear<B>,
    pub table: Param<Tensor<B, 2>>,
    #[module(skip)]
    pub case: Case,
    #[module(skip)]
    constants: Constants,
}

/// Constants of the tiny networks.
#[derive(Debug, Clone)]
struct Constants {
    by_channel: Constant,
    by_voxel: Constant,
    left: Constant,
    right: Constant,
    shuffled: Indices,
    positions: Indices,
    /// Regions of the tokens of 8 windows.
    regions: AttentionRegions,
}

/// Numbers in `[-1, 1)` that follow from a seed (SplitMix64).
pub fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    let mut draw = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits >> 40) as f32) / (1 << 23) as f32 - 1.
    };
    (0..count).map(|_| draw()).collect()
}

/// Fills every parameter with different numbers.
struct Draw(u64);

impl<B: Backend> ModuleMapper<B> for Draw {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<B, D>>) -> Param<Tensor<B, D>> {
        self.0 += 1;
        let dims = param.dims();
        let mut values = numbers(self.0, dims.iter().product());
        if D == 1 {
            // Variances are positive.
            values
                .iter_mut()
                .for_each(|value| *value = 1. + 0.5 * *value);
        }
        let data = TensorData::new(values, dims);
        param.map(|tensor| Tensor::from_data(data, &tensor.device()).require_grad())
    }
}

impl<B: Backend> Tiny<B> {
    /// With reproducible weights.
    pub fn new(case: Case) -> Self {
        let device = &B::Device::default();
        let constant = |name, sizes: &[usize], seed| {
            Constant::new(name, sizes, numbers(seed, sizes.iter().product()))
        };
        let bins = ATTENDED.map(|size| 2 * size - 1);
        let table = Tensor::zeros([bins.iter().product(), HEADS], device);
        let tiny = Self {
            conv: Conv3dConfig::new([CHANNELS, 4], [2; 3])
                .with_stride([2; 3])
                .init(device),
            up: ConvTranspose3dConfig::new([4, 3], [2; 3])
                .with_stride([2; 3])
                .with_bias(false)
                .init(device),
            instance_norm: InstanceNorm::new(CHANNELS, device),
            plain_instance_norm: InstanceNorm::without_weights(CHANNELS),
            batch_norm: BatchNorm::new(CHANNELS, device),
            layer_norm: LayerNorm::new(CHANNELS, device),
            plain_layer_norm: LayerNorm::without_weights(CHANNELS),
            qkv: Linear::new([CHANNELS, 3 * CHANNELS], true, device),
            proj: Linear::new([CHANNELS, 5], false, device),
            table: Param::from_tensor(table),
            case,
            constants: Constants {
                by_channel: constant("by_channel", &[CHANNELS, 1, 1, 1], 1),
                by_voxel: constant("by_voxel", &WINDOW, 2),
                left: constant("left", &[5, 6], 3),
                right: constant("right", &[4, 8, 8], 4),
                shuffled: Indices::new(vec![3, 0, 5, 1, 4, 2, 2]),
                positions: Indices::new(relative_positions()),
                regions: AttentionRegions::new(
                    (0..8 * TOKENS).map(|token| token * token % 7 / 3).collect(),
                    TOKENS,
                ),
            },
        };
        tiny.map(&mut Draw(10))
    }
}

/// Index in the table of relative positions for every pair of tokens of a window.
pub fn relative_positions() -> Vec<usize> {
    let [_, y, z] = ATTENDED;
    let place = |token: usize| [token / (y * z), token / z % y, token % z];
    let pairs = (0..TOKENS).flat_map(|a| (0..TOKENS).map(move |b| (place(a), place(b))));
    let index = |(a, b): ([usize; 3], [usize; 3])| {
        (0..3).fold(0, |index, axis| {
            index * (2 * ATTENDED[axis] - 1) + a[axis] + ATTENDED[axis] - 1 - b[axis]
        })
    };
    pairs.map(index).collect()
}

/// Channels to the end, `[N, C, X, Y, Z]` → `[N, X, Y, Z, C]`.
const LAST: [usize; 5] = [0, 2, 3, 4, 1];
/// Channels to the front, `[N, X, Y, Z, C]` → `[N, C, X, Y, Z]`.
const FIRST: [usize; 5] = [0, 4, 1, 2, 3];

impl<B: Backend> Tiny<B> {
    /// Attention within windows, moved by one voxel, with a bias by relative position.
    fn attend<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        let [x_, y_, z_] = WINDOW;
        let [wx, wy, wz] = ATTENDED;
        let windows = [x_ / wx, y_ / wy, z_ / wz];
        let [nx, ny, nz] = windows;
        let count: usize = windows.iter().product();
        let x = ops.roll(x, 2, 1);
        let x = ops.transpose(x, &LAST);
        let x = ops.layer_norm(&self.layer_norm, x);
        let x = ops.reshape(x, &Shape::batched([1, nx, wx, ny, wy, nz, wz, CHANNELS]));
        let x = ops.transpose(x, &[0, 1, 3, 5, 2, 4, 6, 7]);
        let x = ops.reshape(x, &Shape::batched([count, TOKENS, CHANNELS]));
        let qkv = ops.linear(&self.qkv, x);
        let heads = Shape::batched([count, TOKENS, HEADS, CHANNELS / HEADS]);
        let [q, k, v] = [0, 1, 2].map(|part| {
            let start = part * CHANNELS;
            let part = ops.slice(qkv.clone(), 2, start..start + CHANNELS, 1);
            let part = ops.reshape(part, &heads);
            ops.transpose(part, &[0, 2, 1, 3])
        });
        let q = ops.scale(q, 0.5);
        let k = ops.transpose(k, &[0, 1, 3, 2]);
        let scores = ops.matmul(q, k);
        let table = ops.parameter(&self.table);
        let bias = ops.gather(table, 0, &self.constants.positions);
        let bias = ops.reshape(bias, &Shape::fixed([TOKENS, TOKENS, HEADS]));
        let bias = ops.transpose(bias, &[2, 0, 1]);
        let scores = ops.add(scores, bias);
        let weights = ops.softmax(scores);
        let y = ops.matmul(weights, v);
        let y = ops.transpose(y, &[0, 2, 1, 3]);
        let y = ops.reshape(y, &Shape::batched([count, TOKENS, CHANNELS]));
        let y = ops.linear(&self.proj, y);
        let y = ops.reshape(y, &Shape::batched([1, nx, ny, nz, wx, wy, wz, 5]));
        let y = ops.transpose(y, &[0, 1, 4, 2, 5, 3, 6, 7]);
        let y = ops.reshape(y, &Shape::batched([1, x_, y_, z_, 5]));
        let y = ops.transpose(y, &FIRST);
        ops.roll(y, 2, x_ - 1)
    }

    fn compute<O: NetworkOps<B>>(&self, ops: &mut O, x: O::Value) -> O::Value {
        let constants = &self.constants;
        match self.case {
            Case::Conv => {
                let y = ops.conv(&self.conv, x);
                ops.resize_linear(y, WINDOW)
            }
            Case::ConvTranspose => {
                let y = ops.slice(x, 1, 1..5, 1);
                let y = ops.conv_transpose(&self.up, y);
                ops.resize_linear(y, WINDOW)
            }
            Case::InstanceNorm => ops.instance_norm(&self.instance_norm, x),
            Case::InstanceNormWithoutWeights => ops.instance_norm(&self.plain_instance_norm, x),
            Case::NormLeakyRelu => ops.norm_leaky_relu(&self.plain_instance_norm, x, 0.01),
            Case::NormRelu => ops.norm_relu(&self.instance_norm, x),
            Case::BatchNorm => ops.batch_norm(&self.batch_norm, x),
            Case::BatchNormRelu => ops.batch_norm_relu(&self.batch_norm, x),
            Case::Relu => ops.relu(x),
            Case::LeakyRelu => ops.leaky_relu(x, 0.01),
            Case::AddLeakyRelu => {
                let y = ops.scale(x.clone(), -0.5);
                let y = ops.mul(y, x.clone());
                ops.add_leaky_relu(y, x, 0.01)
            }
            Case::Gelu => ops.gelu(x),
            Case::AddAndMul => {
                let turned = ops.transpose(x.clone(), &[0, 1, 4, 3, 2]);
                let turned = ops.transpose(turned, &[0, 1, 4, 3, 2]);
                let sum = ops.add(turned, x.clone());
                ops.mul(x, sum)
            }
            Case::RepeatedConstants => {
                let (by_channel, by_voxel) = (
                    ops.constant(&constants.by_channel),
                    ops.constant(&constants.by_voxel),
                );
                let y = ops.add(x, by_voxel.clone());
                let y = ops.mul(y, by_channel);
                let y = ops.transpose(y, &[0, 2, 3, 4, 1]);
                let y = ops.transpose(y, &FIRST);
                ops.add(y, by_voxel)
            }
            Case::Scale => ops.scale(x, -1.5),
            Case::Linear => {
                let y = ops.transpose(x, &LAST);
                let y = ops.linear(&self.qkv, y);
                ops.transpose(y, &FIRST)
            }
            Case::LinearOfRows => {
                let y = ops.transpose(x, &LAST);
                let y = ops.reshape(y, &Shape::batched([4 * 6 * 8, CHANNELS]));
                let y = ops.linear(&self.proj, y);
                let y = ops.reshape(y, &Shape::batched([1, 4, 6, 8, 5]));
                ops.transpose(y, &FIRST)
            }
            Case::Matmul => {
                let turned = ops.transpose(x.clone(), &[0, 1, 2, 4, 3]);
                let products = ops.matmul(x.clone(), turned);
                ops.matmul(products, x)
            }
            Case::MatmulOfConstants => {
                let (left, right) = (
                    ops.constant(&constants.left),
                    ops.constant(&constants.right),
                );
                let y = ops.transpose(x, &[0, 2, 3, 1, 4]);
                let y = ops.matmul(left, y);
                let y = ops.transpose(y, &[0, 3, 1, 2, 4]);
                ops.matmul(y, right)
            }
            Case::Softmax => ops.softmax(x),
            Case::LayerNorm | Case::LayerNormWithoutWeights => {
                let layer = match self.case {
                    Case::LayerNorm => &self.layer_norm,
                    _ => &self.plain_layer_norm,
                };
                let y = ops.transpose(x, &LAST);
                let y = ops.layer_norm(layer, y);
                ops.transpose(y, &FIRST)
            }
            Case::ReshapeAndTranspose => {
                let y = ops.reshape(x, &Shape::batched([12, 2, 6, 8]));
                let y = ops.transpose(y, &[0, 3, 1, 2]);
                let y = ops.reshape(y, &Shape::batched([1, 4, 3, 6, 16]));
                let y = ops.transpose(y, &[0, 2, 1, 3, 4]);
                ops.reshape(y, &Shape::batched([1, CHANNELS, 4, 6, 8]))
            }
            Case::Gather => {
                let y = ops.gather(x, 1, &constants.shuffled);
                let y = ops.gather(y, 3, &constants.shuffled);
                ops.slice(y, 3, 1..7, 1)
            }
            Case::SliceAndConcat => {
                let even = ops.slice(x.clone(), 4, 0..8, 2);
                let odd = ops.slice(x, 4, 1..8, 2);
                let odd = ops.scale(odd, 2.);
                ops.concat(vec![odd, even], 4)
            }
            Case::Subsample => {
                let even = ops.subsample(x.clone(), 0, 2);
                let odd = ops.subsample(x, 1, 2);
                let both = ops.concat(vec![odd, even], 1);
                let both = ops.slice(both, 1, 2..8, 1);
                ops.resize_linear(both, WINDOW)
            }
            Case::Roll => {
                let y = ops.roll(x, 3, 2);
                ops.roll(y, 4, 7)
            }
            Case::Pad => {
                let y = ops.pad(x, &[[0, 0], [1, 0], [0, 0], [2, 1], [0, 3]]);
                let y = ops.slice(y, 3, 1..7, 1);
                ops.slice(y, 4, 3..11, 1)
            }
            Case::Interpolate => {
                let y = ops.resize_linear(x, [8, 3, 5]);
                let y = ops.leaky_relu(y, 0.5);
                ops.resize_linear(y, WINDOW)
            }
            Case::Attention => self.attend(ops, x),
            Case::WindowAttention | Case::WindowAttentionOfRegions => {
                let y = ops.transpose(x, &LAST);
                let y = ops.linear(&self.qkv, y);
                let of_regions = self.case == Case::WindowAttentionOfRegions;
                let attention = WindowAttention {
                    qkv: ops.reshape(y, &Shape::batched([8, TOKENS, 3 * CHANNELS])),
                    bias: ops.position_bias(&self.table, &constants.positions),
                    regions: of_regions.then(|| constants.regions.clone()),
                    heads: HEADS,
                };
                let y = ops.window_attention(attention);
                let y = ops.reshape(y, &Shape::batched([1, 4, 6, 8, CHANNELS]));
                ops.transpose(y, &FIRST)
            }
        }
    }
}

impl<B: Backend> SegmentationNetwork<B> for Tiny<B> {
    fn run<O: NetworkOps<B>>(&self, ops: &mut O, input: O::Value, _: Heads) -> Vec<O::Value> {
        vec![self.compute(ops, input)]
    }

    fn shape_factor(&self) -> [usize; 3] {
        WINDOW
    }
}
