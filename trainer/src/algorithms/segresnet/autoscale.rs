//! Patch size, network depth and batch size, derived from image size, spacing, number of classes and memory.

/// Sizes of a network and its patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autoscale {
    /// Patch in voxels, `[X, Y, Z]`.
    pub roi: [usize; 3],
    pub levels: usize,
    pub init_filters: usize,
    /// Patches per optimization step.
    pub batch: usize,
}

/// The reference point of autoscaling.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BasePatch {
    /// Voxels along each axis of the largest patch that fits the reference memory.
    pub sides: [f64; 3],
    /// GiB that training needs beside the memory that grows with the number of classes.
    pub gib_beside_classes: f64,
}

impl BasePatch {
    /// The base patch of SegResNet.
    pub const SEGRESNET: Self = Self {
        sides: [224.0, 224.0, 144.0],
        gib_beside_classes: 11.5,
    };
}

/// Memory that the base patch is meant for, in GiB.
const BASE_MEMORY_GIB: f64 = 16.0;
/// More classes than this need a smaller patch.
const FEW_CLASSES: usize = 20;
const MAX_LEVELS: i32 = 5;
/// Channels of the first level, where the patch does not give more.
pub(crate) const INIT_FILTERS: usize = 32;

/// Input of autoscaling: what it may change, and what it starts from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    pub base: BasePatch,
    /// Memory of the device in GiB; 16 where no flag is set.
    pub memory_gib: f64,
    /// Whether more memory gives larger batches.
    pub batch: bool,
    /// Whether more memory gives larger patches.
    pub roi: bool,
    /// Whether patches smaller than the base patch give wider networks.
    pub filters: bool,
    /// Levels of the network, where they are already decided.
    pub levels: Option<usize>,
}

impl Scaling {
    /// Nothing grows with memory; the result fits 16 GiB.
    pub const NONE: Self = Self {
        base: BasePatch::SEGRESNET,
        memory_gib: BASE_MEMORY_GIB,
        batch: false,
        roi: false,
        filters: false,
        levels: None,
    };

    pub fn any(&self) -> bool {
        self.batch || self.roi || self.filters
    }
}

/// Derives the sizes of patch, network and batch.
///
/// **Definition**: the patch starts as the base patch (SegResNet: 224×224×144 voxels) or the median image, whichever is
/// smaller on each axis. It grows by 15 % at a time, within the image, until it has as many voxels as the base patch;
/// with `roi`, that many for every 16 GiB (20 % less where the spacing is anisotropic). The number of levels is how
/// often the shortest side can be halved, at most 5 (and 5 where that side is a single voxel); an axis that is 2ⁿ times
/// coarser than the finest is halved n times less. The patch is rounded down to a multiple of the network's total
/// stride, at least twice that. Above 20 classes logits dominate the memory: the base patch shrinks, or only the memory
/// beyond the logits counts. With `filters`, a patch below the base patch gives a first level of `8 ⌊4 base / patch⌋`
/// channels, at least 32. With `batch`, a patch smaller than the memory allows gives `1.1` times the memory over 16
/// GiB, in whole patches.
///
/// **Source**: Auto3DSeg's SegResNet template, `auto_adjust_network_settings`.
pub fn autoscale(
    median_size_mm: [f64; 3],
    spacing: [f64; 3],
    anisotropic: bool,
    classes: usize,
    scaling: &Scaling,
) -> Autoscale {
    let image = std::array::from_fn(|axis| (median_size_mm[axis] / spacing[axis]).floor());
    let mut base = scaling.base.sides.iter().product::<f64>();
    let mut largest = scaling.base.sides;
    let mut scales_roi = scaling.roi;
    let memory_gib = if scaling.any() {
        scaling.memory_gib
    } else {
        BASE_MEMORY_GIB
    };
    let mut batch_factor = (memory_gib / BASE_MEMORY_GIB).max(1.0);
    let mut patch_factor = if anisotropic {
        (0.8 * batch_factor).max(1.0)
    } else {
        batch_factor
    };
    if classes > FEW_CLASSES {
        let mut adjusted = memory_gib / (classes as f64 * 0.2 + scaling.base.gib_beside_classes);
        if memory_gib < 17.0 {
            adjusted /= 2.0;
        }
        if adjusted < 0.95 {
            base *= adjusted;
            let side = 16.0 * (base.powf(1.0 / 3.0) / 16.0).floor().max(1.0);
            (largest, scales_roi) = ([side; 3], false);
            (batch_factor, patch_factor) = (1.0, 1.0);
        } else {
            (batch_factor, patch_factor) = (adjusted, adjusted);
        }
    }
    let roi = grow(
        largest,
        image,
        if scales_roi {
            base * patch_factor
        } else {
            base
        },
    );
    let Depth {
        levels,
        factor,
        least,
    } = depth(roi, spacing, anisotropic, scaling.levels);
    let roi: [usize; 3] = std::array::from_fn(|axis| {
        let blocks = (roi[axis] / factor[axis] as f64).floor().max(least);
        factor[axis] * blocks as usize
    });
    let voxels = roi.iter().map(|&side| side as f64).product::<f64>();
    let mut init_filters = INIT_FILTERS;
    if scaling.filters && voxels < base * patch_factor {
        init_filters = init_filters.max((4.0 * (base / voxels)).floor() as usize * 8);
        batch_factor *= init_filters as f64 / INIT_FILTERS as f64;
    }
    let batch = if scaling.batch && voxels < base * batch_factor {
        (1.1 * batch_factor) as usize
    } else {
        1
    };
    Autoscale {
        roi,
        levels,
        init_filters,
        batch: batch.max(1),
    }
}

/// Enlarges a patch within the image until it has `voxels` voxels.
fn grow(largest: [f64; 3], image: [f64; 3], voxels: f64) -> [f64; 3] {
    let within = |sides: [f64; 3]| std::array::from_fn(|axis| sides[axis].min(image[axis]));
    let mut roi: [f64; 3] = within(largest);
    while roi.iter().product::<f64>() < voxels {
        let larger = within(roi.map(|side| side * 1.15));
        if larger == roi {
            break;
        }
        roi = larger;
    }
    roi
}

/// Depth of a network and the patch sizes that it requires.
struct Depth {
    levels: usize,
    /// The patch is a multiple of this on each axis.
    factor: [usize; 3],
    /// Smallest patch, in multiples of `factor`.
    least: f64,
}

/// Depth of the network for a patch of `roi` voxels.
fn depth(roi: [f64; 3], spacing: [f64; 3], anisotropic: bool, decided: Option<usize>) -> Depth {
    let coarsest = spacing.into_iter().fold(f64::MIN, f64::max);
    let doublings = spacing.map(|mm| (coarsest / mm).log2().floor() as i32);
    let most = doublings.into_iter().max().unwrap_or(0);
    // Number of halvings that an axis skips because it is coarse.
    let spared = if anisotropic {
        doublings.map(|n| most - n)
    } else {
        [0; 3]
    };
    let halvings = (0..3).map(|axis| roi[axis].max(1.0).log2().floor() as i32 + spared[axis]);
    let levels = match (decided, halvings.min()) {
        (Some(levels), _) => i32::try_from(levels).unwrap_or(i32::MAX).clamp(1, 30),
        (None, Some(levels @ 1..)) => levels.min(MAX_LEVELS),
        // The side of a single voxel does not limit the depth, because the patch will be padded.
        (None, _) => {
            return Depth {
                levels: MAX_LEVELS as usize,
                factor: [1; 3],
                least: if anisotropic { 2.0 } else { 1.0 },
            };
        }
    };
    Depth {
        levels: levels as usize,
        factor: spared.map(|spared| 1_usize << ((levels - spared).max(1) - 1)),
        least: 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_and_flat_images_still_give_a_network() {
        for size in [[1.0; 3], [0.2, 300.0, 300.0], [5.0, 7.0, 2000.0]] {
            let levels = autoscale(size, [1.0; 3], false, 2, &Scaling::NONE).levels;
            let decided = Scaling {
                levels: Some(levels),
                ..Scaling::NONE
            };
            let found = autoscale(size, [1.0; 3], false, 2, &decided);
            assert!((1..=5).contains(&found.levels), "{found:?}");
            assert!(
                found
                    .roi
                    .iter()
                    .all(|side| side % (1 << (found.levels - 1)) == 0),
                "{found:?}"
            );
        }
    }

    #[test]
    fn batches_grow_with_memory_only() {
        let at = |memory_gib| {
            let scaling = Scaling {
                memory_gib,
                batch: true,
                ..Scaling::NONE
            };
            autoscale([35.0, 51.0, 35.0], [1.0; 3], false, 3, &scaling)
        };
        assert_eq!(at(8.0), at(16.0));
        assert_eq!((at(80.0).roi, at(80.0).batch), (at(16.0).roi, 5));
    }
}
