//! Every kernel around the network separately, in time per voxel.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array4;
use vesal_benches::{ct, logits, phantom};
use vesal_volume::crop::{VoxelBox, foreground_box};
use vesal_volume::intensity::normalize;
use vesal_volume::measure::{components, measure_labels};
use vesal_volume::orientation::{Orientation, reorient_volume};
use vesal_volume::postprocess::{Activation, argmax_labels};
use vesal_volume::preprocess::{Normalization, Step, execute};
use vesal_volume::resample::{resample_labels, resample_volume, spaced_geometry};
use vesal_volume::{Geometry, Volume};

/// In-plane and slice spacing of a CT scan in mm, and what it is resampled to.
const CT_MM: [f64; 3] = [0.8, 0.8, 1.5];
const TARGET_MM: [f64; 3] = [1.5; 3];

/// A quarter of a clinical scan.
const SHAPE: [usize; 3] = [256, 256, 256];

fn name(shape: [usize; 3]) -> String {
    let [x, y, z] = shape;
    format!("{x}×{y}×{z}")
}

fn voxels(shape: [usize; 3]) -> Throughput {
    Throughput::Elements(shape.iter().map(|&n| n as u64).product())
}

fn grid(volume: &Volume, mm: [f64; 3]) -> Geometry {
    spaced_geometry(&volume.geometry(), mm, [1.0; 2]).expect("a grid")
}

/// Costs are linear in voxels: four sizes, in voxels of the larger grid.
fn resample(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resample");
    for n in [64, 128, 192, 256] {
        let shape = [n; 3];
        let scan = ct(shape, CT_MM);
        let prepared = grid(&scan, TARGET_MM);
        group.throughput(voxels(shape));
        group.bench_function(BenchmarkId::new("down", name(shape)), |b| {
            b.iter(|| resample_volume(&scan, &prepared).expect("resampled"));
        });
        let small = resample_volume(&scan, &prepared).expect("resampled");
        let to = scan.geometry();
        group.bench_function(BenchmarkId::new("up", name(shape)), |b| {
            b.iter(|| resample_volume(&small, &to).expect("resampled"));
        });
    }
    let labels = phantom(SHAPE).expect("a phantom").labels;
    let to = spaced_geometry(&labels.geometry(), TARGET_MM, [1.0; 2]).expect("a grid");
    group.throughput(voxels(SHAPE));
    group.bench_function(BenchmarkId::new("labels down", name(SHAPE)), |b| {
        b.iter(|| resample_labels(&labels, &to).expect("resampled"));
    });
    group.finish();
}

/// From probabilities on the prepared grid to labels on the scan's, in voxels of the scan.
fn restore(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("restore");
    for n in [128, 192, 256] {
        let shape = [n; 3];
        let steps = [
            Step::OrientRas,
            Step::Resample {
                spacing: TARGET_MM,
                keep: [1.0; 2],
            },
        ];
        let (prepared, transforms) = execute(vec![ct(shape, CT_MM)], &steps).expect("prepared");
        let mut probabilities = logits(3, prepared.geometry().shape);
        Activation::Softmax.probabilities_in_place(probabilities.view_mut());
        group.throughput(voxels(shape));
        group.bench_function(BenchmarkId::new("3 classes", name(shape)), |b| {
            b.iter(|| {
                transforms
                    .invert_to_labels(probabilities.view(), Activation::Softmax, &[0, 1, 2])
                    .expect("labels")
            });
        });
    }
    group.finish();
}

fn orient(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("orient");
    group.throughput(voxels(SHAPE));
    let scan = ct(SHAPE, CT_MM);
    for to in ["RAS", "LPI", "PLS", "SRA", "ASR"] {
        let to: Orientation = to.parse().expect("codes");
        group.bench_function(BenchmarkId::new(format!("LPS to {to}"), name(SHAPE)), |b| {
            b.iter_batched(
                || scan.clone(),
                |scan| reorient_volume(scan, to).expect("turned"),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn crop(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("crop");
    group.throughput(voxels(SHAPE));
    let scan = ct(SHAPE, CT_MM);
    group.bench_function(BenchmarkId::new("foreground box", name(SHAPE)), |b| {
        b.iter(|| foreground_box(&scan, black_box(-500.0), 10));
    });
    let bounds = VoxelBox {
        start: [20, 30, 10],
        end: [230, 220, 250],
    };
    group.bench_function(BenchmarkId::new("box", name(SHAPE)), |b| {
        b.iter_batched(
            || scan.clone(),
            |scan| bounds.crop_volume(scan).expect("cropped"),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn intensities(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("normalize");
    group.throughput(voxels(SHAPE));
    let mut data = ct(SHAPE, CT_MM).data;
    for (kind, normalization) in [
        (
            "sigmoid of a range",
            Normalization::SigmoidRange {
                low: -200.0,
                high: 300.0,
            },
        ),
        ("z-score", Normalization::ZScoreNonzero),
        ("z-score and tanh", Normalization::ZScoreNonzeroTanh),
        ("sigmoid of deviations", Normalization::SigmoidDeviation),
    ] {
        group.bench_function(BenchmarkId::new(kind, name(SHAPE)), |b| {
            b.iter(|| normalize(&mut data, &[normalization]).expect("normalized"));
        });
    }
    group.finish();
}

/// The whole preparation of a scan of each kind.
fn prepare(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("prepare");
    for shape in [[128; 3], SHAPE] {
        let scan = ct(shape, CT_MM);
        let steps = |threshold, normalization| {
            [
                Step::OrientRas,
                Step::CropForeground {
                    threshold,
                    margin: 10,
                },
                Step::Resample {
                    spacing: TARGET_MM,
                    keep: [1.0; 2],
                },
                Step::Normalize {
                    channels: vec![normalization],
                },
            ]
        };
        let range = Normalization::SigmoidRange {
            low: -200.0,
            high: 300.0,
        };
        group.throughput(voxels(shape));
        for (kind, steps) in [
            ("CT", steps(-500.0, range)),
            ("MR", steps(0.0, Normalization::ZScoreNonzero)),
        ] {
            group.bench_function(BenchmarkId::new(kind, name(shape)), |b| {
                b.iter_batched(
                    || scan.clone(),
                    |scan| execute(vec![scan], &steps).expect("prepared"),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

fn label(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("label");
    for (classes, shape) in [(3, [160; 3]), (104, [48; 3])] {
        let values: Vec<u16> = (0..classes as u16).collect();
        let logits: Array4<f32> = logits(classes, shape);
        let id = |kind| BenchmarkId::new(kind, format!("{classes} classes, {}", name(shape)));
        group.throughput(Throughput::Elements(logits.len() as u64));
        for (kind, activation) in [
            ("softmax", Activation::Softmax),
            ("sigmoid", Activation::Sigmoid),
        ] {
            group.bench_function(id(kind), |b| {
                b.iter_batched_ref(
                    || logits.clone(),
                    |logits| activation.probabilities_in_place(logits.view_mut()),
                    BatchSize::LargeInput,
                );
            });
        }
        group.bench_function(id("argmax"), |b| {
            b.iter(|| argmax_labels(logits.view(), &values).expect("labels"));
        });
    }
    group.finish();
}

fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("measure");
    for n in [96, 192] {
        let shape = [n; 3];
        let labels = phantom(shape).expect("a phantom").labels.data;
        group.throughput(voxels(shape));
        group.bench_function(BenchmarkId::new("components", name(shape)), |b| {
            b.iter(|| components(labels.view()));
        });
        group.bench_function(
            BenchmarkId::new("Dice and surface distances of 2 labels", name(shape)),
            |b| {
                b.iter(|| {
                    measure_labels(labels.view(), labels.view(), &[1, 2], [1.2; 3], 1.0)
                        .expect("measured")
                });
            },
        );
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = resample, restore, orient, crop, intensities, prepare, label, measure
}
criterion_main!(benches);
