//! Results checked and read by independent tools: dciodvfy, dcmtk, highdicom, dcmqi, dcmjs; series read by one,
//! dcm2niix. `VESAL_DICOM_KEEP` names a new folder in which results stay.

use crate::peers;
use std::fs;
use std::path::{Path, PathBuf};

use crate::slices::{Series, Written, algorithm, options, random_map, source, write_all};
use crate::synthetic::shared_data;
use ndarray::Array3;
use vesal_io::dicom::write::{
    Segment, SegmentationType, SegmentedMap, SourceImages, write_segmentation,
};
use vesal_io::dicom::{Policy, scan};
use vesal_io::image;
use vesal_volume::orientation::{Orientation, reorient_volume};
use vesal_volume::{Geometry, LabelMap};

/// Writes results and the truth beside them.
fn write(folder: &Path, map: &LabelMap, source: &SourceImages, segments: &[Segment]) -> Written {
    fs::create_dir_all(folder).unwrap();
    let written = write_all(folder, map, source, segments).unwrap();
    let segments: Vec<(u16, &str)> = segments
        .iter()
        .map(|segment| (segment.value, segment.name.as_str()))
        .collect();
    peers::write_truth(folder, map, &segments);
    written
}

/// A map on a grid: a ball, a shell around another, and scattered voxels.
fn shapes(grid: &Geometry) -> LabelMap {
    let [x, y, z] = grid.shape;
    let mut data = random_map([x, y, z], &[0, 0, 0, 5], 11);
    let center = [x, y, z].map(|n| n as f64 / 2.0 - 0.3);
    let data = Array3::from_shape_fn(data.dim(), |(i, j, k)| {
        let mut square = 0.0;
        for (axis, at) in [i, j, k].into_iter().enumerate() {
            square += ((at as f64 - center[axis]) / (0.42 * grid.shape[axis] as f64)).powi(2);
        }
        let noise = std::mem::take(&mut data[[i, j, k]]);
        match square.sqrt() {
            r if r < 0.3 => 1,
            r if (0.5..0.8).contains(&r) => 300,
            r if r > 0.95 => noise,
            _ => 0,
        }
    });
    LabelMap {
        data,
        affine: grid.affine,
    }
}

fn segments() -> Vec<Segment> {
    vec![
        Segment::named(1, "Hippocampus"),
        Segment::named(300, "left kidney"),
        Segment::named(5, "something else"),
    ]
}

/// Writes regions that overlap, and their bits beside them.
fn write_regions(folder: &Path, grid: &Geometry, source: &SourceImages) {
    let map = LabelMap {
        data: random_map(grid.shape, &[1, 2, 3, 5, 7], 4),
        affine: grid.affine,
    };
    let segments: Vec<Segment> = [1, 2, 4]
        .map(|bit| Segment::named(bit, format!("{bit}")))
        .into();
    let segmented = SegmentedMap {
        map: &map,
        segments: &segments,
        regions: true,
    };
    let path = folder.join("regions.dcm");
    write_segmentation(
        &path,
        &segmented,
        source,
        &algorithm(),
        SegmentationType::Binary,
        &options(),
    )
    .unwrap();
    let bits: Vec<u8> = map
        .data
        .iter()
        .flat_map(|bits| bits.to_le_bytes())
        .collect();
    fs::write(folder.join("regions.raw"), bits).unwrap();
}

/// Results about real series, and about synthetic ones.
fn results(root: &Path) -> Vec<(PathBuf, Written)> {
    let mut results = Vec::new();
    let mut add = |name: &str, map: LabelMap, source: &SourceImages| {
        let folder = root.join(name);
        let written = write(&folder, &map, source, &segments());
        results.push((folder, written));
    };
    let series = Series::oblique([37, 29, 13]);
    let folder = tempfile::tempdir().unwrap();
    series.save(folder.path());
    let grid = |folder: &Path, policy| {
        let scan = scan(&[folder]).unwrap();
        let assessment = scan.stacks[0].assess(policy).unwrap();
        assessment.geometry().unwrap()
    };
    let oblique = grid(folder.path(), Policy::Strict);
    let from = source(folder.path(), Policy::Strict);
    add("oblique", shapes(&oblique), &from);
    write_regions(&root.join("oblique"), &oblique, &from);
    let empty = LabelMap {
        data: Array3::zeros(oblique.shape),
        affine: oblique.affine,
    };
    add("empty", empty, &from);
    let mut gap = series;
    gap.places.remove(5);
    let folder = tempfile::tempdir().unwrap();
    gap.save(folder.path());
    let resampled = grid(folder.path(), Policy::Resample);
    add(
        "resampled",
        shapes(&resampled),
        &source(folder.path(), Policy::Resample),
    );
    for (name, folder) in [
        ("hippocrop1", "dicom/hippocrop/Study1"),
        ("hippocrop2", "dicom/hippocrop/Study2"),
        ("hippocrop3", "dicom/hippocrop/Study3"),
        ("ct", "sts/dicom/STS_001/CT/image"),
        ("mr", "sts/dicom/STS_001/MR_T1/image"),
    ] {
        if let Some(folder) = shared_data(folder) {
            let grid = grid(&folder, Policy::Strict);
            add(name, shapes(&grid), &source(&folder, Policy::Strict));
        }
    }
    results
}

#[test]
fn peers_accept_and_read_results() {
    // Dropped, and with it all results, at the end.
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::var_os("VESAL_DICOM_KEEP").map(PathBuf::from);
    let root = kept.unwrap_or_else(|| scratch.path().to_owned());
    let results = results(&root);
    let folders: Vec<&Path> = results.iter().map(|(folder, _)| folder.as_path()).collect();
    peers::check(&root, &folders);
}

#[test]
fn dcm2niix_reads_the_same_volumes() {
    let made = tempfile::tempdir().unwrap();
    Series::oblique([37, 29, 13]).save(made.path());
    let mut folders = vec![made.path().to_owned()];
    for study in ["Study1", "Study2", "Study3"] {
        folders.extend(shared_data(&format!("dicom/hippocrop/{study}")));
    }
    for folder in folders {
        let out = tempfile::tempdir().unwrap();
        let arguments = ["-f", "found", "-z", "n", "-b", "n", "-o"].map(Path::new);
        let arguments = [&arguments[..], &[out.path(), &folder]].concat();
        let Some((passed, text)) = peers::run("dcm2niix", &arguments) else {
            return;
        };
        assert!(passed, "{text}");
        let theirs = image::read_volume(out.path().join("found.nii")).unwrap();
        let scan = scan(&[&folder]).unwrap();
        let assessment = scan.stacks[0].assess(Policy::Strict).unwrap();
        let ours = assessment.read(&image::ReadLimits::default()).unwrap();
        let [ours, theirs] =
            [ours, theirs].map(|volume| reorient_volume(volume, Orientation::RAS).unwrap().0);
        assert_eq!(ours.data, theirs.data, "{}", folder.display());
        for (ours, theirs) in ours.affine.0.iter().zip(theirs.affine.0) {
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!((ours - theirs).abs() <= 1e-4, "{}", folder.display());
            }
        }
    }
}
