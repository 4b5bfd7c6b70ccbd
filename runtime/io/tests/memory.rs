//! Memory of reading and writing besides the arrays. A single test, because others in its process would disturb the
//! measurement.
#![cfg(target_os = "linux")]

mod synthetic;

use synthetic::{Fields, gzip, save};
use vesal_io::image::{
    ImageFile, OpenOptions, ReadLimits, read_header, read_label_map, read_volume,
};
use vesal_io::nifti::{ProbabilityFile, WriteOptions, write_volume};

const MIB: u64 = 1 << 20;

/// A figure of the process in bytes.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    let kib = line.split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}

/// Peak memory of `work` beyond that in use before; `None` where that cannot be measured.
fn peak<T>(work: impl FnOnce() -> T) -> Option<(T, u64)> {
    // 5 sets the highest resident size to the current one.
    std::fs::write("/proc/self/clear_refs", "5").ok()?;
    let before = status("VmRSS");
    let result = work();
    Some((result, status("VmHWM").saturating_sub(before)))
}

#[test]
fn memory_is_the_array_and_a_few_blocks() {
    let directory = tempfile::tempdir().unwrap();
    let fields = Fields {
        dim: vec![3, 512, 512, 96],
        data_type: 4,
        bits: 16,
        ..Fields::default()
    };
    // 48 MiB as stored, 96 as a volume, 48 as a label map.
    let bytes = fields.single(&vec![1; 2 * 512 * 512 * 96]);
    let plain = save(directory.path(), "a.nii", &bytes);
    let compressed = save(directory.path(), "a.nii.gz", &gzip(&bytes));
    drop(bytes);
    // Starts the threads of the pool before anything is measured.
    rayon::join(|| (), || ());
    // Allocators and stacks.
    let slack = 4 * MIB;
    for path in [plain, compressed] {
        let header = read_header(&path).unwrap();
        let Some((volume, taken)) = peak(|| read_volume(&path).unwrap()) else {
            println!("skipped: this system does not measure");
            return;
        };
        assert!(
            (96 * MIB - slack..=header.volume_peak_bytes() + slack).contains(&taken),
            "{taken}"
        );
        drop(volume);
        let Some((labels, taken)) = peak(|| read_label_map(&path).unwrap()) else {
            return;
        };
        assert!(
            (48 * MIB - slack..=header.label_map_peak_bytes() + slack).contains(&taken),
            "{taken}"
        );
        drop(labels);
        // Inspecting a file holds none of its voxels.
        let limits = ReadLimits::default();
        let Some((found, taken)) = peak(|| {
            ImageFile::open(&path, OpenOptions::default())
                .unwrap()
                .intensities(&limits)
                .unwrap()
        }) else {
            return;
        };
        assert!(found.min.is_some() && found.non_finite == 0);
        assert!(taken <= 8 * MIB + slack, "{taken}");
    }

    let volume = read_volume(directory.path().join("a.nii")).unwrap();
    let threads = rayon::current_num_threads() as u64;
    let few_blocks = 4 * 8 * MIB + threads * MIB / 2 + slack;
    for name in ["b.nii", "b.nii.gz"] {
        let path = directory.path().join(name);
        let options = WriteOptions::default();
        let Some(((), taken)) = peak(|| write_volume(&path, &volume, &options).unwrap()) else {
            return;
        };
        assert!(taken <= few_blocks, "{name} {taken}");
        let path = directory.path().join(format!("probabilities_{name}"));
        let create = || {
            let shape = [1, 512, 512, 96];
            let file = ProbabilityFile::create(&path, shape, &volume.affine, 1, &options);
            let file = file.unwrap();
            file.write([0; 3], volume.data.view()).unwrap();
            file.finish().unwrap();
        };
        let Some(((), taken)) = peak(create) else {
            return;
        };
        let planes = threads * 16 * 512 * 96 * 4;
        assert!(taken <= few_blocks.max(planes), "{name} {taken}");
    }
}
