//! Attention of one head in one window, four queries at a time.

use super::dense;
use super::exponential::exponential;
use super::lanes::{LANES, Lanes, Vectorized};
use super::row_products::{ROWS, add_outer, multiply_rows};
use crate::reference::APART;

/// Sizes of one head in one window.
#[derive(Debug, Clone, Copy)]
pub struct HeadShape {
    /// Tokens.
    pub n: usize,
    pub channels: usize,
    /// Tokens in whole vectors.
    padded: usize,
    /// Channels in whole vectors.
    width: usize,
}

impl HeadShape {
    pub fn new(n: usize, channels: usize) -> Self {
        Self {
            n,
            channels,
            padded: n.next_multiple_of(LANES),
            width: channels.next_multiple_of(LANES),
        }
    }

    /// Rows in whole blocks.
    fn rows(&self) -> usize {
        self.n.next_multiple_of(ROWS)
    }

    fn scale(&self) -> f32 {
        (self.channels as f32).sqrt().recip()
    }
}

/// Buffers of one head. Rows are `[rows, width]`, columns their transposes `[channels, padded]`; zero past the end.
pub struct HeadBuffers {
    queries: Vec<f32>,
    key_rows: Vec<f32>,
    key_columns: Vec<f32>,
    value_rows: Vec<f32>,
    value_columns: Vec<f32>,
    outputs: Vec<f32>,
    gradients: Vec<f32>,
    to_keys: Vec<f32>,
    to_values: Vec<f32>,
    /// Scores or probabilities of a block of queries, `[ROWS, padded]`.
    scores: Vec<f32>,
    /// Gradients by scores.
    slopes: Vec<f32>,
    /// Result of a block of queries, `[ROWS, width]`.
    block: Vec<f32>,
}

impl HeadBuffers {
    pub fn new(shape: HeadShape) -> Self {
        let rows = || dense::zeros(shape.rows() * shape.width);
        let columns = || dense::zeros(shape.channels * shape.padded);
        let scores = || dense::zeros(ROWS * shape.padded);
        Self {
            queries: rows(),
            key_rows: rows(),
            key_columns: columns(),
            value_rows: rows(),
            value_columns: columns(),
            outputs: rows(),
            gradients: rows(),
            to_keys: rows(),
            to_values: rows(),
            scores: scores(),
            slopes: scores(),
            block: dense::zeros(ROWS * shape.width),
        }
    }
}

/// Copies a head's columns of rows `[n, stride]`, times a factor.
#[inline(always)]
fn copy_rows(
    shape: HeadShape,
    from: &[f32],
    stride: usize,
    column: usize,
    factor: f32,
    into: &mut [f32],
) {
    let rows = from.chunks(stride).zip(into.chunks_exact_mut(shape.width));
    for (from, into) in rows.take(shape.n) {
        let from = &from[column..column + shape.channels];
        for (into, value) in into.iter_mut().zip(from) {
            *into = value * factor;
        }
    }
}

/// Copies a head's columns as rows.
#[inline(always)]
fn copy_columns(shape: HeadShape, from: &[f32], stride: usize, column: usize, into: &mut [f32]) {
    for (token, from) in from.chunks(stride).take(shape.n).enumerate() {
        let from = &from[column..column + shape.channels];
        for (into, value) in into.chunks_exact_mut(shape.padded).zip(from) {
            into[token] = *value;
        }
    }
}

/// Rows of a block.
#[inline(always)]
fn block(values: &[f32], pitch: usize, first: usize, length: usize) -> [&[f32]; ROWS] {
    std::array::from_fn(|row| &values[(first + row) * pitch..][..length])
}

/// Adds bias and mask to the scores of a query.
#[inline(always)]
fn add_bias(scores: &mut [f32], bias: &[f32], regions: Option<&[i32]>, query: usize) {
    for (score, bias) in scores.iter_mut().zip(bias) {
        *score += bias;
    }
    if let Some(regions) = regions {
        let own = regions[query];
        for (score, region) in scores.iter_mut().zip(regions) {
            *score += if *region == own { 0.0 } else { APART };
        }
    }
}

/// Replaces scores by exponentials of their differences to the largest; returns that and the sum. NaN stays NaN.
#[inline(always)]
fn exponentiate(scores: &mut [f32]) -> (f32, f32) {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut largest = [f32::NEG_INFINITY; LANES];
    for scores in scores.chunks(LANES) {
        for (largest, score) in largest.iter_mut().zip(scores) {
            *largest = larger(*largest, *score);
        }
    }
    let largest = largest.into_iter().fold(f32::NEG_INFINITY, larger);
    for score in scores.iter_mut() {
        *score = exponential(*score - largest);
    }
    (largest, sum(scores))
}

#[inline(always)]
fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0; LANES];
    for values in values.chunks(LANES) {
        for (sum, value) in sums.iter_mut().zip(values) {
            *sum += value;
        }
    }
    sums.into_iter().sum()
}

/// The forward pass.
pub struct AttentionHead<'a> {
    pub shape: HeadShape,
    /// Of this window, `[n, 3, heads, channels]`; may go on.
    pub qkv: &'a [f32],
    pub heads: usize,
    pub head: usize,
    /// `[n, n]`.
    pub bias: &'a [f32],
    pub regions: Option<&'a [i32]>,
    pub buffers: &'a mut HeadBuffers,
    /// `[n, channels]`.
    pub output: &'a mut [f32],
    pub log_sums: &'a mut [f32],
}

impl Vectorized for AttentionHead<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let shape @ HeadShape {
            n,
            channels,
            padded,
            width,
        } = self.shape;
        let HeadBuffers {
            queries,
            key_columns,
            value_rows,
            scores,
            block: sums,
            ..
        } = self.buffers;
        let stride = 3 * self.heads * channels;
        let column = |part| (part * self.heads + self.head) * channels;
        copy_rows(shape, self.qkv, stride, column(0), shape.scale(), queries);
        copy_columns(shape, self.qkv, stride, column(1), key_columns);
        copy_rows(shape, self.qkv, stride, column(2), 1.0, value_rows);
        for first in (0..n).step_by(ROWS) {
            let rows = ROWS.min(n - first);
            multiply_rows::<L>(
                block(queries, width, first, channels),
                key_columns,
                padded,
                scores,
            );
            let mut factors = [0.0; ROWS];
            for row in 0..rows {
                let query = first + row;
                let scores = &mut scores[row * padded..][..n];
                add_bias(scores, &self.bias[query * n..][..n], self.regions, query);
                let (largest, sum) = exponentiate(scores);
                self.log_sums[query] = largest + sum.ln();
                factors[row] = sum.recip();
            }
            multiply_rows::<L>(block(scores, padded, 0, n), value_rows, width, sums);
            let output = self.output[first * channels..].chunks_exact_mut(channels);
            for ((output, sums), factor) in output.zip(sums.chunks_exact(width)).zip(factors) {
                for (output, sum) in output.iter_mut().zip(sums) {
                    *output = sum * factor;
                }
            }
        }
    }
}

/// The gradients, from the scores computed again.
pub struct Gradient<'a> {
    pub shape: HeadShape,
    /// As of [`AttentionHead`].
    pub qkv: &'a [f32],
    pub heads: usize,
    pub head: usize,
    pub bias: &'a [f32],
    pub regions: Option<&'a [i32]>,
    /// Of this window, `[n, heads, channels]`; may go on.
    pub output: &'a [f32],
    pub log_sums: &'a [f32],
    /// As the output.
    pub gradient: &'a [f32],
    pub buffers: &'a mut HeadBuffers,
    /// `[3, n, channels]`.
    pub into: &'a mut [f32],
    /// Sum over windows so far, `[n, n]`.
    pub to_bias: &'a mut [f32],
}

impl Vectorized for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self) {
        let shape @ HeadShape {
            n,
            channels,
            padded,
            width,
        } = self.shape;
        let HeadBuffers {
            queries,
            key_rows,
            key_columns,
            value_columns,
            outputs,
            gradients,
            to_keys,
            to_values,
            scores,
            slopes,
            block: sums,
            ..
        } = self.buffers;
        let stride = self.heads * channels;
        let column = |part| (part * self.heads + self.head) * channels;
        let own = self.head * channels;
        copy_rows(
            shape,
            self.qkv,
            3 * stride,
            column(0),
            shape.scale(),
            queries,
        );
        copy_rows(shape, self.qkv, 3 * stride, column(1), 1.0, key_rows);
        copy_columns(shape, self.qkv, 3 * stride, column(1), key_columns);
        copy_columns(shape, self.qkv, 3 * stride, column(2), value_columns);
        copy_rows(shape, self.output, stride, own, 1.0, outputs);
        copy_rows(shape, self.gradient, stride, own, 1.0, gradients);
        to_keys.fill(0.0);
        to_values.fill(0.0);
        let (to_queries, rest) = self.into.split_at_mut(n * channels);
        for first in (0..n).step_by(ROWS) {
            let query_rows = block(queries, width, first, channels);
            multiply_rows::<L>(query_rows, key_columns, padded, scores);
            let gradient_rows = block(gradients, width, first, channels);
            multiply_rows::<L>(gradient_rows, value_columns, padded, slopes);
            for row in 0..ROWS {
                let query = first + row;
                let scores = &mut scores[row * padded..][..n];
                let slopes = &mut slopes[row * padded..][..n];
                if query >= n {
                    scores.fill(0.0);
                    slopes.fill(0.0);
                    continue;
                }
                add_bias(scores, &self.bias[query * n..][..n], self.regions, query);
                let place = query * width..(query + 1) * width;
                let pairs = outputs[place.clone()].iter().zip(&gradients[place]);
                let along: f32 = pairs.map(|(output, gradient)| output * gradient).sum();
                let log_sum = self.log_sums[query];
                let to_bias = self.to_bias[query * n..][..n].iter_mut();
                for ((score, slope), to_bias) in scores.iter_mut().zip(slopes).zip(to_bias) {
                    // Not above 0 but for rounding.
                    let exponent = *score - log_sum;
                    let p = exponential(if exponent > 0.0 { 0.0 } else { exponent });
                    *score = p;
                    *slope = p * (*slope - along);
                    *to_bias += *slope;
                }
            }
            let probabilities = block(scores, padded, 0, n);
            let by_scores = block(slopes, padded, 0, n);
            add_outer::<L>(
                probabilities,
                block(gradients, width, first, width),
                to_values,
            );
            add_outer::<L>(by_scores, block(queries, width, first, width), to_keys);
            multiply_rows::<L>(by_scores, key_rows, width, sums);
            let into = to_queries[first * channels..].chunks_exact_mut(channels);
            for (into, sums) in into.zip(sums.chunks_exact(width)) {
                for (into, sum) in into.iter_mut().zip(sums) {
                    *into = sum * shape.scale();
                }
            }
        }
        let (own_keys, own_values) = rest.split_at_mut(n * channels);
        for (into, sums) in [(own_keys, to_keys), (own_values, to_values)] {
            let rows = into.chunks_exact_mut(channels);
            for (into, sums) in rows.zip(sums.chunks_exact(width)) {
                into.copy_from_slice(&sums[..channels]);
            }
        }
    }
}
