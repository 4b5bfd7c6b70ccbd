//! Lowers a network to an ONNX graph: one more interpreter of its forward pass, one that writes it down.

mod recorder;

use burn::tensor::backend::Backend;
use prost::Message;
use thiserror::Error;
use vesal_models::{Heads, Network, SegmentationNetwork};
use vesal_network::NetworkConfig;
use vesal_onnx::Axis;
use vesal_onnx::check::{CheckError, check_bytes};
use vesal_onnx::proto::ModelProto;

use recorder::Recorder;

/// Name of the graph's input, `[N, C, X, Y, Z]`.
pub const INPUT: &str = "image";
/// Name of the graph's output, `[N, K, X, Y, Z]`.
pub const OUTPUT: &str = "logits";
/// Name of the free axis N.
pub const BATCH: &str = "batch";

/// Why a network cannot be lowered.
#[derive(Debug, Error)]
pub enum LowerError {
    /// The window does not fit the network's strides.
    #[error("the window has {found} voxels on axis {axis}, expected a multiple of {factor}")]
    Window {
        /// Axis, from 0.
        axis: usize,
        /// Voxels of the window.
        found: usize,
        /// What they must be a multiple of.
        factor: usize,
    },
    /// A layer whose padding depends on its input.
    #[error("layer `{layer}` has implicit padding, expected explicit padding")]
    ImplicitPadding {
        /// The layer.
        layer: String,
    },
    /// A parameter that the network does not list.
    #[error("a {operator} layer has a parameter that the network does not list among its own")]
    UnknownParameter {
        /// The layer's operator.
        operator: &'static str,
    },
    /// A parameter that cannot be read as 32-bit floats.
    #[error("parameter `{parameter}` cannot be read as 32-bit floats")]
    Parameter {
        /// The parameter.
        parameter: String,
    },
    /// A parameter that is not a number.
    #[error("parameter `{parameter}` has a value that is infinite or not a number")]
    NotFinite {
        /// The parameter.
        parameter: String,
    },
    /// A forward pass without a single output.
    #[error("the network gives {found} outputs at input resolution, expected 1")]
    Outputs {
        /// How many.
        found: usize,
    },
    /// The graph breaks a rule of ONNX.
    #[error("the lowered network breaks a rule of ONNX")]
    Check(#[from] CheckError),
}

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
    let mut recorder = Recorder::new(config.key(), network);
    let spatial = window.map(Axis::Fixed);
    let shape = |channels| {
        let mut shape = vec![Axis::Free(BATCH), Axis::Fixed(channels)];
        shape.extend(spatial);
        shape
    };
    recorder.graph.input(INPUT, &shape(config.in_channels()));
    let outputs = network.run(&mut recorder, INPUT.to_owned(), Heads::Finest);
    let [output] = outputs.as_slice() else {
        return Err(LowerError::Outputs {
            found: outputs.len(),
        });
    };
    let mut graph = recorder.finish()?;
    graph.rename(output, OUTPUT);
    graph.output(OUTPUT, &shape(config.out_channels()));
    Ok(graph.finish("vesal-export"))
}

/// Lowers a network and gives the bytes of its file, checked as they will be read.
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

/// Checks that a window fits a network.
///
/// **Errors**: [`LowerError::Window`].
pub fn check_window(config: &NetworkConfig, window: [usize; 3]) -> Result<(), LowerError> {
    let factors = config.shape_factor();
    for axis in 0..3 {
        let (found, factor) = (window[axis], factors[axis]);
        if found == 0 || !found.is_multiple_of(factor) {
            return Err(LowerError::Window {
                axis,
                found,
                factor,
            });
        }
    }
    Ok(())
}
