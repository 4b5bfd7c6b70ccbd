//! Lowers a network to an ONNX graph: another interpreter of its forward pass, which records it.

mod error;
mod initializers;
mod operations;
mod recorder;

use burn::tensor::backend::Backend;
use prost::Message;
use vesal_models::ops::Shape;
use vesal_models::{Heads, Network, SegmentationNetwork};
use vesal_network::NetworkConfig;
use vesal_onnx::AxisSize;
use vesal_onnx::check::check_bytes;
use vesal_onnx::ops::MAX_INDICES;
use vesal_onnx::proto::ModelProto;

pub use error::{LowerError, TooManyIndices};
use recorder::{Recorded, Recorder};

/// Name of the graph's input, `[N, C, X, Y, Z]`.
pub const INPUT: &str = "image";
/// Name of the graph's output, `[N, K, X, Y, Z]`.
pub const OUTPUT: &str = "logits";
/// Name of the free axis N.
pub const BATCH: &str = "batch";

/// Lowers a network for windows of this shape.
///
/// Initializers carry the paths of the module's parameters. The same weights give the same bytes.
///
/// **Shapes**: input `image` `[batch, C, X, Y, Z]`, output `logits` `[batch, K, X, Y, Z]`; batch is free, `[X, Y, Z]`
/// is `window`.
///
/// **Errors**: [`LowerError`].
pub fn lower<B: Backend>(
    network: &Network<B>,
    config: &NetworkConfig,
    window: [usize; 3],
) -> Result<ModelProto, LowerError> {
    check_window(config, window)?;
    let channels = [config.in_channels(), config.out_channels()];
    lower_module(network, config.key(), channels, window)
}

/// Lowers a network that fits the window, with this graph name; see [`lower`].
///
/// **Shapes**: from `channels[0]` to `channels[1]` channels.
///
/// **Errors**: [`LowerError`].
pub fn lower_module<B: Backend>(
    network: &impl SegmentationNetwork<B>,
    name: &str,
    channels: [usize; 2],
    window: [usize; 3],
) -> Result<ModelProto, LowerError> {
    let mut recorder = Recorder::new(name, network);
    let [image, logits] = channels.map(|channels| {
        let [x, y, z] = window;
        Shape::batched([1, channels, x, y, z])
    });
    let image = Recorded {
        name: INPUT.into(),
        shape: image,
    };
    recorder.graph.input(INPUT, &axes(&image.shape));
    let outputs = network.run(&mut recorder, image, Heads::Finest);
    let [output] = outputs.as_slice() else {
        return Err(LowerError::Outputs {
            found: outputs.len(),
        });
    };
    let mut graph = recorder.finish()?;
    graph.rename(&output.name, OUTPUT);
    graph.output(OUTPUT, &axes(&logits));
    Ok(graph.finish("vesal-export"))
}

/// The declared axes of a volume.
fn axes(volume: &Shape) -> Vec<AxisSize<'static>> {
    let fixed = volume.sizes()[1..].iter().copied().map(AxisSize::Fixed);
    [AxisSize::Free(BATCH)].into_iter().chain(fixed).collect()
}

/// Lowers a network and returns the bytes of its file, checked as they will be loaded.
///
/// **Errors**: [`LowerError`].
pub fn to_onnx<B: Backend>(
    network: &Network<B>,
    config: &NetworkConfig,
    window: [usize; 3],
) -> Result<Vec<u8>, LowerError> {
    let bytes = lower(network, config, window)?.encode_to_vec();
    check_bytes(&bytes)?;
    Ok(bytes)
}

/// Checks that a window fits a network, and the network with it a file.
///
/// **Errors**: [`LowerError::Window`], [`LowerError::Indices`].
pub fn check_window(config: &NetworkConfig, window: [usize; 3]) -> Result<(), LowerError> {
    config.check_window(window)?;
    Ok(check_indices(config, window)?)
}

/// Checks that an operation that rearranges values by indices may have as many as a window of this size needs.
///
/// **Errors**: [`TooManyIndices`].
pub(crate) fn check_indices(
    config: &NetworkConfig,
    window: [usize; 3],
) -> Result<(), TooManyIndices> {
    let found = config.most_indices(window);
    match i64::try_from(found) {
        Ok(count) if count <= MAX_INDICES => Ok(()),
        _ => Err(TooManyIndices { window, found }),
    }
}
