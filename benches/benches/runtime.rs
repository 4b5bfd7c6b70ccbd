//! What the runtime does around the network.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use vesal_benches::{CopyPredictor, phantom, window_plan};
use vesal_volume::measure::measure_labels;
use vesal_volume::postprocess::{Activation, ProbabilityMean, argmax_labels};
use vesal_volume::preprocess::{Normalization, Step, execute};
use vesal_volume::window::stitch;

fn prepare(criterion: &mut Criterion) {
    let phantom = phantom([128; 3]).expect("a phantom");
    let steps = [
        Step::OrientRas,
        Step::CropForeground {
            threshold: 0.0,
            margin: 10,
        },
        Step::Resample {
            spacing: [1.5, 1.5, 2.0],
            keep: [1.0, 1.0],
        },
        Step::Normalize {
            channels: vec![Normalization::ZScoreNonzero],
        },
    ];
    criterion.bench_function("preprocess 128³", |b| {
        b.iter_batched(
            || phantom.volume.clone(),
            |volume| execute(vec![volume], &steps).expect("prepared"),
            BatchSize::LargeInput,
        );
    });
}

fn predict(criterion: &mut Criterion) {
    let phantom = phantom([128; 3]).expect("a phantom");
    let plan = window_plan([64; 3]);
    criterion.bench_function("stitch 3 classes over 128³, windows of 64³", |b| {
        b.iter(|| stitch(phantom.volume.data.view(), &plan, &mut CopyPredictor).expect("stitched"));
    });
    let logits = stitch(phantom.volume.data.view(), &plan, &mut CopyPredictor).expect("stitched");
    criterion.bench_function("softmax, mean and argmax of 3 classes, 128³", |b| {
        b.iter_batched(
            || logits.clone(),
            |logits| {
                let mut mean = ProbabilityMean::new(Activation::Softmax);
                mean.add(logits, 1.0).expect("added");
                argmax_labels(mean.finish().expect("a mean").view(), &[0, 1, 2]).expect("labels")
            },
            BatchSize::LargeInput,
        );
    });
}

fn measure(criterion: &mut Criterion) {
    let (a, b) = (
        phantom([96; 3]).expect("a phantom"),
        phantom([96; 3]).expect("a phantom"),
    );
    criterion.bench_function("Dice and surface distances of two labels, 96³", |bencher| {
        bencher.iter(|| {
            measure_labels(
                a.labels.data.view(),
                b.labels.data.view(),
                &[1, 2],
                [1.2; 3],
                1.0,
            )
            .expect("measured")
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = prepare, predict, measure
}
criterion_main!(benches);
