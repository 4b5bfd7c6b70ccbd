//! Files that cannot be used, and the stacks that may lack them: never a silently shorter volume.

use std::fs;
use std::path::{Path, PathBuf};

use crate::dicom_files::reading::*;
use crate::dicom_files::*;
use tempfile::{TempDir, tempdir};
use vesal_io::dicom::{DicomError, Policy, SkipReason, Skipped, StackFinding, scan};
use vesal_io::sniff;

#[test]
fn a_damaged_file_refuses_the_stacks_of_its_series() {
    let images = series(4);
    // Within the pixels, and within the header behind the series' UID.
    for cut in [1, 130] {
        let folder = tempdir().unwrap();
        save_all(folder.path(), &images, EXPLICIT);
        let path = folder.path().join("996");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - cut]).unwrap();
        let found = look(folder.path());
        assert_eq!((found.stacks.len(), found.skipped.len()), (1, 1));
        for policy in [Policy::Strict, Policy::Resample] {
            let assessment = assess(&found.stacks[0], policy);
            assert_eq!(
                assessment.refusal(),
                Some(&StackFinding::Unread {
                    files: 1,
                    first: path.clone()
                })
            );
        }
    }
}

/// A folder with four slices with this name, of which the last is cut to this many bytes.
fn cut(name: impl Fn(usize) -> String, length: usize) -> (TempDir, PathBuf) {
    let folder = tempdir().unwrap();
    let mut last = PathBuf::new();
    for (k, image) in series(4).into_iter().enumerate() {
        let image = image.text(INSTANCE, b"UI", &format!("1.2.3.{k}"));
        let bytes = image.file(EXPLICIT);
        let bytes = if k == 3 { &bytes[..length] } else { &bytes[..] };
        last = save(folder.path(), &name(k), bytes);
    }
    (folder, last)
}

/// The files for which the only stack of a folder is refused.
fn missed(folder: &Path) -> Vec<PathBuf> {
    let found = look(folder);
    assert_eq!(found.stacks.len(), 1);
    let stack = &found.stacks[0];
    let unread: Vec<PathBuf> = stack.unread().into_iter().map(Path::to_owned).collect();
    for policy in [Policy::Strict, Policy::Resample] {
        let expected = unread.first().map(|first| StackFinding::Unread {
            files: unread.len(),
            first: first.clone(),
        });
        assert_eq!(assess(stack, policy).refusal(), expected.as_ref());
    }
    unread
}

#[test]
fn a_slice_that_ends_before_its_series_is_missed() {
    let whole = image().file(EXPLICIT).len();
    let names: [fn(usize) -> String; 3] = [
        |k| format!("{k}.dcm"),
        |k| format!("IM{k}"),
        |k| format!("1.2.3.{k}"),
    ];
    for name in names {
        // Nothing at all, the preamble, file meta information, and some of the data set.
        for length in [0, 100, 132, 150, 165, 200, 260, whole - 1] {
            let (folder, last) = cut(name, length);
            assert_eq!(missed(folder.path()), [last], "{length}");
        }
    }
    // Between two elements.
    let without_pixels = image().without(PIXELS).file(EXPLICIT).len();
    let (folder, last) = cut(|k| format!("{k}.dcm"), without_pixels);
    assert_eq!(missed(folder.path()), [last]);
}

#[test]
fn what_lies_elsewhere_or_is_called_otherwise_is_not_missed() {
    let (folder, last) = cut(|k| format!("{k}.DCM"), 0);
    fs::remove_file(&last).unwrap();
    save(folder.path(), "notes.txt", b"");
    save(folder.path(), "LOCK", b"");
    save(folder.path(), "notes.dcm", b"no image");
    let below = folder.path().join("below");
    fs::create_dir(&below).unwrap();
    save(&below, "4.dcm", b"");
    save(&below, "5.dcm", &head(EXPLICIT));
    assert!(missed(folder.path()).is_empty());
    let zeros = save(folder.path(), "3.dcm", &[0; 5000]);
    assert_eq!(missed(folder.path()), [zeros]);
}

/// A DICOMDIR that names files.
fn directory(ids: &[&str]) -> Vec<u8> {
    let record = |id: &&str| Elements::default().text((0x0004, 0x1500), b"CS", id);
    let records = ids.iter().map(record).collect();
    Elements::default()
        .value((0x0004, 0x1220), b"SQ", Value::Items(records))
        .file(EXPLICIT)
}

#[test]
fn a_dicomdir_leads_to_its_files() {
    let folder = tempdir().unwrap();
    let below = folder.path().join("images");
    std::fs::create_dir(&below).unwrap();
    let images = series(3);
    save_all(&below, &images[1..], EXPLICIT);
    save(&below, "IM7", &images[0].file(EXPLICIT));
    // In upper case, as the standard has it; the folder here is in lower case.
    let ids = ["IMAGES\\999", "IMAGES\\998", "IMAGES\\IM7", "IMAGES\\996"];
    let path = save(folder.path(), "DICOMDIR", &directory(&ids));
    let found = scan(&[&path]).unwrap();
    assert_eq!(found.stacks.len(), 1);
    assert_eq!(found.stacks[0].slices().len(), 3);
    let reasons: Vec<String> = found
        .skipped
        .iter()
        .map(|file| file.reason.to_string())
        .collect();
    assert_eq!(
        reasons,
        ["it is a DICOMDIR", "a DICOMDIR names it, but it is absent"]
    );

    // The file that is absent may be a slice at an end.
    let unread = StackFinding::Unread {
        files: 1,
        first: folder.path().join("images/996"),
    };
    assert_eq!(
        assess(&found.stacks[0], Policy::Resample).refusal(),
        Some(&unread)
    );
    // Of another DICOMDIR's series, it is none.
    let other = tempdir().unwrap();
    let images: Vec<_> = series(3)
        .into_iter()
        .map(|image| image.text(SERIES, b"UI", "1.2.7"))
        .collect();
    save_all(other.path(), &images, EXPLICIT);
    let whole = directory(&["999", "998", "997"]);
    let whole = save(other.path(), "DICOMDIR", &whole);
    let found = scan(&[&path, &whole]).unwrap();
    let refused: Vec<_> = found
        .stacks
        .iter()
        .map(|stack| (stack.series(), stack.unread().len()))
        .collect();
    assert_eq!(refused, [("1.2.1", 1), ("1.2.7", 0)]);

    // In the folder that it describes, it is one file of many.
    let meta = Elements::default()
        .text((0x0002, 0x0002), b"UI", "1.2.840.10008.1.3.10")
        .text((0x0002, 0x0010), b"UI", EXPLICIT);
    save(folder.path(), "DICOMDIR", &with_meta(meta));
    let found = look(folder.path());
    assert_eq!((found.stacks.len(), found.skipped.len()), (1, 1));
    assert!(matches!(found.skipped[0].reason, SkipReason::Directory));

    let path = save(
        folder.path(),
        "DICOMDIR",
        &directory(&["..\\..\\etc\\passwd"]),
    );
    let error = scan(&[&path]).unwrap_err();
    assert!(matches!(error, DicomError::Header { .. }), "{error}");
}

#[test]
fn what_a_dicomdir_in_a_folder_names_is_missed_beside_it() {
    let folder = tempdir().unwrap();
    for name in ["A", "B"] {
        let below = folder.path().join(name);
        std::fs::create_dir(&below).unwrap();
        let uid = if name == "A" { "1.2.1" } else { "1.2.7" };
        let images = series(3).into_iter();
        let images: Vec<_> = images.map(|image| image.text(SERIES, b"UI", uid)).collect();
        save_all(&below, &images, EXPLICIT);
    }
    let ids = [
        "A\\999", "A\\998", "A\\997", "B\\999", "B\\998", "B\\997", "B\\996", "C\\1",
    ];
    save(folder.path(), "dicomdir", &directory(&ids));
    let found = scan(&[folder.path()]).unwrap();
    let missed: Vec<_> = found
        .stacks
        .iter()
        .map(|stack| (stack.series(), stack.unread()))
        .collect();
    let absent = folder.path().join("B/996");
    assert_eq!(missed, [("1.2.1", vec![]), ("1.2.7", vec![&*absent])]);
    let named = |file: &&Skipped| matches!(file.reason, SkipReason::Absent);
    assert_eq!(found.skipped.iter().filter(named).count(), 2);
}

#[test]
fn a_dicomdir_does_not_multiply_the_path_of_its_folder() {
    let folder = tempdir().unwrap();
    let deep = folder.path().join("a".repeat(200));
    std::fs::create_dir(&deep).unwrap();
    let ids: Vec<String> = (0..50_000).map(|index| format!("A\\{index}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let path = save(&deep, "DICOMDIR", &directory(&ids));
    let error = scan(&[&path]).unwrap_err().to_string();
    assert!(error.contains("one of its size"), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_system_cannot_read_is_missed() {
    let (folder, last) = cut(|k| format!("{k}.dcm"), 0);
    fs::remove_file(&last).unwrap();
    // A regular file whose first byte cannot be read.
    let bad = folder.path().join("bad");
    std::os::unix::fs::symlink("/proc/self/mem", &bad).unwrap();
    assert_eq!(missed(folder.path()), [bad]);
}

#[cfg(unix)]
#[test]
fn pipes_devices_and_broken_links_are_told_and_not_waited_for() {
    use std::os::unix::fs::symlink;
    let (folder, last) = cut(|k| format!("{k}.dcm"), 0);
    fs::remove_file(&last).unwrap();
    let path = |name: &str| folder.path().join(name);
    let made = std::process::Command::new("mkfifo")
        .arg(path("pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    symlink("/dev/zero", path("zero")).unwrap();
    symlink("nowhere", path("gone")).unwrap();
    symlink("loop", path("loop")).unwrap();
    symlink(".", path("self")).unwrap();
    let found = look(folder.path());
    let reasons: Vec<String> = found
        .skipped
        .iter()
        .map(|file| file.reason.to_string())
        .collect();
    let (broken, irregular) = ("it is a broken link", "it is not a regular file");
    let expected = [
        broken,
        broken,
        irregular,
        "it is a link to a folder",
        irregular,
    ];
    assert_eq!(reasons, expected);
    assert!(found.skipped.iter().all(|file| !file.reason.is_dicom()));
    assert!(missed(folder.path()).is_empty());
    // A broken link that is named like a slice may have been one.
    symlink("nowhere", path("9.dcm")).unwrap();
    assert_eq!(missed(folder.path()), [path("9.dcm")]);

    for name in ["pipe", "zero"] {
        let error = scan(&[path(name)]).unwrap_err();
        assert!(matches!(error, DicomError::Irregular { .. }), "{error}");
        assert!(error.hint().is_some() && error.path() == Some(&path(name)));
        let error = sniff::sniff(&path(name)).unwrap_err();
        assert_eq!(error.to_string(), irregular);
    }
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_listed_leaves_the_others() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, last) = cut(|k| format!("{k}.dcm"), 0);
    fs::remove_file(&last).unwrap();
    let closed = folder.path().join("closed");
    fs::create_dir(&closed).unwrap();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // A superuser may list it all the same.
    let barred = fs::read_dir(&closed).is_err();
    let found = scan(&[folder.path()]).unwrap();
    let alone = scan(&[&closed]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(found.stacks.len(), 1);
    assert!(found.stacks[0].unread().is_empty());
    if barred {
        assert_eq!(found.skipped.len(), 1);
        assert_eq!(found.skipped[0].path, closed);
        assert!(matches!(found.skipped[0].reason, SkipReason::Io(_)));
        assert!(matches!(alone.unwrap_err(), DicomError::Io { .. }));
    }
}
