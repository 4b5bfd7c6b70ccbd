//! Reading and writing NIfTI at a clinical size.
//!
//! The phantom has noise like a scanner's, which determines the time of compression and decompression.

use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array4, Axis};
use vesal_benches::phantom;
use vesal_io::Remarks;
use vesal_io::image::{read_label_map, read_volume};
use vesal_io::nifti::{ProbabilityFile, WriteOptions, write_label_map, write_volume};
use vesal_volume::phantom::Phantom;

const SHAPE: [usize; 3] = [256, 256, 192];
const CLASSES: usize = 3;
/// Planes of a block of probabilities.
const SLAB: usize = 16;

const OPTIONS: WriteOptions = WriteOptions {
    overwrite: true,
    space: vesal_io::nifti::XForm::ScannerAnat,
    remarks: Remarks::NONE,
};

fn scan() -> Phantom {
    phantom(SHAPE).expect("a phantom")
}

/// Copies a `.nii` of whole `float32` numbers as `int16`, under another name.
fn save_int16(folder: &Path, from: &str, to: &str) {
    let bytes = std::fs::read(folder.join(from)).expect("read");
    let (head, voxels) = bytes.split_at(352);
    let mut copy = head.to_vec();
    // `datatype` and `bitpix`.
    copy[70..74].copy_from_slice(&[4, 0, 16, 0]);
    let (voxels, _) = voxels.as_chunks::<4>();
    copy.extend(
        voxels
            .iter()
            .flat_map(|&value| (f32::from_le_bytes(value) as i16).to_le_bytes()),
    );
    std::fs::write(folder.join(to), copy).expect("written");
}

fn read(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut scan = scan();
    scan.volume.data.mapv_inplace(f32::round);
    let at = |name: &str| folder.path().join(name);
    for name in ["float32.nii", "float32.nii.gz"] {
        write_volume(at(name), &scan.volume, &OPTIONS).expect("written");
    }
    save_int16(folder.path(), "float32.nii", "int16.nii");
    compress(&at("int16.nii"), &at("int16.nii.gz"));
    write_label_map(at("labels.nii.gz"), &scan.labels, &OPTIONS).expect("written");
    let mut group = criterion.benchmark_group("read 256x256x192");
    group.sample_size(10);
    group.throughput(Throughput::Elements(scan.labels.data.len() as u64));
    for name in ["int16.nii", "float32.nii", "int16.nii.gz", "float32.nii.gz"] {
        let path = at(name);
        group.bench_function(name, |b| b.iter(|| read_volume(&path).expect("read")));
    }
    let path = at("labels.nii.gz");
    group.bench_function("labels.nii.gz", |b| {
        b.iter(|| read_label_map(&path).expect("read"));
    });
    group.finish();
}

/// Compresses a file as other tools do, in one go.
fn compress(from: &Path, to: &Path) {
    let file = std::fs::File::create(to).expect("created");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::new(6));
    std::io::copy(
        &mut std::fs::File::open(from).expect("opened"),
        &mut encoder,
    )
    .expect("copied");
    encoder.finish().expect("written");
}

fn write(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let scan = scan();
    let mut group = criterion.benchmark_group("write 256x256x192");
    group.sample_size(10);
    group.throughput(Throughput::Elements(scan.labels.data.len() as u64));
    for name in ["labels.nii", "labels.nii.gz"] {
        let path = folder.path().join(name);
        group.bench_function(name, |b| {
            b.iter(|| write_label_map(&path, &scan.labels, &OPTIONS).expect("written"));
        });
    }
    for name in ["float32.nii", "float32.nii.gz"] {
        let path = folder.path().join(name);
        group.bench_function(name, |b| {
            b.iter(|| write_volume(&path, &scan.volume, &OPTIONS).expect("written"));
        });
    }
    group.finish();
}

fn probabilities(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let scan = scan();
    let [x, y, z] = SHAPE;
    let mut values = Array4::zeros((CLASSES, x, y, z));
    for mut class in values.outer_iter_mut() {
        class.assign(&scan.volume.data.index_axis(Axis(0), 0));
    }
    let mut group = criterion.benchmark_group("probabilities 3x256x256x192");
    group.sample_size(10);
    group.throughput(Throughput::Elements(values.len() as u64));
    for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
        let path = folder.path().join("probabilities.nii");
        group.bench_function(format!("slabs across {name}.nii"), |b| {
            b.iter(|| {
                let affine = &scan.volume.affine;
                let shape = [CLASSES, x, y, z];
                let file = ProbabilityFile::create(&path, shape, affine, axis, &OPTIONS);
                let file = file.expect("created");
                let slabs = values.axis_chunks_iter(Axis(axis + 1), SLAB);
                for (index, slab) in slabs.enumerate() {
                    let mut start = [0; 3];
                    start[axis] = index * SLAB;
                    file.write(start, slab).expect("written");
                }
                file.finish().expect("finished");
            });
        });
    }
    group.finish();
}

criterion_group!(benches, read, write, probabilities);
criterion_main!(benches);
