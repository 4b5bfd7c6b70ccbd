//! What the shapes of a state dict tell about the network that it belongs to.

use super::architecture::{DintsArchitecture, Traces};
use super::cells::{BLOCKS, CellOperation, CellPath, CellRate, key};
use super::config::DintsConfig;
use crate::error::ArchitectureError;
use crate::family::Family;
use crate::residual_unet::MAX_CHANNELS;
use crate::shapes::Shapes;

/// The network with the default architecture, if the tensors are its own.
pub(super) fn infer(shapes: &Shapes<'_>) -> Result<DintsConfig, ArchitectureError> {
    let (config, traces) = read(shapes, &DintsArchitecture::default())?;
    if traces == config.architecture.traced() {
        check_all(&config, shapes)?;
        Ok(config)
    } else {
        Err(ArchitectureError::Untold {
            family: DintsConfig::NAME,
        })
    }
}

/// The network with this architecture that the tensors belong to.
pub(super) fn infer_with(
    shapes: &Shapes<'_>,
    architecture: DintsArchitecture,
) -> Result<DintsConfig, ArchitectureError> {
    let (config, traces) = read(shapes, &architecture)?;
    let described = facts(&config, &architecture.traced());
    let mut both = described.into_iter().zip(facts(&config, &traces));
    match both.find(|(described, found)| described != found) {
        None => check_all(&config, shapes).map(|()| config),
        Some(((field, described), (_, found))) => Err(ArchitectureError::Contradiction {
            field,
            described,
            found,
        }),
    }
}

/// Facts of the network that the tensors belong to. Where its cells are those of the described architecture, all
/// tensors are checked.
pub(super) fn facts_of(
    shapes: &Shapes<'_>,
    described: &DintsArchitecture,
) -> Result<Vec<(&'static str, String)>, ArchitectureError> {
    let (config, traces) = read(shapes, described)?;
    if traces == described.traced() {
        check_all(&config, shapes)?;
    }
    Ok(facts(&config, &traces))
}

pub(super) fn facts(config: &DintsConfig, traces: &Traces) -> Vec<(&'static str, String)> {
    const NAMES: [&str; BLOCKS] = [
        "cells in block 0",
        "cells in block 1",
        "cells in block 2",
        "cells in block 3",
        "cells in block 4",
        "cells in block 5",
        "cells in block 6",
        "cells in block 7",
        "cells in block 8",
        "cells in block 9",
        "cells in block 10",
        "cells in block 11",
    ];
    let counts = [
        ("in_channels", config.in_channels),
        ("out_channels", config.out_channels),
        ("filters", config.filters),
    ];
    let counts = counts.map(|(name, count)| (name, count.to_string()));
    let cells = NAMES.into_iter().zip(traces).map(|(name, block)| {
        let codes = block.iter().map(|cell| match cell {
            Some(operation) => operation.code().to_string(),
            None => "-".to_owned(),
        });
        (name, codes.collect())
    });
    counts.into_iter().chain(cells).collect()
}

/// Channels, with this architecture, and the cells that have tensors.
fn read(
    shapes: &Shapes<'_>,
    architecture: &DintsArchitecture,
) -> Result<(DintsConfig, Traces), ArchitectureError> {
    let convolution = |tensor: &str| shapes.convolution(tensor, DintsConfig::NAME);
    let [filters, in_channels, ..] = convolution("stem_down.0.mod.1.weight")?;
    let [out_channels, ..] = convolution("stem_finals.1.weight")?;
    let config = DintsConfig {
        in_channels,
        out_channels,
        filters,
        architecture: architecture.clone(),
    };
    const NORM: &str = "stem_down.0.mod.2.weight";
    if !shapes.contains(NORM) {
        return Err(ArchitectureError::PlainNorms {
            tensor: NORM,
            family: DintsConfig::NAME,
        });
    }
    let mut traces = Traces::default();
    for (block, cells) in traces.iter_mut().enumerate() {
        for path in CellPath::all() {
            cells[path.index] = cell(shapes, block, path)?;
        }
    }
    Ok((config, traces))
}

/// The operation of a cell, if it has a tensor.
fn cell(
    shapes: &Shapes<'_>,
    block: usize,
    path: CellPath,
) -> Result<Option<CellOperation>, ArchitectureError> {
    let prefix = format!("dints_space.cell_tree.{}", key(block, path.index));
    let tensor = format!("{prefix}.op.ops.0.conv.weight");
    if !shapes.contains(&tensor) {
        let resampled = path.rate() != CellRate::Same
            && shapes.contains(&format!("{prefix}.preprocess.norm.weight"));
        return Ok(resampled.then_some(CellOperation::Skip));
    }
    let [_, _, x, y, z] = shapes.convolution(&tensor, DintsConfig::NAME)?;
    let mut operations = CellOperation::ALL.into_iter();
    let found = operations.find(|operation| operation.kernels().first() == Some(&[x, y, z]));
    found.map(Some).ok_or(ArchitectureError::CellKernel {
        tensor,
        found: [x, y, z],
    })
}

/// Checks that there is every tensor of a network, with its shape.
fn check_all(config: &DintsConfig, shapes: &Shapes<'_>) -> Result<(), ArchitectureError> {
    // Widths beyond it are not computed.
    if config.validate().is_err() {
        return Err(ArchitectureError::Channels {
            found: vec![config.in_channels, config.out_channels, config.filters],
            max: MAX_CHANNELS,
        });
    }
    shapes.check_all(config.all_tensors(), DintsConfig::NAME)
}
