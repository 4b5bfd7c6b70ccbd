//! Reading DICOM series and writing segmentations at a clinical size.

#[path = "../../../runtime/io/tests/dicom_files/mod.rs"]
mod dicom_files;
mod encode;

use std::fs;
use std::path::Path;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dicom_files::{
    COLUMNS, EXPLICIT, HIGH_BIT, INTERCEPT, PIXELS, RLE, ROWS, SIGNED, SPACING, STORED, Value,
    image, save,
};
use ndarray::Axis;
use vesal_benches::ct;
use vesal_io::dicom::write::{
    AlgorithmIdentification, Moment, ResultOptions, Segment, SegmentationType, SegmentedMap,
    SourceImages, write_segmentation,
};
use vesal_io::dicom::{Assessment, Policy, scan};
use vesal_io::image::ReadLimits;
use vesal_volume::LabelMap;

const SHAPE: [usize; 3] = [512, 512, 64];
const SPACING_MM: [f64; 3] = [0.8, 0.8, 1.5];
const JPEG_LOSSLESS: &str = "1.2.840.10008.1.2.4.70";

/// Writes a synthetic CT scan, one file for each slice.
fn save_series(folder: &Path, syntax: &str) {
    let [x, y, slices] = SHAPE;
    let volume = ct(SHAPE, SPACING_MM);
    for z in 0..slices {
        let slice = volume.data.index_axis(Axis(0), 0);
        let slice = slice.index_axis(Axis(2), z);
        let rows = slice.t();
        let pixels: Vec<u16> = rows.iter().map(|hu| (hu + 1024.0) as u16).collect();
        let mut file = image()
            .text((0x0008, 0x0018), b"UI", &format!("1.2.3.{z}"))
            .short(COLUMNS, x as u16)
            .short(ROWS, y as u16)
            .short(STORED, 12)
            .short(HIGH_BIT, 11)
            .short(SIGNED, 0)
            .numbers(SPACING, &SPACING_MM[..2])
            .numbers(INTERCEPT, &[-1024.0])
            .at([0.0, 0.0, SPACING_MM[2] * z as f64]);
        let frame = match syntax {
            RLE => Some(encode::rle(&pixels)),
            JPEG_LOSSLESS => Some(encode::jpeg_lossless(&pixels, x)),
            _ => None,
        };
        file = match frame {
            Some(frame) => file.value(PIXELS, b"OB", Value::Fragments(vec![vec![], frame])),
            None => file.pixels(&pixels),
        };
        save(folder, &format!("{z:04}"), &file.file(syntax));
    }
}

/// The only stack below a folder.
fn assess(folder: &Path) -> Assessment {
    let found = scan(&[folder]).expect("scanned");
    assert_eq!((found.stacks.len(), found.skipped.len()), (1, 0));
    let assessed = found.stacks[0].assess(Policy::Strict);
    assessed.expect("assessed")
}

fn read(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut group = criterion.benchmark_group("DICOM, 64 slices of 512x512");
    group.sample_size(10);
    group.throughput(Throughput::Elements(SHAPE.iter().product::<usize>() as u64));
    let expected = ct(SHAPE, SPACING_MM);
    for (name, syntax) in [
        ("native", EXPLICIT),
        ("RLE", RLE),
        ("JPEG lossless", JPEG_LOSSLESS),
    ] {
        let folder = folder.path().join(name);
        fs::create_dir(&folder).expect("made");
        save_series(&folder, syntax);
        let volume = assess(&folder).read(&ReadLimits::default()).expect("read");
        assert!(volume.data == expected.data, "{name}");
        if syntax == EXPLICIT {
            group.bench_function("scan and assess", |b| b.iter(|| assess(&folder)));
        }
        let assessment = assess(&folder);
        group.bench_function(format!("read {name}"), |b| {
            b.iter(|| assessment.read(&ReadLimits::default()).expect("read"));
        });
        group.bench_function(format!("read {name} with digests"), |b| {
            b.iter(|| {
                let read = assessment.read_with_content(&ReadLimits::default());
                read.expect("read")
            });
        });
    }
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    save_series(folder.path(), EXPLICIT);
    let assessment = assess(folder.path());
    let read = assessment.read_with_content(&ReadLimits::default());
    let source = SourceImages::of(&assessment, read.expect("read").1).expect("a source");
    let mut group = criterion.benchmark_group("SEG, 64 planes of 512x512");
    group.sample_size(10);
    group.throughput(Throughput::Elements(SHAPE.iter().product::<usize>() as u64));
    let values = ct(SHAPE, SPACING_MM);
    for labels in [1_u16, 24] {
        // Boxes in the body: a label for each eighth of a row and third of the columns.
        let label = |(x, y, _): (usize, usize, usize), hu: f32| -> u16 {
            let number = 3 * (x / 64) + y / 171;
            let inside = hu > -200.0 && number < usize::from(labels);
            if inside { number as u16 + 1 } else { 0 }
        };
        let body = values.data.index_axis(Axis(0), 0);
        let mut data = ndarray::Array3::zeros(SHAPE);
        for (place, hu) in body.indexed_iter() {
            data[place] = label(place, *hu);
        }
        let map = LabelMap {
            data,
            affine: assessment.geometry().expect("a volume").affine,
        };
        let segments: Vec<Segment> = (1..=labels)
            .map(|value| Segment::named(value, format!("label {value}")))
            .collect();
        let segmented = SegmentedMap {
            map: &map,
            segments: &segments,
            regions: false,
        };
        for (name, segmentation_type) in [
            ("binary", SegmentationType::Binary),
            ("label map", SegmentationType::LabelMap),
        ] {
            let path = folder.path().join("result");
            group.bench_function(format!("{name}, {labels} labels"), |b| {
                b.iter(|| {
                    write_segmentation(
                        &path,
                        &segmented,
                        &source,
                        &algorithm(),
                        segmentation_type,
                        &OPTIONS,
                    )
                    .expect("written")
                });
            });
        }
    }
    group.finish();
}

fn algorithm() -> AlgorithmIdentification {
    AlgorithmIdentification {
        name: "organs".into(),
        version: "1.0.0".into(),
        digest: "5c".repeat(32),
        parameters: None,
    }
}

const OPTIONS: ResultOptions = ResultOptions {
    overwrite: true,
    made: Moment {
        year: 2026,
        month: 1,
        day: 2,
        hour: 3,
        minute: 4,
        second: 5,
    },
    series_number: None,
    key: None,
};

criterion_group!(benches, read, write);
criterion_main!(benches);
