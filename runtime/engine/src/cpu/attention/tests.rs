//! Attention computes what its definition says, with all instructions that this processor has.

use std::thread;

use vesal_onnx::AttentionSizes;

use super::{AttentionConstants, AttentionInputs, PlannedAttention};
use crate::cpu::processor::{Instructions, Processor};
use crate::cpu::scratch::Scratch;

fn values(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed;
    let value = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005);
        state = state.wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.
    };
    (0..count).map(value).collect()
}

/// The inputs of a case.
struct Case {
    sizes: AttentionSizes,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    bias: Vec<f32>,
    left: Vec<f32>,
    right: Vec<f32>,
    bias_of: Vec<usize>,
    mask_of: Vec<usize>,
}

impl Case {
    /// Two biases and three masks in turn.
    fn new(sizes: AttentionSizes) -> Self {
        let AttentionSizes {
            groups,
            queries,
            keys,
            depth,
            features,
            rank,
        } = sizes;
        let mut left = vec![0.; 3 * queries * rank];
        let mut right = vec![-100.; 3 * rank * keys];
        for mask in 0..if rank > 0 { 3 } else { 0 } {
            // The first mask has one region.
            let region = |token: usize| token * mask % rank;
            for query in 0..queries {
                left[(mask * queries + query) * rank + region(query)] = 1.;
            }
            for key in 0..keys {
                right[(mask * rank + region(key)) * keys + key] = 0.;
            }
        }
        Self {
            sizes,
            queries: values(1, groups * queries * depth),
            keys: values(2, groups * depth * keys),
            values: values(3, groups * keys * features),
            bias: values(4, 2 * queries * keys),
            left,
            right,
            bias_of: (0..groups).map(|group| group % 2).collect(),
            mask_of: (0..groups).map(|group| group % 3).collect(),
        }
    }

    fn constants(&self) -> AttentionConstants<'_> {
        let mask = (&self.left[..], &self.right[..], &self.mask_of[..]);
        AttentionConstants {
            bias: Some((&self.bias, &self.bias_of)),
            mask: (self.sizes.rank > 0).then_some(mask),
        }
    }

    fn computed(
        &self,
        processor: Processor,
        constants: AttentionConstants<'_>,
        scratch: &Scratch,
    ) -> Vec<f32> {
        let planned = PlannedAttention::new(processor, self.sizes).expect("a plan");
        let parallel = |count: usize, work: &(dyn Fn(usize) + Sync + Send)| {
            thread::scope(|scope| {
                for index in 0..count {
                    scope.spawn(move || work(index));
                }
            });
        };
        let AttentionSizes {
            groups,
            queries,
            features,
            ..
        } = self.sizes;
        let mut output = vec![f32::NAN; groups * queries * features];
        let inputs = AttentionInputs {
            queries: &self.queries,
            keys: &self.keys,
            values: &self.values,
            constants,
        };
        planned.run(inputs, &mut output, scratch, &parallel);
        output
    }

    /// The definition, in 64-bit floats.
    fn expected(&self, constants: AttentionConstants<'_>) -> Vec<f64> {
        let AttentionSizes {
            groups,
            queries,
            keys,
            depth,
            features,
            rank,
        } = self.sizes;
        let product = |a: f32, b: f32| f64::from(a) * f64::from(b);
        let mut output = Vec::new();
        for (group, query) in (0..groups * queries).map(|at| (at / queries, at % queries)) {
            let score = |key: usize| {
                let feature = |d: usize| {
                    let query = self.queries[(group * queries + query) * depth + d];
                    product(query, self.keys[(group * depth + d) * keys + key])
                };
                let mut score: f64 = (0..depth).map(feature).sum();
                if let Some((bias, of)) = constants.bias {
                    score += f64::from(bias[(of[group] * queries + query) * keys + key]);
                }
                if let Some((left, right, of)) = constants.mask {
                    let term = |r: usize| {
                        let left = left[(of[group] * queries + query) * rank + r];
                        product(left, right[(of[group] * rank + r) * keys + key])
                    };
                    score += (0..rank).map(term).sum::<f64>();
                }
                score
            };
            let scores: Vec<f64> = (0..keys).map(score).collect();
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
            let total: f64 = weights.iter().sum();
            for feature in 0..features {
                let value = |key: usize| self.values[(group * keys + key) * features + feature];
                let sum: f64 = (0..keys)
                    .map(|key| weights[key] * f64::from(value(key)))
                    .sum();
                output.push(sum / total);
            }
        }
        output
    }
}

fn processors() -> impl Iterator<Item = Processor> {
    let all = Instructions::all().iter();
    all.flat_map(|&instructions| {
        [1, 3].map(|workers| Processor {
            instructions,
            workers,
        })
    })
}

const SMALL: AttentionSizes = AttentionSizes {
    groups: 7,
    queries: 9,
    keys: 9,
    depth: 4,
    features: 4,
    rank: 3,
};

#[test]
fn attention_is_what_it_should_be() {
    let scratch = Scratch::default();
    for sizes in [
        SMALL,
        AttentionSizes { rank: 0, ..SMALL },
        // Windows of 7³ and 6³ tokens, in heads of 16 features.
        AttentionSizes {
            groups: 4,
            queries: 343,
            keys: 343,
            depth: 16,
            features: 16,
            rank: 8,
        },
        AttentionSizes {
            groups: 2,
            queries: 216,
            keys: 216,
            depth: 16,
            features: 16,
            rank: 0,
        },
        // More features than a panel, and other numbers of keys than queries.
        AttentionSizes {
            groups: 3,
            queries: 5,
            keys: 70,
            depth: 33,
            features: 65,
            rank: 2,
        },
        AttentionSizes {
            groups: 1,
            queries: 1,
            keys: 1,
            depth: 1,
            features: 1,
            rank: 0,
        },
    ] {
        let case = Case::new(sizes);
        for constants in [case.constants(), AttentionConstants::default()] {
            let expected = case.expected(constants);
            for processor in processors() {
                let found = case.computed(processor, constants, &scratch);
                for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                    let off = (f64::from(*found) - expected).abs();
                    assert!(off <= 2e-6, "{sizes:?}, {processor:?}, {at}: off by {off}");
                }
            }
        }
    }
}

#[test]
fn threads_change_no_bit() {
    let case = Case::new(SMALL);
    for &instructions in Instructions::all() {
        let run = |workers| {
            let processor = Processor {
                instructions,
                workers,
            };
            case.computed(processor, case.constants(), &Scratch::default())
        };
        assert_eq!(run(1), run(4));
    }
}

#[test]
fn groups_see_only_themselves() {
    let mut case = Case::new(SMALL);
    case.values[9 * 4 + 3] = f32::NAN;
    for processor in processors() {
        let found = case.computed(processor, case.constants(), &Scratch::default());
        for (at, value) in found.iter().enumerate() {
            let spoiled = at / 36 == 1 && at % 4 == 3;
            assert_eq!(value.is_nan(), spoiled, "{at}");
        }
    }
}

#[test]
fn sizes_without_anything_to_compute_are_not_planned() {
    let Some(processor) = processors().next() else {
        return;
    };
    let plan = |sizes| PlannedAttention::new(processor, sizes);
    assert!(plan(SMALL).is_some_and(|plan| plan.scratch_bytes() < 10_000));
    assert!(plan(AttentionSizes { keys: 0, ..SMALL }).is_none());
    let keys = 1 << 30;
    assert!(plan(AttentionSizes { keys, ..SMALL }).is_none());
}
