//! Memory of writing a segmentation besides the map. A single test, because others in its process would disturb the
//! measurement.
#![cfg(target_os = "linux")]

mod slices;

use ndarray::Array3;
use slices::{Series, algorithm, options};
use vesal_io::dicom::write::{Segment, SegmentationType, SegmentedMap, write_segmentation};
use vesal_volume::LabelMap;

const MIB: u64 = 1 << 20;

fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

#[test]
fn frames_are_made_a_few_planes_at_a_time() {
    let map = LabelMap {
        data: Array3::from_shape_fn([256, 256, 160], |(x, y, _)| (x * y % 60) as u16),
        affine: vesal_volume::Affine::IDENTITY,
    };
    let segments: Vec<Segment> = (1..60).map(|n| Segment::named(n, format!("{n}"))).collect();
    let segmented = SegmentedMap {
        map: &map,
        segments: &segments,
        regions: false,
    };
    let source = Series::oblique([4, 4, 3]).source();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("seg.dcm");
    // Starts the threads of the pool before anything is measured.
    rayon::join(|| (), || ());
    // 5 sets the highest resident size to the current one.
    if std::fs::write("/proc/self/clear_refs", "5").is_err() {
        println!("skipped: this system does not measure");
        return;
    }
    let before = status("VmRSS");
    write_segmentation(
        &path,
        &segmented,
        &source,
        &algorithm(),
        SegmentationType::Binary,
        &options(),
    )
    .unwrap();
    let taken = status("VmHWM").saturating_sub(before);
    // 59 masks of 160 planes would take 590 MiB as bytes, 74 as bits: 16 planes of bits are 7.4, of values 2.
    assert!(std::fs::metadata(&path).unwrap().len() > 70 * MIB);
    assert!(taken < 24 * MIB, "{taken}");
}
