//! Stitching and restoring: the runtime's work between windows, with a network that costs nothing.

use std::hint::black_box;
use std::ops::ControlFlow;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::Array3;
use vesal_benches::{CopyPredictor, phantom, window_plan};
use vesal_volume::postprocess::{Activation, map_features};
use vesal_volume::preprocess::{Inverter, Step, execute};
use vesal_volume::window::stitch_planes;

/// Edges of the volumes: cost grows with their third power.
const EDGES: [usize; 4] = [96, 128, 160, 192];

/// Cuts windows of 64³ at overlap 0.625 and blends three channels: 19 times the voxels of the volume.
fn planes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("cut and blend 3 classes, windows of 64³");
    for edge in EDGES {
        let phantom = phantom([edge; 3]).expect("a phantom");
        let plan = window_plan([64; 3]);
        group.throughput(Throughput::Elements((edge * edge * edge) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{edge}³")), |b| {
            b.iter(|| {
                let end = stitch_planes(
                    phantom.volume.data.view(),
                    &plan,
                    &mut CopyPredictor,
                    |_| ControlFlow::<()>::Continue(()),
                    |plane| {
                        black_box(&plane);
                        ControlFlow::Continue(())
                    },
                );
                end.expect("stitched")
            });
        });
    }
}

/// Restores planes of three classes from 1.5 mm to 1.2 mm, labels included.
fn restore(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("restore 3 classes, 1.5 mm to 1.2 mm");
    for edge in EDGES {
        let phantom = phantom([edge; 3]).expect("a phantom");
        let steps = [
            Step::OrientRas,
            Step::Resample {
                spacing: [1.5; 3],
                keep: [1.0, 1.0],
            },
        ];
        let (prepared, transforms) = execute(vec![phantom.volume], &steps).expect("prepared");
        let (_, x, y, z) = prepared.data.dim();
        let planes: Vec<_> = (0..x)
            .map(|x| {
                Array3::from_shape_fn((3, y, z), |(k, y, z)| ((k + x + y + z) % 7) as f32 / 7.0)
            })
            .collect();
        group.throughput(Throughput::Elements((edge * edge * edge) as u64));
        group.bench_function(BenchmarkId::from_parameter(format!("{edge}³")), |b| {
            b.iter(|| {
                let mut inverter =
                    Inverter::new(&transforms, Activation::Softmax, &[0, 1, 2]).expect("restores");
                for plane in &planes {
                    inverter.push(plane.clone(), None).expect("numbers");
                }
                inverter.finish(None).expect("complete")
            });
        });
    }
}

/// Maps 8 features to 104 classes, as after stitching.
fn head(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("map features");
    let features = Array3::from_elem((8, 256, 256), 0.5_f32);
    let (weight, bias) = (vec![0.25_f32; 104 * 8], vec![0.125_f32; 104]);
    group.throughput(Throughput::Elements(256 * 256));
    group.bench_function("8 to 104, 256²", |b| {
        b.iter(|| map_features(features.view(), &weight, &bias));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = planes, restore, head
}
criterion_main!(benches);
