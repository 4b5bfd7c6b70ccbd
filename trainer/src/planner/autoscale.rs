//! Patch size, network depth and batch size from image size, spacing, classes and memory.

/// What the network and its patches are scaled to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Autoscale {
    /// Patch in voxels, `[X, Y, Z]`.
    pub roi: [usize; 3],
    /// Levels of the network.
    pub levels: usize,
    /// Channels of the network's first level.
    pub init_filters: usize,
    /// Patches per optimization step.
    pub batch: usize,
}

/// Largest patch that fits the reference memory.
const BASE_ROI: [f64; 3] = [224.0, 224.0, 144.0];
/// Memory for which the base patch is meant, in GiB.
const BASE_MEMORY_GIB: f64 = 16.0;
/// More classes than this need a smaller patch.
const FEW_CLASSES: usize = 20;
/// Most levels of the network.
const MAX_LEVELS: i32 = 5;
/// Channels of the first level.
const INIT_FILTERS: usize = 32;

/// Scales the patch, the network and the batch.
///
/// **Definition**: the patch starts as 224×224×144 voxels or the median image, whichever is smaller on each axis, and
/// grows by 15 % at a time, within the image, until it has as many voxels as the base patch. The network gets as many
/// levels as the shortest side can be halved, at most 5; an axis that is 2ⁿ times coarser than the finest is halved n
/// times less. The patch is rounded down to a multiple of what the network halves, at least twice that. With more
/// than 20 classes, whose logits take the memory, the base shrinks. More memory gives larger batches, not larger
/// patches.
///
/// **Source**: Auto3DSeg's SegResNet template, `auto_adjust_network_settings` with `auto_scale_batch` on and
/// `auto_scale_roi` and `auto_scale_filters` off, as its training runs it.
pub fn autoscale(
    median_size_mm: [f64; 3],
    spacing: [f64; 3],
    anisotropic: bool,
    classes: usize,
    memory_gib: f64,
) -> Autoscale {
    let image = std::array::from_fn(|axis| (median_size_mm[axis] / spacing[axis]).floor());
    let mut base = BASE_ROI.iter().product::<f64>();
    let mut largest = BASE_ROI;
    let mut memory_factor = (memory_gib / BASE_MEMORY_GIB).max(1.0);
    if classes > FEW_CLASSES {
        let mut adjusted = memory_gib / (0.2 * classes as f64 + 11.5);
        if memory_gib < 17.0 {
            adjusted /= 2.0;
        }
        if adjusted < 0.95 {
            base *= adjusted;
            let side = 16.0 * (base.cbrt() / 16.0).floor().max(1.0);
            (largest, memory_factor) = ([side; 3], 1.0);
        } else {
            memory_factor = adjusted;
        }
    }
    let roi = grow(largest, image, base);
    let (levels, factor) = depth(roi, spacing, anisotropic);
    let roi: [usize; 3] = std::array::from_fn(|axis| {
        let blocks = (roi[axis] / factor[axis] as f64).floor().max(2.0);
        factor[axis] * blocks as usize
    });
    let voxels = roi.iter().map(|&side| side as f64).product::<f64>();
    let batch = if voxels < base * memory_factor {
        (1.1 * memory_factor) as usize
    } else {
        1
    };
    Autoscale {
        roi,
        levels,
        init_filters: INIT_FILTERS,
        batch: batch.max(1),
    }
}

/// Grows a patch within the image until it has `voxels` voxels.
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

/// Levels of the network for a patch, and what the patch has to be a multiple of.
fn depth(roi: [f64; 3], spacing: [f64; 3], anisotropic: bool) -> (usize, [usize; 3]) {
    let coarsest = spacing.into_iter().fold(f64::MIN, f64::max);
    let doublings = spacing.map(|mm| (coarsest / mm).log2().floor() as i32);
    let most = doublings.into_iter().max().unwrap_or(0);
    // How many times an axis is spared from being halved.
    let spared = if anisotropic {
        doublings.map(|n| most - n)
    } else {
        [0; 3]
    };
    let halvings = (0..3).map(|axis| roi[axis].max(1.0).log2().floor() as i32 + spared[axis]);
    let levels = halvings.min().unwrap_or(1).clamp(1, MAX_LEVELS);
    let factor = spared.map(|spared| 1_usize << ((levels - spared).max(1) - 1));
    (levels as usize, factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_and_flat_images_still_give_a_network() {
        for size in [[1.0; 3], [0.2, 300.0, 300.0], [5.0, 7.0, 2000.0]] {
            let found = autoscale(size, [1.0; 3], false, 2, 16.0);
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
        let at = |memory| autoscale([35.0, 51.0, 35.0], [1.0; 3], false, 3, memory);
        assert_eq!(at(8.0), at(16.0));
        assert_eq!((at(80.0).roi, at(80.0).batch), (at(16.0).roi, 5));
    }
}
