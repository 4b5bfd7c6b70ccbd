//! What the runtime does around the network.

use criterion::{Criterion, criterion_group, criterion_main};
use vesal_benches::{CopyPredictor, phantom, window_plan};
use vesal_io::nifti::{WriteOptions, read_volume, write_label_map, write_volume};
use vesal_volume::window::stitch;

fn files(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let phantom = phantom([128; 3]).expect("a phantom");
    let image = folder.path().join("image.nii.gz");
    let labels = folder.path().join("labels.nii.gz");
    let options = WriteOptions {
        overwrite: true,
        ..WriteOptions::default()
    };
    write_volume(&image, &phantom.volume, &options).expect("written");
    criterion.bench_function("read a 128³ nii.gz", |b| {
        b.iter(|| read_volume(&image).expect("read"))
    });
    criterion.bench_function("write a 128³ label map", |b| {
        b.iter(|| write_label_map(&labels, &phantom.labels, &options).expect("written"));
    });
}

fn predict(criterion: &mut Criterion) {
    let phantom = phantom([128; 3]).expect("a phantom");
    let plan = window_plan([64; 3]);
    criterion.bench_function("stitch 3 classes over 128³, windows of 64³", |b| {
        b.iter(|| stitch(phantom.volume.data.view(), &plan, &mut CopyPredictor).expect("stitched"));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = files, predict
}
criterion_main!(benches);
