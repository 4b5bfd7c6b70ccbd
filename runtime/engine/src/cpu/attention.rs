//! Attention, a few queries at a time: no matrix of weights exists.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicUsize, Ordering};

use vesal_onnx::AttentionSizes;
use vesal_volume::exponential::exp;

use super::convolution::Parallel;
use super::processor::{Instructions, Processor};
use super::scratch::Scratch;
use super::tile::{GROUPS, LANES, MatrixTile};

/// An attention, planned for a processor.
#[derive(Debug)]
pub(crate) struct PlannedAttention {
    instructions: Instructions,
    sizes: AttentionSizes,
    workers: usize,
    /// Keys, and features of values, to whole registers.
    columns: usize,
    width: usize,
    /// Offsets of the keys' features, and of the values, from one to the next.
    key_offsets: Vec<u32>,
    value_offsets: Vec<u32>,
}

/// Constants of the groups.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct AttentionConstants<'a> {
    /// Matrices `[queries, keys]`, and which of them each group has.
    pub bias: Option<(&'a [f32], &'a [usize])>,
    /// Factors `[queries, rank]` and `[rank, keys]`, and which of them each group has.
    pub mask: Option<(&'a [f32], &'a [f32], &'a [usize])>,
}

/// Inputs of one case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttentionInputs<'a> {
    /// `[groups, queries, depth]`.
    pub queries: &'a [f32],
    /// `[groups, depth, keys]`.
    pub keys: &'a [f32],
    /// `[groups, keys, features]`.
    pub values: &'a [f32],
    pub constants: AttentionConstants<'a>,
}

/// Where groups are written.
struct Output(*mut f32);

// SAFETY: tasks write disjoint groups of it.
unsafe impl Sync for Output {}

impl Output {
    fn at(&self, offset: usize) -> *mut f32 {
        self.0.wrapping_add(offset)
    }
}

/// Memory of a worker, in the order in which it lies there.
struct Parts<'a> {
    /// `[depth + rank, columns]`.
    keys: &'a mut [f32],
    /// `[queries, depth + rank]`.
    queries: &'a mut [f32],
    /// `[keys, width]`.
    values: &'a mut [f32],
    /// `[rows, columns]`.
    scores: &'a mut [f32],
    /// `[rows, width]`.
    sums: &'a mut [f32],
}

impl PlannedAttention {
    /// Plans an attention; `None` if it has nothing to compute, or more than offsets of 32 bits reach.
    pub(crate) fn new(processor: Processor, sizes: AttentionSizes) -> Option<Self> {
        let AttentionSizes {
            queries,
            keys,
            depth,
            features,
            rank,
            ..
        } = sizes;
        let present = [sizes.groups, queries, keys, depth, features];
        present.iter().all(|&size| size > 0).then_some(())?;
        let columns = keys.checked_next_multiple_of(LANES)?;
        let width = features.checked_next_multiple_of(LANES)?;
        let offsets = |count: usize, step: usize| -> Option<Vec<u32>> {
            u32::try_from(count.checked_mul(step)?).ok()?;
            Some((0..count).map(|index| (index * step) as u32).collect())
        };
        let depths = depth.checked_add(rank)?;
        u32::try_from(queries.checked_mul(depths)?).ok()?;
        Some(Self {
            instructions: processor.instructions,
            sizes,
            workers: processor.workers.max(1),
            columns,
            width,
            key_offsets: offsets(depths, columns)?,
            value_offsets: offsets(keys, width)?,
        })
    }

    /// Floats of the parts of a worker's memory.
    fn parts(&self) -> [usize; 5] {
        let AttentionSizes {
            queries,
            keys,
            depth,
            rank,
            ..
        } = self.sizes;
        let rows = self.instructions.rows();
        [
            (depth + rank) * self.columns,
            queries * (depth + rank),
            keys * self.width,
            rows * self.columns,
            rows * self.width,
        ]
        .map(|floats| floats.next_multiple_of(LANES))
    }

    /// Memory of the workers in bytes.
    pub(crate) fn scratch_bytes(&self) -> usize {
        let floats: usize = self.parts().iter().sum();
        self.workers * floats * size_of::<f32>()
    }

    /// Computes the attention of a case. Its values do not depend on the number of workers.
    ///
    /// **Shapes**: output `[groups, queries, features]`.
    pub(crate) fn run(
        &self,
        inputs: AttentionInputs<'_>,
        output: &mut [f32],
        scratch: &Scratch,
        parallel: &Parallel<'_>,
    ) {
        let AttentionSizes {
            groups,
            queries,
            keys,
            depth,
            features,
            rank,
        } = self.sizes;
        assert_eq!(inputs.queries.len(), groups * queries * depth);
        assert_eq!(inputs.keys.len(), groups * depth * keys);
        assert_eq!(inputs.values.len(), groups * keys * features);
        assert_eq!(output.len(), groups * queries * features);
        if let Some((_, of)) = inputs.constants.bias {
            assert_eq!(of.len(), groups);
        }
        if let Some((.., of)) = inputs.constants.mask {
            assert!(of.len() == groups && rank > 0);
        }
        let output = Output(output.as_mut_ptr());
        let next = AtomicUsize::new(0);
        parallel(self.workers.min(groups), &|_| {
            let lengths = self.parts();
            let mut piece = scratch.take(lengths.iter().sum());
            let mut rest = piece.floats();
            let [keys, queries_part, values, scores, sums] = lengths.map(|length| {
                let (part, others) = std::mem::take(&mut rest).split_at_mut(length);
                rest = others;
                part
            });
            let mut parts = Parts {
                keys,
                queries: queries_part,
                values,
                scores,
                sums,
            };
            loop {
                let group = next.fetch_add(1, Ordering::Relaxed);
                if group >= groups {
                    break;
                }
                let length = queries * features;
                let first = output.at(group * length);
                // SAFETY: the output has this group, and no other task has its number.
                let to = unsafe { std::slice::from_raw_parts_mut(first, length) };
                self.compute(group, &inputs, &mut parts, to);
            }
            scratch.give_back(piece);
        });
    }

    /// Computes one group.
    fn compute(
        &self,
        group: usize,
        inputs: &AttentionInputs<'_>,
        parts: &mut Parts<'_>,
        output: &mut [f32],
    ) {
        let AttentionSizes {
            queries,
            keys,
            features,
            ..
        } = self.sizes;
        let depth = self.pack(group, inputs, parts);
        let rows = self.instructions.rows();
        let bias = inputs.constants.bias.map(|(bias, of)| {
            let length = queries * keys;
            &bias[of[group] * length..][..length]
        });
        for first in (0..queries).step_by(rows) {
            let count = rows.min(queries - first);
            for (row, scores) in parts
                .scores
                .chunks_mut(self.columns)
                .take(count)
                .enumerate()
            {
                let (present, rest) = scores.split_at_mut(keys);
                match bias {
                    Some(bias) => present.copy_from_slice(&bias[(first + row) * keys..][..keys]),
                    None => present.fill(0.),
                }
                // No weight after the softmax.
                rest.fill(f32::NEG_INFINITY);
            }
            let queries = &parts.queries[first * depth..][..count * depth];
            self.multiply(
                count,
                (queries, depth),
                parts.keys,
                &self.key_offsets[..depth],
                (parts.scores, self.columns),
            );
            let mut factors = [0.; super::tile::MAX_ROWS];
            let scores = parts.scores.chunks_mut(self.columns).take(count);
            for (scores, factor) in scores.zip(&mut factors) {
                *factor = 1. / self.instructions.exponentials(scores);
            }
            parts.sums.fill(0.);
            self.multiply(
                count,
                (parts.scores, self.columns),
                parts.values,
                &self.value_offsets,
                (parts.sums, self.width),
            );
            let rows = output[first * features..].chunks_mut(features);
            let sums = parts.sums.chunks(self.width);
            for ((to, sums), factor) in rows.zip(sums).zip(&factors[..count]) {
                for (to, sum) in to.iter_mut().zip(sums) {
                    *to = sum * factor;
                }
            }
        }
    }

    /// Copies keys, values and queries of a group to whole registers, with the factors of its mask as further features;
    /// returns the number of features.
    fn pack(&self, group: usize, inputs: &AttentionInputs<'_>, parts: &mut Parts<'_>) -> usize {
        let AttentionSizes {
            queries,
            keys,
            depth,
            features,
            rank,
            ..
        } = self.sizes;
        let mut to_keys = parts.keys.chunks_mut(self.columns);
        let mut push = |row: &[f32]| {
            if let Some(to) = to_keys.next() {
                to[..keys].copy_from_slice(row);
                to[keys..].fill(0.);
            }
        };
        let from = &inputs.keys[group * depth * keys..][..depth * keys];
        from.chunks(keys).for_each(&mut push);
        // Only columns of the mask that give anything: most windows lie in one region.
        let mut columns = Vec::new();
        if let Some((left, right, of)) = inputs.constants.mask {
            let left = &left[of[group] * queries * rank..][..queries * rank];
            let right = &right[of[group] * rank * keys..][..rank * keys];
            for (column, row) in right.chunks(keys).enumerate() {
                let mut left = left.iter().skip(column).step_by(rank);
                if left.any(|&value| value != 0.) && row.iter().any(|&value| value != 0.) {
                    push(row);
                    columns.push(column);
                }
            }
        }
        let wide = depth + columns.len();
        let from = &inputs.queries[group * queries * depth..][..queries * depth];
        for (query, to) in parts.queries.chunks_mut(wide).take(queries).enumerate() {
            to[..depth].copy_from_slice(&from[query * depth..][..depth]);
            if let Some((left, _, of)) = inputs.constants.mask {
                let row = &left[(of[group] * queries + query) * rank..][..rank];
                for (to, &column) in to[depth..].iter_mut().zip(&columns) {
                    *to = row[column];
                }
            }
        }
        let from = &inputs.values[group * keys * features..][..keys * features];
        let to_values = parts.values.chunks_mut(self.width);
        for (to, from) in to_values.zip(from.chunks(features)) {
            to[..features].copy_from_slice(from);
            to[features..].fill(0.);
        }
        wide
    }

    /// Adds the product of rows, `[count, ..]` with a stride, and a matrix with rows at these offsets.
    fn multiply(
        &self,
        count: usize,
        (rows, stride): (&[f32], usize),
        matrix: &[f32],
        offsets: &[u32],
        (sums, width): (&mut [f32], usize),
    ) {
        let farthest = offsets.last().map_or(0, |offset| *offset as usize);
        assert!(rows.len() >= (count - 1) * stride + offsets.len());
        assert!(matrix.len() >= farthest + width && sums.len() >= count * width);
        for first in (0..width).step_by(GROUPS * LANES) {
            let groups = GROUPS.min((width - first) / LANES);
            let tile = MatrixTile {
                a: rows.as_ptr(),
                a_stride: stride,
                b: matrix[first..].as_ptr(),
                offsets,
                targets: &[(sums[first..].as_mut_ptr(), 1.)],
                c_stride: width,
                next: rows.as_ptr(),
            };
            // SAFETY: rows, matrix and sums have the lengths that were checked, and are borrowed alone.
            unsafe { self.instructions.tile(count, groups, &tile) };
        }
    }
}

impl Instructions {
    /// Replaces scores, as many as fill registers, by `exp(score - largest)`, and returns their sum.
    fn exponentials(self, scores: &mut [f32]) -> f32 {
        match self {
            // SAFETY: a value of this type exists only where the processor has these instructions.
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => unsafe { exponentials_avx512(scores) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => unsafe { exponentials_avx2(scores) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn exponentials_avx512(scores: &mut [f32]) -> f32 {
    exponentials(scores)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn exponentials_avx2(scores: &mut [f32]) -> f32 {
    exponentials(scores)
}

/// Straight-line arithmetic over arrays of a register's length, so that it is vectorized.
#[inline(always)]
fn exponentials(scores: &mut [f32]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; LANES];
    let (lines, _) = scores.as_chunks_mut::<LANES>();
    for line in lines.iter() {
        for (largest, &score) in largest.iter_mut().zip(line) {
            *largest = if score > *largest { score } else { *largest };
        }
    }
    let largest = largest.into_iter().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.; LANES];
    for line in lines {
        for (sum, score) in sums.iter_mut().zip(line) {
            *score = exp(*score - largest);
            *sum += *score;
        }
    }
    sums.into_iter().sum()
}
