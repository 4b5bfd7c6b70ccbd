//! Every operation in plain loops and double precision.

use vesal_kernels::{AdamWStep, ConvGeometry, Nonlinearity, SgdStep};

#[derive(Debug, Clone)]
pub struct Array {
    pub shape: Vec<usize>,
    pub values: Vec<f64>,
}

impl Array {
    pub fn zeros(shape: &[usize]) -> Self {
        Self {
            shape: shape.to_vec(),
            values: vec![0.0; shape.iter().product()],
        }
    }

    /// Multiples of 1/256 in -1..=1, which half precision and TF32 hold exactly.
    pub fn random(shape: &[usize], seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut array = Self::zeros(shape);
        for value in &mut array.values {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *value = ((state >> 33) % 513) as f64 / 256.0 - 1.0;
        }
        array
    }

    /// `[N, V, C]` → `[N, C, V]`.
    pub fn channels_first(&self) -> Self {
        let [n, x, y, z, c] = self.axes();
        let voxels = x * y * z;
        let mut turned = Self::zeros(&[n, c, x, y, z]);
        for (index, value) in self.values.iter().enumerate() {
            let (case, voxel, channel) = (index / c / voxels, index / c % voxels, index % c);
            turned.values[(case * c + channel) * voxels + voxel] = *value;
        }
        turned
    }

    fn axes<const D: usize>(&self) -> [usize; D] {
        std::array::from_fn(|axis| self.shape[axis])
    }
}

/// Visits every product of a convolution: indices into input, weights and output.
fn products(
    [n, x, y, z, c]: [usize; 5],
    k: usize,
    geometry: ConvGeometry,
    mut visit: impl FnMut(usize, usize, usize),
) {
    let ConvGeometry {
        kernel,
        stride,
        padding,
    } = geometry;
    let input = [x, y, z];
    let output = geometry.output_shape(input);
    let taps: usize = kernel.iter().product();
    let unravel = |index: usize, shape: [usize; 3]| {
        let [_, b, c] = shape;
        [index / (b * c), index / c % b, index % c]
    };
    for case in 0..n {
        for voxel in 0..output.iter().product() {
            let at = unravel(voxel, output);
            for tap in 0..taps {
                let offset = unravel(tap, kernel);
                let source = [0, 1, 2].map(|axis| {
                    (at[axis] * stride[axis] + offset[axis])
                        .checked_sub(padding[axis])
                        .filter(|&place| place < input[axis])
                });
                let [Some(i), Some(j), Some(l)] = source else {
                    continue;
                };
                let from = (((case * x + i) * y + j) * z + l) * c;
                let into = (case * output.iter().product::<usize>() + voxel) * k;
                for filter in 0..k {
                    for channel in 0..c {
                        let weight = (filter * c + channel) * taps + tap;
                        visit(from + channel, weight, into + filter);
                    }
                }
            }
        }
    }
}

pub fn conv(x: &Array, weight: &Array, bias: Option<&Array>, geometry: ConvGeometry) -> Array {
    let [n, sx, sy, sz, _] = x.axes();
    let k = weight.shape[0];
    let [ox, oy, oz] = geometry.output_shape([sx, sy, sz]);
    let mut output = Array::zeros(&[n, ox, oy, oz, k]);
    if let Some(bias) = bias {
        for (index, value) in output.values.iter_mut().enumerate() {
            *value = bias.values[index % k];
        }
    }
    products(x.axes(), k, geometry, |i, w, o| {
        output.values[o] += x.values[i] * weight.values[w];
    });
    output
}

pub fn input_gradient(
    gradient: &Array,
    weight: &Array,
    [x, y, z]: [usize; 3],
    geometry: ConvGeometry,
) -> Array {
    let shape = [gradient.shape[0], x, y, z, weight.shape[1]];
    let mut output = Array::zeros(&shape);
    products(shape, weight.shape[0], geometry, |i, w, o| {
        output.values[i] += gradient.values[o] * weight.values[w];
    });
    output
}

pub fn weight_gradient(x: &Array, gradient: &Array, geometry: ConvGeometry) -> Array {
    let (c, k) = (x.shape[4], gradient.shape[4]);
    let [kx, ky, kz] = geometry.kernel;
    let mut output = Array::zeros(&[k, c, kx, ky, kz]);
    products(x.axes(), k, geometry, |i, w, o| {
        output.values[w] += x.values[i] * gradient.values[o];
    });
    output
}

pub fn bias_gradient(gradient: &Array) -> Array {
    let k = gradient.shape[4];
    let mut output = Array::zeros(&[k]);
    for (index, value) in gradient.values.iter().enumerate() {
        output.values[index % k] += value;
    }
    output
}

/// Cases, voxels and channels.
fn extent(x: &Array) -> [usize; 3] {
    let [n, a, b, c, channels] = x.axes();
    [n, a * b * c, channels]
}

pub fn instance_norm(
    x: &Array,
    weight: &Array,
    bias: &Array,
    epsilon: f64,
    nonlinearity: Nonlinearity,
) -> [Array; 2] {
    let [n, voxels, channels] = extent(x);
    let mut statistics = Array::zeros(&[n, 2, channels]);
    for case in 0..n {
        for c in 0..channels {
            let at = |v: usize| (case * voxels + v) * channels + c;
            let mean = (0..voxels).map(|v| x.values[at(v)]).sum::<f64>() / voxels as f64;
            let square = |v: usize| (x.values[at(v)] - mean).powi(2);
            let variance = (0..voxels).map(square).sum::<f64>() / voxels as f64;
            let inverse = 1.0 / (variance + epsilon).sqrt();
            statistics.values[case * 2 * channels + c] = mean;
            statistics.values[(case * 2 + 1) * channels + c] = inverse;
        }
    }
    let output = normalized(x, &statistics, weight, bias, nonlinearity);
    [output, statistics]
}

/// Normalized by statistics `[N, 2, C]`: mean and inverse deviation.
pub fn normalized(
    x: &Array,
    statistics: &Array,
    weight: &Array,
    bias: &Array,
    nonlinearity: Nonlinearity,
) -> Array {
    let [_, voxels, channels] = extent(x);
    let mut output = Array::zeros(&x.shape);
    for (index, value) in output.values.iter_mut().enumerate() {
        let (case, c) = (index / (voxels * channels), index % channels);
        let mean = statistics.values[case * 2 * channels + c];
        let inverse = statistics.values[(case * 2 + 1) * channels + c];
        let y = (x.values[index] - mean) * inverse * weight.values[c] + bias.values[c];
        *value = match nonlinearity {
            Nonlinearity::Identity => y,
            Nonlinearity::Relu => y.max(0.0),
            Nonlinearity::LeakyRelu(slope) => y.max(f64::from(slope) * y),
        };
    }
    output
}

/// With respect to input, weight and bias.
pub fn instance_norm_gradient(
    x: &Array,
    statistics: &Array,
    weight: &Array,
    bias: &Array,
    gradient: &Array,
    nonlinearity: Nonlinearity,
) -> [Array; 3] {
    let [n, voxels, channels] = extent(x);
    let mut input = Array::zeros(&x.shape);
    let mut to_weight = Array::zeros(&[channels]);
    let mut to_bias = Array::zeros(&[channels]);
    for case in 0..n {
        for c in 0..channels {
            let at = |v: usize| (case * voxels + v) * channels + c;
            let mean = statistics.values[case * 2 * channels + c];
            let inverse = statistics.values[(case * 2 + 1) * channels + c];
            let normalized = |v: usize| (x.values[at(v)] - mean) * inverse;
            let slope = |v: usize| {
                let y = normalized(v) * weight.values[c] + bias.values[c];
                let below = match nonlinearity {
                    Nonlinearity::Identity => 1.0,
                    Nonlinearity::Relu => 0.0,
                    Nonlinearity::LeakyRelu(slope) => f64::from(slope),
                };
                gradient.values[at(v)] * if y > 0.0 { 1.0 } else { below }
            };
            let total: f64 = (0..voxels).map(slope).sum();
            let along: f64 = (0..voxels).map(|v| slope(v) * normalized(v)).sum();
            to_weight.values[c] += along;
            to_bias.values[c] += total;
            for v in 0..voxels {
                let means = (total + normalized(v) * along) / voxels as f64;
                input.values[at(v)] = (slope(v) - means) * inverse * weight.values[c];
            }
        }
    }
    [input, to_weight, to_bias]
}

/// Classes at the centers of the voxels of the logits, in their order.
fn coarse(logits: &Array, classes: &[i32], fine: [usize; 3]) -> Vec<i32> {
    let [n, x, y, z, _] = logits.axes();
    let place = |i: usize, wanted: usize, length: usize| {
        ((i as f64 + 0.5) * length as f64 / wanted as f64).floor() as usize
    };
    let mut picked = Vec::new();
    for case in 0..n {
        for i in 0..x {
            for j in 0..y {
                for l in 0..z {
                    let row = case * fine[0] + place(i, x, fine[0]);
                    let column = row * fine[1] + place(j, y, fine[1]);
                    picked.push(classes[column * fine[2] + place(l, z, fine[2])]);
                }
            }
        }
    }
    picked
}

/// The loss by voxel beside the Dice loss.
#[derive(Clone, Copy, PartialEq)]
enum Term {
    CrossEntropy,
    Focal,
}

/// Loss, sums, and the gradient times a factor.
pub fn dice_ce(logits: &Array, classes: &[i32], fine: [usize; 3], factor: f64) -> [Array; 3] {
    dice(logits, classes, fine, factor, Term::CrossEntropy)
}

/// Loss, sums, and the gradient times a factor.
pub fn dice_focal(logits: &Array, classes: &[i32], fine: [usize; 3], factor: f64) -> [Array; 3] {
    dice(logits, classes, fine, factor, Term::Focal)
}

/// Focal loss of a logit, and its derivative, from the probability of the wrong answer.
fn focal(logit: f64, is_truth: bool) -> [f64; 2] {
    let sign = if is_truth { -1.0 } else { 1.0 };
    let wrong = 1.0 / (1.0 + (-sign * logit).exp());
    let right = 1.0 / (1.0 + (sign * logit).exp());
    let loss = -right.ln();
    let by_sign = 2.0 * wrong * wrong * right * loss + wrong.powi(3);
    [wrong * wrong * loss, sign * by_sign]
}

fn dice(logits: &Array, classes: &[i32], fine: [usize; 3], factor: f64, term: Term) -> [Array; 3] {
    let [n, voxels, k] = extent(logits);
    let (smooth, terms) = match term {
        Term::CrossEntropy => (0.0, n * voxels),
        Term::Focal => (1e-5, n * voxels * k),
    };
    let terms = terms as f64;
    let classes = coarse(logits, classes, fine);
    let mut p = logits.clone();
    let mut sums = Array::zeros(&[n, 3, k]);
    let mut loss = Array::zeros(&[1]);
    let cases = (n * k) as f64;
    let truth = |row: usize, c: usize| f64::from(classes[row] == c as i32);
    for (row, &class) in classes.iter().enumerate() {
        let own = &mut p.values[row * k..(row + 1) * k];
        let total: f64 = own.iter().map(|value| value.exp()).sum();
        // Without a true class, the logarithm of the sum counts alone, relative to the largest logit.
        let top = own.iter().fold(f64::MIN, |a, &b| a.max(b));
        let chosen = usize::try_from(class).ok().filter(|&c| c < k);
        let shifted = chosen.map_or(0.0, |c| own[c] - top);
        loss.values[0] += match term {
            Term::CrossEntropy => total.ln() - top - shifted,
            Term::Focal => (0..k).map(|c| focal(own[c], class == c as i32)[0]).sum(),
        } / terms;
        for (c, value) in own.iter_mut().enumerate() {
            *value = value.exp() / total;
            let at = row / voxels * 3 * k + c;
            sums.values[at] += *value * truth(row, c);
            sums.values[at + k] += *value * *value;
            sums.values[at + 2 * k] += truth(row, c);
        }
    }
    let pair = |case: usize, c: usize| {
        let at = case * 3 * k + c;
        let denominator = sums.values[at + k] + sums.values[at + 2 * k] + 1e-5;
        (2.0 * sums.values[at] + smooth, denominator)
    };
    loss.values[0] += 1.0;
    for case in 0..n {
        for c in 0..k {
            let (numerator, denominator) = pair(case, c);
            loss.values[0] -= numerator / denominator / cases;
        }
    }
    let mut gradient = Array::zeros(&logits.shape);
    for row in 0..n * voxels {
        let slope = |c: usize| {
            let (numerator, denominator) = pair(row / voxels, c);
            let own = p.values[row * k + c];
            (2.0 * numerator * own / denominator - 2.0 * truth(row, c)) / denominator / cases
        };
        let along: f64 = (0..k).map(|c| slope(c) * p.values[row * k + c]).sum();
        for c in 0..k {
            let own = p.values[row * k + c];
            let by_voxel = match term {
                Term::CrossEntropy => own - truth(row, c),
                Term::Focal => focal(logits.values[row * k + c], truth(row, c) == 1.0)[1],
            };
            gradient.values[row * k + c] = (own * (slope(c) - along) + by_voxel / terms) * factor;
        }
    }
    [loss, sums, gradient]
}

/// Weights, first and second moment after a step; `squares` is the sum of all gradients' squares, where it is known.
pub fn adamw([w, g, m, v]: [&[f64]; 4], step: AdamWStep, squares: Option<f32>) -> [Vec<f64>; 3] {
    let [b1, b2] = step.betas.map(f64::from);
    let [c1, c2] = step.corrections().map(f64::from);
    let rate = f64::from(step.rate);
    let mut output = [Vec::new(), Vec::new(), Vec::new()];
    for i in 0..w.len() {
        let g = g[i] * f64::from(step.factor(squares));
        let first = b1 * m[i] + (1.0 - b1) * g;
        let second = b2 * v[i] + (1.0 - b2) * g * g;
        let direction = first * c1 / ((second * c2).sqrt() + f64::from(step.epsilon));
        output[0].push(w[i] * (1.0 - rate * f64::from(step.decay)) - rate * direction);
        output[1].push(first);
        output[2].push(second);
    }
    output
}

/// Weights and velocity after a step; `squares` as in [`adamw`].
pub fn sgd([w, g, v]: [&[f64]; 3], step: SgdStep, squares: Option<f32>) -> [Vec<f64>; 2] {
    let [rate, momentum, decay, factor] =
        [step.rate, step.momentum, step.decay, step.factor(squares)].map(f64::from);
    let mut output = [Vec::new(), Vec::new()];
    for i in 0..w.len() {
        let velocity = momentum * v[i] + g[i] * factor + decay * w[i];
        output[0].push(w[i] - rate * velocity);
        output[1].push(velocity);
    }
    output
}
