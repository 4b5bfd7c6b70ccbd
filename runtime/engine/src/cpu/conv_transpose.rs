//! Transposed convolutions with stride 2, computed as convolutions.

use vesal_onnx::VolumeConvolution;

/// Every second voxel of the output along each axis, from the voxel `parity`, is a convolution of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OutputPhase {
    /// Index of the phase: its bits are the parities, that of the last axis lowest.
    pub index: usize,
    /// Its kernel voxels, each with the offset of its input voxel: 0, or 1 for the next one.
    pub taps: Vec<([usize; 3], [usize; 3])>,
}

/// Phases of a transposed convolution that doubles a volume; `None` for others.
///
/// **Definition**: stride 2 with kernels of 2 voxels without padding, or of 3 with padding 1 and output padding 1. An
/// output `o = 2 i + k - padding`, so that `k` has the parity of `o + padding`.
pub(super) fn output_phases(layer: &VolumeConvolution) -> Option<Vec<OutputPhase>> {
    let extra = layer.transposed?;
    let axis = |axis: usize| {
        let [kernel, stride] = [layer.kernel, layer.stride].map(|sizes| sizes[axis]);
        let pads = [layer.before, layer.after, extra].map(|sizes| sizes[axis]);
        match (stride, kernel, pads) {
            (2, 2, [0, 0, 0]) => Some([vec![(0, 0)], vec![(1, 0)]]),
            (2, 3, [1, 1, 1]) => Some([vec![(1, 0)], vec![(0, 1), (2, 0)]]),
            _ => None,
        }
    };
    let axes = [axis(0)?, axis(1)?, axis(2)?];
    let phase = |index: usize| {
        let [xs, ys, zs] = [0, 1, 2].map(|axis| &axes[axis][index >> (2 - axis) & 1]);
        let mut taps = Vec::new();
        for x in xs {
            for y in ys {
                for z in zs {
                    taps.push(([x.0, y.0, z.0], [x.1, y.1, z.1]));
                }
            }
        }
        OutputPhase { index, taps }
    };
    Some((0..8).map(phase).collect())
}

impl OutputPhase {
    /// Its weights.
    ///
    /// **Shapes**: `[channels, filters, kernel]` → `[filters, channels, taps]`.
    pub fn weights(&self, layer: &VolumeConvolution, weights: &[f32], to: &mut [f32]) {
        let VolumeConvolution {
            channels,
            filters,
            kernel,
            ..
        } = *layer;
        let volume = layer.taps();
        let places: Vec<usize> = self
            .taps
            .iter()
            .map(|([x, y, z], _)| (x * kernel[1] + y) * kernel[2] + z)
            .collect();
        let mut to = to.iter_mut();
        for filter in 0..filters {
            for channel in 0..channels {
                let kernel = &weights[(channel * filters + filter) * volume..][..volume];
                for (&place, to) in places.iter().zip(to.by_ref()) {
                    *to = kernel[place];
                }
            }
        }
    }
}
