//! The labels of a label map: number and position of their voxels.

use ndarray::ArrayView3;
use vesal_volume::Affine;

/// The position of a label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Centroid {
    pub label: u16,
    /// Number of voxels of the label.
    pub voxels: usize,
    /// Mean index of its voxels, `[X, Y, Z]` in the order of the file.
    pub voxel: [f64; 3],
    /// Right coordinate of that position in world space, in mm.
    pub right_mm: f64,
}

/// Counts and positions of the labels of a label map.
#[derive(Debug, Clone)]
pub(super) struct LabelIndex {
    /// Number of voxels of each label, 0 up to the largest label.
    counts: Vec<usize>,
    /// Sum of the indices of each label's voxels.
    sums: Vec<[u64; 3]>,
}

impl LabelIndex {
    pub fn new(map: ArrayView3<'_, u16>) -> Self {
        let most = usize::from(map.iter().copied().max().unwrap_or(0));
        let (mut counts, mut sums) = (vec![0; most + 1], vec![[0; 3]; most + 1]);
        for ((x, y, z), &label) in map.indexed_iter() {
            let label = usize::from(label);
            counts[label] += 1;
            let sum: &mut [u64; 3] = &mut sums[label];
            sum[0] += x as u64;
            sum[1] += y as u64;
            sum[2] += z as u64;
        }
        Self { counts, sums }
    }

    /// Labels that occur, in ascending order.
    pub fn labels(&self) -> impl Iterator<Item = u16> + '_ {
        let counts = self.counts.iter().enumerate();
        counts
            .filter(|&(_, &count)| count > 0)
            .map(|(label, _)| label as u16)
    }

    pub fn count(&self, label: u16) -> usize {
        self.counts.get(usize::from(label)).copied().unwrap_or(0)
    }

    /// Copies the voxels of a channel into `to`, grouped by label in ascending order.
    pub fn group(&self, voxels: ArrayView3<'_, f32>, map: ArrayView3<'_, u16>, to: &mut Vec<f32>) {
        let mut next: Vec<usize> = Vec::with_capacity(self.counts.len());
        let mut start = 0;
        for count in &self.counts {
            next.push(start);
            start += count;
        }
        to.clear();
        to.resize(start, 0.0);
        for (value, label) in voxels.iter().zip(map.iter()) {
            let next = &mut next[usize::from(*label)];
            to[*next] = *value;
            *next += 1;
        }
    }

    /// Centroids of the labels besides 0.
    pub fn centroids(&self, affine: &Affine) -> Vec<Centroid> {
        let centroid = |label: u16| {
            let at = usize::from(label);
            let voxels = self.counts[at];
            let voxel = self.sums[at].map(|sum| sum as f64 / voxels as f64);
            Centroid {
                label,
                voxels,
                voxel,
                right_mm: affine.voxel_to_world(voxel)[0],
            }
        };
        self.labels()
            .filter(|&label| label > 0)
            .map(centroid)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn voxels_are_counted_located_and_grouped() {
        let map = array![[[3_u16, 0, 3], [0, 0, 7]]];
        let index = LabelIndex::new(map.view());
        assert_eq!(index.labels().collect::<Vec<_>>(), [0, 3, 7]);
        assert_eq!((index.count(0), index.count(7), index.count(9)), (3, 1, 0));
        let centroids = index.centroids(&Affine::IDENTITY);
        assert_eq!(
            (centroids[0].label, centroids[0].voxel),
            (3, [0.0, 0.0, 1.0])
        );
        let voxels = array![[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]];
        let mut grouped = vec![9.0];
        index.group(voxels.view(), map.view(), &mut grouped);
        assert_eq!(grouped, [2.0, 4.0, 5.0, 1.0, 3.0, 6.0]);
    }
}
