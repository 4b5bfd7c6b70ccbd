//! Convolutions compute what their definition says, with all instructions that this processor has.

use std::thread;

use vesal_onnx::VolumeConvolution;

use super::plan::PlannedConvolution;
use super::processor::{Instructions, Processor};
use super::scratch::Scratch;

/// Uniform numbers from -1 to 1.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        let state = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = state.wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 40
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        let value = |_| self.bits() as f32 / (1 << 23) as f32 - 1.;
        (0..count).map(value).collect()
    }

    fn one_of<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.bits() as usize % values.len()]
    }
}

fn same(channels: usize, filters: usize, input: [usize; 3]) -> VolumeConvolution {
    VolumeConvolution {
        channels,
        filters,
        kernel: [3; 3],
        stride: [1; 3],
        before: [1; 3],
        after: [1; 3],
        input,
        transposed: None,
    }
}

fn doubled(channels: usize, filters: usize, input: [usize; 3], kernel: usize) -> VolumeConvolution {
    let padding = [kernel - 2; 3];
    VolumeConvolution {
        kernel: [kernel; 3],
        stride: [2; 3],
        before: padding,
        after: padding,
        transposed: Some(padding),
        ..same(channels, filters, input)
    }
}

/// Voxel of a volume in C order, if it is inside.
fn voxel(at: [isize; 3], size: [usize; 3]) -> Option<usize> {
    let inside = (0..3).all(|axis| (0..size[axis] as isize).contains(&at[axis]));
    let [x, y, z] = at.map(|index| index as usize);
    inside.then(|| (x * size[1] + y) * size[2] + z)
}

fn all(size: [usize; 3]) -> impl Iterator<Item = [isize; 3]> {
    let [x, y, z] = size;
    (0..x * y * z).map(move |at| [at / z / y, at / z % y, at % z].map(|index| index as isize))
}

/// The definition, in 64-bit floats.
fn expected(sizes: &VolumeConvolution, input: &[f32], weights: &[f32], bias: &[f32]) -> Vec<f32> {
    let output = sizes.output().expect("sizes that go together");
    let [volume, voxels] = [sizes.input, output].map(|size| size.iter().product::<usize>());
    let mut sums: Vec<f64> = (0..sizes.filters * voxels)
        .map(|at| bias.get(at / voxels).copied().unwrap_or_default().into())
        .collect();
    // Both directions pair the same voxels: that of the larger volume is `small * stride + tap - before`.
    let transposed = sizes.transposed.is_some();
    let (small, large) = if transposed {
        (sizes.input, output)
    } else {
        (output, sizes.input)
    };
    for at in all(small) {
        for (tap, offset) in all(sizes.kernel).enumerate() {
            let other = [0, 1, 2].map(|axis| {
                at[axis] * sizes.stride[axis] as isize + offset[axis] - sizes.before[axis] as isize
            });
            let Some(other) = voxel(other, large) else {
                continue;
            };
            let at = voxel(at, small).expect("inside");
            let (from, to) = if transposed { (at, other) } else { (other, at) };
            for filter in 0..sizes.filters {
                for channel in 0..sizes.channels {
                    let pair = match transposed {
                        true => channel * sizes.filters + filter,
                        false => filter * sizes.channels + channel,
                    };
                    let weight = f64::from(weights[pair * sizes.taps() + tap]);
                    sums[filter * voxels + to] +=
                        weight * f64::from(input[channel * volume + from]);
                }
            }
        }
    }
    sums.into_iter().map(|sum| sum as f32).collect()
}

fn computed(
    processor: Processor,
    sizes: &VolumeConvolution,
    [input, weights, bias]: [&[f32]; 3],
    scratch: &Scratch,
) -> Vec<f32> {
    let convolution = PlannedConvolution::new(processor, *sizes).expect("a plan");
    let parallel = |count: usize, work: &(dyn Fn(usize) + Sync + Send)| {
        thread::scope(|scope| {
            for index in 0..count {
                scope.spawn(move || work(index));
            }
        });
    };
    let transformed = convolution.transform(weights, &parallel);
    let weights = transformed.as_deref().unwrap_or(weights);
    let voxels: usize = sizes
        .output()
        .expect("sizes that go together")
        .iter()
        .product();
    let mut output = vec![f32::NAN; sizes.filters * voxels];
    convolution.run([input, weights, bias], &mut output, scratch, &parallel);
    output
}

fn check(sizes: &VolumeConvolution, random: &mut Random, scratch: &Scratch) {
    let voxels: usize = sizes.input.iter().product();
    let input = random.values(sizes.channels * voxels);
    let weights = random.values(sizes.filters * sizes.channels * sizes.taps());
    let biased = random.one_of(&[0, 1]);
    let bias = random.values(sizes.filters * biased);
    let expected = expected(sizes, &input, &weights, &bias);
    let scale = expected
        .iter()
        .fold(1_f32, |most, value| most.max(value.abs()));
    let mut first = None;
    for &instructions in Instructions::all() {
        for workers in [1, 3] {
            let processor = Processor {
                instructions,
                workers,
            };
            let found = computed(processor, sizes, [&input, &weights, &bias], scratch);
            for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let off = (found - expected).abs() / scale;
                assert!(
                    off <= 1e-5,
                    "{sizes:?}, {processor:?}, voxel {at}: {found} instead of {expected}"
                );
            }
            // The same sums in the same order, on any number of threads.
            let first = first.get_or_insert_with(|| found.clone());
            assert!(found == *first, "{sizes:?}, {processor:?}");
        }
    }
}

#[test]
fn convolutions_of_odd_sizes_are_what_they_should_be() {
    let (mut random, scratch) = (Random(3), Scratch::default());
    for _ in 0..150 {
        let channels = [1, 3, 8, 33];
        let kernel = [0; 3].map(|_| random.one_of(&[1, 2, 3, 5]));
        let sizes = VolumeConvolution {
            kernel,
            stride: [0; 3].map(|_| random.one_of(&[1, 2, 3])),
            before: kernel.map(|size| random.bits() as usize % size),
            after: kernel.map(|size| random.bits() as usize % size),
            ..same(
                random.one_of(&channels),
                random.one_of(&channels),
                [0; 3].map(|_| 1 + random.bits() as usize % 7),
            )
        };
        if sizes.output().is_some() {
            check(&sizes, &mut random, &scratch);
        }
    }
}

#[test]
fn planes_and_their_products_are_what_they_should_be() {
    let (mut random, scratch) = (Random(5), Scratch::default());
    // One, two and four planes at once; rows longer than a panel; several parts of channels and shares of filters.
    for (channels, filters, input) in [
        (5, 9, [3, 7, 9]),
        (8, 8, [1, 9, 8]),
        (8, 33, [2, 5, 17]),
        (33, 8, [5, 7, 16]),
        (7, 40, [3, 2, 100]),
        (60, 13, [6, 20, 3]),
        (6, 7, [4, 1, 300]),
        (8, 8, [7, 100, 1]),
    ] {
        check(&same(channels, filters, input), &mut random, &scratch);
    }
}

#[test]
fn kernels_of_single_voxels_along_axes_are_what_they_should_be() {
    let (mut random, scratch) = (Random(11), Scratch::default());
    for kernel in all([2; 3]) {
        let kernel = kernel.map(|three| 1 + 2 * three as usize);
        let beside = kernel.map(|size| size / 2);
        for (channels, filters, input) in [
            (8, 9, [6, 7, 9]),
            (33, 8, [5, 20, 8]),
            (7, 20, [1, 6, 60]),
            (6, 8, [9, 70, 1]),
            (8, 7, [50, 1, 1]),
            (5, 6, [4, 12, 5]),
        ] {
            let sizes = VolumeConvolution {
                kernel,
                before: beside,
                after: beside,
                ..same(channels, filters, input)
            };
            check(&sizes, &mut random, &scratch);
        }
    }
}

#[test]
fn doubled_volumes_are_what_they_should_be() {
    let (mut random, scratch) = (Random(7), Scratch::default());
    for (channels, filters, input, kernel) in [
        (3, 8, [2, 6, 8], 3),
        (33, 9, [1, 7, 17], 3),
        (8, 33, [3, 1, 100], 2),
        (64, 5, [2, 30, 5], 3),
        (5, 12, [2, 9, 9], 2),
    ] {
        let sizes = doubled(channels, filters, input, kernel);
        check(&sizes, &mut random, &scratch);
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    let sizes = same(8, 8, [6, 7, 8]);
    let mut random = Random(9);
    let weights = random.values(8 * 8 * 27);
    for value in [f32::NAN, f32::INFINITY] {
        let mut input = random.values(8 * 6 * 7 * 8);
        input[100] = value;
        for &instructions in Instructions::all() {
            let processor = Processor {
                instructions,
                workers: 1,
            };
            let found = computed(
                processor,
                &sizes,
                [&input, &weights, &[]],
                &Scratch::default(),
            );
            let expected = expected(&sizes, &input, &weights, &[]);
            for (found, expected) in found.iter().zip(&expected) {
                assert!(expected.is_finite() || !found.is_finite());
            }
            assert!(found[8 * 6 * 7 * 8 - 1].is_finite());
        }
    }
}

#[test]
fn sizes_that_are_not_known_are_not_planned() {
    let Some(&instructions) = Instructions::all().first() else {
        return;
    };
    let processor = Processor {
        instructions,
        workers: 2,
    };
    let plan = |sizes: VolumeConvolution| PlannedConvolution::new(processor, sizes);
    assert!(plan(same(8, 8, [8; 3])).is_some());
    assert!(plan(same(8, 0, [8; 3])).is_none());
    let kernel = [9, 1, 1];
    assert!(
        plan(VolumeConvolution {
            kernel,
            ..same(8, 8, [8; 3])
        })
        .is_none()
    );
    let stride = [0, 1, 1];
    assert!(
        plan(VolumeConvolution {
            stride,
            ..same(8, 8, [8; 3])
        })
        .is_none()
    );
    assert!(plan(doubled(8, 8, [8; 3], 3)).is_some());
    let (before, stride) = ([1 << 40, 1, 1], [1 << 40, 1, 1]);
    assert!(
        plan(VolumeConvolution {
            before,
            stride,
            ..same(8, 8, [8; 3])
        })
        .is_none()
    );
    let transposed = Some([0; 3]);
    assert!(
        plan(VolumeConvolution {
            transposed,
            ..doubled(8, 8, [8; 3], 3)
        })
        .is_none()
    );
}
